"""How many slots are enough for the demand that was seen: demands and hourly loads in, figures and sentences out. Pure.

A **demand** is one bot's run of tries, however often it asked: a run that ends in a start was served, one that ends in
silence was lost. Counting tries instead overstates demand 2 to 6 times. Each local hour of the week has its own load,
and each counts by how many demands come in it, because it is in busy hours that people are refused. The model of one
hour is in loss_system.py.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, tzinfo
from math import sqrt
from statistics import fmean, stdev

from limiter.rules.forecast.past import Hours, known_days
from limiter.rules.loss_system import PATIENCE, Crowd, Load, bunching, refused_over, slots_for
from limiter.rules.replay import Demand
from limiter.rules.words import Words
from limiter.units import HOUR_MS, MINUTE_MS

SILENCE_MS = 1_200_000  # twice the longest Retry-After: who has not asked again by then has given up
NEEDED_DAYS, NEEDED_DEMANDS = 14, 50
Z_80 = 1.28
LEAST_DRIFT = 0.1  # of the mean: how far a week may lie beside the others and nothing is said


@dataclass(frozen=True, slots=True)
class Run:
    """One demand: when it first asked, how long it asked (ms), whether it was refused at first, and never served."""

    at: int
    user_id: str
    waited_ms: int = 0
    first: bool = False
    lost: bool = False


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


# -- from what was recorded to figures


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots with which at most the wanted share is refused at first, and lost for good."""

    first: int
    lost: int


@dataclass(frozen=True, slots=True)
class DayOfDemand:
    """A local day: how many demands first asked in it, were refused then, and never got a slot."""

    day: date
    demands: int
    first: int
    lost: int


@dataclass(frozen=True, slots=True)
class Sizing:
    """Slots that are enough, with their range of 80 % for weeks like these; expected and seen shares at the limit.

    `stay_ms`: how long a bot that was served held its slot on average. `drift`: by which share of their mean the last
    week lay above these weeks, where that is more than the range allows for; else 0.
    """

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
    stay_ms: float
    crowd: Crowd
    drift: float


def sizing(
    hours: Hours,
    asked: Sequence[Run],
    zone: tzinfo,
    limit: int,
    *,
    share: float = 0.01,
    users: int | None = None,
    one_each: bool = True,
    bot_ms: float | None = None,
) -> Sizing | None:
    """How many slots are enough for the same demand, of `users` users where given; None where too little is known.

    `hours`: mean bots of each hour. `one_each`: a user has at most one bot, so that who has one does not ask.
    `bot_ms`: how long slots were held in all; None: each hour is known from its beginning to its end.
    """
    known = len({run.user_id for run in asked})
    if known_days(hours) < NEEDED_DAYS or len(asked) < NEEDED_DEMANDS:
        return None
    growth = users / known if users is not None else 1.0
    lost, first = sum(run.lost for run in asked), sum(run.first for run in asked)
    if bot_ms is None:
        bot_ms = sum(bots for _, bots in hours) * HOUR_MS
    stay_ms = bot_ms / max(1, len(asked) - lost)
    patience = sum(run.waited_ms for run in asked if run.first) / lost / stay_ms if lost and stay_ms else PATIENCE
    minutes = len(hours) * HOUR_MS // MINUTE_MS
    crowd = Crowd(
        (users if users is not None else known) if one_each else None,
        bunching(Counter(run.at // MINUTE_MS for run in asked), minutes),
        max(1e-3, patience),
    )
    loads = loads_of(hours, asked, zone, growth)
    error, drift = _weekly(hours)
    first_slots = slots_for(share, loads, crowd, lost=False)
    slots = Slots(first_slots, slots_for(share, loads, crowd, lost=True, near=first_slots))
    low, high = (
        Slots(
            slots_for(share, scaled, crowd, lost=False, near=round(slots.first * by)),
            slots_for(share, scaled, crowd, lost=True, near=round(slots.lost * by)),
        )
        for by, scaled in ((by, _scaled(loads, by)) for by in (1 - error, 1 + error))
    )
    return Sizing(
        slots=slots,
        low=low,
        high=high,
        expected=refused_over(limit, loads, crowd),
        seen=(first / len(asked), lost / len(asked)),
        mean=fmean(load.erlangs for load in loads),
        peak=max(load.erlangs for load in loads),
        users=users if users is not None else known,
        demands=len(asked),
        days=int(known_days(hours)),
        stay_ms=stay_ms,
        crowd=crowd,
        drift=drift,
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


def by_day(asked: Iterable[Run], zone: tzinfo) -> list[DayOfDemand]:
    """The demands of each local day on which somebody asked, in order."""
    found: dict[date, list[Run]] = {}
    for run in asked:
        found.setdefault(datetime.fromtimestamp(run.at / 1000, UTC).astimezone(zone).date(), []).append(run)
    return [
        DayOfDemand(day, len(runs), sum(run.first for run in runs), sum(run.lost for run in runs))
        for day, runs in sorted(found.items())
    ]


def _scaled(loads: Sequence[Load], by: float) -> list[Load]:
    return [replace(load, erlangs=load.erlangs * by) for load in loads]


def _weekly(hours: Hours) -> tuple[float, float]:
    """How far the mean of these weeks may be from that of many (80 %), and by how much the last one lies beyond that:
    shares of the mean."""
    weeks: dict[int, list[float]] = {}
    for at, bots in hours:
        weeks.setdefault((hours[-1][0] - at) // (7 * 24 * HOUR_MS), []).append(bots)
    means = [fmean(bots) for bots in weeks.values() if len(bots) >= 84]
    if len(means) < 2 or not fmean(means):
        return 0.1, 0.0
    error = min(0.5, Z_80 * stdev(means) / fmean(means) / sqrt(len(means)))
    above = fmean(weeks[0]) / fmean(means) - 1 if len(weeks[0]) >= 84 else 0.0
    return error, above if abs(above) > max(error, LEAST_DRIFT) else 0.0


# -- in words

NEEDS = Words(
    "Trop peu de données : il faut {days} jours d'historique et {demands} demandes ; il y en a {known} et {came:,}.",
    "Too little data: it takes {days} days of history and {demands} demands; there are {known} and {came:,}.",
)
ENOUGH = Words("Oui, {limit} {limit:place suffit|places suffisent}", "Yes, {limit} {limit:slot is|slots are} enough")
LIKELY = Words(
    "Probablement, {limit} {limit:place suffit|places suffisent}", "Probably, {limit} {limit:slot is|slots are} enough"
)
DOUBTFUL = Words(
    "Probablement pas, {limit} {limit:place ne suffit|places ne suffisent} pas",
    "Probably not, {limit} {limit:slot is|slots are} not enough",
)
SHORT = Words(
    "Non, {limit} {limit:place ne suffit|places ne suffisent} pas", "No, {limit} {limit:slot is|slots are} not enough"
)
ANSWER = Words(
    "{verdict} pour {users} {users:utilisateur|utilisateurs} : il en faut {slots} ({low} à {high}) pour qu'au plus"
    " {share:g} % des demandes soient refusées d'abord.",
    "{verdict} for {users} {users:user|users}: it takes {slots} ({low} to {high}) for at most {share:g}% of demands to"
    " be refused at first.",
)
METHOD = Words(
    "Erlang A par heure de la semaine, {crowd}, démarrages groupés par Hayward (z = {bunching:.2f}) ; "
    "une série d'essais d'un bot est une demande.",
    "Erlang A by hour of the week, {crowd}, bunches of starts by Hayward (z = {bunching:.2f}); "
    "one bot's run of tries is one demand.",
)
ENGSET = Words(
    "{users} {users:utilisateur connu|utilisateurs connus} (Engset)", "{users} known {users:user|users} (Engset)"
)
ANYBODY = Words("nombre d'utilisateurs ouvert", "any number of users")
TRUST = Words(
    "{demands:,} demandes en {days} jours ; le compte pour des semaines pareilles : {low} à {high} {high:place|places}"
    " (80 %).",
    "{demands:,} demands in {days} days; for weeks like these {low} to {high} {high:slot|slots} (80%).",
)
GREW = Words(
    "La dernière semaine est {percent:.0f} % au-dessus de leur moyenne : si cela reste, demande pour {users}"
    " {users:utilisateur|utilisateurs}.",
    "The last week lies {percent:.0f}% above their mean: where that stays, ask for {users} {users:user|users}.",
)
SHRANK = Words(
    "La dernière semaine est {percent:.0f} % au-dessous de leur moyenne : si cela reste, demande pour {users}"
    " {users:utilisateur|utilisateurs}.",
    "The last week lies {percent:.0f}% below their mean: where that stays, ask for {users} {users:user|users}.",
)


def needs(hours: Hours, asked: Sequence[Run], language: str) -> str:
    """What it takes to say how many slots are enough, in `fr` or `en`."""
    known = int(known_days(hours))
    return NEEDS.filled(days=NEEDED_DAYS, demands=NEEDED_DEMANDS, known=known, came=len(asked)).told(language)


def answer(found: Sizing, limit: int, share: float, language: str) -> str:
    """Whether the limit is enough for those users, in `fr` or `en`: for sure only where the whole range says so."""
    verdict = next(
        (
            words
            for words, slots in ((ENOUGH, found.high), (LIKELY, found.slots), (DOUBTFUL, found.low))
            if slots.first <= limit
        ),
        SHORT,
    )
    return ANSWER.filled(
        verdict=verdict.filled(limit=limit).told(language), users=found.users, slots=found.slots.first,
        low=found.low.first, high=found.high.first, share=100 * share,
    ).told(language)  # fmt: skip


def method(found: Sizing, language: str) -> str:
    """How it was computed, in `fr` or `en`."""
    users = found.crowd.users
    crowd = ANYBODY if users is None else ENGSET.filled(users=users)
    return METHOD.filled(crowd=crowd, bunching=found.crowd.bunching).told(language)


def trust(found: Sizing, language: str) -> str:
    """How far to trust it, in `fr` or `en`."""
    known = {"demands": found.demands, "days": found.days, "low": found.low.first, "high": found.high.first}
    said = TRUST.filled(**known).told(language)
    users = round(found.users * (1 + found.drift))
    if not found.drift or not users:  # a week without a bot asks for nothing
        return said
    more = GREW if found.drift > 0 else SHRANK
    return f"{said} {more.filled(percent=100 * abs(found.drift), users=users).told(language)}"
