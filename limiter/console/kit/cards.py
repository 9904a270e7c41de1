"""Figures as cards, statuses as badges, and lists of what is known of something."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import streamlit as st

from limiter.console.kit import times
from limiter.console.theme import STATUSES

Tone = Literal["", "said", "bad"]
PHONE_PX = 150  # of a card: two stand beside each other on a phone
COLOURS: dict[str, Any] = {"": "off", "said": "orange", "bad": "red"}


@dataclass(frozen=True, slots=True)
class Card:
    """A large figure with its label and the one line that gives it meaning; `tone` "said" or "bad" marks it.

    `trend` is drawn beneath it, evenly spaced and oldest first, as a line or, for what is counted, as bars.
    """

    label: str
    figure: str
    meaning: str = ""
    tone: Tone = ""
    trend: Sequence[float] = ()
    kind: Literal["line", "bar", "area"] = "area"


def cards(shown: Sequence[Card], across: int | None = None) -> None:
    """Figures beside each other, `across` at most in a row: what does not fit goes below, two to a row on a phone."""
    with st.grid(across or len(shown), min_column_width=PHONE_PX, gap="small"):
        for card in shown:
            st.metric(
                card.label, card.figure, card.meaning or None, COLOURS[card.tone], delta_arrow="off", border=True,
                height="stretch", chart_data=list(card.trend) or None, chart_type=card.kind,
            )  # fmt: skip


def status_badge(status: str) -> None:
    """The status as icon and word on its tint."""
    known = STATUSES[status]
    st.badge(status, icon=known.icon, color=known.named)  # type: ignore[arg-type]  # one of Streamlit's colours


def facts(rows: Iterable[tuple[str, Any]]) -> None:
    """Names with their values, one below the other."""
    texts = [
        (name, times.when(round(value.timestamp() * 1000)) if isinstance(value, datetime) else str(value))
        for name, value in rows
    ]
    _list("lim-facts", texts)


def timeline(entries: Sequence[tuple[int, str]]) -> None:
    """Instants with what happened, in the order given."""
    _list("lim-times", [(times.when(at), text) for at, text in entries])


def _list(kind: str, rows: Iterable[tuple[str, str]]) -> None:
    """Pairs of texts. As HTML, because Markdown would read what came from outside: names, notes, reasons."""
    lines = [f"<li><span>{html.escape(name)}</span><span>{html.escape(text)}</span></li>" for name, text in rows]
    st.html(f"<ul class='lim-list {kind}'>{''.join(lines)}</ul>")
