"""The scale of now and the month in days."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from limiter.console.charts.statuses import days, scale
from limiter.console.data import as_table
from limiter.console.theme import LIGHT, STATUSES
from limiter.console.view import DAY, HOUR, View
from tests.console.charts.drawn import layers

VIEW = View("en", ZoneInfo("UTC"))
NOON = 1_795_262_400_000


def test_the_scale_has_the_statuses_the_bots_and_what_the_box_carries() -> None:
    statuses, taken, comfort = layers(scale(150, 200, VIEW, comfort=140))
    assert [(row["band"], row["low"]) for row in statuses["rows"]] == [
        ("LOW", 0), ("HEALTHY", 100), ("WARNING", 160), ("FULL", 200),
    ]  # fmt: skip
    assert taken["rows"] == [{"low": 0, "high": 150}] and comfort["rows"] == [{"low": 140}]
    assert statuses["encoding"]["x"]["axis"]["values"] == [0, 100, 160, 200]


def test_over_the_limit_the_scale_reaches_further() -> None:
    statuses, taken = layers(scale(250, 200, VIEW))
    assert statuses["encoding"]["x"]["scale"]["domain"] == [0, 260] and statuses["rows"][-1]["high"] == 260
    assert taken["rows"][0]["high"] == 250


def test_a_box_that_carries_far_more_does_not_squeeze_the_scale() -> None:
    assert len(layers(scale(10, 20, VIEW, comfort=400))) == 2
    assert layers(scale(0, 0, VIEW))[0]["encoding"]["x"]["axis"]["values"] == [0]


def test_a_day_has_the_worst_of_its_hours_and_a_day_without_data_none() -> None:
    hours = as_table(
        {"at": NOON + at, "worst": worst} for at, worst in ((0, "HEALTHY"), (HOUR, "FULL"), (2 * HOUR, "LOW"))
    )
    cells = layers(days(hours, VIEW, until=NOON + DAY, shown=3))[0]
    assert [(row["day"], row["status"]) for row in cells["rows"]] == [
        (VIEW.day(NOON - DAY), "no data"), (VIEW.day(NOON), "FULL"), (VIEW.day(NOON + DAY), "no data"),
    ]  # fmt: skip
    assert [row["at"] for row in cells["rows"]] == [NOON - DAY // 2 + n * DAY for n in (-1, 0, 1)], "midnights"
    colours = cells["encoding"]["color"]["scale"]
    assert colours["range"] == [*(one.colour for one in STATUSES.values()), LIGHT.empty]
    assert len(layers(days(as_table([]), VIEW, until=NOON))[0]["rows"]) == 30


@pytest.mark.parametrize("now", ["2026-03-30T00:30", "2026-10-25T23:30", "2026-10-26T00:30", "2026-03-29T23:59"])
def test_each_day_of_the_calendar_has_one_cell_where_one_has_23_or_25_hours(now: str) -> None:
    """Counted back by 24 hours, 29 March was skipped and 25 October there twice."""
    zone = ZoneInfo("Europe/Paris")
    until = datetime.fromisoformat(now).replace(tzinfo=zone)
    cells = layers(days(as_table([]), View("en", zone), until=int(until.timestamp() * 1000)))[0]["rows"]
    dates = [until.date() - timedelta(days=back) for back in range(29, -1, -1)]
    assert [row["day"] for row in cells] == [f"{day.day} {day:%b}" for day in dates]
    assert date(2026, 3, 29) in dates or date(2026, 10, 25) in dates
