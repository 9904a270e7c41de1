"""What MAX_CONCURRENT_BOTS is to be without anybody's hand: peak windows, a change on probation, the launch plan. Pure.

A window begins when the wall clock of the operator's zone first shows its `from`, and ends when it last shows its `to`:
where the clock skips a time, at the jump; a night that shows it twice makes the window an hour longer. A window that
lies wholly in a skipped hour does not hold that night.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Literal, NamedTuple

from limiter.rules.guards import Guard
from limiter.rules.limits import Limits, Setting
from limiter.rules.records import Step

MAX = "MAX_CONCURRENT_BOTS"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Cause = Literal["window", "plan", "probation", "base"]


@dataclass(frozen=True, slots=True)
class PeakWindow:
    """On these days (of DAYS; those it begins on), from one time of the wall clock to another, so many bots. `ends` at
    or before `begins` is of the next day."""

    days: tuple[str, ...]
    begins: time
    ends: time
    max_bots: int


class Occurrence(NamedTuple):
    """A window on one day: [begins, ends) in UTC ms."""

    begins: int
    ends: int
    max_bots: int


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """The window that has begun. `base` is the setting that comes back with its end, `by_hand`: somebody changed the
    limit in it, which holds until then; `held_by`: the guards that hold its raise, or the one of its end, back."""

    of: Occurrence
    base: Setting
    by_hand: bool = False
    held_by: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True)
class Probation:
    """A change that is taken back at `ends_at` unless it is confirmed: `version` is its own, `back_to` the one before;
    `back` has the settings that come back, of the limits that nobody has changed since. `raised`: it raised the cap.
    `base`: the base of the window that it was made in, where it changed that too."""

    version: int
    ends_at: int
    back_to: int
    back: Mapping[str, Setting]
    raised: bool = False
    base: Setting | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """All windows, first come first; the open one; the probation. `version` grows with each set of windows or steps
    of the plan that somebody puts in place of those before."""

    windows: tuple[PeakWindow, ...] = ()
    open: OpenWindow | None = None
    probation: Probation | None = None
    version: int = 0

    @property
    def cap_on_probation(self) -> bool:
        """Whether MAX_CONCURRENT_BOTS is on probation: no window and no plan step begins meanwhile."""
        return self.probation is not None and MAX in self.probation.back


def after_change(
    schedule: Schedule, before: Limits, settings: Mapping[str, Setting], now: int, confirm_within: int | None = None
) -> Schedule:
    """The schedule once these settings hold in place of those before: what somebody changes is on probation no more;
    a limit that somebody sets in a window holds until that ends, and one that goes back to what is configured has
    that as its base too. `confirm_within` seconds begin a probation of all that moved."""
    moved = {name: setting for name, setting in before.settings.items() if settings[name] is not setting}
    opened, probation, cap = schedule.open, schedule.probation, settings[MAX]
    if opened is not None and MAX in moved:
        base = opened.base if cap.source in ("live", "window") else cap
        opened = replace(opened, base=base, by_hand=cap.source != "window", held_by=())
        if now >= opened.of.ends:
            opened = None
    if probation is not None:
        back = {name: setting for name, setting in probation.back.items() if name not in moved}
        probation = replace(probation, back=back, raised=probation.raised and MAX in back) if back else None
    if confirm_within is not None and moved:
        raised = MAX in moved and _whole(cap) > _whole(moved[MAX])
        base_before = schedule.open.base if schedule.open is not None and opened is not None else None
        ends_at = now + 1000 * confirm_within
        probation = Probation(before.version + 1, ends_at, before.version, moved, raised, base_before)
    return replace(schedule, open=opened, probation=probation)


# -- the wall clock


def _instant(day: date, at: time, zone: tzinfo, fold: int) -> int:
    """UTC ms at which the wall clock shows that time for the first (0) or the last time (1)."""
    first, last = (datetime.combine(day, at, zone).replace(fold=one).timestamp() for one in (0, 1))
    if first <= last:
        return round(1000 * (last if fold else first))
    after = datetime.fromtimestamp(first, zone).utcoffset()  # skipped: the jump lies between the two
    minutes = range(round(last), round(first) + 1, 60)
    return 1000 * next(second for second in minutes if datetime.fromtimestamp(second, zone).utcoffset() == after)


def on(window: PeakWindow, day: date, zone: tzinfo) -> Occurrence | None:
    """The window that begins on that day, if one does."""
    if DAYS[day.weekday()] not in window.days:
        return None
    last = day if window.ends > window.begins else day + timedelta(days=1)
    begins, ends = _instant(day, window.begins, zone, 0), _instant(last, window.ends, zone, 1)
    return Occurrence(begins, ends, window.max_bots) if begins < ends else None


def window_at(windows: Iterable[PeakWindow], at: int, zone: tzinfo) -> Occurrence | None:
    """The first window that holds at that instant."""
    today = datetime.fromtimestamp(at / 1000, zone).date()
    for window in windows:
        for day in (today - timedelta(days=1), today):
            found = on(window, day, zone)
            if found is not None and found.begins <= at < found.ends:
                return found
    return None


# -- what comes


@dataclass(frozen=True, slots=True)
class Outlook:
    """What decides on the limit that will hold if nobody touches it: the value in force now, and all that waits."""

    limits: Limits
    plan: tuple[Step, ...]
    schedule: Schedule
    zone: tzinfo
    guards_let_go: bool = False
    """Whether what a guard holds back now counts: else it is held for ever, and the steps behind it wait."""
    steps: tuple[Step, ...] = field(init=False)

    def __post_init__(self) -> None:
        waits = not self.guards_let_go and any(step.status == "held" for step in self.plan)
        coming = () if waits else tuple(step for step in self.plan if step.status != "applied")
        object.__setattr__(self, "steps", coming)

    def limit_at(self, at: int) -> tuple[int, Cause]:
        """MAX_CONCURRENT_BOTS at an instant to come, and what makes it so; `base`: what holds beside all of these.
        A probation that nobody confirms is taken back."""
        now, schedule = self.limits.whole(MAX), self.schedule
        opened, probation = schedule.open, schedule.probation
        hand, hand_cause = now, _cause_of(self.limits.settings[MAX])
        if probation is not None and schedule.cap_on_probation:
            if at < probation.ends_at and (opened is None or at < opened.of.ends):
                return now, "probation"
            hand, hand_cause = _whole(probation.back[MAX]), _cause_of(probation.back[MAX])
        window = window_at(schedule.windows, at, self.zone)
        if window is not None:
            mine = opened is not None and opened.of == window
            taken = opened is not None and (
                (opened.held_by and not self.guards_let_go) or (opened.by_hand and hand_cause != "window")
            )
            return (hand, hand_cause) if mine and taken else (window.max_bots, "window")
        done = [step.max_bots for step in self.steps if step.at <= at]
        if done:
            return done[-1], "plan"
        return (_whole(opened.base), "base") if opened is not None else (hand, hand_cause)

    def changes(self, start: int, end: int) -> Iterator[tuple[int, int, Cause]]:
        """(instant, limit, cause) for each change in (start, end], in order."""
        before, first = self.limit_at(start)[0], datetime.fromtimestamp(start / 1000, self.zone).date()
        last = datetime.fromtimestamp(end / 1000, self.zone).date()
        days = [first + timedelta(days=n) for n in range(-1, (last - first).days + 1)]
        found = {
            edge for window in self.schedule.windows for day in days for edge in _edges(on(window, day, self.zone))
        }
        found |= {step.at for step in self.steps}
        found |= {self.schedule.probation.ends_at} if self.schedule.probation is not None else set()
        found |= {self.schedule.open.of.ends} if self.schedule.open is not None else set()
        for at in sorted(found):
            if start < at <= end:
                value, cause = self.limit_at(at)
                if value != before:
                    over = self.schedule.probation is not None and at == self.schedule.probation.ends_at
                    yield at, value, "probation" if over and cause == "base" else cause
                before = value

    def hourly(self) -> Callable[[int], float]:
        """The limit alone, for the forecast of days: a guard lets go long before."""
        free = replace(self, guards_let_go=True)
        return lambda at: float(free.limit_at(at)[0])


def _edges(found: Occurrence | None) -> tuple[int, ...]:
    return () if found is None else (found.begins, found.ends)


def _whole(setting: Setting) -> int:
    assert isinstance(setting.value, int)
    return setting.value


def _cause_of(setting: Setting) -> Cause:
    return "window" if setting.source == "window" else "base"
