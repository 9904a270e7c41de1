"""The four statuses of the capacity: the scale that the bots of now stand on, and a month in days."""

import json
from datetime import timedelta
from typing import Any

import altair as alt
import pandas as pd

from limiter.console.charts.axes import clickable, coloured, day_axis, finished, legend, milliseconds, tips
from limiter.console.theme import STATUSES, tones
from limiter.console.view import View

COLOURS = {name: one.colour for name, one in STATUSES.items()}
BAR, FILL, LABELS = 34, 17, 50  # px; labels have two lines


def scale(current: int, limit: int, view: View, *, comfort: int | None = None) -> alt.LayerChart:
    """Slots taken on the scale of the four statuses, with what the box carries comfortably as a dotted line."""
    look, reach = tones(dark=view.dark), max(limit, current, 1)
    near = comfort if comfort and comfort <= 1.5 * reach else 0  # one far beyond would squeeze what matters
    top = max(reach, near) * 1.04
    shares = [0.0, 0.5, 0.8, 1.0] if limit else [1.0]
    if limit * 0.2 < top * 0.12:  # else they would stand one on the other on a phone
        shares = [share for share in shares if share != 0.8]
    values = [share * limit for share in shares]
    texts = [[view.number(share * limit), view.percent(100 * share, 0)] for share in shares]
    labels = f"{json.dumps(texts, ensure_ascii=False)}[indexof({json.dumps(values)}, datum.value)]"
    axis = alt.Axis(
        values=values, labelExpr=labels, grid=False, tickSize=5, labelPadding=4, labelOverlap=False, labelFlush=True
    )

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", title=None, scale=alt.Scale(domain=[0, top], nice=False), axis=axis)

    ends = [(name, limit * one.low, top if name == "FULL" else limit * one.high) for name, one in STATUSES.items()]
    statuses = alt.Chart(pd.DataFrame(ends, columns=["band", "low", "high"]))
    taken = alt.Chart(pd.DataFrame({"low": [0], "high": [current]}))
    layers: list[alt.Chart] = [
        statuses.mark_bar(height=BAR, opacity=1.6 * look.band).encode(
            x=x("low"), x2=alt.X2("high:Q"), color=coloured("band", COLOURS)
        ),
        taken.mark_bar(height=FILL, color=look.ink, cornerRadiusEnd=3).encode(x=x("low"), x2=alt.X2("high:Q")),
    ]
    if near:
        level = alt.Chart(pd.DataFrame({"low": [near]}))
        dotted: dict[str, Any] = {"strokeDash": [2, 3], "strokeWidth": 2, "color": look.quiet}
        layers.append(level.mark_rule(**dotted).encode(x=x("low")))
    return finished(layers, view, BAR + LABELS)


def days(rows: pd.DataFrame, view: View, *, until: int, shown: int = 30) -> alt.LayerChart:
    """A cell a day of the view's calendar, tinted by the highest status that one of its hours (at, worst) reached; grey
    without data; a click opens the day. Days are counted by their dates: one of 23 hours would be skipped, one of 25
    be there twice."""
    none, order, worst = view.t("no data"), list(STATUSES), dict[str, str]()
    for at, status in milliseconds(rows)[["at", "worst"]].itertuples(index=False) if len(rows) else ():
        day = view.day(at)
        worst[day] = max(worst.get(day, "LOW"), status, key=order.index)
    today = view.local(until).date()
    begins = [view.begin_of(f"{today - timedelta(days=back)}") for back in range(shown - 1, -1, -1)]
    names = [view.day(at) for at in begins]
    cells = pd.DataFrame({"at": begins, "day": names, "status": [worst.get(day, none) for day in names]})
    colours = COLOURS | {none: tones(dark=view.dark).empty}
    bars = alt.Chart(cells).mark_rect(cornerRadius=3, opacity=0.8)
    bars = bars.encode(
        x=alt.X("day:O", title=None, sort=names, axis=day_axis(), scale=alt.Scale(paddingInner=0.12)),
        color=coloured("status", colours, legend(list(colours))),
        tooltip=tips(day=view.t("day"), status=view.t("state")),
    )
    return finished([clickable(bars, nearest=False)], view, 120)
