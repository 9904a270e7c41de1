"""French and English: every text in both, numbers and durations as each writes them."""

import re
from pathlib import Path

import pytest

from limiter.console.catalog import catalog
from limiter.console.kit.words import lasting, number, percent, t, tn
from limiter.po_file import read
from tests.console.conftest import Speak
from tests.console.texts import plurals, said

FIELD = re.compile(r"\{(\w+)\}")
OPTION = re.compile(r"(?<![`\w])--[a-z]")  # of a command, not written as code


def test_every_text_is_in_french_and_none_is_left_over() -> None:
    assert said().keys() == catalog().keys()


@pytest.mark.parametrize("text", sorted(said()))
def test_a_translation_keeps_the_names_and_the_marks(text: str) -> None:
    translations = catalog()[text]
    assert len(translations) == (2 if text in plurals() else 1)
    for translation in translations:
        assert translation.strip()
        assert set(FIELD.findall(translation)) <= set(FIELD.findall(text)), translation
        assert translation.count("**") == text.count("**") and translation.count("`") == text.count("`")
        assert not OPTION.search(translation), "a line may end within it: write it as code"


def test_the_two_languages(speak: Speak) -> None:
    speak("en")
    assert t("Free of {x}", x=1) == "Free of 1"  # not in the catalog: as it is
    assert (tn("{n} day", "{n} days", 0), tn("{n} day", "{n} days", 1)) == ("0 days", "1 day")
    assert (number(1234.56, 1), percent(75.0)) == ("1,234.6", "75.0%")
    speak("fr")
    assert (tn("{n} day", "{n} days", 0), tn("{n} day", "{n} days", 2)) == ("0 jour", "2 jours")
    assert (number(1234.56, 1), percent(75.0), percent(None)) == ("1\u202f234,6", "75,0\u00a0%", "–")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (89, "1 min 29 s"),
        (114, "1 min 54 s"),
        (120, "2 min"),
        (599, "9 min 59 s"),
        (600, "10 min"),
        (659, "10 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (5399, "1 h 29 min"),
        (7200, "2 h"),
        (180_000, "2 d 2 h"),
    ],
)
def test_durations(speak: Speak, seconds: float, text: str) -> None:
    speak("en")
    assert lasting(seconds) == text


def test_a_catalog_over_several_lines(tmp_path: Path) -> None:
    file = tmp_path / "fr.po"
    file.write_text('msgid ""\nmsgstr "x"\n\n#: a.py\nmsgid "a "\n"b"\nmsgstr "c "\n"\\"d\\""\n')
    assert read(file) == {"a b": ('c "d"',)}
