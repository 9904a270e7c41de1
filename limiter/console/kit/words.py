"""Texts, numbers and durations in the language of the run.

A text is written in English where it is used, `t("Free slots")`; `locale/fr.po` has its French. Language, zone and
theme of a run are in `st.session_state`, so that a fragment that runs alone speaks the same language.
"""

from datetime import UTC, tzinfo
from typing import Any

import streamlit as st

from limiter.console.catalog import Language
from limiter.console.view import View
from limiter.rules import reasons
from limiter.system_limits import Value
from limiter.units import MIB


def view() -> View:
    """How this run is seen."""
    zone = st.session_state.get("zone")
    dark = st.context.theme.type == "dark"
    return View(language(), zone if isinstance(zone, tzinfo) else UTC, dark)


def language() -> Language:
    """The language of this run."""
    return "fr" if st.session_state.get("language") == "fr" else "en"


def t(text: str, **values: Any) -> str:
    """The text in the language of the run, its `{names}` filled in."""
    return view().t(text, **values)


def tn(one: str, many: str, n: int, **values: Any) -> str:
    """The text for n things: French counts 0 as one, English as many. `{n}` is filled in."""
    return view().tn(one, many, n, **values)


def number(value: float, decimals: int = 0) -> str:
    """1 234,5 or 1,234.5."""
    return view().number(value, decimals)


def percent(value: float | None, decimals: int = 1) -> str:
    """75,0 % or 75.0%; a dash where it is not known."""
    return view().percent(value, decimals)


def memory(size: float) -> str:
    """Bytes as 820 MB or 3.4 GB, of 1024² and 1024³."""
    megabytes = size / MIB
    return f"{number(megabytes)} {t('MB')}" if megabytes < 1024 else f"{number(megabytes / 1024, 1)} {t('GB')}"


def lasting(seconds: float) -> str:
    """A duration in its two largest units: 48 s, 1 min 54 s, 14 min, 1 h 10 min, 2 d 4 h."""
    return view().lasting(seconds)


def reason_text(reason: str) -> str:
    """A refusal's reason in a few words."""
    return view().reason(reason)


def actor_text(actor: str, *, exact: bool = False) -> str:
    """Who did something, from the name that histories have; `exact`: with the id of the key that was used."""
    return reasons.who(actor, language(), exact=exact)


def value_text(value: Value) -> str:
    """A limit's value for a person."""
    if value is None:
        return t("none")
    return number(value) if value == int(value) else number(value, 1)


def verbatim(text: str) -> str:
    """What came from outside, so that Markdown shows it as it is."""
    return f"`{text.replace('`', chr(39))}`" if text.strip() else text
