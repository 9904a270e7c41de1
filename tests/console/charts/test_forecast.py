"""What was, what is expected with its band, and the levels it may reach."""

from zoneinfo import ZoneInfo

import pytest

from limiter.console.charts.forecast import ahead
from limiter.console.data import as_table
from limiter.console.view import HOUR, Span, View
from limiter.rules.forecast import Point
from tests.console.charts.drawn import layers

NOON = 1_795_262_400_000


def test_past_band_middle_and_levels() -> None:
    expected = as_table([Point(NOON + HOUR, 120.0, 100.0, 260.0)])
    past = as_table([{"at": NOON, "high": 110}])
    view = View("en", ZoneInfo("UTC"))
    limits = [(NOON, 100), (NOON + HOUR, 200)]  # a window that begins in an hour
    band, was, middle, levels, hover = layers(ahead(past, expected, Span(NOON, NOON + 2 * HOUR), view, limits=limits))
    assert band["encoding"]["y2"]["field"] == "high" and band["encoding"]["y"]["scale"]["domain"] == [0, 273]
    assert [(row["at"], row["high"]) for row in was["rows"]] == [(NOON, 110)]
    assert [row["at"] for row in hover["rows"]] == [NOON], "of hours to come there is nothing to open"
    assert middle["rows"][0]["said"] == "120 (100 – 260)" and middle["rows"][0]["at"] == NOON + HOUR
    course = [(row["at"] - NOON, row["level"]) for row in levels["rows"]]
    assert course == [(0, 100), (HOUR, 200), (2 * HOUR, 200), (0, 80), (HOUR, 160), (2 * HOUR, 160)]


def test_the_past_has_the_limit_of_its_time_room_for_its_peak_and_gaps() -> None:
    expected = as_table([Point(NOON + 30 * HOUR, 20.0, 10.0, 30.0)])
    past = as_table([{"at": NOON + n * HOUR, "high": 190} for n in (0, 1, 9)])
    limits = [(NOON, 200), (NOON + 5 * HOUR + 1, 100)]
    span = Span(NOON, NOON + 30 * HOUR)
    _, was, _, levels, hover = layers(ahead(past, expected, span, View("en", ZoneInfo("UTC")), limits=limits))
    assert [(row["at"] - NOON, row["level"]) for row in levels["rows"]][:3] == [
        (0, 200), (5 * HOUR + 1, 100), (30 * HOUR, 100),
    ]  # fmt: skip
    assert was["encoding"]["y"]["scale"]["domain"][1] == pytest.approx(230), "the highest limit there was"
    assert [row["high"] for row in was["rows"]] == [190, 190, None, 190], "nothing is known of seven hours"
    assert hover["transform"] == [{"filter": "isValid(datum.high)"}]


def test_without_a_past_there_are_the_days_to_come() -> None:
    expected = as_table([Point(NOON + HOUR, 20.0, 10.0, 30.0)])
    chart = ahead(as_table([]), expected, Span(NOON, NOON + HOUR), View("en", ZoneInfo("UTC")), limits=[(NOON, 100)])
    assert len(layers(chart)[2]["rows"]) == 1 and layers(chart)[1]["rows"] == []
