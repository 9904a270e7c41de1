"""What all charts share: axes, tooltips, colours by name, and the look of the whole.

Instants are `at`, a column of tz-aware UTC. On the x axis they are plain milliseconds, because a temporal scale of
Vega-Lite knows two zones only and takes a small bound for a year; the labels are the view's own.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import pandas as pd
from altair.utils.schemapi import disable_debug_mode

from limiter.console.theme import tones
from limiter.console.view import Span, View

EXTENT = 46  # px kept left of every chart, so that charts below each other share their x
MOMENT = "moment"  # the name of what a click selects
CHARACTER_PX = 6.4  # of a text of 12 px, on average
AROUND_PX = EXTENT + 28  # of a chart beside its plot: the labels of the y axis, its title, the edge
SYMBOL_PX = 30  # of a legend: a name's symbol and the room around both
NARROW = 560  # px of a plot under which texts inside it would stand on each other

# Altair holds each axis and scale against the grammar of Vega-Lite when it is made: the tests do that (Layers).
disable_debug_mode()


def milliseconds(rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows with `at` as UTC milliseconds."""
    at = pd.to_datetime(rows["at"], utc=True)
    return rows.assign(at=at.dt.as_unit("ms").astype("int64"))


def time_x(span: Span, view: View) -> alt.X:
    """The time axis over the whole span, labelled in the zone of the view."""
    marked = view.ticks(span)
    values, labels = [at for at, _ in marked], [text for _, text in marked]
    expression = f"{json.dumps(labels, ensure_ascii=False)}[indexof({json.dumps(values)}, datum.value)]"
    look: dict[str, Any] = {"grid": False, "labelOverlap": "greedy", "tickSize": 4, "labelPadding": 6}
    axis = alt.Axis(values=values, labelExpr=expression, **look)
    # Without this Vega-Lite keeps 5 px free on either side of bars: they would not stand beneath what they belong to.
    scale = alt.Scale(domain=[span.start, span.end], nice=False, padding=0)
    return alt.X("at:Q", title=None, scale=scale, axis=axis)


def value_y(field: str, title: str | None, top: float | None = None, **axis: Any) -> alt.Y:
    """A value axis from 0, to `top` where given, whose labels take the same room in every chart."""
    scale = alt.Scale(zero=True) if top is None else alt.Scale(domain=[0, top], nice=False)
    look: dict[str, Any] = {"minExtent": EXTENT, "maxExtent": EXTENT, "tickCount": 5, "grid": True, "gridOpacity": 0.35}
    return alt.Y(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(**look | axis))


def coloured(field: str, colours: Mapping[str, str], legend: alt.Legend | None = None) -> alt.Color:
    """A field of names, each in its colour."""
    return alt.Color(
        f"{field}:N", title=None, scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=legend
    )


def day_axis() -> alt.Axis:
    """An axis of days: where not all names fit, every second, every fourth and so on stays."""
    return alt.Axis(labelAngle=0, labelOverlap="parity", ticks=False)


def legend(names: Sequence[str], **more: Any) -> alt.Legend:
    """The names of colours above the chart, each whole: in one row, or in as many columns as the plot has room for."""
    columns = "1"
    for n in range(2, len(names) + 1):
        widest = [max(len(name) for name in names[place::n]) for place in range(n)]
        room = round(CHARACTER_PX * sum(widest)) + SYMBOL_PX * n + AROUND_PX
        columns = f"containerSize()[0] >= {room} ? {n} : {columns}"
    # `width` alone is what is left of it once the legend has its room: Vega settles that once, so a legend that took
    # another number of rows then would stand above the chart, out of sight. It is named so that it is asked again.
    columns = f"width && {columns}" if len(names) > 1 else columns
    look: dict[str, Any] = {"title": None, "orient": "top", "symbolOpacity": 1, "labelLimit": 0}
    return alt.Legend(**look | {"columns": alt.ExprRef(columns)} | more)


def clickable(marks: alt.Chart, *fields: str, nearest: bool = True) -> alt.Chart:
    """Marks of which a click selects one, the nearest wherever it is clicked, as MOMENT: its `at` and these fields."""
    look: dict[str, Any] = {"on": "click", "clear": False, "toggle": False, "empty": False, "nearest": nearest}
    found = marks.add_params(alt.selection_point(name=MOMENT, fields=["at", *fields], **look))
    found.name = "moments"  # Altair would name it by a hash of all its rows
    return found


def tips(**titles: str) -> list[alt.Tooltip]:
    """What is said of a mark: field = title."""
    return [alt.Tooltip(field, title=title) for field, title in titles.items()]


class Layers(alt.LayerChart):
    """Layers that are not held against the grammar of Vega-Lite each time they are drawn.

    That was a third of the CPU of their JSON (92 ms to 62 for the three of History over 90 days).
    tests/pages/test_pages.py holds the charts of every page to it.
    """

    def to_dict(self, validate: bool = False, **more: Any) -> dict[str, Any]:
        """The chart as Vega-Lite takes it."""
        found: dict[str, Any] = super().to_dict(validate, **more)
        return found


def finished(layers: Sequence[alt.Chart], view: View, height: int) -> alt.LayerChart:
    """The layers, one over the other, in the look that all charts have.

    Made in one go: each method of a chart (`properties`, `configure_axis`) copies it whole, which was half of its cost.
    """
    quiet = tones(dark=view.dark).quiet
    small: dict[str, Any] = {"labelColor": quiet, "labelFontSize": 12}
    titled: dict[str, Any] = {"titleColor": quiet, "titleFontSize": 12, "titleFontWeight": "normal"}
    look = alt.Config(
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(domain=False, **small, **titled),
        # Streamlit's theme moves the first and the last label inwards: they would not stand beside what they name.
        axisY=alt.AxisConfig(labelFlush=False),
        axisBand=alt.AxisConfig(labelFlush=False),
        legend=alt.LegendConfig(padding=0, offset=8, **small),
    )
    edges: Any = {"left": 0, "top": 5, "right": 8, "bottom": 2}
    return Layers(layer=list(layers), height=height, background="transparent", padding=edges, config=look)
