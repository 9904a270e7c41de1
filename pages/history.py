"""How close to the limit were we, when, and what did we change?"""

import json
from typing import Any

import streamlit as st

from limiter.client import Refused
from limiter.console import data, frame
from limiter.console.charts import capacity
from limiter.console.frame import Card
from limiter.console.kit import tables, time_range, times
from limiter.console.kit.times import Span
from limiter.console.kit.words import lasting, number, percent, reason_text, t, tn
from limiter.console.parts import happenings
from limiter.console.sign_in.sign_ins import SignIn
from limiter.store import read
from limiter.store.read.history import Series

sign_in = frame.begin()


def draw(sign_in: SignIn, span: Span) -> None:
    """Everything that depends on the range."""
    if st.session_state.pop("zoomed", False):
        st.rerun()  # the chart ran alone; the range above it has changed too
    if time_range.chosen() is None:
        span = Span(times.now() - span.length, times.now())
    series = data.read(read.history.series, span.start, span.end)
    if not series.rows:
        nothing(span)
        return
    figures(series, span)
    stats = data.live(sign_in).stats
    comfort = stats.system.recommended_max_bots if stats else None
    chart = capacity.capacity(series, span, happenings.marks(span), comfort, height=340, brush=True)
    with st.container(border=True):
        st.vega_lite_chart(
            chart, key="bots", on_select=zoom, selection_mode="span", alt=t("Bots against the limit of each time")
        )
        if series.refused:
            st.vega_lite_chart(capacity.refusals(series, span), key="refusals", alt=t("Refusals by reason"))
        st.vega_lite_chart(capacity.box(series, span), key="box", alt=t("CPU and RAM in percent"))
        st.caption(legend(series))
    downloads(series, span)


def zoom() -> None:
    """Stand on the range that was drawn."""
    selection = st.session_state["bots"]["selection"].get("span", {})
    if ends := selection.get("at"):
        time_range.choose(ends[0], ends[-1])
        st.session_state["zoomed"] = True


def legend(series: Series) -> str:
    """What the lines are, and how exact."""
    source = {5: t("5-second snapshots"), 60: t("minute means"), 3600: t("hour means")}[series.step]
    parts = [
        t(
            "Line: mean over {width}, from {source}; shade: least to most.",
            width=lasting(series.bucket_ms / 1000),
            source=source,
        ),
        t("Dashed: the limit of that time. Dotted: comfortable for this box, and the guards. Gaps: no data."),
        t("Drag over the bots to zoom."),
    ]
    return " ".join(parts)


def figures(series: Series, span: Span) -> None:
    """The period in five figures."""
    load = data.read(read.history.load, span.start, span.end)
    means = sorted(row.mean for row in series.rows)
    p95 = means[min(len(means) - 1, int(0.95 * len(means)))]
    refused = sum(load.refusals.values())
    top = max(load.refusals.items(), key=lambda item: item[1], default=None)
    highest = max((row.high for row in series.rows), default=0)
    frame.cards(
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
                share(load.busy_seconds, span),
                "said" if load.busy_seconds else "",
            ),
            Card(
                t("Full"),
                lasting(load.full_seconds),
                share(load.full_seconds, span),
                "bad" if load.full_seconds else "",
            ),
            Card(
                t("Refused"),
                number(refused),
                reason_text(top[0]) + f" {number(top[1])}" if top else t("nobody was turned away"),
            ),
        ]
    )


def share(seconds: float, span: Span) -> str:
    """A part of the period."""
    return t("{percent} of the time", percent=percent(100_000 * seconds / span.length))


def nothing(span: Span) -> None:
    """What to do where there is no sample."""
    st.info(t("No samples between {range}.", range=time_range.caption(span)))
    known = data.read(read.history.bounds)
    if known is None:
        st.caption(t("The limiter takes one every 5 seconds from its first start on."))
        return
    st.write(t("First sample: {time}", time=times.when(known[0])))
    st.button(
        t("Go there"), on_click=time_range.choose, args=(known[0], known[0] + span.length), icon=":material/first_page:"
    )


def rows_of(series: Series) -> list[dict[str, Any]]:
    """The buckets as table, CSV and JSON show them."""
    reasons = sorted({reason for found in series.refused.values() for reason in found})
    return [
        {
            "at": times.rfc3339(row.at),
            "bots_min": row.low,
            "bots_mean": row.mean,
            "bots_max": row.high,
            "limit": row.limit,
            "cpu_percent": row.cpu,
            "ram_percent": row.ram,
            "tokens": row.tokens,
            "signals": row.signals,
            "starts": row.starts,
            **{f"refused_{reason}": series.refused.get(row.at, {}).get(reason, 0) for reason in reasons},
            "measured_bots": row.measured,
            "bot_memory_mb": row.bot_memory,
            "bot_cpu_percent": row.bot_cpu,
        }
        for row in series.rows
    ]


def downloads(series: Series, span: Span) -> None:
    """The same figures to take away."""
    rows = rows_of(series)
    name = f"capacity-{times.rfc3339(span.start)[:16].replace(':', '')}"
    with st.container(horizontal=True, gap="small"):
        tables.csv_button(rows, name)
        st.download_button(
            "JSON",
            lambda: json.dumps(rows, indent=1),
            f"{name}.json",
            "application/json",
            on_click="ignore",
            icon=":material/download:",
        )
        with st.popover("API", icon=":material/data_object:"):
            query = f"from={times.rfc3339(span.start)}&to={times.rfc3339(span.end)}&step={series.bucket_ms // 1000}"
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
        shown = [
            {t("time"): times.when(row["at"]), t("kind"): row["kind"], t("what"): row["what"], t("who"): row["who"]}
            for row in marks
        ]
        tables.show(shown)
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
            frame.receipt(t("Note added."))
        except Refused as refused:
            frame.receipt(str(refused), good=False)


st.title(t("Capacity history"), anchor=False)
span = time_range.picker()
frame.live(frame.ticking(max(30, span.length / 200_000)) if time_range.chosen() is None else None)(draw)(sign_in, span)
notes(span)
