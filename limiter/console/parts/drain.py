"""A drain: starts refused, bots told, those left ended; how far it is, and its end."""

import streamlit as st

from limiter.answers.sessions import DrainAnswer
from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.receipts import act, reason_field
from limiter.console.kit.words import number, t, tn, verbatim
from limiter.console.parts.sessions.stopping import seconds_field
from limiter.console.sign_in.sign_ins import SignIn
from limiter.store import read


def progress(sign_in: SignIn) -> None:
    """How far the drain is, where one goes on."""
    drain, stats = data.read(read.limits.drain), data.live(sign_in).stats
    if drain is None or stats is None:
        return
    left, gone = stats.capacity.current_bots, data.read(read.sessions.count_since, drain.since)
    with st.container(border=True, gap="xxsmall", key="drain"):
        said = t("Drain since {time}: every start is refused.", time=times.when(drain.since))
        st.markdown(f":material/logout: **{said}** {verbatim(drain.reason)}")
        counted = t("{gone} of {all} bots gone", gone=number(gone), all=number(gone + left))
        st.progress(gone / (gone + left) if left else 1.0, counted)
        st.caption(
            tn("{n} is left; ", "{n} are left; ", left)
            + (
                t("they are ended at {time}.", time=times.clock(drain.stop_at))
                if drain.stop_at is not None
                else t("nobody is ended.")
            )
        )


def control(sign_in: SignIn) -> None:
    """Begin one, or take it back."""
    if not sign_in.may_change:
        return
    if data.read(read.limits.drain) is not None:
        with st.popover(t("End the drain"), icon=":material/undo:", type="primary"):
            st.markdown(t("Starts are admitted again; who has not been ended goes on."))
            reason_field("drain-reason")
            st.button(t("End the drain"), type="primary", key="drain-end", on_click=end, args=(sign_in,))
        return
    with st.popover(t("Drain…"), icon=":material/logout:"):
        st.markdown(
            t("Every start is refused and every bot is told, over a restart too. Those left at the end are ended.")
        )
        ends = st.checkbox(t("End those that are left"), True, key="drain-ends")
        seconds = seconds_field("drain-in", 300) if ends else None
        reason_field("drain-reason")
        st.button(t("Begin the drain"), type="primary", key="drain-begin", on_click=begin, args=(sign_in, seconds))


def begin(sign_in: SignIn, seconds: int | None) -> None:
    """Refuse every start from now on."""

    def said(answer: DrainAnswer) -> str:
        return tn("The drain goes on: {n} bot left.", "The drain goes on: {n} bots left.",
                  answer.drain.left if answer.drain else 0)  # fmt: skip

    act(lambda why: data.admin(sign_in).start_drain(why, stop_in_seconds=seconds), "drain-reason", said)


def end(sign_in: SignIn) -> None:
    """Admit starts again."""
    act(data.admin(sign_in).cancel_drain, "drain-reason", t("The drain is over: starts are admitted."))
