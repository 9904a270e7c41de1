"""Stops: at once or announced, of the sessions chosen or of all of a user; and taking an announced one back."""

from collections.abc import Callable, Sequence

import streamlit as st

from limiter.answers.sessions import AdminSession, SessionAnswer, StoppedAnswer
from limiter.client import Admin
from limiter.console import data
from limiter.console.kit import times
from limiter.console.kit.receipts import act, reason_field, show_receipts
from limiter.console.kit.words import lasting, t, tn
from limiter.console.sign_in.sign_ins import SignIn

TYPED_ABOVE = 10
MOST_SECONDS = 86_400
Answer = SessionAnswer | StoppedAnswer


def seconds_field(key: str, first: int = 0) -> int:
    """In how many seconds; 0: at once."""
    return int(
        st.number_input(
            t("In how many seconds"),
            0,
            MOST_SECONDS,
            first,
            60,
            key=key,
            help=t("0: now. Later: the bots are told at their next heartbeat, and until then it can be taken back."),
        )
    )


def when_text(seconds: int) -> str:
    """Now, or in 5 min."""
    return t("in {time}", time=lasting(seconds)) if seconds else t("now")


def stop_of_user(sign_in: SignIn, user: str, why: str, seconds: int) -> StoppedAnswer:
    """End every session of that user. Raises Refused."""
    return data.admin(sign_in).stop_user(user, why, in_seconds=seconds or None)


def stop_of(sign_in: SignIn, ids: Sequence[str], why: str, seconds: int) -> StoppedAnswer:
    """End these sessions. Raises Refused."""
    return data.admin(sign_in).stop_sessions(ids, why, in_seconds=seconds or None)


def form(key: str, n: int, send: Callable[[str, int], Answer], *, label: str | None = None) -> bool:
    """When and why these `n` sessions are stopped, and the button; whether it was done. `send`: (reason, seconds)."""
    seconds = seconds_field(f"{key}-in")
    reason_field(f"{key}-reason")
    typed = confirmed(n, f"{key}-typed")
    name = label or tn("Stop {n} session", "Stop {n} sessions", n)
    if not st.button(f"{name} · {when_text(seconds)}", type="primary", key=key, disabled=not typed):
        return False
    return done(act(lambda why: send(why, seconds), f"{key}-reason", said))


def confirmed(n: int, key: str) -> bool:
    """What ends many is typed, not clicked."""
    return n <= TYPED_ABOVE or st.text_input(t("Type {n} to confirm", n=n), key=key).strip() == str(n)


def done(answer: object | None) -> bool:
    """Whether it was; why not is said where the button is."""
    if answer is None:
        show_receipts()
    return answer is not None


def of(answer: Answer) -> list[AdminSession]:
    """The sessions of an answer."""
    return [answer.session] if isinstance(answer, SessionAnswer) else answer.items


def said(answer: Answer) -> str:
    """What was done."""
    told = [one.notice.at for one in of(answer) if one.notice is not None and one.status != "ended"]
    ended = sum(one.status == "ended" for one in of(answer))
    if told and (instant := told[0]) is not None:
        at = times.clock(times.millis(instant))
        return tn("{n} session ends at {time}.", "{n} sessions end at {time}.", len(told), time=at)
    return tn("{n} session is stopped.", "{n} sessions are stopped.", ended)


def back(key: str, label: str, send: Callable[[Admin, str], object], sign_in: SignIn) -> bool:
    """Take announced stops back, with a reason; whether it was done."""
    reason_field(f"{key}-reason")
    if not st.button(label, key=key, icon=":material/undo:"):
        return False
    limiter = data.admin(sign_in)
    return done(act(lambda why: send(limiter, why), f"{key}-reason", t("The stop is taken back.")))
