"""The time range of a page, kept in the URL: `?range=7d`, or `?from=…&to=…` once somebody zoomed or typed one.

A preset ends now and moves on; a chosen range stands still. Back undoes: each choice is a URL of its own.
"""

from datetime import datetime

import streamlit as st

from limiter.clock import rfc3339
from limiter.console.kit import times, url_widgets
from limiter.console.kit.times import RANGES
from limiter.console.kit.words import lasting, t
from limiter.console.view import Span

DEFAULT = "24h"
SHORTEST = 60_000


def chosen() -> Span | None:
    """The range that the URL names by its ends; None where it names none that makes sense."""
    try:
        start, end = (times.millis(st.query_params[name]) for name in ("from", "to"))
    except (KeyError, ValueError):
        return None
    return Span(start, end) if end - start >= SHORTEST else None


def choose(start: float, end: float) -> None:
    """Stand still on this range."""
    first, last = int(min(start, end)), int(max(start, end))
    last = max(last, first + SHORTEST)
    url_widgets.go({"from": rfc3339(first)[:19] + "Z", "to": rfc3339(last)[:19] + "Z"})


def forget() -> None:
    """Follow the preset again."""
    url_widgets.go({"from": None, "to": None})


def move(span: Span, share: float, stretch: float = 1.0) -> None:
    """Go to a neighbouring range: so many lengths later, so many times as long around its middle."""
    middle, half = (span.start + span.end) / 2 + share * span.length, span.length * stretch / 2
    end = min(middle + half, times.now())
    choose(end - 2 * half, end)


def picker() -> Span:
    """The controls; the range that they give."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="range-bar"):
        named = {name: lasting(length / 1000) for name, length in RANGES.items()}
        preset = url_widgets.tabs(t("Range"), "range", named, DEFAULT, drops=("from", "to"))
        now = times.now()
        own = chosen()
        span = own or Span(now - RANGES[preset], now)
        st.button(
            "", icon=":material/chevron_left:", key="earlier", help=t("Earlier"), on_click=move, args=(span, -1.0)
        )
        st.button(
            "",
            icon=":material/chevron_right:",
            key="later",
            help=t("Later"),
            on_click=move,
            args=(span, 1.0),
            disabled=own is None,
        )
        st.button("", icon=":material/zoom_out:", key="wider", help=t("Zoom out"), on_click=move, args=(span, 0.0, 2.0))
        if own is not None:
            st.button(t("Back to now"), key="now", icon=":material/undo:", on_click=forget)
        with st.popover(t("From – to"), icon=":material/date_range:"):
            _form(span)
    return span


def _form(span: Span) -> None:
    """Two instants in the zone of the run."""
    with st.form("from-to", border=False):
        values = [
            st.datetime_input(
                label, times.local(at).replace(tzinfo=None), format="DD/MM/YYYY", key=f"{name}-{at // 60_000}"
            )
            for label, name, at in ((t("From"), "from", span.start), (t("To"), "to", span.end))
        ]
        if st.form_submit_button(t("Show"), type="primary"):
            start, end = (_instant(value) for value in values)
            choose(start, end)
            st.rerun()


def _instant(value: datetime) -> float:
    return value.replace(tzinfo=times.zone()).timestamp() * 1000


def caption(span: Span) -> str:
    """The range in words."""
    return " – ".join(f"{times.day(at, weekday=True)} {times.local(at):%H:%M}" for at in (span.start, span.end))
