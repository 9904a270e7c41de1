"""The French of the console's texts: `locale/fr.po` beside this file, by the English text that the code has."""

import functools
import re
from ast import literal_eval
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = ("fr", "en")
CATALOG = Path(__file__).with_name("locale") / "fr.po"
ENTRY = re.compile(r'^(msgid|msgid_plural|msgstr(?:\[\d\])?) (".*")$|^(".*")$')


@functools.cache
def catalog() -> Mapping[str, tuple[str, ...]]:
    """The French texts."""
    return read(CATALOG)


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
