"""Patterns: the map of a week, how long sessions last, starts by hour or day, trades a day."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

import altair as alt
import pandas as pd

from limiter.console.charts.axes import NARROW, clickable, coloured, day_axis, finished, legend, tips, value_y
from limiter.console.theme import ADMITTED, BLUE, REASONS, VERMILION, tones
from limiter.console.view import DAYS, STAYS, View

HOURS, DAYS_OF_WEEK = 24, 7
ADMITTED_NAME = "admitted"
STAY = "stay"  # the name of what a click on a length selects


def hours_of_week(at: pd.Series, view: View) -> pd.Series:
    """0 (Monday 0 h) to 167 on the wall clock of the view's zone, for tz-aware instants."""
    local = at.dt.tz_convert(view.zone).dt
    found: pd.Series = local.day_of_week * HOURS + local.hour
    return found


def week(rows: pd.DataFrame, view: View, how: str) -> pd.DataFrame:
    """All 168 hours of the week: slot, share of the limit (NaN where never seen), n hours seen.

    `rows` are hours: at, mean_share, high_share; `how` is mean (of means), p95 or max (of the highest).
    """
    share = "mean_share" if how == "mean" else "high_share"
    seen = rows[rows[share].notna()]
    values = seen[share]
    grouped = values.groupby(hours_of_week(seen["at"], view).to_numpy())
    picked = grouped.mean() if how == "mean" else grouped.quantile(1.0 if how == "max" else 0.95, interpolation="lower")
    found = pd.DataFrame({"share": picked, "n": grouped.size()}).reindex(range(DAYS_OF_WEEK * HOURS))
    return found.assign(n=found["n"].fillna(0).astype(int)).rename_axis("slot").reset_index()


def heat_map(rows: pd.DataFrame, view: View, how: str, chosen: int | None = None) -> alt.LayerChart:
    """The share of the limit used, weekday by hour, always 7 by 24; the `chosen` slot is framed, a click is `cell`."""
    t, names, look = view.t, DAYS[view.language], tones(dark=view.dark)
    cells = week(rows, view, how)
    share = 100 * cells["share"]
    cells = cells.assign(
        day=[names[slot // HOURS] for slot in cells["slot"]],
        hour=cells["slot"] % HOURS,
        text=["" if pd.isna(one) else f"{one:.0f}" for one in share],
        said=[t("no data") if pd.isna(one) else view.percent(one, 0) for one in share],
    )
    places: dict[str, Any] = {
        "x": alt.X("hour:O", title=t("hour"), axis=alt.Axis(labelAngle=0), scale=alt.Scale(domain=list(range(HOURS)))),
        "y": alt.Y("day:O", title=None, sort=list(names), axis=alt.Axis(labelOverlap=False)),
        "tooltip": tips(day=t("day"), hour=t("hour"), said=t("used"), n=t("hours seen")),
    }
    base = alt.Chart(cells).encode(**places)
    shade = alt.Color("share:Q", scale=alt.Scale(scheme="cividis", domain=[0, 1], clamp=True), legend=None)
    tint = alt.ColorValue("#FFFFFF", condition={"test": "datum.share > 0.55", "value": "#111111"})
    room = alt.OpacityValue(0, condition={"test": f"width > {NARROW}", "value": 1})
    layers: list[alt.Chart] = [
        base.mark_rect(cornerRadius=2, color=look.empty),  # a share that is not known is left out above it
        base.mark_rect(cornerRadius=2)
        .encode(color=shade)
        .add_params(alt.selection_point(name="cell", fields=["slot"])),
        base.mark_text(fontSize=11).encode(text=alt.Text("text:N"), color=tint, opacity=room),
    ]
    if chosen is not None:
        frame = base.mark_rect(cornerRadius=2, filled=False, stroke=VERMILION, strokeWidth=3)
        layers.append(frame.transform_filter(f"datum.slot === {chosen}"))
    return finished(layers, view, 250)


def lengths(rows: pd.DataFrame, view: View) -> alt.LayerChart:
    """How long sessions lasted (seconds, n), in bins that grow; a click on one is STAY, with its name as `stay`."""
    t, texts = view.t, view.stays()
    labels = list(texts.values())
    which = pd.cut(rows["seconds"], [0, *STAYS, float("inf")], labels=list(texts), right=False)
    bins = rows["n"].groupby(which, observed=False).sum().rename_axis("stay").reset_index().astype({"stay": str})
    bars = alt.Chart(bins.assign(bin=bins["stay"].map(texts))).mark_bar(color=BLUE, cornerRadiusEnd=2)
    bars = bars.encode(
        x=alt.X("n:Q", title=t("sessions"), axis=alt.Axis(format="d", tickCount=4, tickMinStep=1, gridOpacity=0.35)),
        y=alt.Y("bin:N", title=None, sort=labels, axis=alt.Axis(labelOverlap=False, ticks=False)),
        tooltip=tips(bin=t("lasted"), n=t("sessions")),
    )
    return finished([bars.add_params(alt.selection_point(name=STAY, fields=["stay"], toggle=False))], view, 310)


def starts(rows: pd.DataFrame, view: View, order: Sequence[str], *, where: str, unit: str) -> alt.LayerChart:
    """Starts (x, what, n) admitted and refused by reason, stacked; x in that order, `where` and `unit` are titles.

    A click opens a bar of rows that have an instant `at`.
    """
    texts = {ADMITTED_NAME: view.t("admitted")} | {name: view.reason(name) for name in REASONS}
    present = set(rows["what"])
    shades = {ADMITTED_NAME: ADMITTED} | REASONS
    colours = {texts[name]: shades[name] for name in texts if name in present}
    why = rows["what"].where(rows["what"] != ADMITTED_NAME, "")
    bars = alt.Chart(rows.assign(what=rows["what"].map(texts), why=why)).mark_bar()
    bars = bars.encode(
        x=alt.X("x:N", title=None, sort=list(order), axis=alt.Axis(labelAngle=0), scale=alt.Scale(domain=list(order))),
        y=value_y("n", unit),
        color=coloured("what", colours, legend(list(colours))),
        tooltip=tips(x=where, what=" ", n=unit),
    )
    return finished([clickable(bars, "why", nearest=False) if "at" in rows else bars], view, 270)


def trades(rows: pd.DataFrame, view: View, limit: float | None, until: str, zone: tzinfo) -> alt.LayerChart:
    """Trades a day (day, most, total, users) of the heaviest user, against the limit of a user where there is one; a
    click opens the day.

    Days are dates of that zone as the API writes them, up to `until`; one that has no row is one without a trade.
    """
    t = view.t
    days = [f"{day:%Y-%m-%d}" for day in pd.date_range(rows["day"].min(), max(until, rows["day"].max()))]
    every = rows.set_index("day").reindex(days, fill_value=0).rename_axis("day").reset_index()
    every = every.assign(day=every["day"].map(view.date), at=[view.begin_of(day, zone) for day in days])
    bars = alt.Chart(every).mark_bar(color=BLUE, cornerRadiusEnd=2)
    bars = bars.encode(
        x=alt.X("day:N", title=None, sort=None, axis=day_axis()),
        y=value_y("most", t("trades of the heaviest user"), format="d"),
        tooltip=tips(day=t("day"), most=t("heaviest user"), total=t("all users"), users=t("users")),
    )
    layers = [clickable(bars, nearest=False)]
    if limit:
        level, quiet = alt.Chart(pd.DataFrame({"most": [limit]})), tones(dark=view.dark).quiet
        layers.append(level.mark_rule(strokeDash=[6, 4], strokeWidth=1.6, color=quiet).encode(y=alt.Y("most:Q")))
    return finished(layers, view, 240)
