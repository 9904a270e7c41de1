"""The forecast finds a week's shape, says how wrong it is, sees a new level, and gives a chance instead of a day."""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from statistics import fmean
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.rules.forecast import forecast
from limiter.rules.forecast.past import FADING, FOLLOWING, WEEKS, Past, known_days, middle_third, usual
from limiter.rules.forecast.sentences import needs
from limiter.units import DAY_MS, HOUR_MS

MONDAY = int(datetime(2026, 8, 31, tzinfo=UTC).timestamp() * 1000)
WEEK = 168
PARIS = ZoneInfo("Europe/Paris")


def load(n: int) -> float:
    """Bots in hour n: a peak each day, lower at weekends."""
    day, hour = divmod(n % WEEK, 24)
    return 60 + 40 * math.exp(-(((hour - 18) / 4) ** 2)) * (0.6 if day >= 5 else 1.0)


def hours(count: int, of: Callable[[int], float] = load) -> list[tuple[int, float]]:
    return [(MONDAY + n * HOUR_MS, of(n)) for n in range(count)]


def no_limit(at: int) -> float:
    return 1e9


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=9))
def test_the_middle_third_is_that_of_so_many_copies_in_order(rows: list[tuple[int, int]]) -> None:
    copies = sorted(value for value, weight in rows for _ in range(3 * weight))
    third = len(copies) // 3
    assert middle_third([(float(value), float(weight)) for value, weight in rows]) == pytest.approx(
        fmean(copies[third : 2 * third])
    )


def test_a_holiday_or_an_outage_in_one_week_of_five_moves_the_middle_by_little() -> None:
    weeks = [(100.0, FADING**age) for age in range(5)]
    for gone in range(5):
        holiday = [(0.0 if age == gone else bots, weight) for age, (bots, weight) in enumerate(weeks)]
        assert middle_third(holiday) == pytest.approx(100)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([UTC, PARIS, ZoneInfo("America/New_York")]), st.floats(0.3, 1.0))
def test_what_is_usual_is_what_a_plain_look_through_all_hours_gives(seed: int, zone: ZoneInfo, share: float) -> None:
    chance = random.Random(seed)
    rows = [(at, float(chance.randrange(100))) for at, _ in hours(9 * WEEK) if chance.random() < share]
    origin = MONDAY + chance.randrange(2 * WEEK, 9 * WEEK) * HOUR_MS

    def slot(at: int) -> tuple[int, int]:
        local = datetime.fromtimestamp(at / 1000, zone)
        return local.weekday(), local.hour

    def plain(before: int, wanted: tuple[int, int]) -> float | None:
        known = [row for row in rows if row[0] < before and slot(row[0]) == wanted][-WEEKS:]
        ages = [(bots, (before - 1 - at) // (7 * DAY_MS)) for at, bots in known]
        fresh = [(bots, FADING**age) for bots, age in ages if age < WEEKS]
        return middle_third(fresh) if fresh else known[-1][1] if known else None

    found = usual(Past(rows, zone), origin)
    last = [row for row in rows if origin - 7 * DAY_MS <= row[0] < origin]
    misses = [bots - m for at, bots in last if (m := plain(origin - 7 * DAY_MS, slot(at))) is not None]
    moved = 1.0
    if misses and sum(bots for _, bots in last):
        ordered = sorted(misses)
        middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        moved = 1 + FOLLOWING * middle * len(last) / sum(bots for _, bots in last)
    for place in chance.sample(range(WEEK), 12):
        expected = plain(origin, divmod(place, 24))
        if expected is None:
            assert found[place] is None
        else:
            assert found[place] == pytest.approx(max(0.0, expected * moved))


def test_it_needs_14_days_and_28_for_a_chance() -> None:
    assert forecast([], UTC, no_limit) is None and forecast(hours(14 * 24 - 1), UTC, no_limit) is None
    short = forecast(hours(14 * 24), UTC, no_limit)
    assert short is not None and short.chance is None and len(short.points) == 14 * 24
    full = forecast(hours(28 * 24), UTC, no_limit)
    assert full is not None and full.chance is not None
    assert known_days(hours(36)) == 1.5
    assert needs(hours(36), None, "en") == "Too early to say: a forecast needs 14 days of history, there are 1."
    assert str(needs(hours(20 * 24), short, "fr")).startswith("Trop tôt pour une probabilité : elle demande 28 jours")
    assert needs(hours(28 * 24), full, "en") is None


@pytest.mark.parametrize(
    "known",
    [
        [0, 15 * 24],
        [0, 1, 2, 20 * 24 + 5, 20 * 24 + 6],
        [*range(24), *range(30 * 24, 30 * 24 + 5)],
        [*range(240), 70 * 24, 70 * 24 + 1],  # what was before lies further back than is looked at
    ],
)
def test_gaps_that_leave_nothing_to_compare_are_said(known: list[int]) -> None:
    past = [(MONDAY + n * HOUR_MS, 5.0) for n in known]
    assert forecast(past, UTC, no_limit) is None
    assert needs(past, None, "en") == "Too early to say: the history has gaps, and no hour of the week is known twice."


def test_after_an_outage_the_days_to_come_begin_now_and_not_where_the_limiter_stopped() -> None:
    now = MONDAY + (38 * 24) * HOUR_MS
    found = forecast(hours(35 * 24), UTC, no_limit, 7, now)
    assert found is not None
    assert [point.at for point in found.points] == [now + n * HOUR_MS for n in range(7 * 24)]
    assert all(point.middle == pytest.approx(load(38 * 24 + n)) for n, point in enumerate(found.points))


def test_it_finds_the_shape_and_is_less_wrong_than_last_week() -> None:
    noise = random.Random(1)
    found = forecast(hours(42 * 24, lambda n: load(n) + noise.gauss(0, 4)), UTC, no_limit)
    assert found is not None and found.error < 0.95 * found.naive_error and found.level_changed_at is None
    assert all(point.low <= point.middle <= point.high for point in found.points)
    truth = [load(42 * 24 + n) for n in range(len(found.points))]
    assert sum(abs(point.middle - bots) for point, bots in zip(found.points, truth, strict=True)) / len(truth) < 2.5
    inside = sum(
        point.low <= bots + noise.gauss(0, 4) <= point.high for point, bots in zip(found.points, truth, strict=True)
    )
    assert 0.72 < inside / len(truth) < 0.92


def test_hours_are_local_over_the_night_in_which_the_clocks_change() -> None:
    def local_load(at: int) -> float:
        local = datetime.fromtimestamp(at / 1000, PARIS)
        return load(local.weekday() * 24 + local.hour)

    rows = [(at, local_load(at)) for at, _ in hours(52 * 24)]  # until 22 October; the clocks go back on the 25th
    found = forecast(rows, PARIS, no_limit)
    assert found is not None
    assert max(abs(point.middle - local_load(point.at)) for point in found.points) < 0.01


def test_a_day_of_zeros_is_forgotten_and_missing_hours_are_no_zeros() -> None:
    found = forecast(hours(35 * 24, lambda n: 0.0 if 30 <= n // 24 < 31 else load(n)), UTC, no_limit)
    gone = forecast([row for row in hours(35 * 24) if row[0] % (7 * DAY_MS) // HOUR_MS % 9], UTC, no_limit)
    assert found is not None and gone is not None
    for point in [*found.points, *gone.points]:
        n = (point.at - MONDAY) // HOUR_MS
        assert abs(point.middle - load(n)) < 3


def test_a_change_of_level_is_seen_and_followed_at_once() -> None:
    noise = random.Random(3)
    step = 30 * 24
    found = forecast(hours(35 * 24, lambda n: load(n) * (1.6 if n >= step else 1) + noise.gauss(0, 1)), UTC, no_limit)
    assert found is not None and found.level_changed_at == MONDAY + step * HOUR_MS
    assert abs(found.points[18 + 3 * 24].middle - 1.6 * load(38 * 24 + 18)) < 20


@pytest.mark.parametrize(("limit", "low", "high"), [(90, 0.9, 1.0), (1000, 0.0, 0.1), (103, 0.1, 0.9)])
def test_the_chance_is_high_where_the_days_reach_the_line_and_low_far_below(
    limit: float, low: float, high: float
) -> None:
    noise = random.Random(5)
    found = forecast(hours(42 * 24, lambda n: load(n) + noise.gauss(0, 1)), UTC, lambda at: limit)
    assert found is not None and found.chance is not None
    assert low <= found.chance[100] <= high and found.chance[80] >= found.chance[100]


def test_a_limit_that_the_plan_raises_is_the_limit_of_those_days() -> None:
    past = hours(42 * 24)
    end = past[-1][0] + HOUR_MS
    lowered = forecast(past, UTC, lambda at: 50 if at >= end + 10 * DAY_MS else 500)
    assert lowered is not None and lowered.chance is not None and lowered.chance[100] > 0.9
