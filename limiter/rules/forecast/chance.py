"""How likely a limit is reached, from runs of daily peaks, held back by a base rate.

The base rate is how seldom the highest of some weeks is passed in the next ones: docs/forecast.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from math import exp, log, sqrt
from statistics import fmean

from limiter.rules.forecast.past import Past
from limiter.units import HOUR_MS

ODDS_AT_MOST = 12.0  # log-odds: beyond, nothing is told apart
PATHS = 0.3  # of the chance, in log-odds; the rest is the base rate
PEAK_WEEKS = 4  # same weekdays whose highest foretell a day's


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
