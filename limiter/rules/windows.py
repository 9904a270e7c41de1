"""Time in rules: amounts in a sliding window, and the trade day in the operator's zone."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

MINUTE_SECONDS = 60
HOUR_SECONDS = 3600


class Window:
    """Amounts of the last `span` seconds, at one-second resolution: the running second and `span` before it."""

    __slots__ = ("seconds", "span", "total")

    def __init__(self, span: int, seconds: Iterator[tuple[int, int]] | None = None) -> None:
        self.span = span
        self.seconds: deque[list[int]] = deque([second, n] for second, n in seconds or ())
        self.total = sum(n for _, n in self.seconds)

    def add(self, second: int, n: int) -> list[int]:
        """Count n in this second, or in the newest one where that is later; what `take_back` needs."""
        seconds = self.seconds
        if not seconds or seconds[-1][0] < second:
            self.used(second)  # what is over goes, so that a window nobody looks at does not grow
            seconds.append([second, 0])
        newest = seconds[-1]
        newest[1] += n
        self.total += n
        return newest

    def take_back(self, counted: list[int], n: int) -> None:
        """Uncount n of what `add` counted, where it has not left the window."""
        if self.seconds and counted[0] >= self.seconds[0][0]:
            counted[1] -= n
            self.total -= n

    def shift(self, by: int) -> None:
        """The clock was moved by so many seconds."""
        for counted in self.seconds:
            counted[0] += by

    def used(self, second: int) -> int:
        """How much the window that ends with `second` holds."""
        while self.seconds and self.seconds[0][0] < second - self.span:
            self.total -= self.seconds.popleft()[1]
        return self.total

    def wait(self, second: int, excess: int) -> int:
        """Whole seconds until `excess` of what the window holds has left it, at most `span`."""
        for then, n in self.seconds:
            excess -= n
            if excess <= 0:
                return min(self.span, max(1, then + self.span + 1 - second))
        return self.span


@dataclass(frozen=True, slots=True)
class Day:
    """A trade day: its name, and the instants at which it begins and ends."""

    name: str
    begins: int
    ends: int


def day_of(now: int, zone: tzinfo) -> Day:
    """The day in the operator's zone that holds `now`: 23 or 25 hours long where the clocks change."""
    today = datetime.fromtimestamp(now / 1000, zone).date()

    def midnight(day: date) -> int:
        return int(datetime.combine(day, time(), zone).timestamp() * 1000)

    return Day(today.isoformat(), midnight(today), midnight(today + timedelta(days=1)))
