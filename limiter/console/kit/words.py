"""French and English: texts, numbers, durations.

A text is written in English where it is used, `t("Free slots")`; `locale/fr.po` beside this file has its French.
The language of the run is in `st.session_state`, so a fragment that runs alone speaks the same one.
"""

import functools
import re
from ast import literal_eval
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from limiter.rules.records import MIB
from limiter.rules.refusals import REASONS
from limiter.system_limits import Value

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = ("fr", "en")
CATALOG = Path(__file__).parents[1] / "locale" / "fr.po"
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


def language() -> Language:
    """The language of this run."""
    return "fr" if st.session_state.get("language") == "fr" else "en"


def t(text: str, **values: Any) -> str:
    """The text in the language of the run, its `{names}` filled in."""
    if language() == "fr":
        text = catalog().get(text, (text,))[0]
    return text.format(**values) if values else text


def tn(one: str, many: str, n: int, **values: Any) -> str:
    """The text for n things: French counts 0 as one, English as many. `{n}` is filled in."""
    if language() == "fr":
        forms = catalog().get(one, (one, many))
        text = forms[-1] if n >= 2 else forms[0]
    else:
        text = one if n == 1 else many
    return text.format(n=number(n), **values)


def number(value: float, decimals: int = 0) -> str:
    """1 234,5 or 1,234.5."""
    text = f"{value:,.{decimals}f}"
    return text.replace(",", "\u202f").replace(".", ",") if language() == "fr" else text


def percent(value: float | None, decimals: int = 1) -> str:
    """75,0 % or 75.0%; a dash where it is not known."""
    if value is None:
        return "–"
    return f"{number(value, decimals)}\u00a0%" if language() == "fr" else f"{number(value, decimals)}%"


def memory(size: float) -> str:
    """Bytes as 820 MB or 3.4 GB, of 1024² and 1024³."""
    megabytes = size / MIB
    return f"{number(megabytes)} {t('MB')}" if megabytes < 1024 else f"{number(megabytes / 1024, 1)} {t('GB')}"


def lasting(seconds: float) -> str:
    """A duration in its two largest units: 48 s, 3 min, 1 h 10 min, 2 d 4 h."""
    whole = max(0, round(seconds))
    day = t("d")
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{whole // 60} min"
    if whole < 172_800:
        hours, rest = divmod(whole // 60, 60)
        return f"{hours} h {rest:02d} min" if rest else f"{hours} h"
    days, rest = divmod(whole // 3600, 24)
    return f"{days} {day} {rest} h" if rest else f"{days} {day}"


def reason_text(reason: str) -> str:
    """A refusal's reason in a few words."""
    known = REASONS.get(reason)
    return known.label(language()) if known else reason


def value_text(found: Value) -> str:
    """A limit's value for a person."""
    if found is None:
        return t("none")
    return number(found) if found == int(found) else number(found, 1)
