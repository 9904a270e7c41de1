"""When do people come, how long do they stay, who is heavy, where is it going?"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st
from sqlalchemy import Row

from limiter.console import charts, choices, data, frame, tables, times
from limiter.console.forecast import NEEDED_DAYS, Forecast, forecast
from limiter.console.frame import Card
from limiter.console.times import DAY, DAYS, HOUR, Span
from limiter.console.words import language, lasting, number, percent, reason_text, t, tn
from limiter.store import analysis
from limiter.store.schema import HOUR_STEP

sign_in = frame.begin()
BINS = (60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 16 * 3600, 86_400, 3 * 86_400, 7 * 86_400)


def hour_of_week(at: int) -> int:
    """0 (Monday 0 h) to 167, in the zone of the run."""
    moment = times.local(at)
    return moment.weekday() * 24 + moment.hour


def picked(values: Sequence[float], how: str) -> float:
    """The mean, 95th percentile or maximum."""
    ordered = sorted(values)
    if how == "mean":
        return sum(ordered) / len(ordered)
    return ordered[-1] if how == "max" else ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def heat_map(rows: Sequence[Row[Any]], how: str) -> alt.LayerChart:
    """Weekday by hour: the share of the limit that was used."""
    shares: dict[int, list[float]] = {}
    for row in rows:
        if row.limit:
            shares.setdefault(hour_of_week(row.at), []).append((row.mean if how == "mean" else row.high) / row.limit)
    names = DAYS[language()]
    cells = []
    for slot, values in shares.items():
        share = picked(values, how)
        text = percent(100 * share, 0)
        cells.append(
            {
                "day": names[slot // 24],
                "hour": slot % 24,
                "share": share,
                "text": f"{100 * share:.0f}",
                "said": text,
                "n": len(values),
            }
        )
    base = alt.Chart(charts.table(cells)).encode(
        x=alt.X("hour:O", title=t("hour"), axis=alt.Axis(labelAngle=0)),
        y=alt.Y("day:O", sort=list(names), title=None, axis=alt.Axis(labelOverlap=False)),
        tooltip=[
            alt.Tooltip("day:N", title=t("day")),
            alt.Tooltip("hour:O", title=t("hour")),
            alt.Tooltip("said:N", title=t("used")),
            alt.Tooltip("n:Q", title=t("hours seen")),
        ],
    )
    cells_of = base.mark_rect(cornerRadius=2).encode(
        color=alt.Color("share:Q", scale=alt.Scale(scheme="cividis", domain=[0, 1], clamp=True), legend=None)
    )
    texts = base.mark_text(fontSize=11).encode(
        text="text:N",
        opacity=alt.condition("width > 560", alt.value(1), alt.value(0)),
        color=alt.condition("datum.share > 0.55", alt.value("#111111"), alt.value("#FFFFFF")),
    )
    return charts.finish(alt.layer(cells_of, texts), 250)  # type: ignore[no-any-return]


def stays(since: int) -> None:
    """How long sessions lasted."""
    st.header(t("How long sessions last"), anchor=False)
    found = data.read(analysis.durations, since)
    if not found:
        st.caption(t("No session has ended in this period."))
        return
    counts = [0] * (len(BINS) + 1)
    for row in found:
        counts[sum(row.seconds >= bound for bound in BINS)] += 1
    edges = (0, *BINS)
    labels = [f"< {lasting(BINS[0])}"] + [f"{lasting(low)} –" for low in edges[1:]]
    table = charts.table(
        {"bin": label, "n": n, "order": order} for order, (label, n) in enumerate(zip(labels, counts, strict=True))
    )
    chart = (
        alt.Chart(table)
        .mark_bar(color="#0072B2", cornerRadiusEnd=2)
        .encode(
            x=alt.X(
                "bin:O", sort=alt.SortField("order"), title=None, axis=alt.Axis(labelAngle=-35, labelOverlap=False)
            ),
            y=charts.y_axis("n:Q", t("sessions"), format="d"),
            tooltip=[alt.Tooltip("bin:N", title=t("lasted")), alt.Tooltip("n:Q", title=t("sessions"))],
        )
    )
    st.altair_chart(charts.finish(chart, 240), key="stays", alt=t("How long sessions last"))
    middle = sorted(row.seconds for row in found)[len(found) // 2]
    lost = sum(row.ended_reason == "lease_expired" for row in found)
    said = t("Median {median}; {share} ended silent.", median=lasting(middle), share=percent(100 * lost / len(found)))
    st.caption(said + (" " + t("The newest 50 000 sessions.") if len(found) == analysis.LATEST_SESSIONS else ""))


def starts(rows: Sequence[Row[Any]], span: Span) -> None:
    """Starts admitted and refused, by hour of the day."""
    st.header(t("Starts by hour of the day"), anchor=False)
    refused = data.read(analysis.refused, HOUR_STEP, span.start, span.end, HOUR)
    sums: dict[tuple[int, str], float] = {}
    for row in rows:
        sums[times.local(row.at).hour, t("admitted")] = (
            sums.get((times.local(row.at).hour, t("admitted")), 0) + row.starts
        )
    for at, reasons in refused.items():
        for reason, n in reasons.items():
            if reason in ("server_full", "user_limit", "paused", "draining"):
                key = (times.local(at).hour, reason_text(reason))
                sums[key] = sums.get(key, 0) + n
    days = max(1.0, span.length / DAY)
    names = [t("admitted"), *(reason_text(one) for one in ("server_full", "user_limit", "paused", "draining"))]
    shades = ["#009E73", *(charts.REASON_COLOURS[one] for one in ("server_full", "user_limit", "paused", "draining"))]
    table = charts.table({"hour": hour, "what": what, "n": round(n / days, 2)} for (hour, what), n in sums.items())
    used = [name for name in names if any(what == name for _, what in sums)]
    chart = (
        alt.Chart(table)
        .mark_bar()
        .encode(
            x=alt.X("hour:O", title=None, axis=alt.Axis(labelAngle=0)),
            y=charts.y_axis("n:Q", t("a day")),
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=used, range=[shades[names.index(name)] for name in used]),
                legend=charts.legend(used),
            ),
            tooltip=[
                alt.Tooltip("hour:O", title=t("hour")),
                alt.Tooltip("what:N", title=" "),
                alt.Tooltip("n:Q", title=t("a day")),
            ],
        )
    )
    st.altair_chart(charts.finish(chart, 240), key="starts", alt=t("Starts by hour of the day"))


def heavy(since: int) -> None:
    """Who holds slots longest."""
    st.header(t("Top 20 users"), anchor=False)
    days = max(1.0, (times.now() - since) / DAY)
    rows = [
        {
            t("user"): row.user_id,
            t("sessions"): row.starts,
            t("slot hours"): round(row.slot_ms / HOUR, 1),
            t("trades a day"): round(row.trades / days, 1),
            t("refusals"): row.refusals,
        }
        for row in data.read(analysis.top_users, since)
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
    rows = data.read(analysis.trade_days, f"{times.local(since, data.settings()['LIMITER_TIMEZONE']):%Y-%m-%d}")
    if not rows:
        st.caption(t("No trade in this period."))
        return
    limits = data.read(analysis.limits)
    limit = limits.values["MAX_TRADES_PER_DAY"] if limits else None
    table = charts.table({"day": row.day, "most": row.most, "total": row.total, "users": row.users} for row in rows)
    bars = (
        alt.Chart(table)
        .mark_bar(color="#0072B2", cornerRadiusEnd=2)
        .encode(
            x=alt.X("day:O", title=None, axis=alt.Axis(labelAngle=-35, labelOverlap=True)),
            y=charts.y_axis("most:Q", t("trades of the heaviest user"), format="d"),
            tooltip=[
                alt.Tooltip("day:N", title=t("day")),
                alt.Tooltip("most:Q", title=t("heaviest user")),
                alt.Tooltip("total:Q", title=t("all users")),
                alt.Tooltip("users:Q", title=t("users")),
            ],
        )
    )
    line = alt.Chart(charts.table([{"most": limit or 0}])).mark_rule(
        strokeDash=[6, 4], color=charts.quiet(), strokeWidth=1.6
    )
    layers = [bars, line.encode(y="most:Q")] if limit else [bars]
    st.altair_chart(charts.finish(alt.layer(*layers), 240), key="trades", alt=t("Trades a day"))
    st.caption(
        t(
            "Dashed: MAX_TRADES_PER_DAY, {n}. {total} trades in all.",
            n=number(limit or 0),
            total=number(sum(row.total for row in rows)),
        )
    )


def outlook() -> None:
    """The next 14 days, with how wrong the method was on the last 7."""
    st.header(t("The next 14 days"), anchor=False)
    now = times.now()
    rows = data.read(analysis.hours, now - 56 * DAY, now - now % HOUR)
    found = forecast([(row.at, row.high) for row in rows], hour_of_week)
    if found is None:
        known = (rows[-1].at - rows[0].at) // DAY if rows else 0
        st.info(t("A forecast needs {n} days of history; there are {known}.", n=NEEDED_DAYS, known=known))
        return
    limits = data.read(analysis.limits)
    limit = limits.whole("MAX_CONCURRENT_BOTS") if limits else rows[-1].limit
    span = Span(now - 3 * DAY, found.points[-1].at)
    x = charts.x_axis(span)
    top = max([limit * 1.15] + [point.high * 1.05 for point in found.points])
    ahead = charts.table(
        {
            "at": point.at,
            "middle": point.middle,
            "low": point.low,
            "high": point.high,
            "when": times.when(point.at),
            "said": f"{number(point.middle)} ({number(point.low)} – {number(point.high)})",
        }
        for point in found.points
    )
    past = charts.table({"at": row.at, "middle": row.high} for row in rows if row.at >= span.start)
    band = (
        alt.Chart(ahead)
        .mark_area(opacity=0.22, color="#0072B2")
        .encode(x=x, y=charts.y_axis("low:Q", t("bots"), top), y2="high:Q")
    )
    middle = (
        alt.Chart(ahead)
        .mark_line(color="#0072B2", strokeWidth=1.8)
        .encode(
            x=x,
            y=charts.y_axis("middle:Q", t("bots"), top),
            tooltip=[alt.Tooltip("when:N", title=t("time")), alt.Tooltip("said:N", title=t("bots"))],
        )
    )
    before = (
        alt.Chart(past)
        .mark_line(color=charts.ink(), strokeWidth=1.6)
        .encode(x=x, y=charts.y_axis("middle:Q", t("bots"), top))
    )
    levels = alt.Chart(charts.table([{"y": limit}, {"y": 0.8 * limit}])).mark_rule(
        strokeDash=[6, 4], color=charts.quiet()
    )
    chart = alt.layer(band, before, middle, levels.encode(y=charts.y_axis("y:Q", t("bots"), top)))
    st.altair_chart(charts.finish(chart, 260), key="outlook", alt=t("The next 14 days"))
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


def summary(rows: Sequence[Row[Any]], span: Span, days: int) -> None:
    """The period in figures, beside the one before."""
    now, before = (
        data.read(analysis.load, span.start, span.end),
        data.read(analysis.load, span.start - span.length, span.start),
    )
    earlier = data.read(analysis.hours, span.start - span.length, span.start)

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
    days = int(choices.tabs(t("Period"), "days", {str(n): tn("{n} day", "{n} days", n) for n in (7, 28, 90)}, "28"))
    how = choices.tabs(t("Figure"), "how", {"p95": "p95", "mean": t("mean"), "max": t("max")})
end = times.now()
span = Span(end - days * DAY, end)
rows = data.read(analysis.hours, span.start, span.end)
if not rows:
    st.info(t("Nothing to show yet: patterns appear once the limiter has run for an hour."))
    st.stop()
summary(rows, span, days)
with st.container(border=True):
    st.header(t("Percent of the limit used, by weekday and hour"), anchor=False)
    st.altair_chart(heat_map(rows, how), key="heat", alt=t("Percent of the limit used, by weekday and hour"))
left, right = st.columns(2, gap="medium")
with left, st.container(border=True):
    stays(span.start)
with right, st.container(border=True):
    starts(rows, span)
with st.container(border=True):
    outlook()
left, right = st.columns(2, gap="medium")
with left, st.container(border=True):
    heavy(span.start)
with right, st.container(border=True):
    trades(span.start)
