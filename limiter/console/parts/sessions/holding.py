"""Sessions that hold a slot, and those that are over."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from sqlalchemy import Row

from limiter.console import data
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.cards import timeline
from limiter.console.kit.receipts import act, reason_field
from limiter.console.kit.words import language, lasting, memory, number, t, tn, view
from limiter.console.parts.sessions import drawer, lists, stopping
from limiter.console.sign_in.sign_ins import SignIn
from limiter.console.view import seconds_of
from limiter.rules.records import Drain
from limiter.rules.usage import IDLE_SECONDS, UNTOLD, said_of_idle
from limiter.rules.windows import day_of
from limiter.store import read
from limiter.units import MIB


def silent(row: Row[Any], now: int) -> bool:
    """Whether two heartbeats were missed; the database hears of heartbeats every 5 s."""
    return bool(now - (row.expires_at - row.lease_ms) > 2 * row.lease_ms // 3 + 5_000)


def holding(sign_in: SignIn, user: str, wanted: str) -> None:
    """Sessions that hold a slot: the `active`, or of them the `suspect` or the `idle` alone."""
    now = times.now()
    every = data.read(read.sessions.active, user)
    quiet = [row for row in every if silent(row, now)]
    rows = quiet if wanted == "suspect" else list(every)
    if wanted == "idle":
        rows = idle_of(every, now, user)
    else:
        release(sign_in, quiet)
    if not rows:
        if wanted != "idle" or data.read(read.usage.is_told) or not every:
            st.info(nobody(wanted if every else "active"))
        return
    order = order_of(rows) if wanted != "idle" else "idle"
    if order in ("memory", "cpu"):
        column = "memory_bytes" if order == "memory" else "cpu_percent"
        rows.sort(key=lambda row: -1 if (figure := getattr(row, column)) is None else figure, reverse=True)
    bar, place = st.container(), st.container()
    first = tables.page_of(len(rows)) * tables.PAGE
    shown = rows[first : first + tables.PAGE]
    day = day_of(now, data.settings().timezone).name
    trades, drain = data.read(read.usage.trades_of, [row.user_id for row in shown], day), data.read(read.limits.drain)
    cells = [active_row(row, now, drain, trades.get(row.user_id, 0), heavy=order in ("memory", "cpu")) for row in shown]
    unused = () if any(row[t("ends")] is not None for row in cells) else (t("ends"),)
    with place:
        picked = lists.draw(
            cells, "active", t("highest, MB"), t("because"), *unused, ticks=sign_in.may_change
        )  # fmt: skip
    by_id = {row[t("session")]: row for row in cells}
    if picked.ticked and sign_in.may_change:
        with bar:
            stop_ticked(sign_in, [by_id[one] for one in picked.ticked], picked.clear)
    if picked.opened is not None:
        drawer.details(sign_in, by_id[picked.opened], picked.close, living=True)


def nobody(wanted: str) -> str:
    """What an empty list says."""
    return {
        "active": t("No session holds a slot: a bot takes one when it starts, and Overview says how."),
        "suspect": t("No bot is silent: every slot belongs to a bot that beats."),
        "idle": t("Every bot has traded, or taken a signal or a token, within the last hour."),
    }[wanted]


def idle_of(every: Sequence[Row[Any]], now: int, user: str) -> list[Row[Any]]:
    """Those that have done nothing for an hour, the longest first, and what is to be said of them."""
    if not data.read(read.usage.is_told):
        st.info(UNTOLD.told(language()))
        return []
    rows = list(data.read(read.sessions.idle, now - 1000 * IDLE_SECONDS, user))
    if rows:
        st.caption(said_of_idle(len(rows), len(every), IDLE_SECONDS, language()))
    return rows


def order_of(rows: Sequence[Row[Any]]) -> str:
    """The order that is asked for, chosen beside what the measured bots cost together; `newest` where none is."""
    measured = [row for row in rows if row.memory_bytes is not None]
    if not measured and all(row.cpu_percent is None for row in rows):
        return "newest"
    orders = {"newest": t("Newest first"), "memory": t("Most memory first"), "cpu": t("Most CPU first")}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        order = url_widgets.select(t("Order"), "order", orders, label_visibility="collapsed", width=220)
        st.caption(
            t("{n} of {all} bots say what they cost: {memory} together, {cores} cores.",
              n=number(len(measured)), all=number(len(rows)), memory=memory(sum(row.memory_bytes for row in measured)),
              cores=number(sum(row.cpu_percent or 0 for row in rows) / 100, 1))
        )  # fmt: skip
    return order


def active_row(row: Row[Any], now: int, drain: Drain | None, trades: int, *, heavy: bool) -> dict[str, Any]:
    """What the table, the CSV and the details say of a session; what it costs stands first where that orders them."""
    at, why = ending(row, drain)
    who = {t("session"): f"s{row.number}", t("user"): row.user_id, t("bot"): row.bot_id}
    state = {
        t("state"): t("suspect") if silent(row, now) else t("active"),
        t("ends"): None if at is None else times.instant(at),
    }
    times_of = {
        t("started"): times.instant(row.started_at),
        t("age"): lasting((now - row.started_at) / 1000),
        t("last heartbeat"): lasting((now - row.last_heartbeat_at) / 1000),
        t("last use"): lasting((now - row.used_at) / 1000) if row.used_at is not None else t("never"),
    }
    first, then = (cost(row), state | times_of) if heavy else (state | times_of, cost(row))
    return who | first | then | {t("trades today"): trades, t("because"): why}


def ending(row: Row[Any], drain: Drain | None) -> tuple[int | None, str | None]:
    """When the session's announced end comes, by its own notice or the drain's, the earlier one, and why."""
    found = [(row.notice_at, row.notice_reason)] if row.notice_at is not None else []
    if drain is not None and drain.stop_at is not None:
        found.append((drain.stop_at, drain.reason))
    return min(found, default=(None, None))


def cost(row: Row[Any]) -> dict[str, float | None]:
    """What a bot holds and computes; empty where nobody measured it."""
    load, held = row.cpu_percent, {t("memory, MB"): row.memory_bytes, t("highest, MB"): row.memory_peak}
    cells = {name: None if size is None else round(size / MIB, 1) for name, size in held.items()}
    return cells | {t("CPU, %"): None if load is None else round(load, 1)}


def stop_ticked(sign_in: SignIn, rows: Sequence[dict[str, Any]], done: Callable[[], None]) -> None:
    """What can be done with the ticked sessions, above the table; `done` takes the ticks away."""
    ids = [row[t("session")] for row in rows]
    told = [row[t("session")] for row in rows if row[t("ends")] is not None]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(tn("**{n} session** ticked", "**{n} sessions** ticked", len(ids)), width="content")
        with st.popover(t("Stop…"), icon=":material/stop_circle:", type="primary"):
            st.caption(", ".join(row[t("user")] for row in rows[:20]) + ("…" if len(rows) > 20 else ""))
            if stopping.form(
                "stop-ticked", len(ids), lambda why, seconds: stopping.stop_of(sign_in, ids, why, seconds)
            ):
                done()
                st.rerun()
        if told:
            with st.popover(tn("Keep {n}…", "Keep {n}…", len(told)), icon=":material/undo:"):
                st.caption(t("The announced stops are taken back; a drain's is not."))
                label = t("Take the stop back")
                if stopping.back("keep-ticked", label, lambda limiter, why: limiter.keep_sessions(told, why), sign_in):
                    done()
                    st.rerun()


def release(sign_in: SignIn, rows: Sequence[Row[Any]]) -> None:
    """Give the slots of silent bots back at once."""
    if not rows or not sign_in.may_change:
        return
    label = tn("Release {n} silent session", "Release {n} silent sessions", len(rows))
    with st.popover(label, icon=":material/cleaning_services:", type="primary"):
        st.markdown(
            t(
                "These bots have missed two heartbeats. "
                "Their slots come back by themselves when their lease ends; releasing does it now."
            )
        )
        timeline([(row.last_heartbeat_at, f"{row.user_id} · {row.bot_id}") for row in rows[:20]])
        if len(rows) > 20:
            st.caption(tn("and {n} more", "and {n} more", len(rows) - 20))
        typed = stopping.confirmed(len(rows), "typed")
        reason_field("reap-reason")
        st.button(label, type="primary", key="reap", on_click=reap, args=(sign_in,), disabled=not typed)


def reap(sign_in: SignIn) -> None:
    """End every suspect session."""
    act(
        lambda why: data.admin(sign_in).reap(why), "reap-reason",
        lambda answer: tn("{n} session released.", "{n} sessions released.", len(answer.ended)),
    )  # fmt: skip


def ended(sign_in: SignIn, user: str) -> None:
    """Sessions that are over."""
    lengths = {"": t("any length"), **view().stays()}
    stay = url_widgets.select(t("Lasted"), "stay", lengths, width=220)
    lasted = seconds_of(stay) if stay else None
    total = data.read(read.sessions.count_ended, user or None, lasted=lasted)
    if not total:
        st.info(t("No session of that length has ended yet.") if stay else t("No session has ended yet."))
        return
    place, skipped = st.container(), tables.page_of(total) * tables.PAGE
    rows = data.read(read.sessions.ended, user or None, limit=tables.PAGE, offset=skipped, lasted=lasted)
    cells = [ended_row(row) for row in rows]
    with place:
        picked = lists.draw(cells, "ended")
    if picked.opened is not None:
        row = next(row for row in cells if row[t("session")] == picked.opened)
        drawer.details(sign_in, row, picked.close, living=False)
    if stay:
        st.caption(t("Of the newest {n} sessions.", n=number(read.sessions.LATEST)))
    elif total == 10_000:
        st.caption(t("The newest {n} are listed; name a user to see older ones.", n=number(total)))


def ended_row(row: Row[Any]) -> dict[str, Any]:
    """What the table, the CSV and the details say of a session that is over."""
    return {
        t("session"): f"s{row.number}",
        t("user"): row.user_id,
        t("bot"): row.bot_id,
        t("started"): times.instant(row.started_at),
        t("ended"): times.instant(row.ended_at),
        t("lasted"): lasting((row.ended_at - row.started_at) / 1000),
        t("highest, MB"): None if row.memory_peak is None else round(row.memory_peak / MIB, 1),
        t("CPU time"): "" if row.cpu_seconds is None else lasting(row.cpu_seconds),
        t("why"): drawer.ended_text(row.ended_reason),
    }
