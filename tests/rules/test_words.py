"""Texts that rules say in both languages, and texts that were kept told again in the other one."""

import pytest

from limiter.rules import guards, incidents
from limiter.rules.guards import Readings
from limiter.rules.incidents import ALERTS
from limiter.rules.words import Words, told

BAD = Readings(91.04, 86.0, 3, 0, 300.0, 70.0, 5)
FACTS = {
    "percent": 80, "tokens": 3, "seconds": 31.0, "free": 180.0, "step": 2.5, "held_by": "CPU 91.0 % > 80 %",
    "hours": 27.0, "minutes": 12, "message": "x", "n": 3, "pid": 4711,
    "name": "python3",
}  # fmt: skip


def test_formats_are_filled_in_both_languages() -> None:
    words = Words("il y a {n} s, {why}", "{n} s ago, {why}").filled(n=1.5, why=Words("trop", "too much"))
    assert words == Words("il y a 1,5 s, trop", "1.5 s ago, too much")


def test_every_text_in_a_fact_is_told() -> None:
    assert told({"rows": [{"message": Words("oui", "yes"), "n": 1}]}, "fr") == {"rows": [{"message": "oui", "n": 1}]}


def test_what_the_guards_said_is_told_again() -> None:
    line = guards.said([guard for guard in guards.check(BAD, 1000) if guard.held])
    assert line.fr.count(";") == 4
    assert guards.retold(line.en, "fr") == line.fr and guards.retold(line.fr, "en") == line.en
    assert guards.retold(line.en, "en") == line.en
    assert guards.retold("somebody's own words", "fr") == "somebody's own words"


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_is_told_again(name: str) -> None:
    fr, en = (ALERTS[name].sentence(language, FACTS) for language in ("fr", "en"))
    assert incidents.retold(fr, "en") == en
    assert incidents.retold(en, "fr") == fr.replace("2.5", "2,5").replace("91.0", "91,0")
