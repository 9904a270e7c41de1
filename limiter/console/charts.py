"""Charts from rows. Each function is pure but for the words, the zone and the theme of the run.

Axes carry labels made by times.ticks: right in every zone, language and DST night. Gaps stay gaps.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt
import pandas as pd

from limiter.console import frame, times
from limiter.console.times import Span
from limiter.console.words import number, percent, reason_text, t
from limiter.store.analysis import Series

BANDS = (
    ("LOW", "#56B4E9", 0.0, 0.5),
    ("HEALTHY", "#009E73", 0.5, 0.8),
    ("WARNING", "#E69F00", 0.8, 1.0),
    ("FULL", "#D55E00", 1.0, 1.15),
)
REASON_COLOURS = {
    "server_full": "#D55E00", "user_limit": "#0072B2", "daily_trades": "#E69F00", "signal_rate": "#CC79A7",
    "token_rate": "#56B4E9", "paused": "#7F8C9B", "draining": "#B4BCC8",
}  # fmt: skip
EXTENT = 46  # px kept left of every chart, so that charts below each other share their x


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at an instant, with what happened."""

    at: int
    text: str
    kind: str


def ink() -> str:
    """The colour of data."""
    return "#E8ECF2" if frame.is_dark() else "#0F172A"


def quiet() -> str:
    """The colour of lines that are read second; 4.5:1 and more on either theme."""
    return "#AEB8C6" if frame.is_dark() else "#4B5563"


def x_axis(span: Span, most: int = 9) -> alt.X:
    """The time axis: milliseconds as plain numbers, because a temporal scale takes a bound for a year."""
    marked = times.ticks(span, most)
    values, labels = [at for at, _ in marked], [text for _, text in marked]
    expression = f"{json.dumps(labels, ensure_ascii=False)}[indexof({json.dumps(values)}, datum.value)]"
    axis = alt.Axis(
        values=values, labelExpr=expression, title=None, grid=False, labelOverlap="greedy", tickSize=4, labelPadding=6
    )
    return alt.X("at:Q", scale=alt.Scale(domain=[span.start, span.end], nice=False), axis=axis)


def y_axis(field: str, title: str | None, top: float | None = None, **axis: Any) -> alt.Y:
    """A value axis from 0 whose labels take the same room in every chart."""
    scale = alt.Scale(domain=[0, top], nice=False) if top is not None else alt.Scale(zero=True)
    axis = {"minExtent": EXTENT, "maxExtent": EXTENT, "tickCount": 5, "grid": True, "gridOpacity": 0.35} | axis
    return alt.Y(field, title=title, scale=scale, axis=alt.Axis(**axis))


def table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a chart takes them."""
    return pd.DataFrame(list(rows))


def with_gaps(series: Series) -> list[dict[str, Any]]:
    """The rows, with an empty one where snapshots are missing."""
    found: list[dict[str, Any]] = []
    before = None
    for row in series.rows:
        # Two buckets, because a sampler that is a little late may leave a narrow one empty.
        if before is not None and row.at - before > 2 * max(series.bucket_ms, 10_000):
            found.append({"at": before + series.bucket_ms})
        before = row.at
        refusals = series.refused.get(row.at, {})
        found.append(
            {
                "at": row.at,
                "low": row.low,
                "mean": round(row.mean, 1),
                "high": row.high,
                "limit": row.limit,
                "cpu": row.cpu,
                "ram": row.ram,
                "when": times.when(row.at),
                "bots": number(row.mean) if row.low == row.high else f"{number(row.low)} – {number(row.high)}",
                "used": percent(100 * row.mean / row.limit) if row.limit else "–",
                "refused": number(sum(refusals.values())),
            }
        )
    return found


def bands(series: Series, span: Span) -> pd.DataFrame:
    """The four statuses on the limit of each time: a row where the limit moved, and one at the end."""
    steps: list[tuple[int, int]] = []
    for row in series.rows:
        if not steps or steps[-1][1] != row.limit:
            steps.append((row.at, row.limit))
    if steps:
        steps.append((min(span.end, series.rows[-1].at + series.bucket_ms), steps[-1][1]))
    return table(
        {"at": at, "limit": limit, "band": name, "from": limit * low, "to": limit * high}
        for at, limit in steps
        for name, _, low, high in BANDS
    )


def capacity(
    series: Series,
    span: Span,
    marks: Sequence[Mark],
    comfort: int | None,
    *,
    height: int = 330,
    brush: bool = False,
    most: int = 9,
) -> Any:
    """Bots against the limit of that time, on the four statuses; `brush` lets a range be selected as `span`."""
    frame_of_bots, frame_of_bands = table(with_gaps(series)), bands(series, span)
    top = max([row.limit * 1.15 for row in series.rows] + [row.high * 1.05 for row in series.rows] + [1])
    x, y = x_axis(span, most), y_axis("mean:Q", t("bots"), top)
    colour = alt.Color(
        "band:N",
        scale=alt.Scale(domain=[name for name, *_ in BANDS], range=[shade for _, shade, *_ in BANDS]),
        legend=None,
    )
    tints = alt.Chart(frame_of_bands).mark_area(interpolate="step-after", opacity=0.24 if frame.is_dark() else 0.15)
    layers: list[Any] = [tints.encode(x=x, y=y_axis("from:Q", t("bots"), top), y2="to:Q", color=colour)]
    limit = alt.Chart(frame_of_bands).mark_line(
        interpolate="step-after", strokeDash=[6, 4], strokeWidth=1.6, color=quiet()
    )
    layers.append(limit.encode(x=x, y=y_axis("limit:Q", t("bots"), top)))
    if comfort is not None and comfort < top:
        line = alt.Chart(pd.DataFrame([{"comfort": comfort}])).mark_rule(
            strokeDash=[1, 4], strokeWidth=1.6, color=quiet()
        )
        layers.append(line.encode(y=y_axis("comfort:Q", t("bots"), top)))
    if series.bucket_ms > series.step * 1000 or series.step > 5:
        spread = alt.Chart(frame_of_bots).mark_area(opacity=0.2, color=ink())
        layers.append(spread.encode(x=x, y=y_axis("low:Q", t("bots"), top), y2="high:Q"))
    line = alt.Chart(frame_of_bots).mark_line(strokeWidth=1.8, color=ink(), strokeJoin="round").encode(x=x, y=y)
    layers.append(line.add_params(alt.selection_interval(name="span", encodings=["x"])) if brush else line)
    layers += _marks(marks, span, x)
    tips = [
        ("when", t("time")),
        ("bots", t("bots")),
        ("limit", t("limit")),
        ("used", t("used")),
        ("refused", t("refused")),
    ]
    hover = alt.Chart(frame_of_bots.dropna(subset=["mean"]) if not frame_of_bots.empty else frame_of_bots)
    hover = hover.mark_rule(strokeWidth=7, opacity=0)
    layers.append(hover.encode(x=x, tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in tips]))
    return finish(alt.layer(*layers), height)


def _marks(marks: Sequence[Mark], span: Span, x: alt.X) -> list[Any]:
    """Lines at what happened; a text is left out where it would run into the one before."""
    if not marks:
        return []
    free_from, rows = span.start, []
    for mark in sorted(marks, key=lambda one: one.at):
        late = mark.at > span.start + span.length * 0.72
        fits = not late and mark.at >= free_from and len(mark.text) < 40
        if fits:
            free_from = mark.at + round(span.length * (0.008 * len(mark.text) + 0.03))
        right = late and mark.at >= free_from + round(span.length * 0.008 * len(mark.text)) and len(mark.text) < 40
        if right:
            free_from = mark.at
        when = times.when(mark.at)
        rows.append({"at": mark.at, "label": mark.text, "kind": mark.kind, "when": when, "fits": fits, "right": right})
    known = table(rows)
    tips = [
        alt.Tooltip("when:N", title=t("time")),
        alt.Tooltip("kind:N", title=t("kind")),
        alt.Tooltip("label:N", title=t("what")),
    ]
    accent = "#7CC4F0" if frame.is_dark() else "#0072B2"
    found: list[Any] = [alt.Chart(known).mark_rule(color=accent, strokeWidth=1.4).encode(x=x, tooltip=tips)]
    sides: tuple[tuple[str, Literal["left", "right"], int], ...] = (("fits", "left", 5), ("right", "right", -5))
    for field, align, dx in sides:
        shown = known[known[field]]
        if not shown.empty:
            text = alt.Chart(shown).mark_text(align=align, dx=dx, dy=9, fontSize=11, color=accent, baseline="middle")
            found.append(text.encode(x=x, y=alt.value(0), text="label:N", tooltip=tips))
    return found


def refusals(series: Series, span: Span, height: int = 150, most: int = 9) -> Any:
    """Refusals a bucket by reason, stacked."""
    rows: list[dict[str, Any]] = [
        {"at": at, "reason": reason, "said": reason_text(reason), "n": n, "when": times.when(at)}
        for at, reasons in sorted(series.refused.items())
        for reason, n in reasons.items()
    ]
    names = sorted({row["reason"] for row in rows}, key=lambda name: list(REASON_COLOURS).index(name)) if rows else []
    colour = alt.Color(
        "said:N",
        scale=alt.Scale(domain=[reason_text(name) for name in names], range=[REASON_COLOURS[name] for name in names]),
        legend=legend(names),
    )
    width = max(2.0, min(16.0, 560 * series.bucket_ms / max(1, span.length)))
    tips = [
        alt.Tooltip("when:N", title=t("time")),
        alt.Tooltip("said:N", title=t("reason")),
        alt.Tooltip("n:Q", title=t("refused")),
    ]
    bars = alt.Chart(table(rows)).mark_bar(width=width)
    y = y_axis("n:Q", t("refused"), tickMinStep=1, format="d")
    room = 40 if len(names) > 3 else 0  # for the legend
    return finish(bars.encode(x=x_axis(span, most), y=y, color=colour, tooltip=tips), height + room)


def box(series: Series, span: Span, height: int = 150, most: int = 9) -> Any:
    """CPU and RAM in percent, with the guards that hold a raise back as dotted lines."""
    rows = [
        {"at": row["at"], "what": what, "value": row.get(field), "when": row.get("when", "")}
        for row in with_gaps(series)
        for field, what in (("cpu", "CPU"), ("ram", "RAM"))
    ]
    shades = ["#7CC4F0", "#F0A35E"] if frame.is_dark() else ["#0072B2", "#B85000"]
    scale = alt.Scale(domain=["CPU", "RAM"], range=shades)
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3)
    x, y = x_axis(span, most), y_axis("value:Q", "%", 100)
    tips = [
        alt.Tooltip("when:N", title=t("time")),
        alt.Tooltip("what:N", title=" "),
        alt.Tooltip("value:Q", title="%", format=".0f"),
    ]
    lines = alt.Chart(table(rows)).mark_line(strokeWidth=1.6)
    lines = lines.encode(x=x, y=y, color=alt.Color("what:N", scale=scale, legend=legend), tooltip=tips)
    guards = alt.Chart(pd.DataFrame([{"what": "CPU", "value": 80}, {"what": "RAM", "value": 85}]))
    guards = guards.mark_rule(strokeDash=[1, 4], strokeWidth=1.4)
    return finish(alt.layer(lines, guards.encode(y=y, color=alt.Color("what:N", scale=scale, legend=legend))), height)


def legend(names: Sequence[str]) -> alt.Legend:
    """Above the chart, in columns that a phone can hold."""
    return alt.Legend(title=None, orient="top", symbolOpacity=1, columns=2 if len(names) > 3 else 0)


def finish(chart: Any, height: int) -> Any:
    """Height, background and text sizes of every chart."""
    return (
        chart.properties(
            height=height, background="transparent", padding={"left": 0, "top": 5, "right": 8, "bottom": 2}
        )
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=quiet(),
            titleColor=quiet(),
            domain=False,
        )
        .configure_legend(labelFontSize=12, labelColor=quiet(), padding=0, offset=4)
    )
