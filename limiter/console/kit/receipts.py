"""Changes: sent from callbacks with the reason somebody typed, answered by a receipt. The limiter decides who may."""

import time
from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from limiter.client import Refused
from limiter.console.kit.words import t

Answer = TypeVar("Answer")


def reason_field(key: str) -> str:
    """The reason, which every change is kept with."""
    return st.text_input(t("Reason"), key=key, max_chars=500, placeholder=t("Why? It is kept with the change."))


def act(send: Callable[[str], Answer], reason_key: str, said: str | Callable[[Answer], str]) -> Answer | None:
    """Send the change with its reason; the receipt at the next run. None where it was refused."""
    why = str(st.session_state.get(reason_key, "")).strip()
    if not why:
        receipt(t("Say why first: a change is kept with its reason."), good=False)
        return None
    try:
        answer = send(why)
    except Refused as refused:
        receipt(str(refused), good=False)
        return None
    receipt(said if isinstance(said, str) else said(answer))
    return answer


def receipt(text: str, *, good: bool = True) -> None:
    """Say once, at the next run, what an action did."""
    st.session_state.setdefault("receipts", []).append((time.time(), text, good))


def show_receipts() -> None:
    """What actions of the run before have to say."""
    for _, text, good in st.session_state.pop("receipts", []):
        st.toast(text, icon=":material/check:" if good else ":material/error:", duration="long")
        if not good:
            st.error(text)
