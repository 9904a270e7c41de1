"""Why something was changed: a person's own words, or what the limiter did by itself, kept as facts and told here."""

from collections.abc import Mapping
from typing import Any

from limiter.rules import guards
from limiter.rules.words import Words

PLAN = Words("plan de lancement : {bots} bots", "launch plan: {bots} bots")
WINDOW = Words("plage horaire : {bots} bots", "window: {bots} bots")
WINDOW_OVER = Words("fin de la plage horaire : {bots} bots", "end of the window: {bots} bots")
UNCONFIRMED = Words("non confirmé à temps", "not confirmed in time")
TRIPPED = Words("un garde-fou a tenu une minute", "a guard held for a minute")
OWN_WORDS = {
    "plan": PLAN, "window": WINDOW, "window_over": WINDOW_OVER, "unconfirmed": UNCONFIRMED, "tripped": TRIPPED,
}  # fmt: skip
FIRST_START = Words("premier démarrage", "first start")
CONFIGURATION = Words("configuration", "configuration")


def of_version(version: Mapping[str, Any], language: str) -> str:
    """Why a version of the limits was made, in `fr` or `en`; `version` has its kind, reason, version and changed."""
    return version["reason"] or _own(version["kind"], version["version"], version["changed"], language)


def of_audit(entry: Mapping[str, Any], language: str) -> str:
    """Why, of an audit row with its action, reason and detail."""
    reason, action, detail = str(entry["reason"]), entry["action"], entry["detail"]
    if reason:
        return reason
    if action in ("held", "window_held", "tripped") and "held_by" in detail:
        return guards.said(guards.from_facts(detail["held_by"])).told(language)
    return _own(action, detail["version"], detail["changed"], language) if "version" in detail else ""


def _own(kind: str, number: int, changed: Any, language: str) -> str:
    if kind in OWN_WORDS:
        bots = next((after for name, _, after in changed if name == "MAX_CONCURRENT_BOTS"), "")
        return OWN_WORDS[kind].filled(bots=bots).told(language)
    if kind == "start":
        return (FIRST_START if number == 1 else CONFIGURATION).told(language)
    return ""
