"""Who waits for a slot in turn."""

import streamlit as st

from limiter.console import data
from limiter.console.kit import tables, times
from limiter.console.kit.words import lasting, t, tn, verbatim
from limiter.rules.turns import CLAIM_MS
from limiter.store import read


def line() -> str | None:
    """How many wait and who is next, as markdown; None where nobody waits."""
    tickets = data.read(read.sessions.waiting, times.now())
    if not tickets:
        return None
    known = {"user": verbatim(tickets[0].user_id)}
    return ":material/hourglass_top: " + tn(
        "**{n} user** waits in turn: {user}.", "**{n} users** wait in turn, {user} first.", len(tickets), **known
    )


def waiting() -> None:
    """The queue, the next one first."""
    now = times.now()
    tickets = data.read(read.sessions.waiting, now)
    if not tickets:
        st.info(t("Nobody waits: bots that start with `--wait`, or with a ticket, stand here in turn."))
        return
    rows = [
        {
            t("place"): place,
            t("user"): one.user_id,
            t("asked last"): t("{time} ago", time=lasting((now - one.asked_at) / 1000)),
            t("lapses"): t("in {time}", time=lasting((one.expires_at - now) / 1000)),
            t("ticket"): one.id,
        }
        for place, one in enumerate(tickets, 1)
    ]
    tables.show(rows)
    with st.container(horizontal=True, vertical_alignment="center"):
        tables.csv_button(rows, "waiting")
        st.caption(t("A free slot belongs to the first for {time}, then to the next.", time=lasting(CLAIM_MS / 1000)))
