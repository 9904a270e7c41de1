"""What an operator is told: thresholds of the occupancy with hysteresis, and signs that something is wrong (vitals.py).

Promises: one message at each upward crossing, in exact integers, spoken by the highest level crossed; one incident from
the first crossing until all is well; both kept over a restart. Not promised: that a message arrives.
Every message becomes one delivery a channel, durable with the change that caused it (rules/deliveries.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from limiter.rules.alerts import ALERTS, LEVELS, OUTAGE, RESOLVED, RULES, TEST, Alert, message
from limiter.rules.capacity import Capacity
from limiter.rules.deliveries import tell
from limiter.rules.headlines import CAPACITY, Reader, full_spells, past
from limiter.rules.operating import OperatorRequest
from limiter.rules.records import AuditEntry, Crossing, Delivery, Incident
from limiter.rules.refusals import REFUSALS, Refusal
from limiter.rules.room import capacity
from limiter.rules.state import State
from limiter.rules.vitals import Vitals, findings
from limiter.rules.words import Words
from limiter.units import MINUTE_MS

URGENT_PERCENT = 95
HYSTERESIS_PERCENT = 5  # level L closes below L - 5 %
MAX_CROSSINGS = 50  # kept of one incident: the first, and the latest
BODY = Words(
    "{bots} bots actifs ({percent} %), {free} {free:place libre|places libres}.",
    "{bots} active bots ({percent}%), {free} free {free:slot|slots}.",
)


# -- occupancy


def rank(bots: int, maximum: int, threshold: int, before: int) -> int:
    """The highest level that is open now, where `before` was: 0 none, 1 the threshold, 2 at 95 %, 3 full."""
    for level, percent in ((3, 100), (2, URGENT_PERCENT), (1, threshold)):
        if level == 2 and threshold >= URGENT_PERCENT:
            continue
        opens_at = percent if level > before else percent - HYSTERESIS_PERCENT
        if maximum and 100 * bots >= opens_at * maximum:
            return level
    return 0


def is_calm(state: State) -> bool:
    """Whether no level of the occupancy is open or opens: what nearly every decision comes to."""
    limits = state.limits
    return 100 * len(state.sessions) < limits.alert_threshold * limits.max_bots and CAPACITY not in state.incidents


def watch(state: State, now: int) -> None:
    """Look at the occupancy after every decision, so that no crossing hides between two samples or in a batch."""
    if is_calm(state):
        return
    limits, bots = state.limits, len(state.sessions)
    maximum, threshold = limits.max_bots, limits.alert_threshold
    incident = state.incidents.get(CAPACITY)
    before = incident.rank if incident is not None else 0
    after = rank(bots, maximum, threshold, before)
    facts = full_spells(incident.facts if incident is not None else {}, now, 0 < maximum <= bots)
    if incident is not None and facts is not incident.facts:
        incident = replace(incident, facts=facts)
        _keep(state, incident)
    if after > before:
        _cross(state, now, CAPACITY, after, LEVELS[after - 1], {**facts, "percent": threshold})
    elif incident is not None and after == 0:
        _resolve(state, now, incident, silently=maximum == 0)
    elif incident is not None and (after < before or bots > incident.peak):
        _keep(state, _with_peak(replace(incident, rank=after), bots, maximum))


def _cross(state: State, now: int, kind: str, to: int, level: Alert, facts: Mapping[str, Any]) -> None:
    """Open an incident or let it grow, and tell. Who acknowledged the lower level has not seen this one."""
    fold(state)
    held = capacity(state, now)
    crossing = Crossing(now, level.name, held.current, held.maximum)
    incident = state.incidents.get(kind)
    if incident is None:
        number = state.numbers["incident"]
        state.put(state.numbers, "incident", number + 1)
        incident = Incident(number, kind, to, facts, now, (crossing,), held.current, held.maximum)
    else:
        kept = incident.crossings
        if len(kept) >= MAX_CROSSINGS:
            kept = (kept[0], *kept[2:])
        incident = replace(
            incident, rank=to, facts=facts, message="", crossings=(*kept, crossing),
            acknowledged_at=None, acknowledged_by=None, acknowledged_reason=None,
        )  # fmt: skip
    incident = _with_peak(incident, held.current, held.maximum)
    _keep(state, incident)
    state.trace(incident)
    title = level.sentence(state.language, facts)
    tell(state, now, incident.number, level.name, title, body(held, state.language))


def record(state: State, now: int, name: str, facts: Mapping[str, Any]) -> None:
    """Something that happened and is over with it: an incident that is resolved, and one message."""
    number = _over(state, now, name, facts, now)
    tell(
        state,
        now,
        number,
        name,
        ALERTS[name].sentence(state.language, facts),
        body(capacity(state, now), state.language),
    )


def _over(state: State, now: int, name: str, facts: Mapping[str, Any], since: int) -> int:
    number, held = state.numbers["incident"], capacity(state, now)
    state.put(state.numbers, "incident", number + 1)
    crossing = Crossing(since, name, held.current, held.maximum)
    incident = Incident(number, name, 0, facts, since, (crossing,), held.current, held.maximum, resolved_at=now)
    _keep(state, incident)
    state.trace(incident)
    return number


def _resolve(state: State, now: int, incident: Incident, silently: bool = False) -> None:
    fold(state)
    ended = replace(state.incidents[incident.kind], rank=0, resolved_at=now)
    _keep(state, ended)
    state.trace(ended)
    if state.tells_ends and not silently:
        minutes = max(1, round((now - ended.opened_at) / MINUTE_MS))
        reader = Reader(state.language, state.zone, now)
        said = past(ended, reader) if ended.kind == CAPACITY else message(ended, state.language)
        title = RESOLVED.sentence(state.language, {"minutes": minutes, "message": said})
        tell(state, now, ended.number, RESOLVED.name, title, body(capacity(state, now), state.language))


def _with_peak(incident: Incident, bots: int, maximum: int) -> Incident:
    return replace(incident, peak=bots, peak_limit=maximum) if bots > incident.peak else incident


def _keep(state: State, incident: Incident) -> None:
    state.put(state.incidents, incident.kind, incident if incident.resolved_at is None else None)
    state.put(state.changes.incidents, incident.number, incident)


def body(held: Capacity, language: str) -> str:
    """The text below a message: how full it is."""
    bots, free = f"{held.current}/{held.maximum}", max(0, held.maximum - held.current)
    return BODY.filled(bots=bots, percent=held.percent_used, free=free).told(language)


def fold(state: State) -> None:
    """Add to the open incidents what was refused since this was last done."""
    for reason in REFUSALS:
        total = state.totals.get(f"refused:{reason.name}", 0)
        grown = total - state.told.get(reason.name, 0)
        if not reason.recorded or not grown:
            continue
        state.put(state.told, reason.name, total)
        for incident in tuple(state.incidents.values()):
            counts = {**incident.refusals, reason.name: incident.refusals.get(reason.name, 0) + grown}
            _keep(state, replace(incident, refusals=counts))


# -- readings


@dataclass(frozen=True, slots=True)
class Observe:
    """The job's request, every few seconds."""

    vitals: Vitals

    def decide(self, state: State, now: int) -> None:
        """Open, or resolve, an incident a rule; count what was refused meanwhile."""
        fold(state)
        found = findings(self.vitals, state, now)
        for rule in RULES:
            holds, facts = found[rule.name]
            incident = state.incidents.get(rule.name)
            if holds:
                since = state.rising.get(rule.name, now)
                state.put(state.rising, rule.name, since)
                if incident is None and now - since >= 1000 * rule.rise_seconds:
                    _cross(state, now, rule.name, 1, rule, facts)
            elif holds is False:
                state.put(state.rising, rule.name, None)
                if incident is not None:
                    _resolve(state, now, incident)
        if self.vitals.outage_since is not None:
            # What could not be written while it lasted; the channels were told meanwhile, by the job itself.
            _over(state, now, OUTAGE.name, {}, self.vitals.outage_since)


# -- people


@dataclass(frozen=True, slots=True)
class Acknowledge(OperatorRequest):
    """Somebody looks after it. The first to say so is kept."""

    number: int
    reason: str
    actor: str

    def decide(self, state: State, now: int) -> Incident | Refusal:
        """The incident; one that is over can be acknowledged too."""
        known = (*state.incidents.values(), *state.past.values())
        incident = next((one for one in known if one.number == self.number), None)
        if incident is None:
            return Refusal("not_found")
        if incident.acknowledged_at is not None:
            return incident
        incident = replace(
            incident, acknowledged_at=now, acknowledged_by=self.actor, acknowledged_reason=self.reason or None
        )
        if incident.resolved_at is None:
            _keep(state, incident)
        else:
            state.put(state.past, incident.number, incident)
            state.put(state.changes.incidents, incident.number, incident)
        state.audit(AuditEntry(now, self.actor, "acknowledge", f"alert {self.number}", self.reason, {}))
        return incident


@dataclass(frozen=True, slots=True)
class SendTest(OperatorRequest):
    """A message to every channel, to prove that it arrives. It is tried once."""

    actor: str

    def decide(self, state: State, now: int) -> list[Delivery]:
        """The deliveries."""
        state.audit(AuditEntry(now, self.actor, "alert_test", "channels", "", {"channels": sorted(state.channels)}))
        message = TEST.sentence(state.language, {})
        return tell(state, now, None, TEST.name, message, body(capacity(state, now), state.language))
