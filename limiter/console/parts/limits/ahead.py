"""What MAX_CONCURRENT_BOTS is and by what, and what it will be if nobody touches it: every page has it from here."""

from collections.abc import Sequence
from itertools import islice

import streamlit as st

from limiter.console import data
from limiter.console.charts.capacity import Mark
from limiter.console.kit import tables, times
from limiter.console.kit.words import number, t
from limiter.console.parts.limits.describe import sources
from limiter.console.view import DAY, MINUTE, Span
from limiter.rules.limits import Limits
from limiter.rules.schedule import MAX, Cause, Outlook
from limiter.store import read

AHEAD_DAYS = 14
MOST = 8  # changes that are listed, or marked on a chart
SHARE = 4  # a chart of so many days is drawn ahead by one


def outlook(limits: Limits) -> Outlook:
    """What will hold if nobody touches it."""
    plan, schedule = data.read(read.limits.read_plan), data.read(read.limits.read_schedule)
    return Outlook(limits, plan, schedule, data.settings().timezone)


def causes() -> dict[Cause, str]:
    """What may change it by itself."""
    return {"window": t("window"), "plan": t("launch plan"), "probation": t("probation"), "base": t("end")}


def coming(limits: Limits) -> str:
    """The next change, as half a line; empty where there is none in two weeks."""
    now = times.now()
    for at, value, cause in outlook(limits).changes(now, now + AHEAD_DAYS * DAY):
        return t("next: {n}, {time} ({why})", n=number(value), time=times.when(at), why=causes()[cause])
    return ""


def in_force(limits: Limits) -> str:
    """The value in force with its source."""
    source = sources()[limits.settings[MAX].source]
    return t("Now: **{n}** ({source})", n=number(limits.whole(MAX)), source=source)


def listed(limits: Limits) -> None:
    """The source of the value in force, and the next changes of it."""
    now = times.now()
    rows = [
        {t("time"): times.when(at), MAX: value, t("why"): causes()[cause]}
        for at, value, cause in islice(outlook(limits).changes(now, now + AHEAD_DAYS * DAY), MOST)
    ]
    st.header(t("What holds next"), anchor=False)
    st.markdown(in_force(limits))
    if rows:
        tables.show(rows)
    else:
        st.caption(t("Nothing changes it by itself in the next {n} days.", n=AHEAD_DAYS))


def behind(span: Span) -> list[tuple[int, int]]:
    """The limit as it went, from the begin of the span up to now: (instant, limit)."""
    return data.read(read.limits.course, span.start, min(span.end, times.now()))


def beyond(shown: Span, limits: Limits | None) -> tuple[Span, list[tuple[int, int]], Sequence[Mark]]:
    """The span of a chart that reaches until now, with as much of the time to come as the limit changes in by itself;
    (instant, limit) from now on, and the changes as marks. The span alone where there is nothing to draw."""
    now = times.now()
    end = max(shown.end, now + shown.length // SHARE)
    if limits is None or shown.end < now - MINUTE:
        return shown, [], ()
    found = list(outlook(limits).changes(now, end))
    if not found:
        return shown, [], ()
    marks = [Mark(at, f"{number(value)} ({causes()[cause]})", t("to come")) for at, value, cause in found]
    course = [(now, limits.whole(MAX)), *((at, value) for at, value, _ in found)]
    return Span(shown.start, end), course, marks[:MOST]
