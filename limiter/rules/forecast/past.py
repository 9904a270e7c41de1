"""The known hours of the past, and the load that is usual in each hour of the week.

All instants are UTC milliseconds; hours are told by where they begin. What is missing is left out, never a 0.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from statistics import median

from limiter.units import DAY_MS, HOUR_MS

WEEK_MS = 7 * DAY_MS
WEEKS = 5  # of the past whose same hour counts
FADING = 0.75  # of a week's weight against the week after it
FOLLOWING = 0.4  # of how far the last week lay beside the usual
_WEIGHTS = [FADING**week for week in range(WEEKS + 1)]

Hours = Sequence[tuple[int, float]]
"""(instant, bots) of each known hour, in order."""
Slot = int
"""A local hour of the week: 0 (Monday 0 h) to 167."""


@dataclass(frozen=True, slots=True)
class Day:
    """A local day: when its first known hour begins, and its known hours as (hour of the week, bots)."""

    begins: int
    hours: Sequence[tuple[Slot, float]]

    @property
    def peak(self) -> float:
        """The most bots in any of its hours."""
        return max(bots for _, bots in self.hours)


@dataclass(slots=True)
class Past:
    """The known hours by local hour of the week and by local day; at least one."""

    hours: Hours
    zone: tzinfo
    slots: list[tuple[list[int], list[float]]] = field(default_factory=lambda: [([], []) for _ in range(168)])
    days: dict[date, Day] = field(default_factory=dict)
    times: list[int] = field(default_factory=list)
    slot_of: list[Slot] = field(default_factory=list)
    _middles: dict[int, list[float | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        days: dict[date, tuple[int, list[tuple[Slot, float]]]] = {}
        for at, bots in self.hours:
            local = self.local(at)
            slot = local.weekday() * 24 + local.hour
            self.times.append(at)
            self.slot_of.append(slot)
            instants, values = self.slots[slot]
            instants.append(at)
            values.append(bots)
            days.setdefault(local.date(), (at, []))[1].append((slot, bots))
        self.days = {day: Day(begins, hours) for day, (begins, hours) in days.items()}

    def local(self, at: int) -> datetime:
        """That instant on the wall clock."""
        return datetime.fromtimestamp(at / 1000, UTC).astimezone(self.zone)

    def slot(self, at: int) -> Slot:
        """The local hour of the week that the instant lies in."""
        local = self.local(at)
        return local.weekday() * 24 + local.hour

    def between(self, start: int, end: int) -> Iterator[tuple[int, Slot, float]]:
        """(instant, hour of the week, bots) of each known hour of [start, end)."""
        for place in range(bisect_left(self.times, start), bisect_left(self.times, end)):
            yield self.times[place], self.slot_of[place], self.hours[place][1]

    def newest(self, slot: Slot, origin: int) -> float | None:
        """Bots in that hour of the week when it was last known before `origin`."""
        instants, values = self.slots[slot]
        place = bisect_left(instants, origin)
        return values[place - 1] if place else None

    def middles(self, origin: int) -> list[float | None]:
        """Bots usual in each hour of the week, as known at `origin`: None at one that was never seen."""
        if origin not in self._middles:
            self._middles[origin] = [self._middle(slot, origin, None) for slot in range(168)]
        return self._middles[origin]

    def middles_since(self, origin: int, since: int) -> list[float | None]:
        """The same from what came at `since` or later, and from the newest of before where nothing did."""
        return [self._middle(slot, origin, since) for slot in range(168)]

    def _middle(self, slot: Slot, origin: int, since: int | None) -> float | None:
        instants, values = self.slots[slot]
        end = bisect_left(instants, origin)
        if not end:
            return None
        begin = max(0, end - WEEKS, bisect_left(instants, origin - WEEKS * WEEK_MS, 0, end))
        if since is not None:
            begin = max(begin, bisect_left(instants, since, 0, end))
        if begin == end:
            return values[end - 1]
        rows = [(values[place], _WEIGHTS[(origin - 1 - instants[place]) // WEEK_MS]) for place in range(begin, end)]
        return middle_third(rows)


def middle_third(rows: list[tuple[float, float]]) -> float:
    """The mean of what lies in the middle third of the weight, of (value, weight) rows, at least one.

    As deaf as a median to one week that was a holiday or an outage, and on real series 2 % less wrong: a median of five
    values is one of them, with all its noise.
    """
    rows.sort()
    third = sum([weight for _, weight in rows]) / 3
    inside = sum_ = 0.0
    for value, weight in rows:
        begin, sum_ = sum_, sum_ + weight
        if sum_ > third and begin < 2 * third:
            inside += value * (min(sum_, 2 * third) - max(begin, third))
    return inside / third


def usual(past: Past, origin: int) -> list[float | None]:
    """Bots expected in each hour of the week after `origin`: the middle of the weeks before, moved by the last one."""
    before, misses, sum_, n = past.middles(origin - WEEK_MS), [], 0.0, 0
    for _, slot, bots in past.between(origin - WEEK_MS, origin):
        middle = before[slot]
        sum_, n = sum_ + bots, n + 1
        if middle is not None:
            misses.append(bots - middle)
    share = 1 + FOLLOWING * median(misses) * n / sum_ if misses and sum_ else 1.0
    return [None if middle is None else max(0.0, middle * share) for middle in past.middles(origin)]


def known_days(hours: Hours) -> float:
    """How many days the known hours reach back, the first and the last hour among them."""
    return (hours[-1][0] - hours[0][0] + HOUR_MS) / DAY_MS if hours else 0.0
