"""What persons change: limits, a user's own limits, the pause. Each change is a version with who, when and why."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

from limiter.rules import guards
from limiter.rules.capacity import Capacity
from limiter.rules.guards import Guard, Readings, check
from limiter.rules.limits import Limits, Override, Setting
from limiter.rules.operating import OperatorRequest
from limiter.rules.records import AuditEntry, Version
from limiter.rules.refusals import Refusal
from limiter.rules.room import capacity
from limiter.rules.schedule import MAX, Schedule, after_change
from limiter.rules.state import State
from limiter.rules.words import Words
from limiter.system_limits import CATALOGUE, Value

Change = Value | Literal["back"]
"""A new live value, or "back": take the live change back, so that environment, `.env` or default hold again."""


OVER = Words(
    "{bots} {bots:bot actif|bots actifs}, {over} au-dessus de {limit} : aucun n'est coupé, les nouveaux démarrages"
    " sont refusés",
    "{bots} {bots:bot is|bots are} active, {over} over {limit}: none is cut, new starts are refused",
)
ABOVE_ADVICE = Words(
    "{limit} dépasse les {advised} conseillés pour cette machine",
    "{limit} is above the {advised} recommended for this box",
)
NOBODY = Words("MAX_BOTS_PER_USER 0 refuse tous les démarrages", "MAX_BOTS_PER_USER 0 refuses every start")
RESERVE_IS_ALL = Words(
    "RESERVED_SLOTS {reserve} garde toutes les places (MAX_CONCURRENT_BOTS {limit}) :"
    " seuls les utilisateurs de la réserve peuvent démarrer",
    "RESERVED_SLOTS {reserve} keeps every slot (MAX_CONCURRENT_BOTS {limit}): only users of the reserve can start",
)
HIDES = Words("masque {name}={value} {where}", "hides {name}={value} {where}")
DOT_ENV = Words("du .env", "of the .env")
UNTIL_WINDOW_ENDS = Words(
    "une plage horaire est ouverte : MAX_CONCURRENT_BOTS revient à {value} à sa fin",
    "a window is open: MAX_CONCURRENT_BOTS goes back to {value} at its end",
)
OVERRIDDEN = Words("garde-fou forcé : {guard}", "guard overridden: {guard}")


@dataclass(frozen=True, slots=True)
class Changed:
    """The limits after a change; `changed` is empty where neither a value nor its source moved."""

    limits: Limits
    changed: tuple[tuple[str, Value, Value], ...]
    warnings: tuple[Words, ...]


def apply(limits: Limits, changes: Mapping[str, Change], actor: str, now: int) -> dict[str, Setting]:
    """The settings after `changes`; a row whose value and source stay is the same object."""
    settings = dict(limits.settings)
    for name, value in changes.items():
        before = settings[name]
        after = limits.configured[name] if value == "back" else Setting(value, "live")
        if (after.value, after.source) != (before.value, before.source):
            settings[name] = replace(after, changed_at=now, changed_by=actor)
    return settings


def warn(limits: Limits, settings: Mapping[str, Setting], bots: int, recommended: int) -> tuple[Words, ...]:
    """What an operator should know before or after a change, though nothing forbids it."""
    said = []
    before, after = limits.whole("MAX_CONCURRENT_BOTS"), settings["MAX_CONCURRENT_BOTS"].value
    assert isinstance(after, int)
    if bots > after:
        said.append(OVER.filled(bots=bots, over=bots - after, limit=after))
    if after > recommended and after > before:
        said.append(ABOVE_ADVICE.filled(limit=after, advised=recommended))
    per_user = settings["MAX_BOTS_PER_USER"].value
    if per_user == 0:
        said.append(NOBODY)
    reserve = settings["RESERVED_SLOTS"].value
    if reserve and reserve >= after:
        said.append(RESERVE_IS_ALL.filled(reserve=reserve, limit=after))
    for limit in CATALOGUE:
        if Limits(0, settings, limits.configured).hidden(limit.name) and not limits.hidden(limit.name):
            configured = limits.configured[limit.name]
            where = Words("de l'environnement", "of the environment") if configured.source == "environment" else DOT_ENV
            said.append(HIDES.filled(name=limit.name, value=str(configured.value), where=where))
    return tuple(said)


def limits_changed_since(limits: Limits, version: int | None) -> Refusal | None:
    """The conflict where somebody has changed limits since that version of them."""
    if version is None or version == limits.version:
        return None
    return Refusal("version_conflict", {"version": limits.version})


def until_when(after: Schedule) -> tuple[Words, ...]:
    """What to know of a change of MAX_CONCURRENT_BOTS, after which the schedule is this."""
    opened = after.open
    if opened is None or not opened.by_hand:
        return ()
    return (UNTIL_WINDOW_ENDS.filled(value=str(opened.base.value)),)


def next_version(
    state: State,
    settings: Mapping[str, Setting],
    overrides: Mapping[str, Override],
    now: int,
    actor: str,
    kind: str,
    reason: str,
    changed: tuple[tuple[str, Value, Value], ...],
    user_id: str | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Limits:
    """Put the settings in force under the next version, with its row in the history; `more` goes into the audit."""
    limits = state.limits.changed(state.limits.version + 1, settings, overrides, now)
    in_force = {name: (setting.value, setting.source) for name, setting in settings.items()}
    state.change_limits(limits, Version(limits.version, now, actor, kind, reason, user_id, changed, in_force))
    detail = {"version": limits.version, "changed": [list(row) for row in changed], **more}
    state.audit(AuditEntry(now, actor, kind, user_id or "limits", reason, detail))
    return limits


def held_guards(limits: Limits, settings: Mapping[str, Setting], readings: Readings, now: int) -> list[Guard]:
    """The guards that hold this change back: none where MAX_CONCURRENT_BOTS does not rise."""
    before, after = limits.values["MAX_CONCURRENT_BOTS"], settings["MAX_CONCURRENT_BOTS"].value
    assert before is not None and after is not None
    return [guard for guard in check(readings, now) if guard.held] if after > before else []


def _change(
    state: State,
    now: int,
    settings: dict[str, Setting],
    who: "ChangeLimits | Rollback",
    kind: str,
) -> Changed | Refusal:
    limits, trial = state.limits, state.schedule.probation
    if who.confirm_within is not None and trial is not None:
        return Refusal("probation_open", {"version": trial.version, "ends_at": trial.ends_at})
    held = held_guards(limits, settings, who.readings, now)
    if held and not who.override_guard:
        return Refusal("guard_held", {"guards": [guard.as_dict() for guard in held], "held": guards.said(held)})
    moved = [name for name in settings if settings[name] is not limits.settings[name]]
    changed = tuple((name, limits.settings[name].value, settings[name].value) for name in moved)
    warnings = warn(limits, settings, capacity(state, now).current, who.recommended)
    if held:
        warnings += tuple(OVERRIDDEN.filled(guard=guard.message) for guard in held)
    if not changed:
        return Changed(limits, (), warnings)
    state.set_schedule(after_change(state.schedule, limits, settings, now, who.confirm_within))
    more = {} if who.confirm_within is None else {"confirm_within": who.confirm_within}
    after = next_version(
        state, settings, limits.overrides, now, who.actor, kind, who.reason, changed, None, more
    )  # fmt: skip
    if any(name == MAX for name, _, _ in changed):
        warnings += until_when(state.schedule)
    return Changed(after, changed, warnings)


@dataclass(frozen=True, slots=True)
class ChangeLimits(OperatorRequest):
    """Change system limits live. `version` is the one that the caller saw; None: whatever holds. `confirm_within`:
    seconds after which the change is taken back unless somebody confirms it; None: it stays."""

    changes: Mapping[str, Change]
    reason: str
    version: int | None
    override_guard: bool
    actor: str
    readings: Readings
    recommended: int
    kind: str = "limits"
    confirm_within: int | None = None

    def decide(self, state: State, now: int) -> Changed | Refusal:
        """All or nothing: a stale version first, then the guards."""
        if (stale := limits_changed_since(state.limits, self.version)) is not None:
            return stale
        return _change(state, now, apply(state.limits, self.changes, self.actor, now), self, self.kind)


@dataclass(frozen=True, slots=True)
class Rollback(OperatorRequest):
    """A new version with the values of an earlier one. Users' own limits are not touched. `seen` is the version that
    the caller saw in force; None: whatever holds."""

    version: int
    reason: str
    override_guard: bool
    actor: str
    readings: Readings
    recommended: int
    confirm_within: int | None = None
    seen: int | None = None

    def decide(self, state: State, now: int) -> Changed | Refusal:
        """Values that environment or defaults still give go back to them; the others become live changes. What a
        window gave is a window's to give: it comes back while that is open, else the value in force stays."""
        target = state.versions.get(self.version)
        if target is None:
            return Refusal("not_found")
        if (stale := limits_changed_since(state.limits, self.seen)) is not None:
            return stale
        changes: dict[str, Change] = {}
        for name, (value, source) in target.in_force.items():
            if name in state.limits.configured:
                if source == "window":
                    continue
                configured = state.limits.configured[name].value
                back = source != "live" and value == configured
                changes[name] = "back" if back else value
        settings, opened = apply(state.limits, changes, self.actor, now), state.schedule.open
        to_window = MAX in target.in_force and target.in_force[MAX][1] == "window"
        if to_window and opened is not None and opened.by_hand and now < opened.of.ends:
            settings[MAX] = Setting(opened.of.max_bots, "window", now, self.actor)
        return _change(state, now, settings, self, "rollback")


@dataclass(frozen=True, slots=True)
class OverrideUser(OperatorRequest):
    """Give one user own limits and a place in the reserve, in place of those it had; nothing takes them back.
    `version` is that of the limits which the caller saw; None: whatever holds."""

    user_id: str
    limits: Mapping[str, Value]
    until: int | None
    reason: str
    actor: str
    reserve: bool = False
    version: int | None = None

    def decide(self, state: State, now: int) -> Limits | Refusal:
        """The limits after it; the same version where the user had none and gets none."""
        if (stale := limits_changed_since(state.limits, self.version)) is not None:
            return stale
        before = state.limits.overrides.get(self.user_id)
        if before is None and not self.limits and not self.reserve:
            return state.limits
        old = before.limits if before is not None and before.holds(now) else {}
        system = state.limits.values
        names = [limit.name for limit in CATALOGUE if limit.name in old or limit.name in self.limits]
        changed = tuple((name, old.get(name, system[name]), self.limits.get(name, system[name])) for name in names)
        overrides = {user: own for user, own in state.limits.overrides.items() if user != self.user_id}
        if self.limits or self.reserve:
            overrides[self.user_id] = Override(self.limits, self.reason, self.until, now, self.actor, self.reserve)
        return next_version(
            state, state.limits.settings, overrides, now, self.actor, "override", self.reason, changed, self.user_id,
            {"reserve": self.reserve} if self.reserve or (before is not None and before.reserve) else {},
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SetPause(OperatorRequest):
    """Close (or open again) the door for starts; running bots are untouched."""

    paused: bool
    reason: str
    actor: str

    def decide(self, state: State, now: int) -> Capacity:
        """The capacity after it."""
        if state.paused != self.paused:
            state.pause(self.paused)
            state.audit(AuditEntry(now, self.actor, "pause" if self.paused else "resume", "starts", self.reason, {}))
        return capacity(state, now)


@dataclass(frozen=True, slots=True)
class Write(OperatorRequest):
    """A row that no rule reads again (a note, a key), or new values of one, with its audit entry."""

    table: str
    row: Mapping[str, Any]
    actor: str
    action: str
    target: str

    def decide(self, state: State, now: int) -> Mapping[str, Any]:
        """The row."""
        state.write(self.table, self.row)
        state.audit(AuditEntry(now, self.actor, self.action, self.target, "", {}))
        return self.row
