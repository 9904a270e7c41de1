"""Why something was changed: a person's own words, or what the limiter did by itself, kept as facts and told here."""

import re
from collections.abc import Mapping
from typing import Any

from limiter.rules import guards
from limiter.rules.words import Words, is_one

PLAN = Words("plan de lancement : {bots} {bots:bot|bots}", "launch plan: {bots} {bots:bot|bots}")
WINDOW = Words("plage horaire : {bots} {bots:bot|bots}", "window: {bots} {bots:bot|bots}")
WINDOW_OVER = Words("fin de la plage horaire : {bots} {bots:bot|bots}", "end of the window: {bots} {bots:bot|bots}")
UNCONFIRMED = Words("non confirmé à temps", "not confirmed in time")
TRIPPED = Words("un garde-fou a tenu une minute", "a guard held for a minute")
OWN_WORDS = {
    "plan": PLAN, "window": WINDOW, "window_over": WINDOW_OVER, "unconfirmed": UNCONFIRMED, "tripped": TRIPPED,
}  # fmt: skip
THEMSELVES = {
    "start": Words("le limiteur", "the limiter"), "cli": Words("la ligne de commande", "the command line"),
    "clock": Words("l'horloge", "the clock"), "plan": Words("le plan de lancement", "the launch plan"),
    "window": Words("une plage horaire", "a window"), "probation": Words("l'essai", "the probation"),
}  # fmt: skip
"""Who did it where no key was used, by the name that histories have for it."""
KEY = Words("clé {id}", "key {id}")
FIRST_START = Words("premier démarrage", "first start")
CONFIGURATION = Words("configuration", "configuration")


ACTIONS = {
    "limits": Words("limites réglées", "limits set"), "rollback": Words("retour en arrière", "rollback"),
    "override": Words("limites d'un utilisateur", "limits of a user"), "confirm": Words("confirmé", "confirmed"),
    "unconfirmed": Words("repris", "taken back"), "tripped": Words("repris", "taken back"),
    "plan": Words("plan de lancement", "launch plan"), "held": Words("plan retenu", "plan held"),
    "windows": Words("plages horaires", "windows"), "window": Words("plage horaire", "window"),
    "window_over": Words("fin de la plage", "end of the window"), "window_held": Words("plage retenue", "window held"),
    "stop": Words("arrêt", "stop"), "stop_back": Words("arrêt annulé", "stop taken back"),
    "drain": Words("vidage", "drain"), "drain_back": Words("fin du vidage", "end of the drain"),
    "reap": Words("muets libérés", "silent ones released"), "pause": Words("pause", "pause"),
    "resume": Words("reprise", "resume"), "acknowledge": Words("pris en charge", "acknowledged"),
    "alert_test": Words("message d'essai", "test message"), "note": Words("note", "note"),
    "key": Words("clé créée", "key made"), "revoke": Words("clé révoquée", "key revoked"),
    "clock_back": Words("horloge reculée", "clock moved back"), "clock_on": Words("horloge avancée", "clock moved on"),
    "restore": Words("sauvegarde restaurée", "backup restored"),
    "audit_head": Words("fin de l'audit notée", "end of the audit noted"),
    "audit_accepted": Words("fin de l'audit acceptée", "end of the audit accepted"),
    "start": Words("démarrage", "start"),
}  # fmt: skip
"""What was done, by the action that the audit has it under."""

SAID = {
    "limits": Words("limites", "limits"), "starts": Words("démarrages", "starts"),
    "channels": Words("canaux", "channels"), "steps": Words("étapes", "steps"),
    "windows": Words("plages", "windows"), "alert": Words("alerte", "alert"),
}  # fmt: skip
ALONE = {
    "steps": Words("étape", "step"), "windows": Words("plage", "window"), "sessions": Words("session", "session"),
    "bots": Words("bot", "bot"),
}  # fmt: skip
"""The same of one; French says so of none too."""
NAMED_BY_OTHERS = ("override", "stop", "stop_back", "note", "key", "revoke", "restore", "audit_head", "audit_accepted")
"""Actions whose target is a name or a file: no word of it is the limiter's."""


def action(name: str, language: str) -> str:
    """What was done, in `fr` or `en`."""
    return ACTIONS[name].told(language) if name in ACTIONS else name


def target(of: str, text: str, language: str) -> str:
    """What that action was done to, in `fr` or `en`: `2 plages`, `alerte 3`, or a name as it is."""
    if of in NAMED_BY_OTHERS:
        return text
    words = text.split(" ")
    known = SAID | ALONE if words[0].isdecimal() and is_one(int(words[0]), language) else SAID
    return " ".join(known[word].told(language) if word in known else word for word in words)


def who(actor: str, language: str, *, exact: bool = False) -> str:
    """Who did it, in `fr` or `en`, from the name that histories have: the name of the key, which has its id beside it
    where it is to be `exact`, the id of one without a name, or what the limiter did by itself."""
    if actor in THEMSELVES:
        return THEMSELVES[actor].told(language)
    name, _, key = actor.rpartition("#")
    if not re.fullmatch("[0-9a-f]{8}", key):
        return actor
    told = KEY.filled(id=key).told(language)
    return told if not name else f"{name} ({told})" if exact else name


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
        bots = next((after for name, _, after in changed if name == "MAX_CONCURRENT_BOTS"), 0)
        return OWN_WORDS[kind].filled(bots=bots).told(language)
    if kind == "start":
        return (FIRST_START if number == 1 else CONFIGURATION).told(language)
    return ""
