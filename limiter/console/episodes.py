"""Times at which the load was over the alert threshold, read from the history.

An episode opens at the threshold, climbs to 95 % and 100 %, and ends below its level less 5 points, as alerts do.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from limiter.console import data
from limiter.rules.capacity import Capacity
from limiter.store import analysis

BELOW_POINTS = 5


@dataclass(slots=True)
class Episode:
    """From `start` until `end` (None: still open): the highest level in percent, the peak, the limit then, refusals."""

    start: int
    level: float
    peak: int
    limit: int
    end: int | None = None
    refused: int = 0


def status_of(bots: int, limit: int) -> str:
    """LOW, HEALTHY, WARNING or FULL."""
    return Capacity(bots, limit).status.value


def episodes_of(minutes: Iterable[tuple[int, int, int]], threshold: float) -> list[Episode]:
    """The episodes in (instant, bots, limit) in order; in exact arithmetic, as alerts are."""
    levels = [threshold, *(level for level in (95, 100) if level > threshold)]
    found: list[Episode] = []
    current: Episode | None = None
    for at, bots, limit in minutes:
        if limit <= 0:
            continue
        reached = [level for level in levels if 100 * bots >= level * limit]
        if current is None and reached:
            current = Episode(at, reached[-1], bots, limit)
            found.append(current)
        elif current is not None and 100 * bots < (threshold - BELOW_POINTS) * limit:
            current.end, current = at, None
        elif current is not None:
            current.level = max([current.level, *reached])
            if bots > current.peak:
                current.peak, current.limit = bots, limit
    return found


def find(start: int, end: int, threshold: float) -> list[Episode]:
    """The episodes of the period, with the starts refused meanwhile."""
    found = episodes_of(data.read(analysis.minutes_over, start, end, threshold - BELOW_POINTS - 10), threshold)
    refused = data.read(analysis.refused, 60, start, end, 60_000) if found else {}
    for one in found:
        last = one.end or end
        one.refused = sum(reasons.get("server_full", 0) for at, reasons in refused.items() if one.start <= at <= last)
    return found
