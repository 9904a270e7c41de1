"""How wrong the forecast was: each day of the past foretold from what was known before it."""

from collections.abc import Sequence
from math import ceil, sqrt

from limiter.rules.forecast.past import WEEK_MS, Past, usual
from limiter.units import DAY_MS

BAND = 0.07, 0.93  # of the back-test's misses; 80 % of the hours to come fall between them
DISTANCES = (1, 3, 7, 14)  # days ahead: misses up to each are a distribution of their own


def distance(day: int) -> int:
    """Which of DISTANCES a day ahead (from 1) belongs to, by its place."""
    return next((place for place, most in enumerate(DISTANCES) if day <= most), len(DISTANCES) - 1)


_BY_DAY = [distance(day + 1) for day in range(DISTANCES[-1])]


def back_test(past: Past) -> tuple[list[tuple[float, float]], float, float] | None:
    """Forecast each day from what was known before it, from the second week on.

    Gives the band by distance, low and high in spreads of `sqrt(middle + 1)`, the mean absolute error, and that of
    "same hour a week ago" for the same hours. None where gaps leave no hour of the week that is known twice.
    """
    misses: list[list[float]] = [[] for _ in DISTANCES]
    own = naive = 0.0
    n = 0
    for day in past.days.values():
        origin = day.begins
        if origin < past.times[0] + WEEK_MS:
            continue
        expected = usual(past, origin)
        newest = [past.newest(slot, origin) for slot in range(168)]
        for at, slot, bots in past.between(origin, origin + DISTANCES[-1] * DAY_MS):
            middle, before = expected[slot], newest[slot]
            if middle is None or before is None:
                continue
            miss = bots - middle
            own, naive, n = own + abs(miss), naive + abs(bots - before), n + 1
            misses[_BY_DAY[(at - origin) // DAY_MS]].append(miss / sqrt(middle + 1))
    nearest = next((found for found in misses if found), None)
    if nearest is None:
        return None
    bands = []
    for found in misses:
        nearest = found or nearest  # a distance that no back-test reached is at least as wrong as the one before it
        nearest.sort()
        bands.append((quantile(nearest, BAND[0]), quantile(nearest, BAND[1])))
    return bands, own / n, naive / n


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that has at least this share of the values at or below it."""
    return ordered[min(len(ordered) - 1, max(0, ceil(share * len(ordered)) - 1))]
