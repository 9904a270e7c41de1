"""What the health checks say: the same facts in both languages, filled as each writes them."""

from string import Formatter

import pytest

from limiter.rules import checks
from limiter.rules.words import Words

SENTENCES = {name: text for name, text in vars(checks).items() if isinstance(text, Words)}


def facts_of(text: str) -> list[str]:
    """The facts that a format names, with how each is written; not the words that it chooses by them."""
    fields = [(name, form or "") for _, name, form, _ in Formatter().parse(text) if name is not None]
    return sorted(f"{name}:{form}" for name, form in fields if "|" not in form)


@pytest.mark.parametrize("name", SENTENCES)
def test_each_is_said_of_the_same_facts_in_both_languages(name: str) -> None:
    text = SENTENCES[name]
    assert facts_of(text.fr) == facts_of(text.en)
    assert text.fr != text.en


def test_a_backup_that_failed_is_told_behind_the_one_before_it() -> None:
    last = checks.HOURS_AGO.filled(hours=26.04)
    told = checks.THEN_FAILED.filled(last=last)
    assert told.en == "last 26.0 h ago, and then one failed: see the log"
    assert told.fr == "la dernière il y a 26,0 h, puis une a échoué : voir le journal"


def test_french_has_a_comma_and_its_own_unit() -> None:
    assert checks.MEBIBYTES.filled(size=1.25) == Words("1,2 Mio", "1.2 MiB")
    assert checks.FREE.filled(size=12.0) == Words("12,0 Gio libres", "12.0 GiB free")
