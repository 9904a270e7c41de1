"""What the limiter itself says is worth doing: a larger box, checks that are not well, a channel, what is to come.

It is asked once a minute at most, and for the forecast once an hour: a page that is drawn every ten seconds may not
cost more than that.
"""

from typing import Any

import streamlit as st

from limiter.answers.capacity import AdviceAnswer, AdviceRow, StatsAnswer
from limiter.client import Refused
from limiter.console import data
from limiter.console.kit.words import language, number, percent, t
from limiter.console.sign_in.sign_ins import SignIn
from limiter.system_limits import VPS_SIZES

DAYS = 7
LIKELY = 0.5  # the chance from which on the forecast is told
SHOWN_AS_ALERTS = (
    "snapshots", "disk", "clock", "backup", "count", "integrity", "audit", "database", "decisions", "accepting",
)  # fmt: skip
"""Checks of health that open an incident of their own, or that close the door, which the header tells."""


@st.cache_data(ttl=60, max_entries=20, show_spinner=False)
def _minutely(_sign_in: SignIn, key: str, lang: str) -> tuple[Any, Any, Any]:
    admin = data.admin(_sign_in, data.ASK_SECONDS)
    return admin.advice(), admin.health(), admin.alerts(limit=1).channels


@st.cache_data(ttl=3600, max_entries=20, show_spinner=False)
def _hourly(_sign_in: SignIn, key: str) -> Any:
    return data.admin(_sign_in, data.ASK_SECONDS).forecast(DAYS)


def advising(sign_in: SignIn, stats: StatsAnswer) -> list[tuple[str, str, str, bool]]:
    """Text, page, label and whether it is pressing of each thing, the worst first; nothing where it cannot be asked."""
    try:
        advice, health, channels = _minutely(sign_in, sign_in.id, language())
        chances = _hourly(sign_in, sign_in.id).chance
    except Refused:
        return []
    found = [
        (f":material/warning: {text}", "settings.py", t("Look at it"), True)
        for name, check in health.checks.items()
        if not check.ok and name not in SHOWN_AS_ALERTS and (text := check_text(name))
    ]
    if advice.advice:
        now = any(one.strong or one.name in ("cpu", "ram") for one in advice.advice)  # out of breath, or far too small
        found.append((f":material/memory: {decision(advice)}", "settings.py", t("See the advice"), now))
    if slow := [guard for guard in stats.guards if guard.held and guard.name in ("decision_lag", "feed_lag")]:
        said = " · ".join(guard.message for guard in slow)
        if stats.capacity.status != "FULL":
            said = t("Slow although not full: {why} (last minute)", why=said)
        found.append((f":material/speed: {said}", "settings.py", t("See the advice"), True))
    if not channels:
        text = t("**No alert channel**: nobody is told when the server is full. Set LIMITER_ALERT_URLS.")
        found.append((f":material/notifications_off: {text}", "alerts.py", t("Open Alerts"), False))
    if chances and (chance := chances.get("100", 0.0)) >= LIKELY:
        text = t(
            "The limit is reached within {n} days with a chance of {chance}.", n=DAYS, chance=percent(100 * chance, 0)
        )
        found.append((f":material/trending_up: {text}", "sizing.py", t("See the forecast"), False))
    return found


def decision(advice: AdviceAnswer) -> str:
    """What to take, what it costs, and why, with the figures."""
    why = " · ".join(advice_text(one) for one in advice.advice)
    larger = next((size for size in VPS_SIZES if size.ram_gb > advice.counts_as_gb), None)
    if larger is None:
        return t("**A larger machine**: because {why}", why=why)
    return t(
        "**{ram} GB, {bots} bots, ${price} a month**: because {why}",
        ram=number(larger.ram_gb), bots=number(larger.bots), price=number(larger.price_usd_month), why=why,
    )  # fmt: skip


def advice_text(advice: AdviceRow) -> str:
    """One reason to take a bigger box."""
    found, bound = number(advice.value), number(advice.threshold)
    texts = {
        "cpu": t("CPU {n}% over 5 minutes, above {bound}%", n=found, bound=bound),
        "ram": t("RAM {n}% over 5 minutes, above {bound}%", n=found, bound=bound),
        "occupancy": t("often at 80% of the limit or more on {n} of the last 7 days", n=found),
        "box": t("{n} bots, 120% or more of what this box carries comfortably", n=found),
    }
    return texts.get(advice.name, str(advice.message))


def check_text(name: str) -> str:
    """What a check of health that is not well means."""
    return {
        "jobs": t("A background job failed and was started again: see the log."),
        "alerts": t("An alert channel does not get through."),
        "wal": t("The write-ahead log is large: somebody keeps the database open."),
        "file": t("The database file is not where it was."),
    }.get(name, "")
