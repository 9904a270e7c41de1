"""The next 14 days as a chart, the chance that the limit is reached, and how wrong the method was."""

import streamlit as st

from limiter.answers.deciding import ForecastAnswer
from limiter.client import Refused
from limiter.console import data
from limiter.console.charts.forecast import ahead
from limiter.console.kit import tables, times
from limiter.console.kit.words import number, percent, t, view
from limiter.console.parts import moment
from limiter.console.parts.limits.ahead import behind, outlook
from limiter.console.sign_in.sign_ins import SignIn
from limiter.console.view import DAY, HOUR, Span
from limiter.store import read


def show(sign_in: SignIn) -> None:
    """The next 14 days as the limiter foretells them, in the language of the run."""
    try:
        answer = data.admin(sign_in).forecast()
    except Refused as refused:
        st.warning(str(refused))
        return
    if answer.points:
        st.markdown(chances(answer))
        picture(answer)
        if answer.level_changed_at is not None:
            day = times.day(times.millis(answer.level_changed_at), weekday=True)
            st.markdown(t("The level has changed since {day}: only what came after it counts.", day=day))
        st.caption(quality(answer))
    if answer.needs is not None:
        st.info(answer.needs)
    if answer.points:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            plan = {"tab": "plan"}
            st.page_link("checklist.py", label=t("Plan a raise"), icon=":material/event:", query_params=plan)
            peak = {"tab": "windows"}
            st.page_link("limits.py", label=t("More at peak hours"), icon=":material/schedule:", query_params=peak)
            tables.take_away(answer, "forecast")


def picture(answer: ForecastAnswer) -> None:
    """The last 3 days, the hours to come with their band, and the limit."""
    now = times.now()
    rows = data.read(read.history.hours, now - 3 * DAY, now - now % HOUR)
    limits = data.read(read.limits.read)
    points = [
        {"at": times.millis(one.at), "middle": one.middle, "low": one.low, "high": one.high}
        for one in answer.points or []
    ]
    span = Span(now - 3 * DAY, int(points[-1]["at"]))
    course = behind(Span(span.start, now))
    if limits is not None:
        course += [(at, value) for at, value, _ in outlook(limits).changes(now, span.end)]
    chart = ahead(data.as_table(rows), data.as_table(points), span, view(), limits=course)
    moment.chart(chart, "ahead", t("The next 14 days"), HOUR)


def chances(answer: ForecastAnswer) -> str:
    """How likely 80 % and 100 % of the limit are reached, and what the count does not show."""
    lines = [
        t(
            "**{share}** of the limit is reached within {days} days: chance **{chance}**",
            share=percent(float(share), 0),
            days=answer.days,
            chance=percent(100 * chance, 0),
        )
        for share, chance in (answer.chance or {}).items()
    ]
    if answer.censored_hours:
        hours = number(answer.censored_hours)
        lines.append(t("The limit was reached in {n} h: demand above it is not in the count.", n=hours))
    return "  \n".join(lines)


def quality(answer: ForecastAnswer) -> str:
    """How wrong the method was on days that it did not know."""
    assert answer.error is not None and answer.naive_error is not None  # there are points
    return t(
        "Wrong by {own} bots an hour on average, on days it did not know; “same hour a week ago” by {naive}. "
        "The band holds {band} of the hours.",
        own=number(answer.error, 1),
        naive=number(answer.naive_error, 1),
        band=percent(float(answer.band), 0),
    )
