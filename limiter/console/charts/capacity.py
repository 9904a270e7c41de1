"""Charts from rows. Each function is pure but for the words, the zone and the theme of the run.

Axes carry labels made by times.ticks: right in every zone, language and DST night. Gaps stay gaps.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limiter.console import frame
from limiter.console.kit import times
from limiter.console.kit.times import Span
from limiter.console.kit.words import number, percent, reason_text, t
from limiter.console.vega import Spec, chart, ink, layer, legend, names, quantity, quiet, shades
from limiter.rules.guards import CPU_PERCENT, RAM_PERCENT
from limiter.rules.refusals import RECORDED
from limiter.store.read.history import Series

BANDS = (
    ("LOW", "#56B4E9", 0.0, 0.5),
    ("HEALTHY", "#009E73", 0.5, 0.8),
    ("WARNING", "#E69F00", 0.8, 1.0),
    ("FULL", "#D55E00", 1.0, 1.15),
)
REASON_COLOURS = {name: recorded.tint for name, recorded in RECORDED.items()}
EXTENT = 46  # px kept left of every chart, so that charts below each other share their x


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at an instant, with what happened."""

    at: int
    text: str
    kind: str


def x_axis(span: Span, most: int = 9) -> Spec:
    """The time axis: milliseconds as plain numbers, because a temporal scale takes a bound for a year."""
    marked = times.ticks(span, most)
    values, labels = [at for at, _ in marked], [text for _, text in marked]
    expression = f"{json.dumps(labels, ensure_ascii=False)}[indexof({json.dumps(values)}, datum.value)]"
    look = {"grid": False, "labelOverlap": "greedy", "tickSize": 4, "labelPadding": 6}
    scale = {"domain": [span.start, span.end], "nice": False}
    return quantity("at", scale=scale, axis={"values": values, "labelExpr": expression, **look})


def y_axis(field: str, title: str | None, top: float | None = None, **axis: Any) -> Spec:
    """A value axis from 0 whose labels take the same room in every chart."""
    scale = {"domain": [0, top], "nice": False} if top is not None else {"zero": True}
    look = {"minExtent": EXTENT, "maxExtent": EXTENT, "tickCount": 5, "grid": True, "gridOpacity": 0.35}
    return quantity(field, title, scale=scale, axis=look | axis)


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
                "mean": row.mean,
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


def bands(series: Series, span: Span) -> list[dict[str, Any]]:
    """The four statuses on the limit of each time: a row where the limit moved, and one at the end."""
    steps: list[tuple[int, int]] = []
    for row in series.rows:
        if not steps or steps[-1][1] != row.limit:
            steps.append((row.at, row.limit))
    if steps:
        steps.append((min(span.end, series.rows[-1].at + series.bucket_ms), steps[-1][1]))
    return [
        {"at": at, "limit": limit, "band": name, "from": limit * low, "to": limit * high}
        for at, limit in steps
        for name, _, low, high in BANDS
    ]


def capacity(
    series: Series,
    span: Span,
    marks: Sequence[Mark],
    comfort: int | None,
    *,
    height: int = 330,
    brush: bool = False,
    most: int = 9,
) -> Spec:
    """Bots against the limit of that time, on the four statuses; `brush` lets a range be selected as `span`."""
    bots = with_gaps(series)
    top = max([row.limit * 1.15 for row in series.rows] + [row.high * 1.05 for row in series.rows] + [1])
    x = x_axis(span, most)

    def y(field: str) -> Spec:
        return y_axis(field, t("bots"), top)

    tint = shades("band", {name: shade for name, shade, *_ in BANDS})
    opacity = 0.24 if frame.is_dark() else 0.15
    dashed = {"strokeDash": [6, 4], "strokeWidth": 1.6, "color": quiet()}
    data = {"bots": bots, "bands": bands(series, span)}
    layers = [
        layer("bands", "area", {"x": x, "y": y("from"), "y2": {"field": "to"}, "color": tint},
              interpolate="step-after", opacity=opacity),
        layer("bands", "line", {"x": x, "y": y("limit")}, interpolate="step-after", **dashed),
    ]  # fmt: skip
    if comfort is not None and comfort < top:
        data["comfort"] = [{"comfort": comfort}]
        layers.append(layer("comfort", "rule", {"y": y("comfort")}, **dashed | {"strokeDash": [1, 4]}))
    if series.bucket_ms > series.step * 1000 or series.step > 5:
        spread = {"x": x, "y": y("low"), "y2": {"field": "high"}}
        layers.append(layer("bots", "area", spread, opacity=0.2, color=ink()))
    line = layer("bots", "line", {"x": x, "y": y("mean")}, strokeWidth=1.8, color=ink(), strokeJoin="round")
    if brush:
        line["params"] = [{"name": "span", "select": {"type": "interval", "encodings": ["x"]}}]
    layers.append(line)
    if marks:
        data["marks"] = placed(marks, span)
        layers += marked(x)
    titles = {"when": t("time"), "bots": t("bots"), "limit": t("limit"), "used": t("used"), "refused": t("refused")}
    tips = [names(field, title) for field, title in titles.items()]
    # Of gaps there is nothing to say.
    hover = layer("bots", "rule", {"x": x, "tooltip": tips}, strokeWidth=7, opacity=0)
    layers.append(hover | {"transform": [{"filter": "isValid(datum.mean)"}]})
    return chart(data, layers, height)


def placed(marks: Sequence[Mark], span: Span) -> list[dict[str, Any]]:
    """What happened, and on which side its text stands: none where it would run into the one before."""
    free_from, rows = span.start, []
    for mark in sorted(marks, key=lambda one: one.at):
        late = mark.at > span.start + span.length * 0.72
        width = round(span.length * 0.008 * len(mark.text))
        side = ""
        if len(mark.text) < 40 and mark.at >= free_from + (width if late else 0):
            side = "right" if late else "left"
            free_from = mark.at + (0 if late else width + round(span.length * 0.03))
        rows.append({"at": mark.at, "label": mark.text, "kind": mark.kind, "when": times.when(mark.at), "side": side})
    return rows


def marked(x: Spec) -> list[Spec]:
    """Lines at what happened, with their texts."""
    accent = "#7CC4F0" if frame.is_dark() else "#0072B2"
    said = {"x": x, "tooltip": [names("when", t("time")), names("kind", t("kind")), names("label", t("what"))]}
    found = [layer("marks", "rule", said, color=accent, strokeWidth=1.4)]
    for side, dx in (("left", 5), ("right", -5)):
        text = layer(
            "marks", "text", {**said, "y": {"value": 0}, "text": names("label")},
            align=side, dx=dx, dy=9, fontSize=11, color=accent, baseline="middle",
        )  # fmt: skip
        found.append(text | {"transform": [{"filter": f"datum.side === '{side}'"}]})
    return found


def refusals(series: Series, span: Span, height: int = 150, most: int = 9) -> Spec:
    """Refusals a bucket by reason, stacked."""
    rows = [
        {"at": at, "reason": reason_text(reason), "n": n, "when": times.when(at)}
        for at, reasons in sorted(series.refused.items())
        for reason, n in reasons.items()
    ]
    found = {reason for reasons in series.refused.values() for reason in reasons}
    colours = {reason_text(name): colour for name, colour in REASON_COLOURS.items() if name in found}
    encoding = {
        "x": x_axis(span, most),
        "y": y_axis("n", t("refused"), tickMinStep=1, format="d"),
        "color": shades("reason", colours, legend(len(colours))),
        "tooltip": [names("when", t("time")), names("reason", t("reason")), quantity("n", t("refused"))],
    }
    width = max(2.0, min(16.0, 560 * series.bucket_ms / max(1, span.length)))
    room = 40 if len(colours) > 3 else 0  # for the legend
    return chart({"refused": rows}, [layer("refused", "bar", encoding, width=width)], height + room)


def box(series: Series, span: Span, height: int = 150, most: int = 9) -> Spec:
    """CPU and RAM in percent, with the guards that hold a raise back as dotted lines."""
    rows = [
        {"at": row["at"], "what": what, "value": row.get(field), "when": row.get("when", "")}
        for row in with_gaps(series)
        for field, what in (("cpu", "CPU"), ("ram", "RAM"))
    ]
    colours = {"CPU": "#7CC4F0", "RAM": "#F0A35E"} if frame.is_dark() else {"CPU": "#0072B2", "RAM": "#B85000"}
    colour = shades("what", colours, legend(symbolType="stroke", symbolStrokeWidth=3))
    y = y_axis("value", "%", 100)
    tips = [names("when", t("time")), names("what", " "), quantity("value", "%", format=".0f")]
    guards = [{"what": "CPU", "value": CPU_PERCENT}, {"what": "RAM", "value": RAM_PERCENT}]
    return chart(
        {"box": rows, "guards": guards},
        [
            layer("box", "line", {"x": x_axis(span, most), "y": y, "color": colour, "tooltip": tips}, strokeWidth=1.6),
            layer("guards", "rule", {"y": y, "color": colour}, strokeDash=[1, 4], strokeWidth=1.4),
        ],
        height,
    )
