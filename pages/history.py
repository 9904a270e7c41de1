"""How close to the limit were we, when, and what did we change?"""

import pandas as pd
import streamlit as st

from limiter.client import Refused
from limiter.clock import rfc3339
from limiter.console import data, frame
from limiter.console.charts import capacity
from limiter.console.data import History
from limiter.console.kit import tables, time_range, times
from limiter.console.kit.cards import Card, cards, timeline
from limiter.console.kit.receipts import receipt
from limiter.console.kit.words import lasting, number, percent, reason_text, t, tn, view
from limiter.console.parts import happenings, moment, then
from limiter.console.parts.limits import ahead
from limiter.console.sign_in.sign_ins import SignIn
from limiter.console.view import Span
from limiter.rules.guards import CPU_PERCENT, RAM_PERCENT
from limiter.store import read
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, RAW_STEP

sign_in = frame.begin()
GUARDS = {"CPU": CPU_PERCENT, "RAM": RAM_PERCENT}


def draw(sign_in: SignIn, span: Span) -> None:
    """Everything that depends on the range."""
    if st.session_state.pop("zoomed", False):
        st.rerun()  # the chart ran alone; the range above it has changed too
    if time_range.chosen() is None:
        span = Span(times.now() - span.length, times.now())
    shown = known_part(span)
    history = data.history(shown.start, shown.end)
    if history.bots.empty:
        nothing(span)
        return
    figures(history, span)
    stats = data.live(sign_in).stats
    comfort = stats.system.recommended_max_bots if stats else None
    limits = data.read(read.limits.read)
    drawn, course, to_come = ahead.beyond(shown, limits)
    marks, width = [*happenings.marks(shown), *to_come], history.width_ms
    chart = capacity.capacity(
        history.bots, drawn, view(), width_ms=width, limits=ahead.behind(shown), marks=marks, comfort=comfort,
        ahead=course, brush=True, height=340,
    )  # fmt: skip
    with st.container(border=True):
        alt = t("Bots against the limit of each time")
        moment.chart(chart, "bots", alt, width, zoom)
        if not history.refused.empty:
            chart = capacity.refusals(history.refused, drawn, view(), width_ms=width)
            moment.chart(chart, "refusals", t("Refusals by reason"), width)
        chart = capacity.box(history.bots, drawn, view(), width_ms=width, guards=GUARDS)
        moment.chart(chart, "box", t("CPU and RAM in percent"), width)
        if limits is not None:
            st.markdown(" · ".join(filter(None, (ahead.in_force(limits), ahead.coming(limits)))))
        st.caption(legend(history, span, shown, bool(course)))
    downloads(history, shown)


def known_part(span: Span) -> Span:
    """The span without the time before the first snapshot."""
    known = data.read(read.history.bounds)
    return span.since(known[0]) if known and known[0] < span.end else span


def zoom(selection: moment.Selection) -> None:
    """Stand on the range that was drawn."""
    if ends := selection.get("span", {}).get("at"):
        now = times.now()  # of what is to come there are no samples
        time_range.choose(*(min(one, now) for one in ends))
        st.session_state["zoomed"] = True


def legend(history: History, span: Span, shown: Span, foretold: bool) -> str:
    """What the lines are, how exact, and where they start."""
    kept = {RAW_STEP: t("5-second snapshots"), MINUTE_STEP: t("minute means"), HOUR_STEP: t("hour means")}
    source = kept.get(history.step) or t("means of {time}", time=lasting(history.step))
    start = t("Nothing is known before {time}: the charts start there.", time=times.when(shown.start))
    parts = [] if shown == span else [start]
    parts += [
        t(
            "Line: mean over {width}, from {source}; shade: least to most.",
            width=lasting(history.width_ms / 1000),
            source=source,
        ),
        t("Dashed: the limit of that time. Dotted: comfortable for this box, and the guards. Gaps: no data."),
        t("Drag over the bots to zoom; click to see who held which slot then."),
    ]
    if foretold:
        parts.append(t("Right of now: the limit as windows, plan and probation will have it."))
    return " ".join(parts)


def figures(history: History, span: Span) -> None:
    """The period in five figures."""
    load = data.load(span.start, span.end)
    p95 = float(history.bots["mean"].quantile(0.95, interpolation="lower"))
    refused = sum(load.refusals.values())
    top = max(load.refusals.items(), key=lambda item: item[1], default=None)
    highest = history.bots["high"].max()
    cards(
        [
            Card(
                t("Peak"),
                number(load.peak if load.peak is not None else highest),
                times.when(load.peak_at) if load.peak_at else "",
            ),
            Card(t("95th percentile"), number(p95), t("of the means drawn")),
            Card(
                t("At 80% or more"),
                lasting(load.busy_seconds),
                share(load.busy_seconds, load.known_seconds),
                "said" if load.busy_seconds else "",
            ),
            Card(
                t("Full"),
                lasting(load.full_seconds),
                share(load.full_seconds, load.known_seconds),
                "bad" if load.full_seconds else "",
            ),
            Card(
                t("Refused"),
                number(refused),
                reason_text(top[0]) + f" {number(top[1])}" if top else t("nobody was turned away"),
            ),
        ]
    )


def share(seconds: int, known: int) -> str:
    """A part of the time that is known of the period: on the launch day that is not all of it."""
    return t("{percent} of the time", percent=percent(100 * seconds / known if known else 0.0))


def nothing(span: Span) -> None:
    """What to do where there is no sample."""
    st.info(t("No samples in this range: {range}.", range=time_range.caption(span)))
    known = data.read(read.history.bounds)
    if known is None:
        st.caption(t("The limiter takes one every 5 seconds from its first start on."))
        return
    st.write(t("First sample: {time}", time=times.when(known[0])))
    st.button(
        t("Go there"), on_click=time_range.choose, args=(known[0], known[0] + span.length), icon=":material/first_page:"
    )


def rows_of(history: History) -> pd.DataFrame:
    """The buckets as table, CSV and JSON show them."""
    bots = history.bots
    rows = pd.DataFrame(
        {
            "at": bots["at"].dt.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "bots_min": bots["low"],
            "bots_mean": bots["mean"],
            "bots_max": bots["high"],
            "limit": bots["limit"],
            "cpu_percent": bots["cpu"],
            "ram_percent": bots["ram"],
            **{name: bots[name] for name in ("tokens", "signals", "starts")},
        }
    )
    if not history.refused.empty:
        sums = history.refused.pivot_table(index="at", columns="reason", values="n", aggfunc="sum")
        sums = sums.reindex(bots["at"]).fillna(0).astype(int).reset_index(drop=True)
        rows = rows.join(sums.add_prefix("refused_"))
    return rows.assign(
        measured_bots=bots["measured"], bot_memory_mb=bots["bot_memory"], bot_cpu_percent=bots["bot_cpu"]
    )


def downloads(history: History, span: Span) -> None:
    """The same figures to take away."""
    rows = rows_of(history)
    name = f"capacity-{rfc3339(span.start)[:16].replace(':', '')}"
    with st.container(horizontal=True, gap="small"):
        tables.csv_button(rows, name)
        st.download_button(
            "JSON",
            lambda: rows.to_json(orient="records", indent=1),
            f"{name}.json",
            "application/json",
            on_click="ignore",
            icon=":material/download:",
        )
        with st.popover("API", icon=":material/data_object:"):
            query = f"from={rfc3339(span.start)}&to={rfc3339(span.end)}&step={history.width_ms // 1000}"
            st.code(
                f"curl -H \"Authorization: Bearer $LIMITER_KEY\" '{data.limiter_url()}/api/admin/history?{query}'",
                language=None,
                wrap_lines=True,
            )
        with st.popover(tn("{n} row", "{n} rows", len(rows)), icon=":material/table_rows:"):
            tables.show(rows, height=360, width=760)


def notes(span: Span) -> None:
    """What was changed and written down, and the form for a note."""
    st.header(t("Changes and notes"), anchor=False)
    marks = sorted(happenings.happened(span), key=lambda row: row["at"], reverse=True)
    if marks:
        with st.container(border=True):
            timeline([(row["at"], f"{row['kind']} · {row['what']} · {row['who']}") for row in marks])
    else:
        st.caption(t("No change of the limit and no note in this range."))
    if sign_in.may_change:
        with (
            st.form("note", clear_on_submit=True, border=False),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            st.text_input(
                t("New note"),
                key="note-text",
                max_chars=500,
                placeholder=t("What happened? It is marked on the charts at this instant."),
            )
            st.form_submit_button(t("Add note"), on_click=add_note, icon=":material/add:")


def add_note() -> None:
    """Write it, for now."""
    if text := st.session_state["note-text"].strip():
        try:
            data.admin(sign_in).add_note(text)
            receipt(t("Note added."))
        except Refused as refused:
            receipt(str(refused), good=False)


st.title(t("Capacity history"), anchor=False)
span = time_range.picker()
seconds = frame.ticking(max(30, span.length / 200_000)) if time_range.chosen() is None else None
frame.live(seconds, height=600)(draw)(sign_in, span)
with st.container(border=True):
    st.header(t("Who held which slot"), anchor=False)
    if (known := data.read(read.history.bounds)) is None:
        st.caption(t("Nothing is known yet."))
    else:
        at = then.pick(span.since(known[0]) if known[0] < span.end else span)
        frame.live(height=420)(then.show)(sign_in, at)
notes(span)
moment.drawer(sign_in, in_history=True)
