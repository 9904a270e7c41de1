"""Changes: sent from callbacks with the reason somebody typed, answered by a receipt. The limiter decides who may."""

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from limiter.client import Refused
from limiter.console import frame
from limiter.console.kit.words import t

Answer = TypeVar("Answer")


def reason_field(key: str) -> str:
    """The reason, which every change is kept with."""
    return st.text_input(t("Reason"), key=key, max_chars=500, placeholder=t("Why? It is kept with the change."))


def act(send: Callable[[str], Answer], reason_key: str, said: str | Callable[[Answer], str]) -> Answer | None:
    """Send the change with its reason; the receipt at the next run. None where it was refused."""
    why = str(st.session_state.get(reason_key, "")).strip()
    if not why:
        frame.receipt(t("Say why first: a change is kept with its reason."), good=False)
        return None
    try:
        answer = send(why)
    except Refused as refused:
        frame.receipt(str(refused), good=False)
        return None
    frame.receipt(said if isinstance(said, str) else said(answer))
    return answer
