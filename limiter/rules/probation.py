"""Probation: a change of limits that is taken back by itself, unless somebody confirms it in time. Pure.

It goes back as a new version when its time is over, or at once where it raised MAX_CONCURRENT_BOTS and a guard has held
for a minute since; nobody is ended by it. One change at a time is on probation. What somebody changes meanwhile was
decided by a person, and is on probation no more. A way back that would raise the cap is guarded like any raise, and
tried again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from limiter.rules.changes import held_guards, next_version
from limiter.rules.guards import Guard, Readings, check
from limiter.rules.incidents import record
from limiter.rules.limits import Limits, Setting
from limiter.rules.operating import OperatorRequest
from limiter.rules.records import AuditEntry
from limiter.rules.refusals import Refusal
from limiter.rules.schedule import MAX, Probation
from limiter.rules.state import State
from limiter.units import MINUTE_MS

ACTOR = "probation"
HELD = "probation:"
"""Before a guard's name: since when it holds, in `state.rising`."""


@dataclass(frozen=True, slots=True)
class Confirm(OperatorRequest):
    """The change of this version stays."""

    version: int
    reason: str
    actor: str

    def decide(self, state: State, now: int) -> Limits | Refusal:
        """The limits in force; refused where that version is not on probation, or not any more."""
        probation = state.schedule.probation
        if probation is None or probation.version != self.version or now >= probation.ends_at:
            return Refusal("probation_over", {"version": self.version, "in_force": state.limits.version})
        state.set_schedule(replace(state.schedule, probation=None))
        _forget(state)
        state.audit(AuditEntry(now, self.actor, "confirm", "limits", self.reason, {"version": self.version}))
        return state.limits


def end_probation(state: State, now: int, readings: Readings, latest: Readings) -> None:
    """Take the change back where that is due. `readings` are means of a minute, `latest` the newest sample: a guard
    that either of them holds is counted, so that a minute at 86 % is a minute and not the two that a mean takes."""
    probation = state.schedule.probation
    if probation is None:
        _forget(state)
        return
    tripped = _tripped(state, now, readings, latest) if probation.raised else []
    if not tripped and now < probation.ends_at:
        return
    settings = _before(state, probation, now)
    if not tripped and held_guards(state.limits, settings, readings, now):
        return
    _take_back(state, now, probation, settings, tripped)


def _tripped(state: State, now: int, readings: Readings, latest: Readings) -> list[Guard]:
    """The guards that have held for a minute, looked at once a second."""
    found = []
    for mean, newest in zip(check(readings, now), check(latest, now), strict=True):
        key = HELD + mean.name
        if not (mean.held or newest.held):
            state.put(state.rising, key, None)
            continue
        since = state.rising.get(key, now)
        state.put(state.rising, key, since)
        if now - since >= MINUTE_MS:
            found.append(newest if newest.held else mean)
    return found


def _forget(state: State) -> None:
    for key in [key for key in state.rising if key.startswith(HELD)]:
        state.put(state.rising, key, None)


def _before(state: State, probation: Probation, now: int) -> dict[str, Setting]:
    """All settings, with those on probation as they were; what was configured is what is configured now."""
    settings = dict(state.limits.settings)
    for name, before in probation.back.items():
        setting = before if before.source in ("live", "window") else state.limits.configured[name]
        settings[name] = replace(setting, changed_at=now, changed_by=ACTOR)
    return settings


def _take_back(
    state: State, now: int, probation: Probation, settings: Mapping[str, Setting], tripped: list[Guard]
) -> None:
    limits, opened = state.limits, state.schedule.open
    changed = tuple((name, limits.settings[name].value, settings[name].value) for name in probation.back)
    if opened is not None and MAX in probation.back:
        base = opened.base if probation.base is None else probation.base
        opened = replace(opened, base=base, by_hand=settings[MAX].source != "window")
    state.set_schedule(replace(state.schedule, open=opened, probation=None))
    _forget(state)
    kind = "tripped" if tripped else "unconfirmed"
    facts: dict[str, Any] = {"held_by": [guard.as_facts() for guard in tripped]} if tripped else {}
    next_version(state, settings, limits.overrides, now, ACTOR, kind, "", changed, None, facts)
    name, before, after = next((row for row in changed if row[0] == MAX), changed[0])
    record(state, now, kind, {"name": name, "before": before, "after": after, **facts})
