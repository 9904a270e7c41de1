"""The system's limits: fields, guards, preview, and what others changed meanwhile."""

import streamlit as st

from limiter.console import data, frame
from limiter.console.kit.receipts import act, reason_field
from limiter.console.kit.words import t
from limiter.console.parts.limits import fields, preview
from limiter.console.parts.limits.guards import guards
from limiter.console.sign_in.sign_ins import SignIn
from limiter.rules.limits import Limits
from limiter.store import read
from limiter.system_limits import CATALOGUE


def draw(sign_in: SignIn, limits: Limits) -> None:
    """The form, the preview, and what they lead to."""
    kept = fields.base(limits)
    if kept.version != limits.version:
        fields.conflict(fields.start_over)
    left, right = st.columns([2.1, 1], gap="medium")
    with left, st.container(border=True):
        for row in range(0, len(CATALOGUE), 2):
            for column, limit in zip(st.columns(2), CATALOGUE[row : row + 2], strict=False):
                with column:
                    fields.field(sign_in, kept, limit, lambda name: preview.propose(sign_in, {name: None}))
        if sign_in.may_change:
            st.button(
                t("Preview"),
                type="primary",
                key="preview-button",
                icon=":material/preview:",
                on_click=preview.propose,
                args=(sign_in,),
            )
        else:
            st.caption(t("This key may read only: changes need a key of scope admin:write."))
    with right, st.container(border=True):
        st.header(t("Guards"), anchor=False)
        frame.live(frame.ticking(10))(guards)(sign_in)
        if sign_in.may_change:
            door(sign_in)
    if "preview" in st.session_state:
        preview.draw(sign_in, kept)


def door(sign_in: SignIn) -> None:
    """Close the door for starts, or open it again; running bots are untouched."""
    paused = data.read(read.limits.paused)
    label = t("Resume starts") if paused else t("Pause starts")
    with st.popover(label, icon=":material/play_arrow:" if paused else ":material/pause:"):
        st.markdown(t("Running bots go on; while paused, every start is refused, over a restart too."))
        reason_field("door-reason")
        st.button(label, type="primary", key="door", on_click=turn, args=(sign_in, paused))


def turn(sign_in: SignIn, paused: bool) -> None:
    """Pause or resume."""
    limiter = data.admin(sign_in)
    said = t("Starts are admitted again.") if paused else t("Starts are paused.")
    act(limiter.resume if paused else limiter.pause, "door-reason", said)
