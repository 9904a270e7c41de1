"""The next 14 days as a chart, what they ask for, and how wrong the method was on days it did not see."""

import streamlit as st

from limiter.console import data
from limiter.console.charts.forecast import ahead
from limiter.console.kit import times
from limiter.console.kit.words import number, percent, t, view
from limiter.console.parts.heat_map import hour_of_week
from limiter.console.view import DAY, HOUR, Span
from limiter.rules.forecast import NEEDED_DAYS, Forecast, forecast
from limiter.store import read


def show() -> None:
    """The next 14 days, with how wrong the method was on the last 7."""
    st.header(t("The next 14 days"), anchor=False)
    now = times.now()
    rows = data.read(read.history.hours, now - 56 * DAY, now - now % HOUR).rows
    found = forecast([(row.at, row.high) for row in rows], hour_of_week)
    if found is None:
        known = (rows[-1].at - rows[0].at) // DAY if rows else 0
        st.info(t("A forecast needs {n} days of history; there are {known}.", n=NEEDED_DAYS, known=known))
        return
    limits = data.read(read.limits.read)
    limit = limits.whole("MAX_CONCURRENT_BOTS") if limits else rows[-1].limit
    span = Span(now - 3 * DAY, found.points[-1].at)
    past = data.as_table(row for row in rows if row.at >= span.start)
    chart = ahead(past, data.as_table(found.points), span, view(), limit=limit)
    st.altair_chart(chart, key="ahead", alt=t("The next 14 days"))
    st.markdown(advice(found, limit))
    st.caption(quality(found))


def advice(found: Forecast, limit: int) -> str:
    """When 80 % and 100 % are reached, and what to do about it."""
    lines = []
    for share in (80, 100):
        at = found.first_over(share * limit / 100)
        name = percent(share, 0)
        if at is None:
            lines.append(t("{share} of {limit}: not expected in 14 days", share=name, limit=number(limit)))
        else:
            lines.append(
                t(
                    "**{share}** of {limit} expected: **{day}**",
                    share=name,
                    limit=number(limit),
                    day=times.day(at, weekday=True),
                )
            )
    if found.first_over(0.8 * limit) is not None:
        lines.append(t("Scale up before it is urgent: see the advice in Settings."))
    return "  \n".join(lines)


def quality(found: Forecast) -> str:
    """How wrong the method was on the week it did not see."""
    known = {"own": number(found.error, 1), "naive": number(found.naive_error, 1)}
    if found.better:
        return t(
            "On the last 7 days, unseen, it missed by {own} bots an hour on average; "
            "“same hour a week ago” by {naive}.",
            **known,
        )
    return t(
        "Beware: on the last 7 days, unseen, it missed by {own} bots, more than “same hour a week ago” with {naive}.",
        **known,
    )
