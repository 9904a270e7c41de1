"""How long things are kept, what goes next, and what would go under a smaller number. Nothing is deleted here."""

from collections.abc import Mapping

import streamlit as st

from limiter.config import SETTINGS
from limiter.console import data
from limiter.console.kit import tables, times
from limiter.console.kit.words import number, t
from limiter.store import read, retention

FIELDS = {one.name: one.field for one in SETTINGS if one.name.startswith("LIMITER_KEEP_")}
"""Each setting of what is kept, with its field of Config: `keep_` and its name in the store."""


def texts() -> dict[str, str]:
    """What each setting keeps, and in which unit."""
    return {
        "LIMITER_KEEP_RAW_HOURS": t("5-second snapshots, hours"),
        "LIMITER_KEEP_MINUTES_DAYS": t("minute snapshots, days"),
        "LIMITER_KEEP_REFUSALS_DAYS": t("single refusals, days"),
        "LIMITER_KEEP_REFUSALS_ROWS": t("single refusals, at most"),
        "LIMITER_KEEP_SESSIONS_DAYS": t("ended sessions, days"),
        "LIMITER_KEEP_TRADES_DAYS": t("trades, days"),
        "LIMITER_KEEP_USAGE_DAYS": t("use by user, by hour and day, days"),
    }


def going(name: str, keep: int) -> str:
    """How many rows would go under that number."""
    found = data.read(retention.count, FIELDS[name].removeprefix("keep_"), keep, times.now())
    if found > retention.MOST:
        return t("about {n}", n=number(found))
    return number(found) + ("+" if found == retention.MOST else "")


def show() -> None:
    """The settings, the rows that each deletes next, how many there are, and the question what if."""
    st.header(t("What is kept"), anchor=False)
    chosen = data.settings()
    due = {name: going(name, getattr(chosen, field)) for name, field in FIELDS.items()}  # counted again it is more
    tables.show(
        [
            {
                t("what"): text,
                t("kept"): number(getattr(chosen, FIELDS[name])),
                t("rows to go now"): due[name],
                t("setting"): name,
            }
            for name, text in texts().items()
        ]
    )
    rows = dict(data.read(read.database.tables))
    st.caption(
        t(
            "Now, ended sessions: {sessions}, single refusals: {refusals}, trades: {trades}. "
            "Hours of history are kept for ever.",
            sessions=number(rows["ended_sessions"]),
            refusals=number(rows["refusals"]),
            trades=number(rows["trades"]),
        )
        + " "
        + t("What is too old goes at once, slice by slice between the decisions.")
    )
    what_if(due)


def what_if(due: Mapping[str, str]) -> None:
    """The rows that a smaller number would delete, before it is set; `due`: those that each setting deletes now."""
    chosen, known = data.settings(), texts()
    left, right = st.columns([3, 2], gap="small")
    with left:
        name: str = st.selectbox(t("If less were kept"), list(FIELDS), format_func=known.__getitem__, key="keep-name")
    with right:
        most = max(1, int(getattr(chosen, FIELDS[name])))
        keep: int = st.number_input(t("kept"), 1, most, max(1, most // 2), key=f"keep-{name}")
    st.markdown(
        t(
            "Rows that `{setting}={keep}` would delete: **{n}**; with {now}, as now: {due}.",
            setting=name,
            keep=keep,
            n=going(name, keep),
            now=number(getattr(chosen, FIELDS[name])),
            due=due[name],
        )
    )
