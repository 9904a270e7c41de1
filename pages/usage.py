"""When do people come, how long do they stay, who is heavy, where is it going?"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import streamlit as st

from limiter.console import data, frame
from limiter.console.charts import capacity
from limiter.console.frame import Card
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.times import DAY, HOUR, Span
from limiter.console.kit.words import lasting, number, percent, reason_text, t, tn
from limiter.console.parts import forecast, heat_map
from limiter.console.vega import BLUE, chart, layer, legend, names, quantity, quiet, shades
from limiter.rules.refusals import refusing
from limiter.store import read
from limiter.store.read.history import Bucket

sign_in = frame.begin()
STARTS = ("admitted", *refusing("start"))
BINS = (60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 16 * 3600, 86_400, 3 * 86_400, 7 * 86_400)


def stays(since: int, within: Sequence[int] | None) -> None:
    """How long sessions lasted; `within`: those that started in these hours."""
    st.header(t("How long sessions last"), anchor=False)
    found = data.read(read.sessions.durations, since, within)
    if not found:
        st.caption(t("No session has ended in this period."))
        return
    counts = [0] * (len(BINS) + 1)
    for row in found:
        counts[bisect_right(BINS, row.seconds)] += row.n
    edges = (0, *BINS)
    labels = [f"< {lasting(BINS[0])}"] + [f"{lasting(low)} –" for low in edges[1:]]
    bins = [{"bin": label, "n": n} for label, n in zip(labels, counts, strict=True)]
    encoding = {
        "x": names("bin", sort=labels, axis={"labelAngle": -35, "labelOverlap": False}),
        "y": capacity.y_axis("n", t("sessions"), format="d"),
        "tooltip": [names("bin", t("lasted")), quantity("n", t("sessions"))],
    }
    bars = layer("bins", "bar", encoding, color=BLUE, cornerRadiusEnd=2)
    st.vega_lite_chart(chart({"bins": bins}, [bars], 240), key="stays", alt=t("How long sessions last"))
    total = sum(row.n for row in found)
    lengths = sorted((row.seconds, row.n) for row in found)
    upto = list(accumulate(n for _, n in lengths))
    middle = lengths[bisect_right(upto, total // 2)][0]
    lost = sum(row.n for row in found if row.ended_reason == "lease_expired")
    said = t("Median {median}; {share} ended silent.", median=lasting(middle), share=percent(100 * lost / total))
    st.caption(said + (" " + t("The newest 50 000 sessions.") if total == read.sessions.LATEST else ""))


def starts(rows: Sequence[Bucket], span: Span, dated: bool) -> None:
    """Starts admitted and refused, by hour of the day; `dated`: of each of these hours."""
    title = t("Starts, week by week") if dated else t("Starts by hour of the day")
    st.header(title, anchor=False)
    refused = data.read(read.history.hours, span.start, span.end).refused
    days = 1.0 if dated else max(1.0, span.length / DAY)
    order: dict[str, int] = {}
    sums: dict[tuple[str, str], float] = {}
    for row in rows:
        x = times.day(row.at) if dated else str(times.local(row.at).hour)
        order.setdefault(x, row.at if dated else times.local(row.at).hour)
        for what, n in [("admitted", row.starts), *refused.get(row.at, {}).items()]:
            if what in STARTS:
                sums[x, what] = sums.get((x, what), 0) + n
    said = {one: t("admitted") if one == "admitted" else reason_text(one) for one in STARTS}
    shade = {"admitted": "#009E73"} | capacity.REASON_COLOURS
    colours = {said[one]: shade[one] for one in STARTS if any(what == one for _, what in sums)}
    found = [{"x": x, "what": said[what], "n": round(n / days, 2)} for (x, what), n in sums.items()]
    unit = t("starts") if dated else t("a day")
    encoding = {
        "x": names("x", sort=sorted(order, key=order.__getitem__), axis={"labelAngle": 0}),
        "y": capacity.y_axis("n", unit),
        "color": shades("what", colours, legend(len(colours))),
        "tooltip": [names("x", t("day") if dated else t("hour")), names("what", " "), quantity("n", unit)],
    }
    st.vega_lite_chart(chart({"starts": found}, [layer("starts", "bar", encoding)], 240), key="starts", alt=title)


def heavy(since: int, within: Sequence[int] | None) -> None:
    """Who holds slots longest."""
    st.header(t("Top 20 users"), anchor=False)
    days = max(1.0, (times.now() - since) / DAY if within is None else len(within))
    rows = [
        {
            t("user"): row.user_id,
            t("sessions"): row.starts,
            t("slot hours"): round(row.slot_ms / HOUR, 1),
            t("trades a day"): round(row.trades / days, 1),
            t("refusals"): row.refusals,
        }
        for row in data.read(read.usage.top_users, since, within)
    ]
    if not rows:
        st.caption(t("Nobody has held a slot in this period."))
        return
    top = max(row[t("slot hours")] for row in rows)
    tables.show(
        rows,
        column_config={t("slot hours"): st.column_config.ProgressColumn(format="%.1f", min_value=0, max_value=top)},
    )
    tables.csv_button(rows, "top-users")


def trades(since: int) -> None:
    """Trades a day of the heaviest user against the limit."""
    st.header(t("Trades a day"), anchor=False)
    rows = data.read(read.usage.trade_days, f"{times.local(since, data.settings()['LIMITER_TIMEZONE']):%Y-%m-%d}")
    if not rows:
        st.caption(t("No trade in this period."))
        return
    limits = data.read(read.limits.read)
    limit = limits.values["MAX_TRADES_PER_DAY"] if limits else None
    found = [{"day": row.day, "most": row.most, "total": row.total, "users": row.users} for row in rows]
    encoding = {
        "x": names("day", axis={"labelAngle": -35, "labelOverlap": True}),
        "y": capacity.y_axis("most", t("trades of the heaviest user"), format="d"),
        "tooltip": [
            names("day", t("day")),
            quantity("most", t("heaviest user")),
            quantity("total", t("all users")),
            quantity("users", t("users")),
        ],
    }
    layers = [layer("days", "bar", encoding, color=BLUE, cornerRadiusEnd=2)]
    if limit:
        dashed = {"strokeDash": [6, 4], "color": quiet(), "strokeWidth": 1.6}
        layers.append(layer("limit", "rule", {"y": quantity("most")}, **dashed))
    spec = chart({"days": found, "limit": [{"most": limit or 0}]}, layers, 240)
    st.vega_lite_chart(spec, key="trades", alt=t("Trades a day"))
    st.caption(
        t(
            "Dashed: MAX_TRADES_PER_DAY, {n}. {total} trades in all.",
            n=number(limit or 0),
            total=number(sum(row.total for row in rows)),
        )
    )


def summary(rows: Sequence[Bucket], span: Span, days: int) -> None:
    """The period in figures, beside the one before."""
    now, before = (
        data.read(read.history.load, span.start, span.end),
        data.read(read.history.load, span.start - span.length, span.start),
    )
    earlier = data.read(read.history.hours, span.start - span.length, span.start).rows

    def against(value: str) -> str:
        whole = len(earlier) >= 0.95 * days * 24
        return t("before: {value}", value=value) if whole else tn("{n} day", "{n} days", days)

    mean = sum(row.mean for row in rows) / len(rows)
    mean_before = sum(row.mean for row in earlier) / len(earlier) if earlier else 0.0
    frame.cards(
        [
            Card(t("Peak"), number(now.peak or 0), against(number(before.peak or 0))),
            Card(t("Mean"), number(mean), against(number(mean_before))),
            Card(
                t("Starts"),
                number(sum(row.starts for row in rows)),
                against(number(sum(row.starts for row in earlier))),
            ),
            Card(t("Refused"), number(sum(now.refusals.values())), against(number(sum(before.refusals.values())))),
            Card(t("At 80% or more"), lasting(now.busy_seconds), against(lasting(before.busy_seconds))),
        ]
    )


st.title(t("Usage patterns"), anchor=False)
with st.container(horizontal=True, gap="small", vertical_alignment="center"):
    days = int(url_widgets.tabs(t("Period"), "days", {str(n): tn("{n} day", "{n} days", n) for n in (7, 28, 90)}, "28"))
    how = url_widgets.tabs(t("Figure"), "how", {"p95": "p95", "mean": t("mean"), "max": t("max")})
end = times.now()
span = Span(end - days * DAY, end)
rows = data.read(read.history.hours, span.start, span.end).rows
if not rows:
    st.info(t("Nothing to show yet: patterns appear once the limiter has run for an hour."))
    st.stop()
summary(rows, span, days)
with st.container(border=True):
    st.header(t("Percent of the limit used, by weekday and hour"), anchor=False)
    heat_map.show(rows, how)
    cell = heat_map.chosen()
    st.caption(
        t("Click on a cell to see that hour of the week alone below.")
        if cell is None
        else t("Click on the framed cell to see all hours again, on another one to see that hour.")
    )
kept = rows if cell is None else [row for row in rows if heat_map.hour_of_week(row.at) == cell.slot]
within = None if cell is None else [row.at for row in kept]
if cell is not None:
    heat_map.chip(cell)
left, right = st.columns(2, gap="medium")
with left, st.container(border=True):
    stays(span.start, within)
with right, st.container(border=True):
    starts(kept, span, dated=cell is not None)
with st.container(border=True):
    forecast.show()
left, right = st.columns(2, gap="medium")
with left, st.container(border=True):
    heavy(span.start, within)
with right, st.container(border=True):
    trades(span.start)
