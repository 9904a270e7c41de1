"""The launch plan: raises of MAX_CONCURRENT_BOTS at set times, each applied only while no guard holds.

A step whose time has come is applied, or held and tried again until the guards let go. They are applied in order. While
a window is open (rules/peaks.py) or MAX_CONCURRENT_BOTS is on probation (rules/probation.py) a step waits for its end.
"""

from dataclasses import dataclass, replace

from limiter.rules.changes import Changed, ChangeLimits
from limiter.rules.guards import Readings, check
from limiter.rules.operating import OperatorRequest
from limiter.rules.records import AuditEntry, Step
from limiter.rules.refusals import Refusal, invalid
from limiter.rules.schedule import Schedule
from limiter.rules.state import State
from limiter.rules.words import Words
from limiter.units import MINUTE_MS

GRACE_MS = MINUTE_MS  # a step so little in the past is due now; one further back is a mistake
ACTOR = "plan"


CHANGED = Words(
    "Les plages ou le plan ont changé entre-temps (version {version}). Recharge et recommence.",
    "Windows or plan have changed meanwhile (version {version}). Reload and try again.",
)


def changed_since(schedule: Schedule, version: int | None) -> Refusal | None:
    """The conflict where somebody has set windows or plan since that version of them."""
    if version is None or version == schedule.version:
        return None
    return Refusal("version_conflict", {"version": schedule.version}, words=CHANGED)


@dataclass(frozen=True, slots=True)
class SetPlan(OperatorRequest):
    """A plan in place of the one before; no steps take it back. Applied steps that stand in it stay applied.
    `version` is the schedule's that the caller saw; None: whatever stands."""

    steps: tuple[Step, ...]
    reason: str
    actor: str
    version: int | None = None

    def decide(self, state: State, now: int) -> tuple[Step, ...] | Refusal:
        """The plan as it is kept, by time."""
        if (stale := changed_since(state.schedule, self.version)) is not None:
            return stale
        known = {(step.at, step.max_bots, step.confirm_within): step for step in state.plan if step.status != "planned"}
        kept: list[Step] = []
        for step in sorted(self.steps, key=lambda one: one.at):
            before = known.get((step.at, step.max_bots, step.confirm_within))
            if before is None and step.at < now - GRACE_MS:
                return invalid("steps", "a step lies in the past", "une étape est déjà passée")
            if kept and kept[-1].at == step.at:
                return invalid("steps", "two steps have the same time", "deux étapes ont la même heure")
            kept.append(before or step)
        if tuple(kept) != state.plan:
            state.set_plan(tuple(kept))
            state.set_schedule(replace(state.schedule, version=state.schedule.version + 1))
            detail = {"steps": [[step.at, step.max_bots] for step in kept]}
            state.audit(AuditEntry(now, self.actor, "plan", f"{len(kept)} steps", self.reason, detail))
        return tuple(kept)


def due(plan: tuple[Step, ...], now: int) -> bool:
    """Whether a step waits to be applied."""
    return any(step.status != "applied" and step.at <= now for step in plan)


def waits(schedule: Schedule, step: Step) -> bool:
    """Whether a window or a probation has to end first."""
    nested = step.confirm_within is not None and schedule.probation is not None
    return schedule.open is not None or schedule.cap_on_probation or nested


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """The job's request: apply what is due."""

    readings: Readings
    recommended: int

    def decide(self, state: State, now: int) -> tuple[Step, ...]:
        """The plan after it. The first step that is held keeps the later ones waiting."""
        steps, blocked = list(state.plan), False
        for place, step in enumerate(steps):
            if step.status == "applied" or step.at > now or blocked or waits(state.schedule, step):
                continue
            change = ChangeLimits(
                {"MAX_CONCURRENT_BOTS": step.max_bots}, "", None, False,
                ACTOR, self.readings, self.recommended, "plan", step.confirm_within,
            )  # fmt: skip
            decided = change.decide(state, now)
            if isinstance(decided, Changed):
                steps[place] = replace(step, status="applied", applied_at=now, held_by=())
            else:
                blocked = True
                assert decided.reason == "guard_held", decided
                held_by = tuple(guard for guard in check(self.readings, now) if guard.held)
                if step.status != "held":
                    detail = {"at": step.at, "held_by": [guard.as_facts() for guard in held_by]}
                    state.audit(AuditEntry(now, ACTOR, "held", f"{step.max_bots} bots", "", detail))
                steps[place] = replace(step, status="held", held_by=held_by)
        if tuple(steps) != state.plan:
            state.set_plan(tuple(steps))
        return state.plan
