"""What the limiter itself says is worth doing: a larger box, checks that are not well, a channel, what is to come.

It is asked once a minute at most, and for the forecast once an hour: a page that is drawn every ten seconds may not
cost more than that.
"""

from typing import Any

import streamlit as st

from limiter.answers.capacity import StatsAnswer
from limiter.client import Refused
from limiter.console import data
from limiter.console.kit.words import language, percent, t
from limiter.console.sign_in.sign_ins import SignIn

DAYS = 7
LAGS = {"decision_lag", "feed_lag"}
PRESSING = {"cpu", "ram", "decision_lag"}  # reasons for a larger box that bots feel now
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
    named = {one.name for one in advice.advice}
    if (decided := advice.decision) is not None:
        text = f":material/memory: **{decided.what}** · {decided.because}"
        now = any(one.strong or one.name in PRESSING for one in advice.advice)
        place = "limits.py" if decided.kind == "limit" else "settings.py"
        found.append((text, place, t("Open Limits") if decided.kind == "limit" else t("See the advice"), now))
    if slow := [guard for guard in stats.guards if guard.held and guard.name in LAGS - named]:
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


def check_text(name: str) -> str:
    """What a check of health that is not well means."""
    return {
        "jobs": t("A background job failed and was started again: see the log."),
        "alerts": t("An alert channel does not get through."),
        "wal": t("The write-ahead log is large: somebody keeps the database open."),
        "file": t("The database file is not where it was."),
    }.get(name, "")
