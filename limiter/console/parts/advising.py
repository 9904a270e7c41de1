"""What the limiter itself says is worth doing: a larger box, checks that are not well, a channel, what is to come.

It is asked once a minute at most, and for the forecast once an hour: a page that is drawn every ten seconds may not
cost more than that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from limiter.answers.alerts import ChannelRow
from limiter.answers.box import Stranger
from limiter.answers.capacity import AdviceAnswer, StatsAnswer
from limiter.answers.health import HealthAnswer
from limiter.client import Refused
from limiter.console import data
from limiter.console.kit.words import language, memory, percent, t, tn, verbatim
from limiter.console.parts.task import Task, Urgency
from limiter.console.sign_in.sign_ins import SignIn
from limiter.units import MIB

BOX = {"tab": "box"}  # of the page Settings
DAYS = 7
NAMED = 3  # strangers
LAGS = {"decision_lag", "feed_lag"}
PRESSING = {"cpu", "ram", "decision_lag"}  # reasons for a larger box that bots feel now
LIKELY = 0.5  # the chance from which on the forecast is told
SHOWN_AS_ALERTS = (
    "snapshots", "disk", "clock", "backup", "count", "integrity", "audit", "database", "decisions", "accepting",
)  # fmt: skip
"""Checks of health that open an incident of their own, or that close the door, which the header tells."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the limiter says of itself, a minute old at most."""

    advice: AdviceAnswer
    health: HealthAnswer
    channels: Sequence[ChannelRow]
    strangers: Sequence[Stranger]


@st.cache_data(ttl=60, max_entries=20, show_spinner=False)
def _minutely(_sign_in: SignIn, key: str, lang: str) -> Known:
    admin = data.admin(_sign_in, data.ASK_SECONDS)
    return Known(admin.advice(), admin.health(), admin.alerts(limit=1).channels, admin.box().strangers)


@st.cache_data(ttl=3600, max_entries=20, show_spinner=False)
def _hourly(_sign_in: SignIn, key: str) -> Any:
    return data.admin(_sign_in, data.ASK_SECONDS).forecast(DAYS)


def advising(sign_in: SignIn, stats: StatsAnswer) -> list[Task]:
    """What the limiter says is worth doing; nothing where it cannot be asked."""
    try:
        known = _minutely(sign_in, sign_in.id, language())
        chances = _hourly(sign_in, sign_in.id).chance
    except Refused:
        return []
    found = [
        Task(Urgency.DEGRADED, f":material/warning: {text}", "settings.py", t("Look at it"), BOX)
        for name, check in known.health.checks.items()
        if not check.ok and name not in SHOWN_AS_ALERTS and (text := check_text(name))
    ]
    found += advised(known.advice, stats)
    if known.strangers:
        found.append(strange(known.strangers))
    if not known.channels:
        text = t("**No alert channel**: nobody is told when the server is full. Set LIMITER_ALERT_URLS.")
        text = f":material/notifications_off: {text}"
        found.append(Task(Urgency.NO_CHANNEL, text, "alerts.py", t("Open Alerts")))
    if chances and (chance := chances.get("100", 0.0)) >= LIKELY:
        text = t(
            "The limit is reached within {n} days with a chance of {chance}.", n=DAYS, chance=percent(100 * chance, 0)
        )
        text = f":material/trending_up: {text}"
        found.append(Task(Urgency.FORECAST, text, "sizing.py", t("See the forecast")))
    return found


def advised(advice: AdviceAnswer, stats: StatsAnswer) -> list[Task]:
    """Which box the use asks for, and what is slow just now."""
    found, named = [], {one.name for one in advice.advice}
    if (decided := advice.decision) is not None:
        now = any(one.strong or one.name in PRESSING for one in advice.advice)
        page, label = (
            ("limits.py", t("Open Limits")) if decided.kind == "limit" else ("settings.py", t("See the advice"))
        )
        text = f":material/memory: **{decided.what}** · {decided.because}"
        urgency = Urgency.OVERLOADED if now else Urgency.ADVICE
        found.append(Task(urgency, text, page, label, BOX if page == "settings.py" else {}))
    if slow := [guard for guard in stats.guards if guard.held and guard.name in LAGS - named]:
        said = " · ".join(guard.message for guard in slow)
        if stats.capacity.status != "FULL":
            said = t("Slow although not full: {why} (last minute)", why=said)
        found.append(Task(Urgency.OVERLOADED, f":material/speed: {said}", "settings.py", t("See the advice"), BOX))
    return found


def strange(strangers: Sequence[Stranger]) -> Task:
    """The bots that run without a slot: how many, what they hold, and the heaviest by name."""
    heaviest = sorted(strangers, key=lambda one: -one.memory_mb)[:NAMED]
    names = ", ".join(
        f"{verbatim(one.name)} (pid {one.pid}{', ' + verbatim(one.host) if one.host else ''})" for one in heaviest
    )
    text = tn(
        "**{n} bot runs without a slot** and holds {memory}: {names}.",
        "**{n} bots run without a slot** and hold {memory}: {names}.",
        len(strangers),
        memory=memory(sum(one.memory_mb for one in strangers) * MIB),
        names=names + ("…" if len(strangers) > NAMED else ""),
    )
    return Task(Urgency.STRANGERS, f":material/person_off: {text}", "settings.py", t("Look at them"), BOX)


def check_text(name: str) -> str:
    """What a check of health that is not well means."""
    return {
        "jobs": t("A background job failed and was started again: see the log."),
        "alerts": t("An alert channel does not get through."),
        "wal": t("The write-ahead log is large: somebody keeps the database open."),
        "file": t("The database file is not where it was."),
    }.get(name, "")
