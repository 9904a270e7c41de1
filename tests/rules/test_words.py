"""Texts that rules say in both languages, from facts that were kept."""

import ast
import json
import re

import pytest

from limiter.rules import guards
from limiter.rules.alerts import ALERTS
from limiter.rules.guards import Readings
from limiter.rules.words import Words, told
from tests.conftest import ROOT

BAD = Readings(91.04, 86.0, 3, 0, 300.0, 70.0, 5)
FACTS = {
    "percent": 80, "tokens": 3, "seconds": 31.0, "free": 180.0, "step": 2.5, "held_by": [["cpu", 91.0, 80]],
    "hours": 27.0, "minutes": 12, "message": "x", "n": 3, "drift": 2, "pid": 4711,
    "name": "python3.11", "before": 200, "after": 250, "saved": "data/limiter.db",
    "problem": "row 7 missing from index trades_at",
}  # fmt: skip


def test_formats_are_filled_in_both_languages() -> None:
    words = Words("il y a {n} s, {why}", "{n} s ago, {why}").filled(n=1.5, why=Words("trop", "too much"))
    assert words == Words("il y a 1,5 s, trop", "1.5 s ago, too much")


def test_thousands_are_parted_as_the_language_does_where_the_format_asks_for_it() -> None:
    assert Words("{n:,} et {n}", "{n:,} and {n}").filled(n=21819) == Words("21\u202f819 et 21819", "21,819 and 21819")


def test_every_text_in_a_fact_is_told() -> None:
    assert told({"rows": [{"message": Words("oui", "yes"), "n": 1}]}, "fr") == {"rows": [{"message": "oui", "n": 1}]}


def test_what_is_kept_of_the_guards_says_what_they_said() -> None:
    held = [guard for guard in guards.check(BAD, 1000) if guard.held]
    assert len(held) == 5
    kept = json.loads(json.dumps([guard.as_facts() for guard in held]))
    assert guards.said(guards.from_facts(kept)) == guards.said(held)
    assert guards.said(held).fr.startswith("CPU 91,0 % > 80 %; RAM 86,0 % > 85 %; flux 3 tokens/min < 5; ")


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_said_from_facts_in_the_language_of_who_reads(name: str) -> None:
    held = "{held_by}" in ALERTS[name].fr
    kept = json.loads(json.dumps({k: v for k, v in FACTS.items() if held or k != "held_by"}))
    fr, en = (ALERTS[name].sentence(language, kept) for language in ("fr", "en"))
    assert fr != en and "{" not in fr + en
    numbers = {"plan": ("91,0 %", "91.0%"), "clock": ("+2,5 s", "+2.5 s"), "strangers": ("python3.11", "python3.11")}
    said = numbers.get(name, ("", ""))
    assert said[0] in fr and said[1] in en


def test_english_has_no_space_before_the_percent_sign() -> None:
    """French has; of English the contract has one sentence with it."""
    spaced = [
        f"{path.relative_to(ROOT)}:{english.lineno}"
        for path in (ROOT / "limiter").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for english in _english(node)
        if re.search(r"[}\d] %", ast.unparse(english)) and "Server too busy" not in ast.unparse(english)
    ]
    assert spaced == []


def _english(call: ast.Call) -> list[ast.expr]:
    place = {"Words": 1, "Alert": 3}.get(ast.unparse(call.func), len(call.args))
    return [*call.args[place : place + 1], *(one.value for one in call.keywords if one.arg == "en")]
