"""Why limits changed, in the language of who reads; what a person wrote stays as it is."""

import re
from dataclasses import replace
from typing import Any

import pytest

from limiter.rules import reasons
from limiter.rules.plan import ApplyPlan, SetPlan
from limiter.rules.records import Step
from tests.conftest import ROOT
from tests.rules.world import CALM, NOW, new_state

RAISE = [["MAX_CONCURRENT_BOTS", 100, 150]]


@pytest.mark.parametrize(
    ("version", "fr", "en"),
    [
        ({"kind": "plan", "reason": "", "version": 4, "changed": RAISE},
         "plan de lancement : 150 bots", "launch plan: 150 bots"),
        ({"kind": "start", "reason": "", "version": 1, "changed": []}, "premier démarrage", "first start"),
        ({"kind": "start", "reason": "", "version": 5, "changed": RAISE}, "configuration", "configuration"),
        ({"kind": "limits", "reason": "more room", "version": 2, "changed": RAISE}, "more room", "more room"),
        ({"kind": "plan", "reason": "launch plan: 150 bots", "version": 2, "changed": RAISE},
         "launch plan: 150 bots", "launch plan: 150 bots"),
    ],
    ids=["plan", "first start", "configuration", "a person", "kept as a sentence by an earlier program"],
)  # fmt: skip
def test_of_versions(version: dict[str, Any], fr: str, en: str) -> None:
    assert (reasons.of_version(version, "fr"), reasons.of_version(version, "en")) == (fr, en)


def test_a_step_is_kept_as_facts_applied_or_held() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=100)
    SetPlan((Step(NOW, 150), Step(NOW + 1, 200)), "launch", "key-1").decide(state, NOW)
    (first, second) = ApplyPlan(CALM, 500).decide(state, NOW)
    assert (first.status, second.status) == ("applied", "planned")
    (version,) = state.changes.versions
    row = {"kind": version.kind, "reason": version.reason, "version": 2, "changed": version.changed}
    assert reasons.of_version(row, "fr") == "plan de lancement : 150 bots"
    (_, held) = ApplyPlan(replace(CALM, cpu_percent=91.04), 500).decide(state, NOW + 1)
    assert [guard.as_facts() for guard in held.held_by] == [["cpu", 91.0, 80]]
    entry = state.changes.audit[-1]
    row = {"action": entry.action, "reason": entry.reason, "detail": entry.detail}
    assert reasons.of_audit(row, "fr") == "CPU 91,0 % > 80 %"
    assert reasons.of_audit({"action": "pause", "reason": "", "detail": {}}, "fr") == ""


def test_what_was_done_to_what_is_said_in_the_readers_language() -> None:
    assert reasons.target("windows", "2 windows", "fr") == "2 plages"
    assert reasons.target("acknowledge", "alert 3", "fr") == "alerte 3"
    assert reasons.target("acknowledge", "alert 3", "en") == "alert 3"
    assert reasons.target("override", "alert", "fr") == "alert", "a user's name is no word"
    said = {n: [reasons.target("plan", f"{n} steps", language) for language in ("fr", "en")] for n in (0, 1, 2)}
    assert said == {0: ["0 étape", "0 steps"], 1: ["1 étape", "1 step"], 2: ["2 étapes", "2 steps"]}
    assert reasons.target("reap", "1 sessions", "en") == "1 session"
    assert reasons.action("drain_back", "fr") == "fin du vidage"


@pytest.mark.parametrize(
    ("actor", "fr", "en", "exact"),
    [
        ("samir#1a2b3c4d", "samir", "samir", "samir (clé 1a2b3c4d)"),
        ("1a2b3c4d", "clé 1a2b3c4d", "key 1a2b3c4d", "clé 1a2b3c4d"),
        ("desk#2#1a2b3c4d", "desk#2", "desk#2", "desk#2 (clé 1a2b3c4d)"),
        ("start", "le limiteur", "the limiter", "le limiteur"),
        ("cli", "la ligne de commande", "the command line", "la ligne de commande"),
        ("start#1a2b3c4d", "start", "start", "start (clé 1a2b3c4d)"),
        ("samir", "samir", "samir", "samir"),
        ("", "", "", ""),
    ],
)
def test_who_did_it_is_a_name_that_a_person_understands(actor: str, fr: str, en: str, exact: str) -> None:
    assert [reasons.who(actor, language) for language in ("fr", "en")] == [fr, en]
    assert reasons.who(actor, "fr", exact=True) == exact


def test_what_the_limiter_does_by_itself_has_a_name_in_both_languages() -> None:
    """Those whom rules and store write down beside an action, where no key was used."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "limiter").rglob("*.py"))
    written = set(re.findall(r'^ACTOR = "(\w+)"', code, re.MULTILINE))
    written |= set(re.findall(r'(?:AuditEntry\([^,"]*|Write\("keys", row|Version\(version, now), "(\w+)"', code))
    assert len(written) > 4 and written <= reasons.THEMSELVES.keys()


def test_every_action_of_the_audit_has_its_name() -> None:
    """Those that rules and store write down: their names stand where the entries are made."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "limiter").rglob("*.py"))
    written = set(re.findall(r'AuditEntry\(\s*[\w.]+, [\w."]+, "([a-z_]+)"', code))
    written |= set(re.findall(r'_audit\(state, now, self, "([a-z_]+)"', code))
    written |= set(re.findall(r'Write\("\w+", .+, "([a-z_]+)", .+\)', code))
    assert len(written) > 15 and written <= reasons.ACTIONS.keys()
