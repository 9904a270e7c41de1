"""Figures to decide by: ranges against the limit in force, what was refused by day, what each lease would have done."""

import altair as alt
import pandas as pd

from limiter.console.charts.axes import clickable, coloured, day_axis, finished, legend, tips, value_y
from limiter.console.theme import BLUE, ORANGE, VERMILION, tones
from limiter.console.view import View

ROW_PX, AXIS_PX = 48, 52


def ranges(rows: pd.DataFrame, view: View, limit: int | None, title: str) -> alt.LayerChart:
    """A row for each figure (what, low, value, high), as a point on its range; the limit in force as a dashed line."""
    look, order = tones(dark=view.dark), list(rows["what"])
    said = [
        view.number(value) + (f" ({view.number(low)} – {view.number(high)})" if low != high else "")
        for low, value, high in rows[["low", "value", "high"]].astype(float).itertuples(index=False, name=None)
    ]
    highest = max(float(rows["high"].max()), float(limit or 0))
    # Above its row and not beside it: on a phone the names would leave no room for the figures.
    y = alt.Y("what:N", sort=order, title=None, axis=None, scale=alt.Scale(paddingInner=0.55, paddingOuter=0.6))
    x = alt.X("value:Q", title=title, scale=alt.Scale(domain=[0, highest * 1.12], nice=False), axis=_whole())
    texts = [view.t("{what}: {figure}", what=what, figure=one) for what, one in zip(order, said, strict=True)]
    base = alt.Chart(rows.assign(said=said, text=texts))
    base = base.encode(y=y, tooltip=tips(what=" ", said=title))
    layers = [
        base.mark_bar(color=BLUE, opacity=0.28, height=10, cornerRadius=5).encode(x=x.copy(), x2=alt.X2("high:Q")),
        base.mark_point(filled=True, size=110, color=BLUE, opacity=1).encode(x=x),
        base.mark_text(align="left", dy=-15, fontSize=12, color=look.ink).encode(
            x=alt.value(0), text=alt.Text("text:N")
        ),
    ]
    layers[0] = layers[0].encode(x=alt.X("low:Q", title=title, scale=alt.Scale(domain=[0, highest * 1.12])))
    if limit is not None:
        line = alt.Chart(pd.DataFrame({"value": [limit], "said": [view.t("limit {n}", n=view.number(limit))]}))
        layers.append(line.mark_rule(strokeDash=[6, 4], color=VERMILION, strokeWidth=1.6).encode(x=x))
        layers.append(
            line.mark_text(
                align="left" if limit < highest / 2 else "right",
                dx=4 if limit < highest / 2 else -4,
                baseline="bottom",
                fontSize=12,
                color=look.quiet,
            ).encode(x=x, y=alt.value(ROW_PX * len(rows)), text=alt.Text("said:N"))
        )
    return finished(layers, view, ROW_PX * len(rows) + AXIS_PX)


def _whole() -> alt.Axis:
    return alt.Axis(tickMinStep=1, tickCount=6, grid=True, gridOpacity=0.35)


def by_day(rows: pd.DataFrame, view: View) -> alt.LayerChart:
    """Demands a day (at, day, later, lost): refused at first and served later, and never served; a click opens it."""
    t = view.t
    texts = {"later": t("served later"), "lost": t("never served")}
    long = rows.melt(id_vars=["at", "day"], value_vars=list(texts), var_name="what", value_name="n")
    bars = alt.Chart(long.assign(what=long["what"].map(texts), why="server_full")).mark_bar()
    bars = bars.encode(
        x=alt.X("day:N", title=None, sort=list(rows["day"]), axis=day_axis()),
        y=value_y("n", t("demands"), format="d", tickMinStep=1),
        color=coloured("what", {texts["later"]: ORANGE, texts["lost"]: VERMILION}, legend(list(texts.values()))),
        tooltip=tips(day=t("day"), what=" ", n=t("demands")),
    )
    return finished([clickable(bars, "why", nearest=False)], view, 220)


def by_lease(rows: pd.DataFrame, view: View, field: str, title: str, current: str) -> alt.LayerChart:
    """One figure of each lease (lease, and `field`), the lease in force in another colour."""
    bars = alt.Chart(rows).mark_bar(cornerRadiusEnd=2)
    bars = bars.encode(
        x=alt.X("lease:N", title=view.t("lease"), sort=list(rows["lease"]), axis=alt.Axis(labelAngle=0)),
        y=value_y(field, title, format="~s"),
        color=alt.ColorValue(BLUE, condition={"test": f"datum.lease === '{current}'", "value": ORANGE}),
        tooltip=tips(**{"lease": view.t("lease"), field: title}),
    )
    return finished([bars], view, 250)  # so high that the title of its axis has room
