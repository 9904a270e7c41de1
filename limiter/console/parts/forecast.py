"""The next 14 days as a chart, what they ask for, and how wrong the method was on days it did not see."""

from typing import Any

import streamlit as st

from limiter.console import data
from limiter.console.charts import capacity
from limiter.console.kit import times
from limiter.console.kit.times import DAY, HOUR, Span
from limiter.console.kit.words import number, percent, t
from limiter.console.parts.heat_map import hour_of_week
from limiter.console.vega import BLUE, chart, ink, layer, names, quiet
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
    x = capacity.x_axis(span)
    top = max([limit * 1.15] + [point.high * 1.05 for point in found.points])
    ahead = [
        {
            "at": point.at,
            "middle": point.middle,
            "low": point.low,
            "high": point.high,
            "when": times.when(point.at),
            "said": f"{number(point.middle)} ({number(point.low)} – {number(point.high)})",
        }
        for point in found.points
    ]
    past = [{"at": row.at, "middle": row.high} for row in rows if row.at >= span.start]

    def y(field: str) -> dict[str, Any]:
        return capacity.y_axis(field, t("bots"), top)

    tips = [names("when", t("time")), names("said", t("bots"))]
    spec = chart(
        {"ahead": ahead, "past": past, "levels": [{"y": limit}, {"y": 0.8 * limit}]},
        [
            layer("ahead", "area", {"x": x, "y": y("low"), "y2": {"field": "high"}}, opacity=0.22, color=BLUE),
            layer("past", "line", {"x": x, "y": y("middle")}, color=ink(), strokeWidth=1.6),
            layer("ahead", "line", {"x": x, "y": y("middle"), "tooltip": tips}, color=BLUE, strokeWidth=1.8),
            layer("levels", "rule", {"y": y("y")}, strokeDash=[6, 4], color=quiet()),
        ],
        260,
    )
    st.vega_lite_chart(spec, key="outlook", alt=t("The next 14 days"))
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
