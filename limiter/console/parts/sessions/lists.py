"""A list of sessions: its columns, which rows are ticked, and which one is opened."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.words import t


def user_field() -> str:
    """Whose sessions are listed."""
    return url_widgets.text(t("User"), "user", placeholder=t("User…"), icon=":material/search:", width=220)


def columns(*hidden: str) -> dict[str, Any]:
    """How they are shown; those `hidden` are for the details and the CSV."""
    moment = st.column_config.DatetimeColumn(timezone=str(times.zone()), format="DD/MM HH:mm:ss")
    return {
        **dict.fromkeys((t("started"), t("ended"), t("ends")), moment),
        t("memory, MB"): st.column_config.NumberColumn(help=t("What its processes hold and share with nobody.")),
        t("CPU, %"): st.column_config.NumberColumn(help=t("Of one core, over the last minute.")),
        **dict.fromkeys(hidden),
    }


def draw(rows: Sequence[dict[str, Any]], name: str, *hidden: str, ticks: bool = False) -> tables.Picked:
    """The table with its CSV; which rows are ticked and which is opened, by their session."""
    ids = [row[t("session")] for row in rows]
    picked = tables.pick(rows, ids, name, ticks=ticks, column_config=columns(*hidden), placeholder="–")
    with st.container(horizontal=True, vertical_alignment="center"):
        tables.csv_button(rows, f"sessions-{name}")
        st.caption(
            t("Click on a row for its details; tick rows to stop them.")
            if ticks
            else t("Click on a row for its details.")
        )
    return picked
