"""What was, what is expected with its band, and the levels it may reach."""

from zoneinfo import ZoneInfo

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
