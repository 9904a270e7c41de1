"""Who holds the slots, and which are dead?"""

import streamlit as st

from limiter.console import data, frame
from limiter.console.kit import url_widgets
from limiter.console.kit.cards import Card, cards
from limiter.console.kit.words import lasting, number, t, tn
from limiter.console.parts import drain
from limiter.console.parts.sessions import holding, lists, refusals, waiting
from limiter.console.sign_in.sign_ins import SignIn

sign_in = frame.begin()
VIEWS = {
    "active": t("Active"),
    "suspect": t("Suspect"),
    "idle": t("Idle"),
    "waiting": t("Waiting"),
    "ended": t("Ended"),
    "refusals": t("Refusals"),
}


def figures(sign_in: SignIn) -> None:
    """Slots counted against bots heard: the answer to "full, but 150 of 200"."""
    stats = data.live(sign_in).stats
    if stats is None:
        return
    capacity, sessions, queue = stats.capacity, stats.sessions, stats.queue.waiting
    heard = capacity.current_bots - sessions.suspect
    lease = stats.limits["BOT_LEASE_SECONDS"]
    gap = (
        tn("{n} slot is held by a silent bot", "{n} slots are held by silent bots", sessions.suspect)
        if sessions.suspect
        else t("every bot is heard")
    )
    cards(
        [
            Card(
                t("Slots counted"),
                number(capacity.current_bots),
                t("of {limit}", limit=number(capacity.max_bots)),
            ),
            Card(t("Bots heard"), number(heard), t("within two heartbeats")),
            Card(t("Suspect bots"), number(sessions.suspect), gap, "said" if sessions.suspect else ""),
            Card(
                t("Lost, 1 h"),
                number(sessions.expired_last_hour),
                t("slot freed after {time} of silence", time=lasting(lease or 0)),
            ),
            *([Card(t("Waiting"), number(queue), t("in turn, for a slot"), "said")] if queue else []),
        ]
    )


st.title(t("Sessions"), anchor=False)
frame.live(frame.ticking(5))(drain.progress, figures)(sign_in)
view = url_widgets.tabs(t("List"), "view", VIEWS)  # on a line of its own, so that it wraps on a phone
with st.container(horizontal=True, vertical_alignment="center", gap="small"):
    user = lists.user_field() if view != "waiting" else ""
    drain.control(sign_in)
if view == "refusals":
    refusals.draw(sign_in, user)
elif view == "waiting":
    waiting.waiting()
elif view == "ended":
    holding.ended(sign_in, user)
else:
    holding.holding(sign_in, user, view)
