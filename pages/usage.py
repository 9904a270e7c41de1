"""When do people come, how long do they stay, who is heavy, where is it going?"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from limiter.console import data, frame
from limiter.console.charts import usage
from limiter.console.charts.axes import milliseconds
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.cards import Card, cards
from limiter.console.kit.words import lasting, number, percent, t, tn, view
from limiter.console.parts import forecast, heat_map, moment, stays, who
from limiter.console.view import DAY, HOUR, Span
from limiter.rules.refusals import refusing
from limiter.store import read

sign_in = frame.begin()
TOP = 20  # users who are listed
STARTS = [usage.ADMITTED_NAME, *refusing("start")]


def lengths(since: int, within: Sequence[int] | None) -> None:
    """How long sessions lasted; `within`: those that started in these hours."""
    st.header(t("How long sessions last"), anchor=False)
    found = data.table(read.sessions.durations, since, within)
    if found.empty:
        st.caption(t("No session has ended in this period."))
        return
    drawn, title = usage.lengths(found, view()), t("How long sessions last")
    if within is not None:  # the list of sessions knows no hours of the week
        st.altair_chart(drawn, key="stays-within", alt=title)
    else:
        stays.chart(drawn, "stays", title)
    total = int(found["n"].sum())
    ordered = found.sort_values("seconds")
    middle = int(ordered["seconds"].iloc[ordered["n"].cumsum().searchsorted(total // 2, side="right")])
    lost = int(found.loc[found["ended_reason"] == "lease_expired", "n"].sum())
    said = t("Median {median}; {share} ended silent.", median=lasting(middle), share=percent(100 * lost / total))
    said += "" if within is not None else " " + t("Click on a bar to list such sessions.")
    st.caption(said + (" " + t("The newest {n} sessions.", n=number(total)) if total == read.sessions.LATEST else ""))


def starts(hours: pd.DataFrame, span: Span, days: float, dated: bool) -> None:
    """Starts admitted and refused, by hour of the day, of `days` that are known; `dated`: of each of these hours."""
    title = t("Starts, week by week") if dated else t("Starts by hour of the day")
    st.header(title, anchor=False)
    refused = data.refused_by_hour(span.start, span.end)
    local = hours["at"].dt.tz_convert(times.zone())
    known = pd.DataFrame({"at": milliseconds(hours)["at"], "hour": local.dt.hour, usage.ADMITTED_NAME: hours["starts"]})
    for reason in STARTS[1:]:
        known[reason] = [refused.get(at, {}).get(reason, 0) for at in known["at"]]
    known["x"] = [times.day(at) for at in known["at"]] if dated else known["hour"].astype(str)
    order = list(dict.fromkeys(known["x"])) if dated else [str(hour) for hour in range(24)]
    sums = known.melt(id_vars="x", value_vars=STARTS, var_name="what", value_name="n").groupby(["x", "what"]).sum()
    sums = (sums / (1.0 if dated else days)).round(2).reset_index()
    where, unit = (t("day"), t("starts")) if dated else (t("hour"), t("a day"))
    if not sums["n"].any():
        st.caption(t("No start in this period."))
        return
    if dated:
        sums["at"] = sums["x"].map(dict(zip(known["x"], known["at"], strict=True)))
    seen = sums[(sums["n"] > 0) | (sums["what"] == usage.ADMITTED_NAME)]
    chart = usage.starts(seen, view(), order, where=where, unit=unit)
    if dated:
        moment.chart(chart, "starts-dated", title, HOUR)
    else:
        st.altair_chart(chart, key="starts", alt=title)


def heavy(since: int, within: Sequence[int] | None, known: float) -> None:
    """Who holds slots longest; `known`: of so many days there is anything to say."""
    st.header(t("Top 20 users"), anchor=False)
    days = known if within is None else max(1, len(within))
    every = data.read(read.usage.top_users, since, times.now(), within, most=None)
    held = sum(row.slot_ms for row in every)
    rows: list[dict[str, Any]] = [
        {
            t("user"): row.user_id,
            t("sessions"): row.starts,
            t("slot hours"): round(row.slot_ms / HOUR, 1),
            t("of all, %"): round(100 * row.slot_ms / held, 1) if held else 0.0,
            t("trades a day"): round(row.trades / days, 1),
            t("refusals"): row.refusals,
        }
        for row in every[:TOP]
    ]
    if not rows:
        st.caption(t("Nobody has held a slot in this period."))
        return
    drawn = [{**row, " ": row[t("of all, %")]} for row in rows]
    tables.show(drawn, column_config={" ": tables.bars(max(row[" "] for row in drawn))})
    tables.csv_button(rows, "top-users")


def trades(since: int) -> None:
    """Trades a day of the heaviest user against the limit."""
    st.header(t("Trades a day"), anchor=False)
    rows = data.read(read.usage.trade_days, f"{times.local(since, data.settings().timezone):%Y-%m-%d}")
    if not rows:
        st.caption(t("No trade in this period."))
        return
    limits = data.read(read.limits.read)
    limit = limits.values["MAX_TRADES_PER_DAY"] if limits else None
    zone = data.settings().timezone
    today = f"{times.local(times.now(), zone):%Y-%m-%d}"
    chart = usage.trades(data.as_table(rows), view(), limit, today, zone)
    moment.chart(chart, "trades", t("Trades a day"), DAY)
    dashed = [t("Dashed: MAX_TRADES_PER_DAY, {n}.", n=number(limit))] if limit else []
    in_all = tn("{n} trade in all.", "{n} trades in all.", sum(row.total for row in rows))
    st.caption(" ".join([*dashed, in_all, t("Click on a day to see who held which slot at its peak.")]))


def summary(span: Span) -> None:
    """The period in figures, beside the one before."""
    now, before = data.load(span.start, span.end), data.load(span.start - span.length, span.start)
    whole = 1000 * before.known_seconds >= 0.95 * span.length

    def against(value: str) -> str:
        return t("before: {value}", value=value) if whole else ""

    cards(
        [
            Card(t("Peak"), number(now.peak or 0), against(number(before.peak or 0))),
            Card(t("Mean"), number(now.mean or 0), against(number(before.mean or 0))),
            Card(t("Starts"), number(now.starts), against(number(before.starts))),
            Card(t("Refused"), number(sum(now.refusals.values())), against(number(sum(before.refusals.values())))),
            Card(t("At 80% or more"), lasting(now.busy_seconds), against(lasting(before.busy_seconds))),
        ]
    )
    if not whole:
        st.caption(t("The period before is not known whole: there is nothing to compare with."))


st.title(t("Usage patterns"), anchor=False)
with st.container(horizontal=True, gap="small", vertical_alignment="center"):
    days = int(url_widgets.tabs(t("Period"), "days", {str(n): tn("{n} day", "{n} days", n) for n in (7, 28, 90)}, "28"))
    how = url_widgets.tabs(t("Figure"), "how", {"p95": "p95", "mean": t("mean"), "max": t("max")})
end = times.now()
span = Span(end - days * DAY, end)
hours = data.hours_used(span.start, span.end)
if hours.empty:
    st.info(t("Nothing to show yet: patterns appear once the limiter has run for an hour."))
    st.stop()
first = data.read(read.history.bounds)
known_days = max(1.0, (span.since(first[0]) if first else span).length / DAY)  # a limiter of yesterday knows one
summary(span)
with st.container(border=True):
    st.header(t("Percent of the limit used, by weekday and hour"), anchor=False)
    heat_map.show(hours, how)
    cell = heat_map.chosen()
    st.caption(
        t("Click on a cell to see that hour of the week alone below.")
        if cell is None
        else t("Click on the framed cell to see all hours again, on another one to see that hour.")
    )
shown = hours if cell is None else hours[usage.hours_of_week(hours["at"], view()) == cell.slot]
within = None if cell is None else milliseconds(shown)["at"].to_list()
if cell is not None:
    heat_map.chip(cell)
left, right = st.columns(2, gap="medium")
with left, st.container(border=True):
    frame.live(height=300)(lengths)(span.start, within)
with right, st.container(border=True):
    frame.live(height=300)(starts)(shown, span, known_days, cell is not None)
with st.container(border=True):
    st.header(t("The next 14 days"), anchor=False)
    frame.live(height=380)(forecast.show)(sign_in)
with st.container(border=True):
    frame.live(height=480)(who.show)(sign_in, days)
with st.container(border=True):
    frame.live(height=480)(heavy)(span.start, within, known_days)
with st.container(border=True):
    frame.live(height=300)(trades)(span.start)
if not moment.drawer(sign_in):  # a page has one drawer
    stays.drawer(span.start)
