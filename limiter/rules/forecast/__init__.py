"""Where the number of bots is going: the usual load of each hour of the week, how far from it days strayed, and the
chance that a limit is reached.

Pure: hours of the past in, hours to come out. The method is the one that was least wrong on real series
(docs/forecast.md): the weighted middle of the same local hour in five weeks, moved a little by the level of the last
week; a band from its own misses in rolling back-tests; a chance from runs of daily peaks, held back by how seldom the
highest of some weeks is passed in the next ones. It names no day on which a limit is passed, because nobody does so
reliably, and says so where it is too early to say anything.

All instants are UTC milliseconds; hours are told by where they begin. What is missing is left out, never a 0.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from math import sqrt

from limiter.rules.forecast.back_test import back_test, distance
from limiter.rules.forecast.chance import chances
from limiter.rules.forecast.level import level_change
from limiter.rules.forecast.past import Hours, Past, known_days, usual
from limiter.units import DAY_MS, HOUR_MS

NEEDED_DAYS = 14  # for the hours to come
NEEDED_DAYS_FOR_CHANCE = 28
LOOKED_AT_DAYS = 56


@dataclass(frozen=True, slots=True)
class Point:
    """One hour to come: bots expected, and the band that holds 80 % of hours."""

    at: int
    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The hours to come, and how far to trust them.

    `error` and `naive_error`: mean absolute miss in bots an hour over the back-tests, its own and that of "same hour a
    week ago". `chance`: per cent of the limit → chance (0 to 1) that the highest of those days reaches it; None below
    28 days of history. `level_changed_at`: the local day since when the load is at another level, if it is.
    """

    points: Sequence[Point]
    error: float
    naive_error: float
    chance: Mapping[int, float] | None
    level_changed_at: int | None


def forecast(
    hours: Hours, zone: tzinfo, limit_at: Callable[[int], float], days: int = 14, begin: int = 0
) -> Forecast | None:
    """The `days` (1 to 28) days from `begin` on, or from behind the last known hour where that is later, by the hour;
    None where less than 14 days are known, or gaps leave nothing to compare with.

    `limit_at` gives the limit in force at an instant to come.
    """
    if known_days(hours) < NEEDED_DAYS:
        return None
    past = Past([row for row in hours if row[0] >= hours[-1][0] - LOOKED_AT_DAYS * DAY_MS], zone)
    end = max(begin, past.times[-1] + HOUR_MS)
    tested = back_test(past)
    if tested is None:
        return None
    bands, error, naive_error = tested
    since = level_change(past)
    expected = usual(past, end) if since is None else past.middles_since(end, since)
    points = []
    for step in range(days * 24):
        at = end + step * HOUR_MS
        middle = expected[past.slot(at)]
        if middle is not None:
            low, high = bands[distance(step // 24 + 1)]
            spread = sqrt(middle + 1)
            # Where bots became more from week to week all misses are above: the middle is told inside of its band.
            below, above = middle + min(low, 0.0) * spread, middle + max(high, 0.0) * spread
            points.append(Point(at, middle, max(0.0, below), above))
    enough = known_days(hours) >= NEEDED_DAYS_FOR_CHANCE
    chance = chances(past, end, limit_at, days, since) if enough else None
    return Forecast(points, error, naive_error, chance, since)
