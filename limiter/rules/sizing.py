"""How many slots are enough: so that at most a given share of demands is refused at first, or lost for good.

Pure: demands and hourly loads in, figures out. A **demand** is one bot's run of tries, however often it asked: a run
that ends in a start was served, one that ends in silence was lost. Counting tries instead overstates demand 2 to 6
times.

The model is a loss system with impatient customers (Palm's M/M/N+M, called Erlang A), solved state by state: N slots,
stays of any length (only their mean counts while nobody waits), refused bots that ask again until their patience ends.
Where the number of users is known, arrivals come from those who have no bot yet (Engset). Starts in bunches are counted
by Hayward's approximation: N/z slots for load/z. Each local hour of the week has its own load, and each counts by how
many demands come in it, because it is in busy hours that people are refused.

Sources: Zeltyn and Mandelbaum, "Call centers with impatient customers" (2005); Fredericks, "Congestion in blocking
systems" (1980). How far it agrees with a simulation that shares no code with it: docs/sizing.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from math import ceil, inf, sqrt
from statistics import fmean, stdev

from limiter.rules.forecast import Hours, known_days
from limiter.rules.replay import Demand
from limiter.rules.words import Words
from limiter.units import HOUR_MS, MINUTE_MS

SILENCE_MS = 1_200_000  # twice the longest Retry-After: who has not asked again by then has given up
NEGLIGIBLE = 1e-12  # of the weight of a state: the rest of the queue is left out
NEEDED_DAYS, NEEDED_DEMANDS = 14, 50
PATIENCE = 0.125  # of a stay, where nobody gave up: 30 minutes of 4 hours
Z_80 = 1.28


@dataclass(frozen=True, slots=True)
class Run:
    """One demand: when it first asked, how long it asked (ms), whether it was refused at first, and never served."""

    at: int
    user_id: str
    waited_ms: int = 0
    first: bool = False
    lost: bool = False


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


def runs(demands: Iterable[Demand], end: int) -> list[Run]:
    """Tries joined to demands: each start and each `server_full` of one bot (of one user, where it has no name).

    Replacements are no demand, and neither are refusals for a user's own limit, which no slot would cure. A run that is
    still being tried at `end` is left out.
    """
    found: list[Run] = []
    waiting: dict[tuple[str, str | None], tuple[int, int]] = {}  # since, last try
    for demand in sorted(demands, key=lambda one: one.at):
        key = demand.user_id, demand.bot_id
        since, last = waiting.pop(key, (demand.at, demand.at))
        if demand.at - last > SILENCE_MS:
            found.append(Run(since, demand.user_id, last - since, first=True, lost=True))
            since = demand.at
        if not demand.admitted:
            if demand.facts.user_active < demand.facts.user_max:
                waiting[key] = since, demand.at
        elif not demand.holds:
            found.append(Run(since, demand.user_id, demand.at - since, first=since != demand.at))
    found += [
        Run(since, user, last - since, first=True, lost=True)
        for (user, _), (since, last) in waiting.items()
        if end - last > SILENCE_MS
    ]
    return found


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
    # Arrivals for each user without a bot, so that on average `erlangs` run where nobody is refused.
    each = erlangs if users == inf else erlangs / max(1e-9, users - erlangs)

    def arrivals(n: int) -> float:
        return each if users == inf else each * max(0.0, users - n)

    # Upwards from the likeliest region: weights relative to the state in which the last slot is taken.
    weights_below, weight = [], 1.0
    for n in range(slots - 1, -1, -1):
        weight *= (n + 1) / arrivals(n)
        weights_below.append((n, weight))
        if weight < NEGLIGIBLE and n < erlangs:
            break
    waiting, weight, n = [(slots, 1.0)], 1.0, slots
    while n < users:
        weight *= arrivals(n) / (slots + (n + 1 - slots) / crowd.patience)
        n += 1
        waiting.append((n, weight))
        if weight < NEGLIGIBLE:
            break
    come = sum(arrivals(n) * w for n, w in weights_below) + sum(arrivals(n) * w for n, w in waiting)
    come_late = sum(arrivals(n) * w for n, w in waiting)
    leave = sum((n - slots) / crowd.patience * w for n, w in waiting)
    return come_late / come, leave / come


def refused_over(slots: int, loads: Sequence[Load], crowd: Crowd) -> tuple[float, float]:
    """The same over all hours of the week, each counting by its demands."""
    total = sum(load.demands for load in loads)
    if not total:
        return 0.0, 0.0
    first = lost = 0.0
    for load in loads:
        at_first, for_good = refused(slots, round(load.erlangs * 2) / 2, crowd)
        first += load.demands * at_first / total
        lost += load.demands * for_good / total
    return first, lost


def slots_for(share: float, loads: Sequence[Load], crowd: Crowd, *, lost: bool) -> int:
    """The least number of slots with which at most this share is refused at first, or lost for good."""
    low, high = 0, max(1, ceil(max((load.erlangs for load in loads), default=0.0)))
    place = 1 if lost else 0
    while refused_over(high, loads, crowd)[place] > share:
        low, high = high, 2 * high
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


# -- from what was recorded to figures


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots with which at most the wanted share is refused at first, and lost for good."""

    first: int
    lost: int


@dataclass(frozen=True, slots=True)
class Sizing:
    """Slots that are enough, with their range of 80 % for weeks like these; expected and seen shares at the limit."""

    slots: Slots
    low: Slots
    high: Slots
    expected: tuple[float, float]
    seen: tuple[float, float]
    mean: float
    peak: float
    users: int
    demands: int
    days: int
    crowd: Crowd


def sizing(
    hours: Hours,
    asked: Sequence[Run],
    zone: tzinfo,
    limit: int,
    *,
    share: float = 0.01,
    users: int | None = None,
    one_each: bool = True,
) -> Sizing | None:
    """How many slots are enough for the same demand, of `users` users where given; None where too little is known.

    `hours`: mean bots of each hour. `one_each`: a user has at most one bot, so that who has one does not ask.
    """
    known = len({run.user_id for run in asked})
    if known_days(hours) < NEEDED_DAYS or len(asked) < NEEDED_DEMANDS:
        return None
    growth = users / known if users is not None else 1.0
    lost, first = sum(run.lost for run in asked), sum(run.first for run in asked)
    bot_ms = sum(bots for _, bots in hours) * HOUR_MS
    stay_ms = bot_ms / max(1, len(asked) - lost)
    patience = sum(run.waited_ms for run in asked if run.first) / lost / stay_ms if lost else PATIENCE
    minutes = len(hours) * HOUR_MS // MINUTE_MS
    crowd = Crowd(
        (users if users is not None else known) if one_each else None,
        bunching(Counter(run.at // MINUTE_MS for run in asked), minutes),
        max(1e-3, patience),
    )
    loads = loads_of(hours, asked, zone, growth)
    error = _weekly_error(hours)
    found = [
        Slots(slots_for(share, scaled, crowd, lost=False), slots_for(share, scaled, crowd, lost=True))
        for scaled in (_scaled(loads, 1 - error), loads, _scaled(loads, 1 + error))
    ]
    return Sizing(
        slots=found[1],
        low=found[0],
        high=found[2],
        expected=refused_over(limit, loads, crowd),
        seen=(first / len(asked), lost / len(asked)),
        mean=fmean(load.erlangs for load in loads),
        peak=max(load.erlangs for load in loads),
        users=users if users is not None else known,
        demands=len(asked),
        days=int(known_days(hours)),
        crowd=crowd,
    )


def loads_of(hours: Hours, asked: Sequence[Run], zone: tzinfo, growth: float = 1.0) -> list[Load]:
    """The load of each local hour of the week: bots carried over the share that was not lost."""

    def slot(at: int) -> int:
        local = datetime.fromtimestamp(at / 1000, UTC).astimezone(zone)
        return local.weekday() * 24 + local.hour

    carried: dict[int, list[float]] = {}
    for at, bots in hours:
        carried.setdefault(slot(at), []).append(bots)
    came = Counter(slot(run.at) for run in asked)
    gone = Counter(slot(run.at) for run in asked if run.lost)
    return [
        Load(growth * fmean(bots) / max(0.1, 1 - gone[hour] / max(1, came[hour])), growth * came[hour])
        for hour, bots in carried.items()
    ]


def _scaled(loads: Sequence[Load], by: float) -> list[Load]:
    return [replace(load, erlangs=load.erlangs * by) for load in loads]


def _weekly_error(hours: Hours) -> float:
    """How far the mean of these weeks may be from that of many, as a share of it (80 %)."""
    weeks: dict[int, list[float]] = {}
    for at, bots in hours:
        weeks.setdefault((hours[-1][0] - at) // (7 * 24 * HOUR_MS), []).append(bots)
    means = [fmean(bots) for bots in weeks.values() if len(bots) >= 84]
    if len(means) < 2 or not fmean(means):
        return 0.1
    return min(0.5, Z_80 * stdev(means) / fmean(means) / sqrt(len(means)))


# -- in words

NEEDS = Words(
    "Trop peu de données : il faut {days} jours d'historique et {demands} demandes ; il y en a {known} et {came}.",
    "Too little data: it takes {days} days of history and {demands} demands; there are {known} and {came}.",
)
METHOD = Words(
    "Erlang A par heure de la semaine, {crowd}, démarrages groupés par Hayward (z = {bunching:.2f}) ; "
    "une série d'essais d'un bot est une demande.",
    "Erlang A by hour of the week, {crowd}, bunches of starts by Hayward (z = {bunching:.2f}); "
    "one bot's run of tries is one demand.",
)
ENGSET = Words("{users} utilisateurs connus (Engset)", "{users} known users (Engset)")
ANYBODY = Words("nombre d'utilisateurs ouvert", "any number of users")
TRUST = Words(
    "{demands} demandes en {days} jours ; le compte pour des semaines pareilles : {low} à {high} places (80 %).",
    "{demands} demands in {days} days; for weeks like these {low} to {high} slots (80 %).",
)


def needs(hours: Hours, asked: Sequence[Run], language: str) -> str:
    """What it takes to say how many slots are enough, in `fr` or `en`."""
    known = int(known_days(hours))
    return NEEDS.filled(days=NEEDED_DAYS, demands=NEEDED_DEMANDS, known=known, came=len(asked)).told(language)


def method(found: Sizing, language: str) -> str:
    """How it was computed, in `fr` or `en`."""
    users = found.crowd.users
    crowd = ANYBODY if users is None else ENGSET.filled(users=users)
    return METHOD.filled(crowd=crowd, bunching=found.crowd.bunching).told(language)


def trust(found: Sizing, language: str) -> str:
    """How far to trust it, in `fr` or `en`."""
    known = {"demands": found.demands, "days": found.days, "low": found.low.first, "high": found.high.first}
    return TRUST.filled(**known).told(language)
