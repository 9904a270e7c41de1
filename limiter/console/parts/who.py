"""Who does what: who uses up which limit, how concentrated slot-hours are, demands beside attempts."""

from typing import Any

import streamlit as st

from limiter.answers.usage import WhoAnswer
from limiter.client import Refused
from limiter.console import data
from limiter.console.kit import tables, times
from limiter.console.kit.words import lasting, number, percent, t
from limiter.console.sign_in.sign_ins import SignIn

DAYS = 28
TOP = {"one": "1", "five": "5", "ten": "10"}


def show(sign_in: SignIn, days: int) -> None:
    """What the limiter says of the last days (28 at most), of today and of the running minute."""
    st.header(t("Who does what"), anchor=False)
    try:
        answer = data.admin(sign_in).who(min(days, DAYS))
    except Refused as refused:
        st.warning(str(refused))
        return
    lines = []
    if answer.concentration is not None:
        top = {name: percent(100 * answer.concentration.top[n]) for name, n in TOP.items()}
        lines.append(
            t(
                "**{sentence}** The first user: {one}, the first 5: {five}, the first 10: {ten}.",
                sentence=answer.concentration.sentence,
                **top,
            )
        )
    lines += [answer.demands.sentence] if answer.demands is not None else []
    lines += [text for text in (answer.idle_sentence, answer.needs) if text]
    st.markdown("  \n".join(lines))
    chosen = st.tabs([t("What is used"), t("Who asks to start"), t("Closing trades"), t("Idle")])
    found = ("uses", used_rows(answer)), ("asked", asked_rows(answer)), ("closing", closing_rows(answer))
    for place, (name, rows) in zip(chosen, (*found, ("idle", idle_rows(answer))), strict=True):
        with place:
            table(answer, name, rows)


def table(answer: WhoAnswer, name: str, rows: list[dict[str, Any]]) -> None:
    """The rows with what they are, and as they are taken away."""
    st.caption(
        {
            "uses": t("In the last 60 seconds, and today; each user beside the limit that holds for it."),
            "asked": t("Attempts are start requests; a bot's run of tries is one demand."),
            "closing": t("Today's trades that are marked as closing: the daily limit does not refuse them."),
            "idle": t("Slots that are held without a trade, a signal or a token for an hour or more."),
        }[name]
    )
    if not rows:
        st.caption(t("Nobody."))
        return
    tables.show(rows)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        tables.take_away(answer, f"who-{name}", name)
        if name == "idle":
            label = t("Look at them")
            st.page_link("sessions.py", label=label, icon=":material/arrow_forward:", query_params={"view": "idle"})


def used_rows(answer: WhoAnswer) -> list[dict[str, Any]]:
    """What of each limit was used by whom."""
    windows = {"minute": t("60 s"), "day": t("today")}
    names = {"signals": t("signals"), "tokens": t("tokens"), "trades": t("trades")}
    return [
        {
            t("what"): names[one.what],
            t("when"): windows[one.window],
            t("user"): one.user_id or t("no session named"),
            t("used"): one.used,
            t("share"): percent(100 * one.share),
            t("limit"): "" if one.limit_name is None else f"{one.limit_name} {number(one.limit or 0)}",
            t("of the limit"): "" if one.of_limit is None else percent(one.of_limit),
        }
        for one in answer.uses
    ]


def asked_rows(answer: WhoAnswer) -> list[dict[str, Any]]:
    """Attempts beside demands."""
    return [
        {
            t("user"): one.user_id,
            t("attempts"): one.attempts,
            t("demands"): one.demands,
            t("refused at first"): one.first,
            t("lost"): one.lost,
            t("restarts"): one.restarts,
            t("own limit"): one.own_limit,
        }
        for one in answer.asked
    ]


def closing_rows(answer: WhoAnswer) -> list[dict[str, Any]]:
    """Trades marked as closing."""
    return [
        {
            t("user"): one.user_id,
            t("closing"): one.closing,
            t("trades"): one.trades,
            t("share"): percent(100 * one.share),
        }
        for one in answer.closing
    ]


def idle_rows(answer: WhoAnswer) -> list[dict[str, Any]]:
    """Who holds a slot and does nothing."""
    return [
        {
            t("session"): one.public_id,
            t("user"): one.user_id,
            t("bot"): one.bot_id,
            t("last use"): t("never") if one.used_at is None else times.when(times.millis(one.used_at)),
            t("idle for"): lasting(one.idle_seconds),
        }
        for one in answer.idle
    ]
