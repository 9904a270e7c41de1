"""Whether the load is at another level for some days: then the weeks before are no measure of it."""

from collections.abc import Sequence
from statistics import fmean, median

from limiter.rules.forecast.past import Day, Past

SHIFT_DAYS = 3  # so many days in a row beside the usual are another level
SHIFT_SPREADS = 4.0  # so far beside it, in usual misses of a day
SHIFT_LEAST = 0.08  # and at least this share of the usual load
WHOLE_DAY_HOURS = 12  # so many known hours make a day that can be compared


def level_change(past: Past) -> int | None:
    """The beginning of the local day since when every day lies far to one side of the usual; None where none does."""
    days = list(past.days.values())
    shifts = [_beside(day, past.middles(day.begins))[0] for day in days]  # of each day from what was usual just before
    for place in range(max(7, len(days) - 28), len(days) - SHIFT_DAYS + 1):
        expected = past.middles(days[place].begins)
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
