"""Where the load is going: a profile of the week with a damped trend, told with its own error on days it did not see.

Pure: hours in, forecast out. Promises no more than its back-test shows; `better` says whether it beat "same hour a week
ago". Needs 14 days.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from limiter.units import DAY_MS, HOUR_MS

HOUR, DAY = HOUR_MS, DAY_MS
WEEK = 7 * DAY
NEEDED_DAYS = 14
HELD_OUT = WEEK
DAMPING = 0.93  # of the trend a day: growth goes on, but not for ever
FADING = 0.75  # of a week's weight against the week after it

Hours = Sequence[tuple[int, float]]
"""(instant of the hour, bots), in order."""


@dataclass(frozen=True, slots=True)
class Point:
    """One hour to come: the middle, and a band that 80 % of the back-test's hours fell in."""

    at: int
    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The hours to come; mean absolute errors in bots on the week held out, its own and of "same hour a week ago"."""

    points: Sequence[Point]
    error: float
    naive_error: float

    @property
    def better(self) -> bool:
        """Whether it beat the naive forecast on the week it did not see."""
        return self.error <= self.naive_error

    def first_over(self, bots: float) -> int | None:
        """When the middle first reaches so many bots."""
        return next((point.at for point in self.points if point.middle >= bots), None)


def slope(hours: Hours) -> float:
    """Bots a day by which the days grow: the median over pairs of weeks' same weekdays, so that no peak bends it."""
    days: dict[int, list[float]] = {}
    for at, bots in hours:
        days.setdefault(at // DAY, []).append(bots)
    means = {day: sum(found) / len(found) for day, found in days.items() if len(found) >= 18}
    rises = [(means[b] - means[a]) / (b - a) for a, b in combinations(sorted(means), 2) if (b - a) % 7 == 0]
    return median(rises) if rises else 0.0


def model(hours: Hours, hour_of_week: Callable[[int], int]) -> Callable[[int], float]:
    """A function from an instant to the bots expected then."""
    rise, end = slope(hours), hours[-1][0]
    sums = [0.0] * 168
    weights = [0.0] * 168
    for at, bots in hours:
        weight = FADING ** ((end - at) // WEEK)
        slot = hour_of_week(at)
        sums[slot] += weight * (bots + rise * (end - at) / DAY)
        weights[slot] += weight
    overall = sum(sums) / max(1e-9, sum(weights))
    profile = [sums[slot] / weights[slot] if weights[slot] else overall for slot in range(168)]

    def expected(at: int) -> float:
        days = max(0.0, (at - end) / DAY)
        growth: float = rise * (1 - DAMPING**days) / (1 - DAMPING)
        return max(0.0, profile[hour_of_week(at)] + growth)

    return expected


def forecast(hours: Hours, hour_of_week: Callable[[int], int], days: int = 14) -> Forecast | None:
    """The next days, an hour a point; None where less than 14 days are known. `hour_of_week`: 0 (Monday 0 h) to 167."""
    if not hours or hours[-1][0] - hours[0][0] < NEEDED_DAYS * DAY - HOUR:
        return None
    end = hours[-1][0]
    seen = [row for row in hours if row[0] <= end - HELD_OUT]
    unseen = [row for row in hours if row[0] > end - HELD_OUT]
    guess = model(seen, hour_of_week)
    before = dict(hours)
    misses = sorted(bots - guess(at) for at, bots in unseen)
    naive = [abs(bots - before[at - WEEK]) for at, bots in unseen if at - WEEK in before]
    low, high = misses[len(misses) // 10], misses[len(misses) * 9 // 10]
    expected = model(hours, hour_of_week)
    points = []
    for step in range(1, days * 24 + 1):
        at = end + step * HOUR
        middle = expected(at)
        points.append(Point(at, middle, max(0.0, middle + min(0.0, low)), middle + max(0.0, high)))
    error = sum(abs(miss) for miss in misses) / len(misses)
    return Forecast(points, error, sum(naive) / len(naive) if naive else error)
