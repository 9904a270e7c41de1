"""Instants for people: zones, DST nights, ticks."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from limiter.clock import rfc3339
from limiter.console.kit.times import clock, millis, when
from limiter.console.kit.words import view
from limiter.console.view import DAY, HOUR, Span
from tests.console.conftest import Speak


def at(text: str, zone: str = "Europe/Paris") -> int:
    """The instant of a wall clock."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_an_hour_that_comes_twice_is_labelled_once(speak: Speak) -> None:
    speak("fr", "Europe/Paris")
    night = Span(at("2026-10-24T22:00"), at("2026-10-25T06:00"))
    assert night.length == 9 * HOUR
    labels = [label for _, label in view().ticks(night, 12)]
    assert labels == ["22:00", "23:00", "dim. 25 oct.", "01:00", "02:00", "03:00", "04:00", "05:00", "06:00"]
    assert [place for place, _ in view().ticks(night, 12)] == sorted({place for place, _ in view().ticks(night, 12)})


def test_an_hour_that_is_left_out_leaves_no_gap(speak: Speak) -> None:
    speak("en", "Europe/Paris")
    night = Span(at("2026-03-28T23:00"), at("2026-03-29T05:00"))
    assert [label for _, label in view().ticks(night)] == ["23:00", "Sun 29 Mar", "01:00", "03:00", "04:00", "05:00"]


@pytest.mark.parametrize("hours", [1, 6, 24, 24 * 7, 24 * 30, 24 * 90])
@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Asia/Kolkata", "America/St_Johns"])
def test_there_are_some_ticks_and_not_too_many(speak: Speak, hours: int, zone: str) -> None:
    speak("en", zone)
    span = Span(at("2026-10-01T10:07", zone), at("2026-10-01T10:07", zone) + hours * HOUR)
    found = view().ticks(span)
    assert 3 <= len(found) <= 11
    assert all(span.start <= place <= span.end for place, _ in found)


def test_french_counts_the_first_of_a_month_and_english_no_day(speak: Speak) -> None:
    first, second = at("2026-11-01T14:03"), at("2026-11-02T14:03")
    for language, days in (("fr", ("1er nov.", "2 nov.")), ("en", ("1 Nov", "2 Nov"))):
        speak(language, "Europe/Paris")
        assert (view().day(first), view().day(second)) == days
        assert [text for _, text in view().ticks(Span(first - DAY, second + 7 * DAY))][:2] == list(days)
        assert view().when(first, second) == f"{days[0]} 14:03" == view().stamp(first)
        assert view().date("2026-11-01") == days[0]


def test_midnights_are_local_and_days_may_have_25_hours(speak: Speak) -> None:
    speak("en", "Europe/Paris")
    found = list(view().midnights(Span(at("2026-10-24T12:00"), at("2026-10-26T12:00"))))
    assert found == [at("2026-10-25T00:00"), at("2026-10-26T00:00")]
    assert found[1] - found[0] == DAY + HOUR


def test_texts(speak: Speak) -> None:
    speak("fr", "Europe/Paris")
    instant = at("2020-11-24T14:03:07")
    assert (clock(instant), when(instant)) == ("14:03:07", "24 nov. 2020 14:03")
    assert rfc3339(instant) == "2020-11-24T13:03:07.000Z" and millis(rfc3339(instant)) == instant
