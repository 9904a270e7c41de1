"""Texts that rules say in both languages, from facts that were kept."""

import ast
import json
import re

import pytest

from limiter.rules import advice, changes, checks, guards, incidents, lease, reasons, sizing
from limiter.rules.alerts import ALERTS
from limiter.rules.forecast import sentences
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


def test_a_format_chooses_the_word_for_what_it_counts() -> None:
    words = Words("{n:,} {n:place prise|places prises}", "{n:,} {n:slot|slots}")
    said = [words.filled(n=n) for n in (0, 1, 1.5, 2, 1000)]
    assert [one.fr for one in said] == [
        "0 place prise", "1 place prise", "1,5 place prise", "2 places prises", "1\u202f000 places prises",
    ]  # fmt: skip
    assert [one.en for one in said] == ["0 slots", "1 slot", "1.5 slots", "2 slots", "1,000 slots"]


@pytest.mark.parametrize(
    ("words", "facts", "fr", "en"),
    [
        (sizing.ENOUGH, {"limit": 1}, "Oui, 1 place suffit", "Yes, 1 slot is enough"),
        (sizing.SHORT, {"limit": 0}, "Non, 0 place ne suffit pas", "No, 0 slots are not enough"),
        (changes.OVER, {"bots": 1, "over": 1, "limit": 0}, "1 bot actif, 1 au-dessus", "1 bot is active, 1 over 0"),
        (reasons.PLAN, {"bots": 1}, "plan de lancement : 1 bot", "launch plan: 1 bot"),
        (sentences.WRONG_BY, {"error": 0.5, "naive": 2.5}, "Erreur moyenne : 0,5 bot par heure", "The forecast"),
        (lease.SHORTEST, {"seconds": 20, "hours": 1.5}, "Un bail de 20 s aurait suffi", "A lease of 20 s"),
        (advice.LITTLE, {"bots": 1, "ram": 0.5, "cpu": 2.0}, "au plus 1 bot, 0,5 Go", "at most 1 bot, 0.5 GB"),
        (incidents.BODY, {"bots": "9/10", "percent": 90.0, "free": 1}, "9/10 bots actifs (90,0 %), 1 place libre.",
         "9/10 active bots (90.0%), 1 free slot."),
        (checks.FREE, {"size": 0.5}, "0,5 Gio libre", "0.5 GiB free"),
    ],
)  # fmt: skip
def test_one_and_none_stand_in_the_singular(words: Words, facts: dict[str, float], fr: str, en: str) -> None:
    """English has it of one alone."""
    told = words.filled(**facts)
    assert told.fr.startswith(fr) and told.en.startswith(en)
    assert not re.search(r"\b[01] (places|bots|utilisateurs)\b", told.fr)


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
