"""How many slots, whether the limit is enough for so many users, and what the last weeks lost."""

from datetime import datetime
from typing import Any

import streamlit as st

from limiter.answers.deciding import AtTheLimit, SizingAnswer, SizingLoad, Slots
from limiter.console import data
from limiter.console.charts import sizing as charts
from limiter.console.kit import tables, times
from limiter.console.kit.cards import Card, cards
from limiter.console.kit.words import number, percent, t, tn, view
from limiter.console.parts import moment
from limiter.console.sign_in.sign_ins import SignIn
from limiter.console.view import DAY


def slots(sign_in: SignIn, share: float, users: int | None) -> None:
    """The slots that are enough, for the users that were seen or for so many."""
    answer = data.admin(sign_in).sizing(share, users)
    need, low, high, now, load = answer.slots, answer.low, answer.high, answer.now, answer.load
    if need is None or low is None or high is None or now is None or load is None:
        st.info(str(answer.needs))
        return
    st.markdown(f"**{answer.sentence}**")
    _cards(need, low, high, now, load)
    rows = _ranges(share, need, low, high, load)
    chart = charts.ranges(data.as_table(rows), view(), now.limit, t("slots"))
    st.altair_chart(chart, key="slots-needed", alt=t("How many slots do we need?"))
    how(answer)
    _go_on(answer, need.first if now.limit < need.first else high.first)  # to save slots, what surely does


def _cards(need: Slots, low: Slots, high: Slots, now: AtTheLimit, load: SizingLoad) -> None:
    cards(
        [
            Card(
                t("Slots, so that few wait"),
                number(need.first),
                t("{low} to {high}", low=number(low.first), high=number(high.first)),
            ),
            Card(
                t("Slots, so that few give up"),
                number(need.lost),
                t("{low} to {high}", low=number(low.lost), high=number(high.lost)),
            ),
            Card(
                t("Refused at first with {n}", n=number(now.limit)),
                percent(100 * now.refused_first, 2),
                t("expected, of all demands"),
            ),
            Card(
                t("Bots wanted at once"),
                number(load.peak),
                t("in the busiest hour; {mean} on average", mean=number(load.mean)),
            ),
        ]
    )


def _ranges(share: float, need: Slots, low: Slots, high: Slots, load: SizingLoad) -> list[dict[str, Any]]:
    """A row of the chart: what it is, how many slots, and the range for weeks like these."""
    told = percent(100 * share, 0 if share >= 0.01 else 1)
    return [
        {
            "what": name,
            "low": least,
            "value": value,
            "high": most,
        }
        for name, least, value, most in (
            (t("at most {share} wait", share=told), low.first, need.first, high.first),
            (t("at most {share} give up", share=told), low.lost, need.lost, high.lost),
            (t("busiest hour"), load.peak, load.peak, load.peak),
        )
    ]


def _go_on(answer: SizingAnswer, step: int) -> None:
    """What to do with it: preview so many slots, plan them, take the figures away."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.page_link(
            "limits.py",
            label=tn("Preview {n} slot", "Preview {n} slots", step),
            icon=":material/preview:",
            query_params={"propose": str(step)},
        )
        st.page_link(
            "checklist.py",
            label=tn("Plan {n} slot", "Plan {n} slots", step),
            icon=":material/event:",
            query_params={"tab": "plan", "step": str(step)},
        )
        tables.take_away(answer, "slots")


def how(answer: SizingAnswer) -> None:
    """How far to trust it, and the method for who wants its name."""
    st.caption(str(answer.trust))
    with st.expander(t("How this is computed")):
        st.markdown(
            t(
                "A **demand** is one bot's run of tries, however often it asks. How many bots are wanted at once in "
                "each hour of the week is known from the last 28 days; the model then says how often all slots are "
                "taken. A larger number of users wants proportionally more."
            )
        )
        st.caption(str(answer.method))
        st.caption(
            "Zeltyn, Mandelbaum: Call centers with impatient customers, 2005 · Fredericks: Congestion in blocking "
            "systems, 1980 · docs/sizing.md"
        )


def lost(sign_in: SignIn) -> None:
    """What the last four weeks lost to a full server, by day."""
    answer = data.admin(sign_in).sizing()
    if not answer.days:
        st.info(t("Nobody has asked for a slot in the last 28 days."))
        return
    demands = sum(day.demands for day in answer.days)
    first, gone = sum(day.first for day in answer.days), sum(day.lost for day in answer.days)
    if not first:
        said = tn("Nothing: {n} demand was served at once.", "Nothing: all {n} demands were served at once.", demands)
        st.markdown(f"**{said}**")
    else:
        st.markdown(
            "**"
            + t(
                "{lost} of {demands} demands never got a slot ({share}); refused at first: {first} ({waited}).",
                lost=number(gone),
                demands=number(demands),
                share=percent(100 * gone / demands, 2),
                first=number(first),
                waited=percent(100 * first / demands, 2),
            )
            + "**"
        )
    if gone and answer.stay_hours:
        st.caption(
            t(
                "Hours of bots that this is at {stay} h a bot, about: {hours}. Counted, not estimated: refusals for a "
                "full server, each bot's run of tries as one.",
                stay=number(answer.stay_hours, 1),
                hours=number(gone * answer.stay_hours),
            )
        )
    rows = [
        {"day": day.day, "demands": day.demands, "later": day.first - day.lost, "lost": day.lost} for day in answer.days
    ]
    if first:
        shown = data.as_table(rows)
        zone = data.settings().timezone
        begins = [datetime.fromisoformat(day).replace(tzinfo=zone) for day in shown["day"]]
        shown = shown.assign(at=[times.millis(one.isoformat()) for one in begins], day=shown["day"].map(view().date))
        moment.chart(charts.by_day(shown, view()), "lost-days", t("What did the last four weeks lose?"), DAY)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.page_link(
            "sessions.py", label=t("Who was refused"), icon=":material/person_off:", query_params={"view": "refusals"}
        )
        tables.take_away(answer, "lost", "days")
