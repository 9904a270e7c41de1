"""The drawer: what is known of a session and its user, and what can be done."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from limiter.console import data
from limiter.console.kit.cards import facts, timeline
from limiter.console.kit.words import lasting, number, reason_text, t, tn, value_text, verbatim
from limiter.console.parts.sessions import stopping
from limiter.console.sign_in.sign_ins import SignIn
from limiter.store import read


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


def details(sign_in: SignIn, row: dict[str, Any], closed: Callable[[], None], *, living: bool) -> None:
    """Open it; `closed` forgets which row was opened. `living`: it holds a slot and can be stopped."""
    user, session = row[t("user")], row[t("session")]

    @st.dialog(f"{user} · {row[t('bot')]}", position="right", width="medium", on_dismiss=closed)
    def drawer() -> None:
        st.code(session, language=None)
        known = {label: value for label, value in row.items() if value is not None and label != t("session")}
        facts((label, number(one, 1) if isinstance(one, float) else one) for label, one in known.items())
        own_limits(user)
        st.markdown(f"**{t('Before')}**")
        timeline(past(user))
        if living and sign_in.may_change and stop(sign_in, user, session, announced=row.get(t("ends")) is not None):
            closed()
            st.rerun()

    drawer()


def own_limits(user: str) -> None:
    """What holds for this user alone, and the way to change it."""
    own = data.read(read.limits.overrides).get(user)
    if own is not None:
        held = ", ".join(f"{limit} {value_text(value)}" for limit, value in own.limits.items())
        st.markdown(f"**{t('Own limits')}** · {held} · {verbatim(own.reason)}")
    st.page_link(
        "limits.py",
        label=t("Limits of this user"),
        icon=":material/tune:",
        query_params={"tab": "users", "of": user},
    )


def past(user: str, most: int = 8) -> list[tuple[int, str]]:
    """The newest ends and refusals of a user: instant and what it was."""
    found = [
        (
            one.ended_at,
            f"{one.bot_id} · {lasting((one.ended_at - one.started_at) / 1000)} · {ended_text(one.ended_reason)}",
        )
        for one in data.read(read.sessions.ended, user, limit=most)
    ]
    found += [
        (one.at, t("refused: {why}", why=reason_text(one.reason)) + f" ({one.request_id})")
        for one in data.read(read.refusals.refusals, user, limit=most)
    ]
    return sorted(found, reverse=True)[:most]


def stop(sign_in: SignIn, user: str, session: str, *, announced: bool) -> bool:
    """Stop this session, or all of its user; or take the announced stop back. Whether something was done."""
    if announced:
        st.markdown(f"**{t('Take the announced stop back')}**")
        if stopping.back(
            "keep", t("Take the stop back"), lambda limiter, why: limiter.keep_session(session, why), sign_in
        ):
            return True
    st.markdown(f"**{t('Stop this session')}**")
    held = sum(row.user_id == user for row in data.read(read.sessions.active, user))
    label = t("All {n} bots of this user", n=number(held))
    if held > 1 and st.checkbox(label, key="stop-all"):
        name = tn("Stop {n} session", "Stop {n} sessions", held)
        return stopping.form(
            "stop", held, lambda why, seconds: stopping.stop_of_user(sign_in, user, why, seconds), label=name
        )
    return stopping.form(
        "stop", 1, lambda why, seconds: stopping.stop_of(sign_in, [session], why, seconds), label=t("Stop")
    )
