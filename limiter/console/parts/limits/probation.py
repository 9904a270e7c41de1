"""A change on probation: until when it holds, and the two ways to end that now."""

import functools
from collections.abc import Mapping
from typing import Any

import streamlit as st

from limiter.answers.limits import ChangeAnswer
from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.receipts import act, reason_field
from limiter.console.kit.words import t, tn, value_text
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.limits import Limits, Setting
from limiter.rules.schedule import MAX, Probation
from limiter.store import read

ENDED = "probation-ended"


def bar(sign_in: SignIn) -> None:
    """The headline, and the buttons for who may change limits. Draws nothing where nothing is on probation."""
    if st.session_state.pop(ENDED, False):
        st.rerun()  # it ran alone; receipt and limits stand elsewhere on the page
    probation, limits = data.read(read.limits.read_schedule).probation, data.read(read.limits.read)
    if probation is None or limits is None:
        return
    with st.container(border=True, key="probation-bar"):
        lines = [
            t(
                "**{now} until {time} unless confirmed**, then {back}.",
                now=named({name: limits.settings[name] for name in probation.back}),
                time=f"{times.local(probation.ends_at):%H:%M}",  # a day at most
                back=named(probation.back),
            ),
            t("Version {n} is on probation.", n=probation.version),
        ]
        if probation.raised:
            lines.append(t("A guard that holds for a minute takes it back at once."))
        st.warning(" ".join(lines), icon=":material/timer:")
        if sign_in.may_change:
            buttons(sign_in, limits, probation)


def named(settings: Mapping[str, Setting]) -> str:
    """The values; that of MAX_CONCURRENT_BOTS as bots."""
    return ", ".join(
        tn("{n} bot", "{n} bots", int(setting.value or 0)) if name == MAX else f"{name} {value_text(setting.value)}"
        for name, setting in settings.items()
    )


def buttons(sign_in: SignIn, limits: Limits, probation: Probation) -> None:
    """Keep it, or go back now."""
    version = probation.version
    reason_field("probation-reason")
    keep = functools.partial(data.admin(sign_in).confirm_limits, version)
    with st.container(horizontal=True):
        st.button(
            t("Confirm: it stays"),
            type="primary",
            key="probation-confirm",
            on_click=end,
            args=(keep, t("Version {n} stays.", n=version)),
        )
        st.button(
            t("Go back now"),
            key="probation-back",
            on_click=end,
            args=(functools.partial(take_back, sign_in, limits.version, probation.back), t("It has gone back.")),
        )


def end(send: Any, said: str) -> None:
    """Send it with the reason, and draw the whole page again."""
    act(send, "probation-reason", said)
    st.session_state[ENDED] = True


def take_back(sign_in: SignIn, version: int, back: Mapping[str, Setting], why: str) -> ChangeAnswer:
    """The values before it, as a change by hand of the limits of that version."""
    changes = {
        name: None if setting.source not in ("live", "window") else "none" if setting.value is None else setting.value
        for name, setting in back.items()
    }
    return data.admin(sign_in).change_limits(changes, why, version=version)
