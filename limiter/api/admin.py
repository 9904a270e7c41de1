"""What operators ask: limits, own limits of users, sessions, refusals, notes, keys, audit. A write says who and why."""

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from limiter.access import make_key
from limiter.api import schemas as s
from limiter.api.bots import capacity
from limiter.api.call import Call, Refused, good
from limiter.api.wire import Answer, instant, iso, ok
from limiter.rules import replay
from limiter.rules.capacity import Capacity
from limiter.rules.changes import Change, Changed, ChangeLimits, OverrideUser, Rollback, SetPause, Write, apply, warn
from limiter.rules.guards import check
from limiter.rules.limits import USER_LIMITS, Limits
from limiter.rules.records import Ended, Key, Session
from limiter.rules.refusals import REASONS, Refusal, invalid
from limiter.rules.sessions import Reap, ReapSuspects, StopByAdmin
from limiter.rules.words import told
from limiter.store import read
from limiter.store.rows import as_session
from limiter.system_limits import CATALOGUE, LIMITS, Value

PAGE = 50
DAY_MS = 86_400_000
REPLAY_DAYS = 7


# -- limits


async def limits(call: Call) -> Answer:
    """Every limit with value, source and bounds."""
    held = call.services.committer.state.limits
    rows = []
    for limit in CATALOGUE:
        setting = held.settings[limit.name]
        rows.append(
            s.LimitRow(
                limit.name, setting.value, limit.default, setting.source, held.hidden(limit.name),
                held.configured[limit.name].value, limit.unit, limit.scope, limit.minimum, limit.maximum,
                limit.meaning, iso(setting.changed_at), setting.changed_by,
            )
        )  # fmt: skip
    return ok(s.LimitRowsAnswer(held.version, rows))


def accept(changes: Mapping[str, Any], allowed: tuple[str, ...] = tuple(LIMITS)) -> dict[str, Change]:
    """The changes as values; null takes a live change back. Out with the first that is wrong."""
    accepted: dict[str, Change] = {}
    for name, value in changes.items():
        if name not in allowed:
            raise Refused(invalid(f"changes.{name}", "is not a limit that can be set here", "limite inconnue ici"))
        try:
            accepted[name] = "back" if value is None else LIMITS[name].accept(value)
        except TypeError as error:
            raise Refused(invalid(f"changes.{name}", str(error), "nombre attendu", 400)) from error
        except ValueError as error:
            limit = LIMITS[name]
            french = f"valeur attendue de {limit.minimum} à {limit.maximum} {limit.unit}"
            raise Refused(invalid(f"changes.{name}", str(error), french)) from error
    return accepted


def change_answer(changed: Changed, language: str) -> Answer:
    """The receipt of a change."""
    moved = [s.Moved(*row) for row in changed.changed]
    return ok(s.ChangeAnswer(changed.limits.version, moved, [said.told(language) for said in changed.warnings]))


async def change_limits(call: Call) -> Answer:
    """Change limits live."""
    body: s.ChangeBody = call.body
    services = call.services
    request = ChangeLimits(
        accept(body.changes), body.reason, body.version, body.override_guard,
        call.actor.name, services.sampler.readings(), services.box.recommended_max_bots,
    )  # fmt: skip
    return change_answer(await call.decide(request), call.language)


async def rollback(call: Call) -> Answer:
    """Go back to the values of an earlier version."""
    body: s.RollbackBody = call.body
    services = call.services
    request = Rollback(
        body.version, body.reason, body.override_guard,
        call.actor.name, services.sampler.readings(), services.box.recommended_max_bots,
    )  # fmt: skip
    return change_answer(await call.decide(request), call.language)


async def preview(call: Call) -> Answer:
    """What a change would do, without doing it."""
    services, now = call.services, call.now()
    await call.decide(Reap())  # refusals that wait belong to the demand
    state = services.committer.state
    changes = accept(call.body.changes)
    settings = apply(state.limits, changes, call.actor.name, now)
    after = Limits(state.limits.version, settings, state.limits.configured, state.limits.overrides)
    held = state.capacity(now)
    would = Capacity(
        held.current, after.whole("MAX_CONCURRENT_BOTS"), held.open and after.whole("MAX_BOTS_PER_USER") > 0
    )
    values: dict[str, Value] = {name: settings[name].value for name in changes}

    def decide_again(connection: Connection) -> dict[str, Any]:
        demands, stay_ms = read.demands.demands(connection, now - REPLAY_DAYS * DAY_MS)
        return replay.replay(demands, values, stay_ms, REPLAY_DAYS)

    warnings = warn(state.limits, settings, held.current, services.box.recommended_max_bots)
    guards = check(services.sampler.readings(), now)
    answer = s.PreviewAnswer(
        capacity=capacity(would),
        over_by=max(0, held.current - would.maximum),
        guards=[s.Guard(**told(guard.as_dict(), call.language)) for guard in guards],
        warnings=[said.told(call.language) for said in warnings],
        replay=s.Replay(**await call.read(decide_again)),
    )
    return ok(answer)


async def limit_history(call: Call) -> Answer:
    """The versions, newest first."""
    size = call.wanted_number("limit", 1, read.MAX_PAGE) or PAGE
    rows = await call.read(read.limits.versions, call.wanted_number("cursor", 0, 2**53), size + 1)
    versions = [
        s.VersionRow(
            row["version"], str(iso(row["at"])), row["actor"], row["kind"], row["reason"], row["user_id"],
            [s.Moved(*moved) for moved in row["changed"]],
        )
        for row in rows[:size]
    ]  # fmt: skip
    more = str(versions[-1].version) if len(rows) > size else None
    return ok(s.VersionsAnswer(versions, more))


# -- a user's own limits


def user_limits_answer(call: Call, user_id: str, held: Limits) -> Answer:
    """What one user has of his own."""
    own = held.overrides.get(user_id)
    if own is None:
        answer = s.UserLimitsAnswer(user_id, {}, None, None, False, None, None, held.version)
    else:
        answer = s.UserLimitsAnswer(
            user_id, dict(own.limits), own.reason, iso(own.until), not own.holds(call.now()),
            iso(own.changed_at), own.changed_by, held.version,
        )  # fmt: skip
    return ok(answer)


async def user_limits(call: Call) -> Answer:
    """The user's own limits."""
    return user_limits_answer(call, call.name("user_id"), call.services.committer.state.limits)


async def set_user_limits(call: Call) -> Answer:
    """Give a user own limits, in place of those before."""
    body: s.OverrideBody = call.body
    user_id = call.name("user_id")
    accepted = accept(body.limits, USER_LIMITS)
    if any(value is None for value in body.limits.values()):
        raise Refused(
            invalid("limits", "leave a limit out where the system's value shall hold", "null n'est pas permis ici")
        )
    values: dict[str, Value] = {name: value for name, value in accepted.items() if value != "back"}
    until = None if body.until is None else good(instant("until", body.until))
    if until is not None and until <= call.now():
        raise Refused(invalid("until", "is in the past", "est déjà passé"))
    held = await call.decide(OverrideUser(user_id, values, until, body.reason, call.actor.name))
    return user_limits_answer(call, user_id, held)


async def clear_user_limits(call: Call) -> Answer:
    """Take the user's own limits back."""
    user_id = call.name("user_id")
    held = await call.decide(OverrideUser(user_id, {}, None, call.body.reason, call.actor.name))
    return user_limits_answer(call, user_id, held)


# -- sessions


def session(of: Session, now: int, ended: tuple[int, str] | None = None) -> s.AdminSession:
    """A session as operators see it: never its secret."""
    status = "ended" if ended else "suspect" if of.suspect(now) else "active"
    return s.AdminSession(
        of.public_id, of.user_id, of.bot_id, status,  # type: ignore[arg-type]
        str(iso(of.started_at)), str(iso(of.last_heartbeat_at)), str(iso(of.expires_at)),
        iso(ended[0]) if ended else None, ended[1] if ended else None,
    )  # fmt: skip


def ended_session(ended: Ended, now: int) -> s.AdminSession:
    """One that is over."""
    return session(ended.session, now, (ended.at, ended.reason))


async def sessions(call: Call) -> Answer:
    """Sessions, newest start first, a page at a time."""
    status = call.wanted_choice("status", ("active", "suspect", "ended"))
    user_id, before = call.wanted_name("user_id"), call.wanted_number("cursor", 0, 2**53)
    size = call.wanted_number("limit", 1, read.MAX_PAGE) or PAGE
    now, state = call.now(), call.services.committer.state
    rows: list[tuple[int, s.AdminSession]] = []
    if status != "ended":
        rows += [
            (one.number, session(one, now))
            for one in state.sessions.values()
            if one.expires_at > now
            and (user_id is None or one.user_id == user_id)
            and (before is None or one.number < before)
            and (status != "suspect" or one.suspect(now))
        ]
    if status in (None, "ended"):
        await call.decide(Reap())
        found: list[Row[Any]] = list(await call.read(read.sessions.ended, user_id, before, size + 1))
        rows += [(row.number, session(as_session(row), now, (row.ended_at, row.ended_reason))) for row in found]
    rows.sort(key=lambda row: -row[0])
    more = str(rows[size - 1][0]) if len(rows) > size else None
    return ok(s.SessionsAnswer([row for _, row in rows[:size]], more))


async def stop_session(call: Call) -> Answer:
    """End one session."""
    public_id = call.path["public_id"]
    digits = public_id[1:]
    if public_id[:1] != "s" or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise Refused(Refusal("session_unknown"))
    ended: Ended = await call.decide(StopByAdmin(int(digits), call.actor.name, call.body.reason))
    return ok(s.SessionAnswer(ended_session(ended, call.now())))


async def reap_sessions(call: Call) -> Answer:
    """End every suspect session."""
    ended: list[Ended] = await call.decide(ReapSuspects(call.actor.name, call.body.reason))
    return ok(s.ReapAnswer([ended_session(one, call.now()) for one in ended]))


async def pause(call: Call) -> Answer:
    """Refuse every start from now on."""
    return await _pause(call, True)


async def resume(call: Call) -> Answer:
    """Open the door again."""
    return await _pause(call, False)


async def _pause(call: Call, paused: bool) -> Answer:
    after: Capacity = await call.decide(SetPause(paused, call.body.reason, call.actor.name))
    return ok(s.PauseAnswer(paused, capacity(after)))


# -- refusals, notes, audit, keys


def refusal_row(row: Row[Any]) -> s.RefusalRow:
    """A refusal with the facts of its instant."""
    found = row._mapping  # `count` is a method of the row itself
    return s.RefusalRow(
        row.request_id, str(iso(row.at)), row.user_id, row.bot_id, row.reason, row.limit_name, row.value,
        row.version, found["count"], row.repeats,
    )  # fmt: skip


async def refusals(call: Call) -> Answer:
    """Refusals, newest first, a page at a time."""
    reason = call.wanted_choice("reason", tuple(REASONS))
    size = call.wanted_number("limit", 1, read.MAX_PAGE) or PAGE
    filters = {"user_id": call.wanted_name("user_id"), "reason": reason, "since": call.wanted_instant("since")}
    before = call.wanted_number("cursor", 0, 2**53)
    await call.decide(Reap())
    rows = await call.read(read.refusals.refusals, **filters, before=before, limit=size + 1)
    more = str(rows[size - 1].id) if len(rows) > size else None
    return ok(s.RefusalsAnswer([refusal_row(row) for row in rows[:size]], more))


async def refusal(call: Call) -> Answer:
    """Why one request was refused."""
    request_id = call.name("request_id")
    await call.decide(Reap())
    row = await call.read(read.refusals.refusal, request_id)
    if row is None:
        raise Refused(Refusal("not_found"))
    return ok(s.RefusalAnswer(refusal_row(row)))


async def notes(call: Call) -> Answer:
    """Notes, newest first."""
    rows = await call.read(read.audit.notes, call.wanted_instant("from"), call.wanted_instant("to"))
    found = [s.Note(row.id, str(iso(row.at)), row.text, row.author, str(iso(row.created_at))) for row in rows]
    return ok(s.NotesAnswer(found))


async def add_note(call: Call) -> Answer:
    """Write a note about now or another instant."""
    body: s.NoteBody = call.body
    now = call.now()
    at = now if body.at is None else good(instant("at", body.at))
    row = {"id": f"n{secrets.token_hex(6)}", "at": at, "text": body.text, "author": call.actor.name, "created_at": now}
    await call.decide(Write("notes", row, call.actor.name, "note", str(row["id"])))
    note = s.Note(str(row["id"]), str(iso(at)), body.text, call.actor.name, str(iso(now)))
    return ok(s.NoteAnswer(note), 201)


async def audit(call: Call) -> Answer:
    """What persons did, newest first."""
    size = call.wanted_number("limit", 1, read.MAX_PAGE) or PAGE
    rows = await call.read(read.audit.entries, call.wanted_number("cursor", 0, 2**53), size + 1)
    items = [
        s.AuditRow(
            row["id"], str(iso(row["at"])), row["actor"], row["action"], row["target"], row["reason"], row["detail"]
        )
        for row in rows[:size]
    ]
    return ok(s.AuditAnswer(items, str(items[-1].id) if len(rows) > size else None))


def key_row(key: Key) -> s.KeyRow:
    """A key without its secret."""
    return s.KeyRow(key.id, key.name, key.scope, str(iso(key.created_at)), iso(key.revoked_at))


async def keys(call: Call) -> Answer:
    """Every key, revoked ones too."""
    return ok(s.KeysAnswer([key_row(key) for key in await call.read(read.keys.keys)]))


async def whoami(call: Call) -> Answer:
    """The key that was sent; null where none was and none is needed."""
    return ok(s.KeyAnswer(key_row(call.actor.key) if call.actor.key else None))


async def create_key(call: Call) -> Answer:
    """A new key; its text is in this answer and nowhere else."""
    body: s.KeyBody = call.body
    text, key = make_key(body.scope, body.name, call.now())
    row = {name: getattr(key, name) for name in ("id", "name", "scope", "digest", "created_at", "revoked_at")}
    await call.decide(Write("keys", row, call.actor.name, "key", f"{key.id} {key.scope}"))
    call.services.access.load(await call.read(read.keys.keys))
    return ok(s.NewKeyAnswer(text, key.id), 201)


async def revoke_key(call: Call) -> Answer:
    """End a key, at once and for good."""
    key = call.services.access.keys.get(call.path["id"])
    if key is None or key is call.services.access.control:
        raise Refused(Refusal("not_found"))
    if key.revoked_at is None:
        await call.decide(Write("keys", {"id": key.id, "revoked_at": call.now()}, call.actor.name, "revoke", key.id))
        call.services.access.load(await call.read(read.keys.keys))
    return ok(s.KeyAnswer(key_row(call.services.access.keys[key.id])))
