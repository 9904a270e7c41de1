"""One user's own limits."""

import functools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import streamlit as st

from limiter.clock import rfc3339
from limiter.console import data
from limiter.console.kit import tables, times, url_widgets
from limiter.console.kit.receipts import act, reason_field, receipt
from limiter.console.kit.words import actor_text, language, t, tn, value_text
from limiter.console.parts.limits.fields import conflict
from limiter.console.parts.sessions import stopping
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.limits import USER_LIMITS, Limits, Override
from limiter.store import read
from limiter.system_limits import LIMITS


def draw(sign_in: SignIn, limits: Limits) -> None:
    """Overrides of the limits of scope user."""
    user = url_widgets.text(
        t("User"), "of", placeholder=t("User to give own limits…"), icon=":material/person_search:", width=320
    )
    now = times.now()
    if user:
        kept = base(user, limits, now)
        if kept.version != limits.version:
            conflict(start_over)
        one_user(sign_in, user, kept, now)
    st.header(t("Users with own limits"), anchor=False)
    if not limits.overrides:
        st.caption(t("Nobody has own limits: the system's hold for everyone."))
        return
    rows = [
        {
            t("user"): name,
            t("limits"): ", ".join(f"{limit} {value_text(value)}" for limit, value in own.limits.items()),
            t("state"): t("in force") if own.holds(now) else t("over"),
            t("until"): times.when(own.until) if own.until else t("for good"),
            t("reason"): own.reason,
            t("who"): actor_text(own.changed_by),
        }
        for name, own in sorted(limits.overrides.items(), key=lambda item: (not item[1].holds(now), item[0]))
    ]
    tables.show(rows)


def base(user: str, limits: Limits, now: int) -> Limits:
    """The limits that the user's fields were filled from; they stay while somebody types, whatever others change."""
    begun: tuple[str, Limits] = st.session_state.get("own-limits", ("", limits))
    whose, kept = begun
    if whose != user or (kept.version != limits.version and not typed(user, kept, now)):
        st.session_state["own-limits"] = user, (kept := limits)
    return kept


def typed(user: str, limits: Limits, now: int) -> bool:
    """Whether the fields say something other than what they were filled with."""
    own, state = in_force(user, limits, now), st.session_state
    first: dict[str, Any] = {name: None if own is None else own.limits.get(name) for name in USER_LIMITS}
    first |= {"reserve": own is not None and own.reserve, until_name(): until_of(own)}
    keys = {name: key_of(name, user, limits) for name in first}
    return any(state.get(key, first[name]) != first[name] for name, key in keys.items())


def start_over() -> None:
    """Forget what was typed."""
    st.session_state.pop("own-limits", None)


def in_force(user: str, limits: Limits, now: int) -> Override | None:
    """What the user has of their own and is not over."""
    own = limits.overrides.get(user)
    return own if own is not None and own.holds(now) else None


def until_of(own: Override | None) -> datetime | None:
    """Its end on the wall clock of the run's zone, as a field of minutes has it."""
    if own is None or own.until is None:
        return None
    return times.local(own.until).replace(tzinfo=None, second=0, microsecond=0)


def until_name() -> str:
    """The field of the end, one for each zone: the same wall clock is another instant in another one."""
    return f"until {times.zone()}"


def key_of(name: str, user: str, limits: Limits) -> str:
    """A field's key: a new version brings new fields."""
    return f"own-{name}-{user}-{limits.version}"


def one_user(sign_in: SignIn, user: str, limits: Limits, now: int) -> None:
    """The form for one user."""
    own = in_force(user, limits, now)
    with st.container(border=True):
        st.markdown(f"**{user}** · " + (t("own limits in force") if own else t("the system's limits hold")))
        values = fields(user, limits, own)
        reserve = st.checkbox(
            t("May take reserved slots (RESERVED_SLOTS)"),
            own is not None and own.reserve,
            key=key_of("reserve", user, limits),
        )
        label, key = t("Until (empty: for good)"), key_of(until_name(), user, limits)
        until = st.datetime_input(label, until_of(own), format="DD/MM/YYYY", key=key)
        if not sign_in.may_change:
            return
        held = sum(row.user_id == user for row in data.read(read.sessions.active, user))
        suspended = values.get("MAX_BOTS_PER_USER") == 0
        stops = (
            bool(held)
            and suspended
            and st.checkbox(
                tn("Stop the {n} bot that runs as well", "Stop the {n} bots that run as well", held), key="own-stop"
            )
        )
        seconds = stopping.seconds_field("own-stop-in") if stops else None
        reason_field("own-reason")
        with st.container(horizontal=True):
            st.button(
                t("Save"),
                type="primary",
                key="own-save",
                on_click=save_user,
                args=(sign_in, user, values, until, reserve, limits.version, seconds),
            )
            if user in limits.overrides:
                back = (sign_in, user, limits.version)
                st.button(t("Take own limits back"), key="own-clear", on_click=clear_user, args=back)
            if held and not suspended:
                with st.popover(t("Stop…"), icon=":material/stop_circle:"):
                    send = functools.partial(stopping.stop_of_user, sign_in, user)
                    if stopping.form("stop-user", held, send):
                        st.rerun()


def fields(user: str, limits: Limits, own: Override | None) -> dict[str, Any]:
    """A field for each limit of scope user, with what the user has of their own; what is typed, None where empty."""
    values: dict[str, Any] = {}
    for column, name in zip(st.columns(len(USER_LIMITS)), USER_LIMITS, strict=True):
        limit = LIMITS[name]
        given = own.limits.get(name) if own is not None else None
        kind: type[int] | type[float] = int if limit.whole else float
        with column:
            key = key_of(name, user, limits)
            st.session_state.setdefault(key, None if given is None else kind(given))  # so it can be emptied
            values[name] = st.number_input(
                name,
                kind(limit.minimum),
                kind(limit.maximum),
                None,
                kind(limit.step),
                key=key,
                placeholder=t("system: {value}", value=value_text(limits.values[name])),
                help=limit.meaning_in(language()),
            )
    return values


def save_user(
    sign_in: SignIn,
    user: str,
    values: Mapping[str, Any],
    until: datetime | None,
    reserve: bool,
    version: int,
    stop_in: int | None = None,
) -> None:
    """Replace the user's set, as it was under that version; `stop_in`: end the user's bots too, in so many seconds."""
    wanted = {name: value for name, value in values.items() if value is not None}
    if not wanted and not reserve:
        receipt(t("Give at least one limit a value, or take the user's limits back."), good=False)
        return
    end = None if until is None else rfc3339(round(until.replace(tzinfo=times.zone()).timestamp() * 1000))
    answer = act(
        lambda why: data.admin(sign_in).set_user_limits(user, wanted, why, until=end, reserve=reserve, version=version),
        "own-reason",
        t("Saved for {user}.", user=user),
    )
    if answer is not None:
        start_over()
    if answer is not None and stop_in is not None:  # after it, so that nobody starts again in between
        act(lambda why: stopping.stop_of_user(sign_in, user, why, stop_in), "own-reason", stopping.said)


def clear_user(sign_in: SignIn, user: str, version: int) -> None:
    """The system's limits hold again, where they are still those of that version."""
    if act(
        lambda why: data.admin(sign_in).clear_user_limits(user, why, version=version),
        "own-reason",
        t("The system's limits hold for {user} again.", user=user),
    ):
        start_over()
