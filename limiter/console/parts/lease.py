"""How long a lease should be: what each would have done to the living and to the dead."""

import streamlit as st

from limiter.console import data
from limiter.console.charts.sizing import by_lease
from limiter.console.kit import tables
from limiter.console.kit.words import number, t, view
from limiter.console.sign_in.sign_ins import SignIn


def show(sign_in: SignIn) -> None:
    """The shortest lease that would have ended nobody who lives, and each one's cost on either side."""
    answer = data.admin(sign_in).lease_evidence()
    if answer.needs is not None:
        st.info(answer.needs)
        return
    st.markdown(f"**{answer.sentence}**")
    rows = [
        {
            "lease": f"{row.lease_seconds} s",
            "living": row.living_ended,
            "hours": row.slot_hours_held_by_the_dead,
        }
        for row in answer.rows
    ]
    table, current = data.as_table(rows), f"{answer.lease_seconds} s"
    left, right = st.columns(2, gap="medium")
    living, dead = t("living bots ended"), t("slot hours held by the dead")
    with left:
        st.altair_chart(by_lease(table, view(), "living", living, current), key="lease-living", alt=living)
    with right:
        st.altair_chart(by_lease(table, view(), "hours", dead, current), key="lease-dead", alt=dead)
    st.caption(
        t(
            "From the gaps before {beats} heartbeats and the bots that fell silent ({dead}), of the last {days} days. "
            "The lease in force is orange: a gap longer than it cannot be seen, for it ends the session. Under a "
            "shorter lease bots beat more often: they beat at a third of it.",
            beats=number(answer.beats),
            dead=number(answer.dead),
            days=answer.days,
        )
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.page_link("limits.py", label=t("Change BOT_LEASE_SECONDS"), icon=":material/tune:")
        tables.take_away(answer, "lease")
