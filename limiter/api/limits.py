"""The limits in force; changing them, trying a change, going back."""

from collections.abc import Mapping
from copy import copy
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from limiter.answers import limits as s
from limiter.answers.capacity import Guard
from limiter.answers.windows import OpenWindow
from limiter.api import paging
from limiter.api.capacity import shown
from limiter.api.refusals import waiting
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, iso, ok
from limiter.rules import reasons, replay
from limiter.rules.changes import Change, Changed, ChangeLimits, Rollback, apply, until_when, warn
from limiter.rules.guards import check, said
from limiter.rules.probation import Confirm
from limiter.rules.refusals import invalid
from limiter.rules.room import capacity
from limiter.rules.schedule import MAX, after_change
from limiter.rules.state import State
from limiter.rules.words import told
from limiter.store import read
from limiter.system_limits import CATALOGUE, LIMITS
from limiter.units import DAY_MS

AHEAD_DAYS, AHEAD = 14, 10  # of what will hold next, the first changes


async def limits(call: Call) -> Answer:
    """Every limit with value, source and bounds."""
    state, now = call.services.committer.state, call.now()
    held, rows = state.limits, []
    for limit in CATALOGUE:
        setting = held.settings[limit.name]
        rows.append(
            s.LimitRow(
                limit.name, setting.value, limit.default, setting.source, held.hidden(limit.name),
                held.configured[limit.name].value, limit.unit, limit.scope, limit.minimum, limit.maximum,
                limit.meaning, iso(setting.changed_at), setting.changed_by,
            )
        )  # fmt: skip
    ahead = islice(state.outlook().changes(now, now + AHEAD_DAYS * DAY_MS), AHEAD)
    coming = [s.Coming(str(iso(at)), value, cause) for at, value, cause in ahead]
    return ok(s.LimitRowsAnswer(held.version, rows, trial(state), opened(state, call.language), coming))


def trial(state: State) -> s.Probation | None:
    """The change on probation."""
    one = state.schedule.probation
    return None if one is None else s.Probation(one.version, str(iso(one.ends_at)), one.back_to)


def opened(state: State, language: str) -> OpenWindow | None:
    """The window that is open."""
    one = state.schedule.open
    if one is None:
        return None
    assert isinstance(one.base.value, int)
    return OpenWindow(
        str(iso(one.of.begins)), str(iso(one.of.ends)), one.of.max_bots,
        "held" if one.held_by else "by_hand" if one.by_hand else "applied",
        said(one.held_by).told(language) if one.held_by else None, one.base.value,
    )  # fmt: skip


def accept(
    changes: Mapping[str, Any], allowed: tuple[str, ...] = tuple(LIMITS), inside: str = "changes"
) -> dict[str, Change]:
    """The changes as values; null takes a live change back. The first that is wrong is named, inside that field."""
    accepted: dict[str, Change] = {}
    for name, value in changes.items():
        if name not in allowed:
            raise Refused(invalid(f"{inside}.{name}", "is not a limit that can be set here", "limite inconnue ici"))
        try:
            accepted[name] = "back" if value is None else LIMITS[name].accept(value)
        except TypeError as error:
            raise Refused(invalid(f"{inside}.{name}", str(error), "nombre attendu", 400)) from error
        except ValueError as error:
            french = f"valeur attendue : {LIMITS[name].accepted_in('fr')}"
            raise Refused(invalid(f"{inside}.{name}", str(error), french)) from error
    return accepted


def change_answer(changed: Changed, state: State, language: str) -> Answer:
    """The receipt of a change."""
    moved = [s.Moved(*row) for row in changed.changed]
    warnings = [warning.told(language) for warning in changed.warnings]
    return ok(s.ChangeAnswer(changed.limits.version, moved, warnings, trial(state)))


async def change_limits(call: Call) -> Answer:
    """Change limits live."""
    body: s.ChangeBody = call.body
    services = call.services
    request = ChangeLimits(
        accept(body.changes), body.reason, body.version, body.override_guard,
        call.actor.name, services.sampler.readings(), services.box.recommended_max_bots,
        confirm_within=body.confirm_within,
    )  # fmt: skip
    return change_answer(await call.decide(request), services.committer.state, call.language)


async def confirm(call: Call) -> Answer:
    """Keep the change that is on probation."""
    body: s.ConfirmBody = call.body
    held = await call.decide(Confirm(body.version, body.reason, call.actor.name))
    return change_answer(Changed(held, (), ()), call.services.committer.state, call.language)


async def rollback(call: Call) -> Answer:
    """Go back to the values of an earlier version."""
    body: s.RollbackBody = call.body
    services = call.services
    request = Rollback(
        body.version, body.reason, body.override_guard,
        call.actor.name, services.sampler.readings(), services.box.recommended_max_bots, body.confirm_within,
        body.limits_version,
    )  # fmt: skip
    return change_answer(await call.decide(request), services.committer.state, call.language)


async def preview(call: Call) -> Answer:
    """What a change would do, without doing it."""
    services, now = call.services, call.now()
    state = services.committer.state
    changes = accept(call.body.changes)
    settings = apply(state.limits, changes, call.actor.name, now)
    held = capacity(state, now)
    after = copy(state)  # shares all that it holds, and only looks at it
    after.limits = state.limits.changed(state.limits.version, settings, state.limits.overrides, now)
    would = capacity(after, now)
    instead = replay.takes_the_place(state.schedule, state.limits, settings, changes, now)
    wait = waiting(call)

    def decide_again(connection: Connection) -> dict[str, Any]:
        days = read.demands.days_to_replay(connection, now, read.demands.REPLAY_DAYS)
        demands, stay_ms = read.demands.demands(connection, now - days * DAY_MS, wait)
        return replay.replay(demands, instead, stay_ms, days)

    warnings = warn(state.limits, settings, held.current, services.box.recommended_max_bots)
    if MAX in changes:
        warnings += until_when(after_change(state.schedule, state.limits, settings, now))
    guards = check(services.sampler.readings(), now)
    answer = s.PreviewAnswer(
        capacity=shown(would),
        over_by=max(0, held.current - would.maximum),
        guards=[Guard(**told(guard.as_dict(), call.language)) for guard in guards],
        warnings=[warning.told(call.language) for warning in warnings],
        replay=s.Replay(**await call.read(decide_again)),
    )
    return ok(answer)


def version_row(row: Mapping[str, Any], language: str) -> s.VersionRow:
    """A version of the limits, with what it moved and why."""
    moved = [s.Moved(*one) for one in row["changed"]]
    why = reasons.of_version(row, language)
    return s.VersionRow(row["version"], str(iso(row["at"])), row["actor"], row["kind"], why, row["user_id"], moved)


async def limit_history(call: Call) -> Answer:
    """The versions, newest first."""
    before, size = paging.asked(call)
    rows = await call.read(read.limits.versions, before, size + 1)
    versions = [version_row(row, call.language) for row in rows[:size]]
    more = str(versions[-1].version) if len(rows) > size else None
    return ok(s.VersionsAnswer(versions, more))
