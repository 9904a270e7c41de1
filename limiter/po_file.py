"""A gettext catalog in its text form, read as it is: no compiled copy of it has to be made or kept fresh."""

import re
from ast import literal_eval
from collections.abc import Mapping
from pathlib import Path

ENTRY = re.compile(r'^(msgid|msgid_plural|msgstr(?:\[\d\])?) (".*")$|^(".*")$')


def read(path: Path) -> Mapping[str, tuple[str, ...]]:
    """A .po file: English text → its translations, singular and, where there is one, plural."""
    found: dict[str, tuple[str, ...]] = {}
    entry: dict[str, str] = {}
    at = ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), ""]:
        match = ENTRY.match(line)
        if match is None:
            if entry.get("msgid"):
                found[entry["msgid"]] = tuple(text for name, text in sorted(entry.items()) if name.startswith("msgstr"))
            if not line.startswith("#"):
                entry = {}
            continue
        at = match[1] or at
        entry[at] = entry.get(at, "") + literal_eval(match[2] or match[3])
    return found
