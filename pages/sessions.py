"""Who holds the slots, and which are dead?"""

from collections.abc import Sequence
from typing import Any

import streamlit as st
from sqlalchemy import Row

from limiter.client import Refused
from limiter.console import data, frame
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.cards import Card, cards, facts, timeline
from limiter.console.kit.receipts import act, reason_field
from limiter.console.kit.words import lasting, memory, number, reason_text, t, tn, value_text, verbatim
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.refusals import RECORDED
from limiter.rules.windows import day_of
from limiter.store import read
from limiter.units import MIB

sign_in = frame.begin()
PAGE = 50
TYPED_ABOVE = 10
ORDERS = {"newest": t("Newest first"), "memory": t("Most memory first"), "cpu": t("Most CPU first")}
VIEWS = {"active": t("Active"), "suspect": t("Suspect"), "ended": t("Ended"), "refusals": t("Refusals")}


def silent(row: Row[Any], now: int) -> bool:
    """Whether two heartbeats were missed; the database hears of heartbeats every 5 s."""
    return bool(now - row.last_heartbeat_at > 2 * row.lease_ms // 3 + 5_000)


def figures(sign_in: SignIn) -> None:
    """Slots counted against bots heard: the answer to "full, but 150 of 200"."""
    stats = data.live(sign_in).stats
    if stats is None:
        return
    capacity, sessions = stats.capacity, stats.sessions
    heard = capacity.current_bots - sessions.suspect
    lease = stats.limits["BOT_LEASE_SECONDS"]
    gap = tn("{n} slot is held by a silent bot", "{n} slots are held by silent bots", sessions.suspect)
    cards(
        [
            Card(
                t("Slots counted"),
                number(capacity.current_bots),
                t("of {limit}", limit=number(capacity.max_bots)),
            ),
            Card(t("Bots heard"), number(heard), t("within two heartbeats")),
            Card(t("Suspect bots"), number(sessions.suspect), gap, "said" if sessions.suspect else ""),
            Card(
                t("Lost, 1 h"),
                number(sessions.expired_last_hour),
                t("slot freed after {time} of silence", time=lasting(lease or 0)),
            ),
        ]
    )


def controls() -> tuple[str, str]:
    """Which list, and of whom."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        view = url_widgets.tabs(t("List"), "view", VIEWS)
        user = url_widgets.text(t("User"), "user", placeholder=t("User…"), icon=":material/search:", width=220)
    return view, user


def page_of(total: int) -> int:
    """The chosen page, counted from 0."""
    pages = max(1, -(-total // PAGE))
    if pages == 1:
        return 0
    return st.pagination(pages, key="page", bind="query-params") - 1


def holding(view: str, user: str) -> None:
    """Sessions that hold a slot."""
    now = times.now()
    rows = [row for row in data.read(read.sessions.active, user) if view == "active" or silent(row, now)]
    if view == "suspect" or any(silent(row, now) for row in rows):
        release([row for row in rows if silent(row, now)], now)
    if not rows:
        st.info(
            t("No bot is silent: every slot belongs to a bot that beats.")
            if view == "suspect"
            else t("No session holds a slot.")
        )
        return
    order = order_of(rows)
    if order != "newest":
        column = "memory_bytes" if order == "memory" else "cpu_percent"
        rows.sort(key=lambda row: -1 if (figure := getattr(row, column)) is None else figure, reverse=True)
    place = st.container()
    first = page_of(len(rows)) * PAGE
    shown = rows[first : first + PAGE]
    day = day_of(now, data.settings().timezone).name
    trades = data.read(read.usage.trades_of, [row.user_id for row in shown], day)
    with place:
        list_of([active_row(row, now, trades.get(row.user_id, 0), heavy=order != "newest") for row in shown], "active")


def order_of(rows: Sequence[Row[Any]]) -> str:
    """The order that is asked for, chosen beside what the measured bots cost together; `newest` where none is."""
    measured = [row for row in rows if row.memory_bytes is not None]
    if not measured and all(row.cpu_percent is None for row in rows):
        return "newest"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        order = url_widgets.select(t("Order"), "order", ORDERS, label_visibility="collapsed", width=220)
        st.caption(
            t("{n} of {all} bots say what they cost: {memory} together, {cores} cores.",
              n=number(len(measured)), all=number(len(rows)), memory=memory(sum(row.memory_bytes for row in measured)),
              cores=number(sum(row.cpu_percent or 0 for row in rows) / 100, 1))
        )  # fmt: skip
    return order


def active_row(row: Row[Any], now: int, trades: int, *, heavy: bool) -> dict[str, Any]:
    """What the table, the CSV and the details say of a session; what it costs stands first where that orders them."""
    who = {t("session"): f"s{row.number}", t("user"): row.user_id, t("bot"): row.bot_id}
    state = {t("state"): t("suspect") if silent(row, now) else t("active")}
    times_of = {
        t("started"): times.instant(row.started_at),
        t("age"): lasting((now - row.started_at) / 1000),
        t("last heartbeat"): lasting((now - row.last_heartbeat_at) / 1000),
    }
    first, then = (cost(row), state | times_of) if heavy else (state | times_of, cost(row))
    return who | first | then | {t("trades today"): trades}


def cost(row: Row[Any]) -> dict[str, float | None]:
    """What a bot holds and computes; empty where nobody measured it."""
    load, held = row.cpu_percent, {t("memory, MB"): row.memory_bytes, t("highest, MB"): row.memory_peak}
    cells = {name: None if size is None else round(size / MIB, 1) for name, size in held.items()}
    return cells | {t("CPU, %"): None if load is None else round(load, 1)}


def ended(user: str) -> None:
    """Sessions that are over."""
    total = data.read(read.sessions.count_ended, user or None)
    if not total:
        st.info(t("No session has ended yet."))
        return
    place = st.container()
    rows = data.read(read.sessions.ended, user or None, limit=PAGE, offset=page_of(total) * PAGE)
    with place:
        list_of(
            [
                {
                    t("session"): f"s{row.number}",
                    t("user"): row.user_id,
                    t("bot"): row.bot_id,
                    t("started"): times.instant(row.started_at),
                    t("ended"): times.instant(row.ended_at),
                    t("lasted"): lasting((row.ended_at - row.started_at) / 1000),
                    t("highest, MB"): None if row.memory_peak is None else round(row.memory_peak / MIB, 1),
                    t("CPU time"): "" if row.cpu_seconds is None else lasting(row.cpu_seconds),
                    t("why"): ended_text(row.ended_reason),
                }
                for row in rows
            ],
            "ended",
        )
    if total == 10_000:
        st.caption(t("The newest 10 000 are listed; name a user to see older ones."))


def ended_text(reason: str) -> str:
    """Why a session ended."""
    return {
        "stopped": t("stopped by the bot"),
        "lease_expired": t("silent: lease ran out"),
        "replaced": t("replaced by a new start"),
        "admin_stop": t("stopped by an operator"),
        "drained": t("ended by a drain"),
        "reaped": t("released by an operator"),
    }.get(reason, reason)


def list_of(rows: Sequence[dict[str, Any]], name: str) -> None:
    """The table; a selected row opens its details."""
    where = times.zone()
    moments = {
        column: st.column_config.DatetimeColumn(timezone=str(where), format="DD/MM HH:mm:ss")
        for column in (t("started"), t("ended"))
    }
    costs = {
        t("memory, MB"): st.column_config.NumberColumn(help=t("What its processes hold and share with nobody.")),
        t("CPU, %"): st.column_config.NumberColumn(help=t("Of one core, over the last minute.")),
    }
    hidden = {t("highest, MB"): None} if name == "active" else {}  # the details and the CSV have it
    key = f"list-{name}-{st.session_state.get('closed', 0)}"
    found = tables.show(
        rows, column_config=moments | costs | hidden, key=key, on_select="rerun", selection_mode="single-row",
        placeholder="–",
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        tables.csv_button(rows, f"sessions-{name}")
        st.caption(t("Select a row for its details."))
    if found.selection.rows and found.selection.rows[0] < len(rows):
        details(rows[found.selection.rows[0]], name)


def closed() -> None:
    """Forget the selection, so that the same row can be opened again."""
    st.session_state["closed"] = st.session_state.get("closed", 0) + 1


def details(row: dict[str, Any], name: str) -> None:
    """The drawer: what is known of the session and its user, and what can be done."""

    @st.dialog(f"{row[t('user')]} · {row[t('bot')]}", position="right", width="medium", on_dismiss=closed)
    def drawer() -> None:
        user = row[t("user")]
        st.code(row[t("session")], language=None)
        known = {label: value for label, value in row.items() if value is not None and label != t("session")}
        facts((label, number(one, 1) if isinstance(one, float) else one) for label, one in known.items())
        own = data.read(read.limits.overrides).get(user)
        if own is not None:
            held = ", ".join(f"{limit} {value_text(value)}" for limit, value in own.limits.items())
            st.markdown(f"**{t('Own limits')}** · {held} · {own.reason}")
        st.page_link(
            "limits.py",
            label=t("Limits of this user"),
            icon=":material/tune:",
            query_params={"tab": "users", "of": user},
        )
        st.markdown(f"**{t('Before')}**")
        past = [
            (
                one.ended_at,
                f"{one.bot_id} · {lasting((one.ended_at - one.started_at) / 1000)} · {ended_text(one.ended_reason)}",
            )
            for one in data.read(read.sessions.ended, user, limit=6)
        ]
        past += [
            (one.at, t("refused: {why}", why=reason_text(one.reason)) + f" ({one.request_id})")
            for one in data.read(read.refusals.refusals, user, limit=6)
        ]
        timeline(sorted(past, reverse=True)[:8])
        if name == "active" and sign_in.may_change:
            st.markdown(f"**{t('Stop this session')}**")
            reason_field("stop-reason")
            st.button(t("Stop"), type="primary", key="stop", on_click=stop, args=(row[t("session")], user))

    drawer()


def stop(public_id: str, user: str) -> None:
    """End it; its bot is told at its next beat."""
    act(
        lambda why: data.admin(sign_in).stop_session(public_id, why),
        "stop-reason",
        t("{session} of {user} is stopped.", session=public_id, user=user),
    )
    closed()


def release(rows: Sequence[Row[Any]], now: int) -> None:
    """The primary action: give the slots of silent bots back at once."""
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
        typed = len(rows) <= TYPED_ABOVE or st.text_input(t("Type {n} to confirm", n=len(rows)), key="typed") == str(
            len(rows)
        )
        reason_field("reap-reason")
        st.button(label, type="primary", key="reap", on_click=reap, disabled=not typed)


def reap() -> None:
    """End every suspect session."""
    act(
        lambda why: data.admin(sign_in).reap(why), "reap-reason",
        lambda answer: tn("{n} session released.", "{n} sessions released.", len(answer.ended)),
    )  # fmt: skip


def refusals(user: str) -> None:
    """Who was refused, when, and by which limit at that instant."""
    with st.container(horizontal=True, gap="small"):
        texts = {"": t("Every reason")} | {name: reason_text(name) for name in RECORDED}
        reason = url_widgets.select(t("Reason"), "reason", texts, label_visibility="collapsed", width=260)
        placeholder = t("Request id the user was shown")
        asked = url_widgets.text(t("Request id"), "request", placeholder=placeholder, icon=":material/tag:", width=320)
    if asked:
        explain(asked)
    total = data.read(read.refusals.count, user or None, reason or None)
    if not total:
        st.info(t("Nobody was refused."))
        return
    place = st.container()
    start = page_of(total) * PAGE
    rows = data.read(read.refusals.refusals, user or None, reason or None, limit=PAGE, offset=start)
    shown = [
        {
            t("time"): times.instant(row.at),
            t("user"): row.user_id or t("several users"),
            t("reason"): reason_text(row.reason),
            t("limit"): row.limit_name or "",
            t("value then"): "" if row.value is None else number(row.value),
            t("count then"): "" if row._mapping["count"] is None else number(row._mapping["count"]),
            t("version"): row.version,
            t("times"): row.repeats,
            t("request id"): row.request_id,
        }
        for row in rows
    ]
    with place:
        zone = str(times.zone())
        tables.show(
            shown, column_config={t("time"): st.column_config.DatetimeColumn(timezone=zone, format="DD/MM HH:mm:ss")}
        )
        tables.csv_button(shown, "refusals")


def explain(request_id: str) -> None:
    """The answer to "why was I refused?": the sentence, what would have helped, and who held the slots then."""
    with st.container(border=True):
        try:
            answer = data.admin(sign_in).explain(request_id)
        except Refused as refused:
            if refused.status != 404:
                raise
            st.markdown(t("No refusal has this request id. Single refusals are kept for a time; see Settings."))
            return
        row = answer.refusal
        st.markdown(f"**{times.when(times.millis(row.at))} · {row.user_id or ''}** · {reason_text(row.reason)}")
        st.markdown(verbatim(answer.sentence))
        if row.limit:
            st.markdown(
                t("`{limit}` was {value} at that instant (version {version}), and {count} were taken.",
                  limit=row.limit, value=value_text(row.value), version=row.version, count=number(row.count or 0))
            )  # fmt: skip
        st.markdown(verbatim(answer.way_out))
        if answer.decided_again is False:
            st.warning(t("Decided again from what was recorded, it is not refused for this reason."))
        if answer.holders:
            st.caption(t("Held longest at that instant:"))
            tables.show(
                [
                    {
                        t("user"): one.user_id,
                        t("bot"): one.bot_id,
                        t("started"): times.when(times.millis(one.started_at)),
                    }
                    for one in answer.holders
                ]
            )


st.title(t("Sessions"), anchor=False)
frame.live(frame.ticking(5))(figures)(sign_in)
view, user = controls()
if view == "refusals":
    refusals(user)
elif view == "ended":
    ended(user)
else:
    holding(view, user)
