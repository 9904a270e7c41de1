"""The forecast finds a week's shape and its growth, and says so when it does not."""

import math
import random

from limiter.rules.forecast import HOUR, forecast

WEEK = 168


def hour_of_week(at: int) -> int:
    return (at // HOUR) % WEEK


def load(n: int, growth: float = 0.0) -> float:
    """Bots in hour n: a peak each day, lower at weekends, and growth a day."""
    day, hour = divmod(n % WEEK, 24)
    return 60 + 40 * math.exp(-(((hour - 18) / 4) ** 2)) * (0.6 if day >= 5 else 1.0) + growth * n / 24


def test_it_needs_14_days() -> None:
    assert forecast([(n * HOUR, load(n)) for n in range(13 * 24)], hour_of_week) is None
    assert forecast([], hour_of_week) is None


def test_it_finds_shape_and_growth_and_beats_last_week() -> None:
    noise = random.Random(1)
    hours = [(n * HOUR, load(n, 0.8) + noise.gauss(0, 2)) for n in range(28 * 24)]
    found = forecast(hours, hour_of_week)
    assert found is not None and found.better and found.error < 4 < found.naive_error
    assert len(found.points) == 14 * 24
    peak = max(found.points[:WEEK], key=lambda point: point.middle)
    assert hour_of_week(peak.at) % 24 == 18
    assert all(point.low <= point.middle <= point.high for point in found.points)
    truth = load(28 * 24 + 90, 0.8)
    assert abs(found.points[90].middle - truth) < 6


def test_it_says_when_it_is_no_better() -> None:
    rough = random.Random(2)
    week = [rough.uniform(0, 100) for _ in range(WEEK)]
    last = [rough.uniform(0, 100) for _ in range(WEEK)]
    hours = [(n * HOUR, week[n % WEEK] if n < 2 * WEEK else last[n % WEEK]) for n in range(4 * WEEK)]
    found = forecast(hours, hour_of_week)
    assert found is not None and not found.better and found.naive_error == 0


def test_when_a_level_is_reached() -> None:
    found = forecast([(n * HOUR, load(n)) for n in range(21 * 24)], hour_of_week)
    assert found is not None
    over = found.first_over(99)
    assert over is not None and hour_of_week(over) % 24 == 18
    assert found.first_over(500) is None
