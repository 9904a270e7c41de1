"""How many slots a load needs, so that at most a given share of demands is refused at first, or lost for good. Pure.

A loss system with impatient customers (Palm's M/M/N+M, called Erlang A), solved state by state: N slots, stays of any
length (only their mean counts while nobody waits), refused bots that ask again until their patience ends. Where the
number of users is known, arrivals come from those who have no bot yet (Engset). Starts in bunches are counted by
Hayward's approximation: N/z slots for load/z.

Sources: Zeltyn and Mandelbaum, "Call centers with impatient customers" (2005); Fredericks, "Congestion in blocking
systems" (1980). How far it agrees with a simulation that shares no code with it: docs/sizing.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf

NEGLIGIBLE = 1e-12  # of the weight of a state: the rest of the queue is left out
LARGE = 60.0  # erlangs
PATIENCE = 0.125  # of a stay, where nobody gave up: 30 minutes of 4 hours


@dataclass(frozen=True, slots=True)
class Load:
    """One hour of the week: bots wanted at once on average (erlangs), and demands that come in it."""

    erlangs: float
    demands: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who comes and how: known users (None: any number), bunching of starts (1: one by one), patience in stays."""

    users: int | None = None
    bunching: float = 1.0
    patience: float = PATIENCE


@lru_cache(maxsize=4096)
def refused(slots: int, erlangs: float, crowd: Crowd) -> tuple[float, float]:
    """Shares of demands that meet no free slot at first, and that leave without one, in the long run.

    A birth-and-death chain: in state n, min(n, slots) bots run and the rest ask again. Raises nothing; 0 slots refuse
    everybody, no load nobody.
    """
    if erlangs <= 0:
        return 0.0, 0.0
    if slots <= 0:
        return 1.0, 1.0
    if crowd.bunching > 1:
        plain = Crowd(None if crowd.users is None else ceil(crowd.users / crowd.bunching), 1.0, crowd.patience)
        return _between(slots / crowd.bunching, erlangs / crowd.bunching, plain)
    return _chain(slots, erlangs, crowd)


def _between(slots: float, erlangs: float, crowd: Crowd) -> tuple[float, float]:
    """For a number of slots that is not whole: on the line between its neighbours."""
    low = int(slots)
    share = slots - low
    below, above = refused(low, erlangs, crowd), refused(low + 1, erlangs, crowd)
    first, lost = (a + share * (b - a) for a, b in zip(below, above, strict=True))
    return first, lost


def _chain(slots: int, erlangs: float, crowd: Crowd) -> tuple[float, float]:
    users = inf if crowd.users is None else crowd.users
    if users <= slots:
        return 0.0, 0.0
    # Arrivals in state n are base - slope * n, so that on average `erlangs` run where nobody is refused.
    slope = 0.0 if users == inf else erlangs / max(1e-9, users - erlangs)
    base = erlangs if users == inf else slope * users
    # Upwards from the likeliest region: weights relative to the state in which the last slot is taken.
    come_in_time, weight, n = 0.0, 1.0, slots - 1
    while n >= 0:
        arrivals = base - slope * n
        weight *= (n + 1) / arrivals
        come_in_time += arrivals * weight
        if weight < NEGLIGIBLE and n < erlangs:
            break
        n -= 1
    come_late, leave, weight, n = max(0.0, base - slope * slots), 0.0, 1.0, slots
    impatience = 1 / crowd.patience
    while n < users:
        weight *= (base - slope * n) / (slots + (n + 1 - slots) * impatience)
        n += 1
        come_late += max(0.0, base - slope * n) * weight
        leave += (n - slots) * impatience * weight
        if weight < NEGLIGIBLE:
            break
    come = come_in_time + come_late
    return come_late / come, leave / come


def refused_over(slots: int, loads: Sequence[Load], crowd: Crowd) -> tuple[float, float]:
    """The same over all hours of the week, each counting by its demands. Loads differ by half an erlang or one."""
    total = sum(load.demands for load in loads)
    if not total:
        return 0.0, 0.0
    like: dict[float, float] = {}
    for load in loads:
        erlangs = round(load.erlangs * 2) / 2 if load.erlangs < LARGE else float(round(load.erlangs))
        like[erlangs] = like.get(erlangs, 0.0) + load.demands / total
    first = lost = 0.0
    for erlangs, share in like.items():
        at_first, for_good = refused(slots, erlangs, crowd)
        first, lost = first + share * at_first, lost + share * for_good
    return first, lost


def slots_for(share: float, loads: Sequence[Load], crowd: Crowd, *, lost: bool, near: int | None = None) -> int:
    """The least number of slots with which at most this share is refused at first, or lost for good.

    `near`: where to look first; the closer, the sooner it is found.
    """
    place, step = (1 if lost else 0), 1
    peak = ceil(max((load.erlangs for load in loads), default=0.0))
    high = max(1, near if near is not None else peak)
    low = high - 1
    while refused_over(high, loads, crowd)[place] > share:
        low, high, step = high, high + step, 2 * step
    step = 1
    while low > 0 and refused_over(low, loads, crowd)[place] <= share:
        low, high, step = max(0, low - step), low, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if refused_over(middle, loads, crowd)[place] > share:
            low = middle
        else:
            high = middle
    return high


def bunching(starts_a_minute: Mapping[int, int], minutes: int) -> float:
    """Hayward's z from starts by minute: (1 + variance / mean) / 2, at least 1 (as many as come one by one)."""
    total = sum(starts_a_minute.values())
    if not total or not minutes:
        return 1.0
    mean = total / minutes
    variance = sum(n * n for n in starts_a_minute.values()) / minutes - mean * mean
    return max(1.0, (1 + variance / mean) / 2)
