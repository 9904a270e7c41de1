"""Where the number of bots is going: the usual load of each hour of the week, how far from it days strayed, and the
chance that a limit is reached.

Pure: hours of the past in, hours to come out. The method is the one that was least wrong on real series
(docs/forecast.md): a weighted median of the same local hour in five weeks, moved a little by the level of the last
week; a band from its own misses in rolling back-tests; a chance from runs of daily peaks, held back by how seldom the
highest of some weeks is passed in the next ones. It names no day on which a limit is passed, because nobody does so
reliably, and says so where it is too early to say anything.

All instants are UTC milliseconds; hours are told by where they begin. What is missing is left out, never a 0.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from math import ceil, exp, floor, log, sqrt
from statistics import fmean, median

from limiter.rules.words import Words
from limiter.units import DAY_MS, HOUR_MS

WEEK_MS = 7 * DAY_MS
NEEDED_DAYS = 14  # for the hours to come
NEEDED_DAYS_FOR_CHANCE = 28
LOOKED_AT_DAYS = 56
WEEKS = 5  # of the past whose same hour counts
FADING = 0.75  # of a week's weight against the week after it
FOLLOWING = 0.4  # of how far the last week lay beside the usual
BAND = 0.07, 0.93  # of the back-test's misses; 80 % of the hours to come fall between them
DISTANCES = (1, 3, 7, 14)  # days ahead: misses up to each are a distribution of their own
ODDS_AT_MOST = 12.0  # log-odds: beyond, nothing is told apart
PATHS = 0.3  # of the chance, in log-odds; the rest is the base rate
PEAK_WEEKS = 4  # same weekdays whose highest foretell a day's
SHIFT_DAYS = 3  # so many days in a row beside the usual are another level
SHIFT_SPREADS = 4.0  # so far beside it, in usual misses of a day
SHIFT_LEAST = 0.08  # and at least this share of the usual load
WHOLE_DAY_HOURS = 12  # so many known hours make a day that can be compared

Hours = Sequence[tuple[int, float]]
"""(instant, bots) of each known hour, in order."""
Slot = int
"""A local hour of the week: 0 (Monday 0 h) to 167."""


@dataclass(frozen=True, slots=True)
class Point:
    """One hour to come: bots expected, and the band that holds 80 % of hours."""

    at: int
    middle: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The hours to come, and how far to trust them.

    `error` and `naive_error`: mean absolute miss in bots an hour over the back-tests, its own and that of "same hour a
    week ago". `chance`: per cent of the limit → chance (0 to 1) that the highest of those days reaches it; None below
    28 days of history. `level_changed_at`: the local day since when the load is at another level, if it is.
    """

    points: Sequence[Point]
    error: float
    naive_error: float
    chance: Mapping[int, float] | None
    level_changed_at: int | None


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
    _medians: dict[int, list[float | None]] = field(default_factory=dict)

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

    def medians(self, origin: int) -> list[float | None]:
        """Bots usual in each hour of the week, as known at `origin`: None at one that was never seen."""
        if origin not in self._medians:
            self._medians[origin] = [self._median(slot, origin, None) for slot in range(168)]
        return self._medians[origin]

    def medians_since(self, origin: int, since: int) -> list[float | None]:
        """The same from what came at `since` or later, and from the newest of before where nothing did."""
        return [self._median(slot, origin, since) for slot in range(168)]

    def _median(self, slot: Slot, origin: int, since: int | None) -> float | None:
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
        return weighted_median(rows)


_WEIGHTS = [FADING**week for week in range(WEEKS + 1)]


def weighted_median(rows: list[tuple[float, float]]) -> float:
    """The value (of (value, weight) rows, at least one) at which half of the weight lies on either side."""
    rows.sort()
    half, sum_ = sum([weight for _, weight in rows]) / 2, 0.0
    for (value, weight), (following, _) in pairwise(rows):
        sum_ += weight
        if sum_ > half:
            return value
        if sum_ == half:
            return (value + following) / 2
    return rows[-1][0]


def usual(past: Past, origin: int) -> list[float | None]:
    """Bots expected in each hour of the week after `origin`: the medians, moved by where the last week lay."""
    before, misses, sum_, n = past.medians(origin - WEEK_MS), [], 0.0, 0
    for _, slot, bots in past.between(origin - WEEK_MS, origin):
        middle = before[slot]
        sum_, n = sum_ + bots, n + 1
        if middle is not None:
            misses.append(bots - middle)
    share = 1 + FOLLOWING * median(misses) * n / sum_ if misses and sum_ else 1.0
    return [None if middle is None else max(0.0, middle * share) for middle in past.medians(origin)]


def known_days(hours: Hours) -> float:
    """How many days the known hours reach back, the first and the last hour among them."""
    return (hours[-1][0] - hours[0][0] + HOUR_MS) / DAY_MS if hours else 0.0


def forecast(hours: Hours, zone: tzinfo, limit_at: Callable[[int], float], days: int = 14) -> Forecast | None:
    """The `days` (1 to 28) days behind the last known hour, by the hour; None where less than 14 days are known.

    `limit_at` gives the limit in force at an instant to come.
    """
    if known_days(hours) < NEEDED_DAYS:
        return None
    past = Past([row for row in hours if row[0] >= hours[-1][0] - LOOKED_AT_DAYS * DAY_MS], zone)
    end = past.times[-1] + HOUR_MS
    bands, error, naive_error = back_test(past)
    since = level_change(past)
    expected = usual(past, end) if since is None else past.medians_since(end, since)
    points = []
    for step in range(days * 24):
        at = end + step * HOUR_MS
        middle = expected[past.slot(at)]
        if middle is not None:
            low, high = bands[distance(step // 24 + 1)]
            spread = sqrt(middle + 1)
            # Where bots became more from week to week all misses are above: the middle is told inside of its band.
            below, above = middle + min(low, 0.0) * spread, middle + max(high, 0.0) * spread
            points.append(Point(at, middle, max(0.0, below), above))
    enough = known_days(hours) >= NEEDED_DAYS_FOR_CHANCE
    chance = chances(past, end, limit_at, days, since) if enough else None
    return Forecast(points, error, naive_error, chance, since)


# -- how wrong it was


def distance(day: int) -> int:
    """Which of DISTANCES a day ahead (from 1) belongs to, by its place."""
    return next((place for place, most in enumerate(DISTANCES) if day <= most), len(DISTANCES) - 1)


def back_test(past: Past) -> tuple[list[tuple[float, float]], float, float]:
    """Forecast each day from what was known before it, from the second week on.

    Gives the band by distance, low and high in spreads of `sqrt(middle + 1)`, the mean absolute error, and that of
    "same hour a week ago" for the same hours.
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
    bands: list[tuple[float, float]] = []
    for found in misses:
        found.sort()
        # A distance that no back-test reached is at least as wrong as the one before it.
        bands.append((quantile(found, BAND[0]), quantile(found, BAND[1])) if found else bands[-1])
    return bands, own / n, naive / n


_BY_DAY = [distance(day + 1) for day in range(DISTANCES[-1])]


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that has at least this share of the values at or below it."""
    return ordered[min(len(ordered) - 1, max(0, ceil(share * len(ordered)) - 1))]


# -- another level


def level_change(past: Past) -> int | None:
    """The beginning of the local day since when every day lies far to one side of the usual; None where none does."""
    days = list(past.days.values())
    shifts = [_beside(day, past.medians(day.begins))[0] for day in days]  # of each day from what was usual just before
    for place in range(max(7, len(days) - 28), len(days) - SHIFT_DAYS + 1):
        expected = past.medians(days[place].begins)
        after = [_beside(day, expected) for day in days[place:] if len(day.hours) >= WHOLE_DAY_HOURS]
        earlier = [
            abs(shifts[one]) for one in range(max(7, place - 21), place) if len(days[one].hours) >= WHOLE_DAY_HOURS
        ]
        if len(after) < SHIFT_DAYS or len(earlier) < 5:
            continue
        load = fmean(load for _, load in after)
        far = SHIFT_SPREADS * max(median(earlier), SHIFT_LEAST / SHIFT_SPREADS * load, 0.25)
        if all(shift > far for shift, _ in after) or all(shift < -far for shift, _ in after):
            return days[place].begins
    return None


def _beside(day: Day, expected: Sequence[float | None]) -> tuple[float, float]:
    """How far a day lay beside the usual on average, and how much is usual, in bots."""
    pairs = [(bots, middle) for slot, bots in day.hours if (middle := expected[slot]) is not None]
    if not pairs:
        return 0.0, 0.0
    actual, middle = sum([bots for bots, _ in pairs]), sum([middle for _, middle in pairs])
    return (actual - middle) / len(pairs), middle / len(pairs)


# -- how likely a limit is reached


def chances(past: Past, end: int, limit_at: Callable[[int], float], days: int, since: int | None) -> dict[int, float]:
    """Chance that the highest of the next days reaches 80 and 100 % of the limit then in force.

    Each back-test from an earlier day gives one path: by how much each day's highest missed what was foretold. The
    share of paths that, laid on the days to come, touch the line is joined in log-odds with the base rate.
    """
    peaks = {day: of.peak for day, of in past.days.items()}
    ordered = sorted(peaks)
    known = [day for day in ordered if since is None or past.days[day].begins >= since] or ordered[-7:]
    foretold = highest(peaks, known, past.local(end).date(), days)
    # Of each day, the lowest limit in force: hours of the day are not foretold here.
    limits = [min(limit_at(end + (24 * day + hour) * HOUR_MS) for hour in range(24)) for day in range(days)]
    paths, top = list(peak_paths(peaks, days)), max(peaks[day] for day in known)
    found = {}
    for share in (80, 100):
        lines = [share / 100 * limit for limit in limits]
        reached = sum(
            any(peak + miss * sqrt(peak + 1) >= line for peak, line, miss in zip(foretold, lines, path, strict=True))
            for path in paths
        )
        # Half a path on either side: a dozen of them never make a certainty.
        of_paths = log(reached + 0.5) - log(len(paths) - reached + 0.5)
        odds = PATHS * of_paths + (1 - PATHS) * max(base_odds(line, top, lines) for line in lines)
        found[share] = 1 / (1 + exp(-odds))
    return found


def base_odds(line: float, top: float, lines: Sequence[float]) -> float:
    """Log-odds that the days whose line is `line` or lower reach it, where `top` is the highest so far.

    A logistic curve over ln(line / top), fitted to how the highest of 1 to 28 days lay to that of the 4 or 8 weeks
    before, on ten real series: the highest of so many weeks is passed within two weeks in three cases of ten.
    """
    days = sum(one <= line for one in lines)
    passed = log(max(line, 1e-9) / max(top, 1e-9))
    odds = -(passed + 0.16 * exp(-0.6 * log(days))) / (0.04 + 0.05 / days)
    return min(ODDS_AT_MOST, max(-ODDS_AT_MOST, odds))


def highest(peaks: Mapping[date, float], known: Sequence[date], first: date, days: int) -> list[float]:
    """The highest foretold for each day from `first` on: the mean of the last four same weekdays that are known."""
    by_weekday: dict[int, list[float]] = {}
    for day in known:
        by_weekday.setdefault(day.weekday(), []).append(peaks[day])
    newest = [peaks[day] for day in known[-7:]]
    means = [fmean(by_weekday.get(weekday, newest)[-PEAK_WEEKS:]) for weekday in range(7)]
    return [means[(first + timedelta(days=ahead)).weekday()] for ahead in range(days)]


def peak_paths(peaks: Mapping[date, float], days: int) -> Iterator[list[float]]:
    """Misses of the daily peak, in spreads, over each run of days of the past behind its first week.

    A path that the past cuts short goes on with its own misses in turn.
    """
    known = sorted(peaks)
    for place in range(7, len(known) - min(days, 7) + 1):
        ahead = known[place : place + days]
        foretold = highest(peaks, known[:place], ahead[0], (ahead[-1] - ahead[0]).days + 1)
        path = []
        for day in ahead:
            peak = foretold[(day - ahead[0]).days]
            path.append((peaks[day] - peak) / sqrt(peak + 1))
        yield (path * days)[:days]


# -- in words

TOO_EARLY = Words(
    "Trop tôt : une prévision demande {needed} jours d'historique, il y en a {known:.0f}.",
    "Too early to say: a forecast needs {needed} days of history, there are {known:.0f}.",
)
TOO_EARLY_FOR_CHANCE = Words(
    "Trop tôt pour une chance : elle demande {needed} jours d'historique, il y en a {known:.0f}.",
    "Too early to give a chance: it takes {needed} days of history, there are {known:.0f}.",
)
CHANCE = Words(
    "Dans les {days} prochains jours, le plus haut atteint {share} % de la limite avec une chance de {chance:.0f} %.",
    "In the next {days} days the highest reaches {share} % of the limit with a chance of {chance:.0f} %.",
)
WRONG_BY = Words(
    "Erreur moyenne : {error:.1f} bots par heure (« même heure il y a une semaine » : {naive:.1f}).",
    "The forecast is wrong by {error:.1f} bots an hour on average (“same hour a week ago”: {naive:.1f}).",
)
CENSORED = Words(
    "La limite a été atteinte pendant {n} h : la demande au-delà n'est pas dans le compte.",
    "The limit was reached in {n} hours: demand above it is not in the count.",
)


def said(found: Forecast, days: int, censored_hours: int, language: str) -> str:
    """The chance, the error and what the count does not show, in `fr` or `en`."""
    known = [(100, found.chance[100]), (80, found.chance[80])] if found.chance is not None else []
    lines = [CHANCE.filled(days=days, share=share, chance=100 * chance) for share, chance in known]
    lines.append(WRONG_BY.filled(error=found.error, naive=found.naive_error))
    if censored_hours:
        lines.append(CENSORED.filled(n=censored_hours))
    return " ".join(line.told(language) for line in lines)


def needs(hours: Hours, language: str) -> str | None:
    """What it takes to say more, in `fr` or `en`; None where all is said."""
    known = known_days(hours)
    needed = next((days for days in (NEEDED_DAYS, NEEDED_DAYS_FOR_CHANCE) if known < days), None)
    if needed is None:
        return None
    words = TOO_EARLY if needed == NEEDED_DAYS else TOO_EARLY_FOR_CHANCE
    return words.filled(needed=needed, known=floor(known)).told(language)
