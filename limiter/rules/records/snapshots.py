"""One instant of the whole system, and what happened in the seconds before it. Instants are UTC milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass

from limiter.rules.records.sessions import Costs


@dataclass(frozen=True, slots=True)
class Slice:
    """What happened in the 5 s from `at` on, as far as no snapshot said it before.

    `low` and `high` are the fewest and most slots taken, `peak_at` the last time they were as many as `high`, `limit`
    the one at the end, `status_ms` the milliseconds spent LOW, HEALTHY, WARNING and FULL; `counts`: how often what.
    """

    at: int
    low: int
    high: int
    peak_at: int
    limit: int
    status_ms: tuple[int, int, int, int]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One instant. `tokens` to `refusals` count since the snapshot before; CPU and RAM are None where not read.

    `slices` say in which seconds all of that was.
    """

    at: int
    bots: int
    suspects: int
    limit: int
    cpu_percent: float | None
    ram_percent: float | None
    p99_ms: float | None
    tokens: int
    signals: int
    trades: int
    starts: int
    ended: int
    costs: Costs
    refusals: Mapping[str, int]
    slices: tuple[Slice, ...]
