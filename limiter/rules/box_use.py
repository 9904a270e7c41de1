"""How a box is used: the facts that the advice for another one looks at (rules/advice.py)."""

from collections.abc import Sequence
from dataclasses import dataclass

from limiter.rules.capacity import Box


@dataclass(frozen=True, slots=True)
class DayOfUse:
    """The most bots of a day; CPU and RAM of its heaviest hour in percent, None where not read; its known share."""

    bots: int
    cpu: float | None
    ram: float | None
    known: float


@dataclass(frozen=True, slots=True)
class Lag:
    """Of the last 60 minutes those that were slow and not full: by decisions (the highest p99) and by the feed, the
    most bots in them, and the highest limit."""

    decision_minutes: int = 0
    p99_ms: float = 0.0
    feed_minutes: int = 0
    bots: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class BusyHour:
    """An hour that was for `busy_ms` at 80 % of the limit or more, of a day (of 24 h, 0 the latest) of which `known_ms`
    are known; the most bots in it, and when."""

    day: int
    known_ms: int
    busy_ms: int
    bots: int
    peak_at: int


@dataclass(frozen=True, slots=True)
class Short:
    """The most bots of a day in hours that the limits of the week to come would not mend, and whether a window rules
    then."""

    bots: int
    in_window: bool = False


@dataclass(frozen=True, slots=True)
class BotCost:
    """What a measured bot holds on average, what the rest of the box holds, in MB, and how many were measured."""

    bot_mb: float
    rest_mb: float
    measured: int


@dataclass(frozen=True, slots=True)
class Use:
    """How the box is used: CPU and RAM are means of 5 minutes; `days` of the last 7; `planned` the highest limit that
    the launch plan or a window still brings; `short`: of the `busy_days` those that would be so in the week to come."""

    box: Box
    limit: int
    bots: int
    cpu: float | None = None
    ram: float | None = None
    busy_days: int = 0
    days: Sequence[DayOfUse] = ()
    lag: Lag = Lag()
    cost: BotCost | None = None
    planned: int = 0
    short: Sequence[Short] = ()
