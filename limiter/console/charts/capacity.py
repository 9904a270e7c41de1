"""Bots against the limit of their time, refusals, CPU and RAM.

Rows are buckets in order, `at` the start of each (tz-aware UTC), `width_ms` wide; a bucket without a snapshot has no
row, and is a gap in what is drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from limiter.console.charts.axes import (
    CHARACTER_PX,
    NARROW,
    clickable,
    coloured,
    finished,
    legend,
    milliseconds,
    time_x,
    tips,
    value_y,
)
from limiter.console.theme import REASONS, STATUSES, tones
from limiter.console.view import Span, View

LATE = 20_000  # a sampler a little late leaves narrow buckets empty: less than this is no gap yet
WIDE_PX, PHONE_PX = 900, 270


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at an instant (UTC milliseconds), with what happened and of which kind it is."""

    at: int
    text: str
    kind: str


def with_gaps(rows: pd.DataFrame, width_ms: int) -> pd.DataFrame:
    """The rows in milliseconds, with an empty one where snapshots are missing, so that no line is drawn across."""
    drawn = milliseconds(rows)
    missing = drawn["at"].diff() > max(width_ms, LATE)
    empty = pd.DataFrame({"at": drawn["at"].shift()[missing].astype("int64") + width_ms})
    return pd.concat([drawn, empty]).sort_values("at", kind="stable", ignore_index=True)


def bands(limits: Sequence[tuple[int, int]], end: int, top: float) -> pd.DataFrame:
    """The four statuses on the limit of each time: at, limit, band, low, high where the limit moved, and at the end.
    FULL has no end: it reaches up to `top`.

    `limits`: (instant, limit) from the begin on. They are exact: a bucket says the limit of its end, and a peak drawn
    on that would stand in a status that it never had.
    """
    moves = [(at, limit) for at, limit in limits if at < end]
    steps = pd.DataFrame([*moves, *((end, limit) for _, limit in moves[-1:])], columns=["at", "limit"])
    spans = pd.DataFrame([{"band": name, "from": one.low, "to": one.high} for name, one in STATUSES.items()])
    found = steps.merge(spans, how="cross")
    high = (found["limit"] * found["to"]).where(found["band"] != "FULL", top)
    return found.assign(low=found["limit"] * found["from"], high=high)[["at", "limit", "band", "low", "high"]]


def capacity(
    rows: pd.DataFrame, span: Span, view: View, *, width_ms: int, limits: Sequence[tuple[int, int]],
    marks: Sequence[Mark] = (), comfort: int | None = None, ahead: Sequence[tuple[int, int]] = (), brush: bool = False,
    height: int = 330,
) -> alt.LayerChart:  # fmt: skip
    """Bots (low, mean, high) on the four statuses; `comfort` dotted; a drag selects a `span` where `brush`. `limits`:
    the limit as it went, as (instant, limit) from the begin of the span on; `ahead`: the one to come, from the end of
    what was on, up to the end of the span."""
    t, look = view.t, tones(dark=view.dark)
    highest = max((limit for _, limit in [*limits, *ahead]), default=0)
    top = float(max(1.15 * highest, (rows["high"] * 1.05).max(), 1))
    known_until = min(span.end, milliseconds(rows)["at"].iloc[-1] + width_ms, *(at for at, _ in ahead[:1]))
    x, title = time_x(span, view), t("bots")
    bots, statuses = alt.Chart(said(with_gaps(rows, width_ms), view)), alt.Chart(bands(limits, known_until, top))
    tint = coloured("band", {name: one.colour for name, one in STATUSES.items()})
    dashed: dict[str, Any] = {"strokeWidth": 1.6, "color": look.quiet}
    layers: list[alt.Chart] = [
        statuses.mark_area(interpolate="step-after", clip=True, opacity=look.band).encode(
            x=x, y=value_y("low", title, top), y2=alt.Y2("high:Q"), color=tint
        ),
        statuses.mark_line(interpolate="step-after", clip=True, strokeDash=[6, 4], **dashed).encode(
            x=x, y=value_y("limit", title, top)
        ),
    ]
    if ahead:
        course = pd.DataFrame([*ahead, (span.end, ahead[-1][1])], columns=["at", "limit"])
        to_come: dict[str, Any] = dashed | {"color": look.accent}
        layers.append(
            alt.Chart(course)
            .mark_line(interpolate="step-after", clip=True, strokeDash=[6, 4], **to_come)
            .encode(x=x, y=value_y("limit", title, top))
        )
    if comfort is not None and comfort < top:
        level = alt.Chart(pd.DataFrame({"comfort": [comfort]}))
        layers.append(level.mark_rule(strokeDash=[1, 4], **dashed).encode(y=value_y("comfort", title, top)))
    if (rows["low"] < rows["high"]).any():
        layers.append(
            bots.mark_area(opacity=0.2, clip=True, color=look.ink).encode(
                x=x, y=value_y("low", title, top), y2=alt.Y2("high:Q")
            )
        )
    line = bots.mark_line(strokeWidth=1.8, clip=True, color=look.ink, strokeJoin="round", strokeCap="round").encode(
        x=x, y=value_y("mean", title, top)
    )
    layers.append(line.add_params(alt.selection_interval(name="span", encodings=["x"])) if brush else line)
    if marks:
        layers += marked(marks, span, view, x)
    told = tips(when=t("time"), bots=title, limit=t("limit"), used=t("used"), refused=t("refused"))
    hover = bots.mark_rule(strokeWidth=7, opacity=0, clip=True).encode(x=x, tooltip=told)
    layers.append(clickable(hover.transform_filter("isValid(datum.mean)")))  # of gaps there is nothing to say
    return finished(layers, view, height)


def said(rows: pd.DataFrame, view: View) -> pd.DataFrame:
    """The rows with what a reader is told of each."""

    def texts(row: Any) -> tuple[str, str, str, str]:
        if pd.isna(row.mean):
            return "", "", "", ""
        bots = view.number(row.mean) if row.low == row.high else f"{view.number(row.low)} – {view.number(row.high)}"
        used = view.percent(100 * row.mean / row.limit) if row.limit else "–"
        return view.stamp(row.at), bots, used, view.number(getattr(row, "refused", 0) or 0)

    told = pd.DataFrame([texts(row) for row in rows.itertuples()], columns=["when", "bots", "used", "refused"])
    return rows.drop(columns="refused", errors="ignore").join(told)


def placed(marks: Sequence[Mark], span: Span, view: View) -> pd.DataFrame:
    """What happened, and on which side of its line the text stands, on a wide screen and a phone: "" where nowhere."""
    ordered = sorted(marks, key=lambda one: one.at)
    wide, phone = (sides(ordered, span, px) for px in (WIDE_PX, PHONE_PX))
    return pd.DataFrame(
        {
            "at": [one.at for one in ordered],
            "label": [one.text for one in ordered],
            "kind": [one.kind for one in ordered],
            "when": [view.stamp(one.at) for one in ordered],
            "wide": wide,
            "phone": phone,
        }
    )


def sides(marks: Sequence[Mark], span: Span, px: int) -> list[str]:
    """The side of each text in a plot so wide: none where it would run into the one before, or out of the plot."""
    free_from, found = 0.0, []
    for mark in marks:
        x = px * (mark.at - span.start) / span.length
        width = CHARACTER_PX * len(mark.text) + 10
        side = ""
        if x >= free_from and x + width <= px:
            side, free_from = "left", x + width
        elif x - width >= free_from and x <= px:
            side, free_from = "right", x
        elif free_from <= x:
            free_from = x + 4
        found.append(side)
    return found


def marked(marks: Sequence[Mark], span: Span, view: View, x: alt.X) -> list[alt.Chart]:
    """Lines at what happened, with their texts where there is room: one that is only hidden would still take some."""
    t, accent = view.t, tones(dark=view.dark).accent
    base = alt.Chart(placed(marks, span, view)).encode(
        x=x, tooltip=tips(when=t("time"), kind=t("kind"), label=t("what"))
    )
    found = [base.mark_rule(color=accent, strokeWidth=1.4)]
    for side, dx in (("left", 5), ("right", -5)):
        look: dict[str, Any] = {"align": side, "dx": dx, "dy": 9, "fontSize": 11, "baseline": "middle", "color": accent}
        look["clip"] = True  # what is not shown there would make the plot narrower than those beneath it
        here = f"(width > {NARROW} ? datum.wide : datum.phone) === '{side}'"
        label: Any = {"test": here, "field": "label", "type": "nominal"}
        found.append(base.mark_text(**look).encode(y=alt.value(0), text=alt.TextValue("", condition=label)))
    return found


def refusals(rows: pd.DataFrame, span: Span, view: View, *, width_ms: int, height: int = 150) -> alt.LayerChart:
    """Refusals a bucket by reason (at, reason, n), stacked."""
    t = view.t
    present = set(rows["reason"])
    colours = {view.reason(name): colour for name, colour in REASONS.items() if name in present}
    drawn = milliseconds(rows)
    drawn = drawn.assign(why=drawn["reason"], reason=drawn["reason"].map(view.reason), when=drawn["at"].map(view.stamp))
    bars = alt.Chart(drawn).mark_bar(clip=True, width=max(2.0, min(16.0, 560 * width_ms / max(1, span.length))))
    bars = bars.encode(
        x=time_x(span, view),
        y=value_y("n", t("refused"), tickMinStep=1, format="d"),
        color=coloured("reason", colours, legend(list(colours))),
        tooltip=tips(when=t("time"), reason=t("reason"), n=t("refused")),
    )
    room = 12 * len(colours)  # for the names, one below the other on a phone
    return finished([clickable(bars, "why")], view, height + room)


def box(
    rows: pd.DataFrame, span: Span, view: View, *, width_ms: int, guards: Mapping[str, float], height: int = 150
) -> alt.LayerChart:
    """CPU and RAM in percent, with the `guards` ("CPU", "RAM") that hold a raise back as dotted lines."""
    look = tones(dark=view.dark)
    colour = coloured(
        "what", {"CPU": look.cpu, "RAM": look.ram}, legend(["CPU", "RAM"], symbolType="stroke", symbolStrokeWidth=3)
    )
    y, short = value_y("value", "%", 100), {"cpu": "CPU", "ram": "RAM"}
    x, wide = time_x(span, view), with_gaps(rows[["at", *short]], width_ms).rename(columns=short)
    drawn = wide.melt(id_vars="at", var_name="what")
    lines = alt.Chart(drawn).mark_line(strokeWidth=1.6, clip=True, strokeCap="round").encode(x=x, y=y, color=colour)
    seen = wide.dropna(subset=list(short.values()), how="all")
    told = [
        *tips(when=view.t("time")),
        *(alt.Tooltip(f"{name}:Q", title=f"{name} %", format=".0f") for name in short.values()),
    ]
    hover = alt.Chart(seen.assign(when=seen["at"].map(view.stamp)))
    hover = hover.mark_rule(strokeWidth=7, opacity=0, clip=True).encode(x=x, tooltip=told)
    levels = alt.Chart(pd.DataFrame({"what": list(guards), "value": list(guards.values())}))
    rules = levels.mark_rule(strokeDash=[1, 4], strokeWidth=1.4).encode(y=y, color=colour)
    return finished([lines, rules, clickable(hover)], view, height)
