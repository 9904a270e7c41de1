"""Peak windows: another MAX_CONCURRENT_BOTS at set times of the wall clock (rules/schedule.py says when). Pure.

Of windows that overlap, the first of the list that fits holds. A raise, by a window or by its end, is guarded like any
other: held back it is tried again. What somebody sets in a window holds until that ends; then comes back what held
before it. While MAX_CONCURRENT_BOTS is on probation no window begins: it waits for the end of that.
"""

from dataclasses import dataclass, replace

from limiter.rules.changes import held_guards, next_version
from limiter.rules.guards import Readings
from limiter.rules.limits import Setting
from limiter.rules.operating import OperatorRequest
from limiter.rules.plan import ApplyPlan, changed_since, due
from limiter.rules.probation import end_probation
from limiter.rules.records import AuditEntry
from limiter.rules.refusals import Refusal, invalid
from limiter.rules.schedule import MAX, Occurrence, OpenWindow, PeakWindow, Schedule, after_change, window_at
from limiter.rules.state import State

ACTOR = "window"


@dataclass(frozen=True, slots=True)
class SetWindows(OperatorRequest):
    """Windows in place of those before; none takes them all back, and one that is open ends. `version` is the
    schedule's that the caller saw; None: whatever stands."""

    windows: tuple[PeakWindow, ...]
    reason: str
    actor: str
    version: int | None = None

    def decide(self, state: State, now: int) -> Schedule | Refusal:
        """The schedule after it; the limit follows within a second."""
        if (stale := changed_since(state.schedule, self.version)) is not None:
            return stale
        if len(set(self.windows)) < len(self.windows):
            return invalid("windows", "the same window stands there twice", "la même plage y est deux fois")
        if self.windows != state.schedule.windows:
            version = state.schedule.version + 1
            state.set_schedule(replace(state.schedule, windows=self.windows, version=version))
            detail = {
                "windows": [
                    [",".join(one.days), f"{one.begins:%H:%M}", f"{one.ends:%H:%M}", one.max_bots]
                    for one in self.windows
                ]
            }
            state.audit(AuditEntry(now, self.actor, "windows", f"{len(self.windows)} windows", self.reason, detail))
        return state.schedule


def follow_windows(state: State, now: int, readings: Readings) -> None:
    """Have the window in force that holds now, or what held before it."""
    schedule = state.schedule
    opened, here = schedule.open, window_at(schedule.windows, now, state.zone)
    if opened is not None and opened.of == here:
        if opened.held_by and not opened.by_hand:
            _move(state, now, readings, here, opened.base)
    elif opened is not None:
        _move(state, now, readings, here, opened.base)
    elif here is not None and not schedule.cap_on_probation:
        _move(state, now, readings, here, state.limits.settings[MAX])


def _move(state: State, now: int, readings: Readings, here: Occurrence | None, base: Setting) -> None:
    """To the window that holds here, or to the base; kept where a guard holds a raise."""
    limits, opened = state.limits, state.schedule.open
    if base.source not in ("live", "window"):
        base = limits.configured[MAX]
    cap = base if here is None else Setting(here.max_bots, "window", now, ACTOR)
    settings = {**limits.settings, MAX: cap}
    held = tuple(held_guards(limits, settings, readings, now))
    if held:
        over = here if here is not None or opened is None else opened.of
        assert over is not None
        waits = OpenWindow(over, base, opened is not None and here is None and opened.by_hand, held)
        if opened is None or not opened.held_by or opened.of != waits.of:
            detail = {"held_by": [guard.as_facts() for guard in held]}
            state.audit(AuditEntry(now, ACTOR, "window_held", f"{cap.value} bots", "", detail))
        state.set_schedule(replace(state.schedule, open=waits))
        return
    before = limits.settings[MAX]
    after = after_change(state.schedule, limits, settings, now)
    state.set_schedule(replace(after, open=OpenWindow(here, base) if here is not None else None))
    if (cap.value, cap.source) != (before.value, before.source):
        kind = "window" if here is not None else "window_over"
        next_version(state, settings, limits.overrides, now, ACTOR, kind, "", ((MAX, before.value, cap.value),))


@dataclass(frozen=True, slots=True)
class FollowSchedule:
    """The job's request, each second while something is due: probation, then windows, then the launch plan, at one
    instant. `readings` are means of a minute, `latest` the newest sample."""

    readings: Readings
    latest: Readings
    recommended: int

    def decide(self, state: State, now: int) -> Schedule:
        """The schedule after it."""
        end_probation(state, now, self.readings, self.latest)
        follow_windows(state, now, self.readings)
        if due(state.plan, now):
            ApplyPlan(self.readings, self.recommended).decide(state, now)
        return state.schedule


def is_due(state: State, now: int) -> bool:
    """Whether the job has anything to look at."""
    schedule = state.schedule
    opened = schedule.open
    if schedule.probation is not None or (opened is not None and opened.held_by) or due(state.plan, now):
        return True
    return (opened.of if opened is not None else None) != window_at(schedule.windows, now, state.zone)
