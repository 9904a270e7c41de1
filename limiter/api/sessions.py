"""Sessions as operators see them: list, stop, reap; and the door for starts."""

from collections.abc import Callable
from heapq import nlargest
from typing import Any

from sqlalchemy import Row

from limiter.answers import sessions as s
from limiter.api import paging
from limiter.api.bots import notice_of
from limiter.api.capacity import shown
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, iso, ok
from limiter.rules.capacity import Capacity
from limiter.rules.changes import SetPause
from limiter.rules.holding import known
from limiter.rules.records import Drain, Ended, Session
from limiter.rules.refusals import Refusal, invalid
from limiter.rules.room import capacity
from limiter.rules.sessions import ReapSuspects
from limiter.rules.stops import Chosen, StartDrain, StopByAdmin, TakeDrainBack, TakeStopBack
from limiter.store import read
from limiter.store.rows import as_session
from limiter.units import MIB

HEAVIEST: dict[str, Callable[[Session], float]] = {
    "memory": lambda one: -1 if one.memory_bytes is None else one.memory_bytes,
    "cpu": lambda one: -1 if (load := one.cpu_percent) is None else load,
}
"""What sessions may be ordered by; those that nobody measured come last."""
_NOT_ORDERED = invalid(
    "order",
    "is for sessions that hold a slot, on one page",
    "vaut pour les sessions qui tiennent une place, en une page",
)


def session(of: Session, now: int, ended: tuple[int, str] | None = None, drain: Drain | None = None) -> s.AdminSession:
    """A session as operators see it: never its secret."""
    status = "ended" if ended else "suspect" if of.suspect(now) else "active"
    return s.AdminSession(
        of.public_id, of.user_id, of.bot_id, status,  # type: ignore[arg-type]
        str(iso(of.started_at)), str(iso(of.last_heartbeat_at)), str(iso(of.expires_at)),
        iso(ended[0]) if ended else None, ended[1] if ended else None,
        _megabytes(of.memory_bytes), _megabytes(of.memory_peak), _rounded(of.cpu_seconds),
        None if ended else _rounded(of.cpu_percent), None if ended else notice_of(of, drain),
    )  # fmt: skip


def _megabytes(of: int | None) -> float | None:
    return None if of is None else round(of / MIB, 1)


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 1)


def ended_session(ended: Ended, now: int) -> s.AdminSession:
    """One that is over."""
    return session(ended.session, now, (ended.at, ended.reason))


def any_session(of: Session | Ended, now: int, drain: Drain | None) -> s.AdminSession:
    """One that holds a slot, or is over."""
    return ended_session(of, now) if isinstance(of, Ended) else session(of, now, drain=drain)


async def sessions(call: Call) -> Answer:
    """Sessions, newest start first, a page at a time; or the heaviest of those that hold a slot."""
    status = call.wanted_choice("status", ("active", "suspect", "ended"))
    order = call.wanted_choice("order", tuple(HEAVIEST))
    user_id = call.wanted_name("user_id")
    before, size = paging.asked(call)
    now, state = call.now(), call.services.committer.state
    held = [
        one
        for one in (state.sessions.values() if status != "ended" else ())
        if state.holds(one, now)
        and (user_id is None or one.user_id == user_id)
        and (before is None or one.number < before)
        and (status != "suspect" or one.suspect(now))
    ]
    if order is not None:
        if status == "ended" or before is not None:
            raise Refused(_NOT_ORDERED)
        heaviest = nlargest(size, held, key=lambda one: (HEAVIEST[order](one), one.number))
        return ok(s.SessionsAnswer([session(one, now, drain=state.drain) for one in heaviest], None))
    rows = [(one.number, session(one, now, drain=state.drain)) for one in held]
    if status in (None, "ended"):
        over = {
            one.session.number: one
            for one in known(state, now)
            if isinstance(one, Ended)
            and user_id in (None, one.session.user_id)
            and (before is None or one.session.number < before)
        }
        found: list[Row[Any]] = list(await call.read(read.sessions.ended, user_id, before, size + 1))
        over |= {row.number: Ended(as_session(row), row.ended_at, row.ended_reason) for row in found}
        rows = [row for row in rows if row[0] not in over]
        rows += [(number, ended_session(one, now)) for number, one in over.items()]
    rows.sort(key=lambda row: -row[0])
    more = str(rows[size - 1][0]) if len(rows) > size else None
    return ok(s.SessionsAnswer([row for _, row in rows[:size]], more))


def _number(public_id: str) -> int:
    digits = public_id[1:]
    if public_id[:1] != "s" or not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise Refused(Refusal("session_unknown"))
    return int(digits)


async def _stopped(call: Call, chosen: Chosen) -> list[s.AdminSession]:
    """End them, at once or announced."""
    body: s.StopBody = call.body
    return await _told(call, StopByAdmin(chosen, call.actor.name, body.reason, body.in_seconds or 0))


async def _kept(call: Call, chosen: Chosen) -> list[s.AdminSession]:
    """Take back what was announced."""
    return await _told(call, TakeStopBack(chosen, call.actor.name, call.body.reason))


async def _told(call: Call, request: StopByAdmin | TakeStopBack) -> list[s.AdminSession]:
    found: list[Session | Ended] = await call.decide(request)
    return [any_session(one, call.now(), call.services.committer.state.drain) for one in found]


def _numbers(call: Call) -> tuple[int, ...]:
    return tuple(_number(one) for one in call.body.public_ids)


async def stop_session(call: Call) -> Answer:
    """End one session, at once or in so many seconds."""
    (one,) = await _stopped(call, (_number(call.path["public_id"]),))
    return ok(s.SessionAnswer(one))


async def keep_session(call: Call) -> Answer:
    """Take back the stop that was announced of one session."""
    (one,) = await _kept(call, (_number(call.path["public_id"]),))
    return ok(s.SessionAnswer(one))


async def stop_sessions(call: Call) -> Answer:
    """End several sessions, all or none, at once or in so many seconds."""
    return ok(s.StoppedAnswer(await _stopped(call, _numbers(call))))


async def keep_sessions(call: Call) -> Answer:
    """Take back the stops that were announced of several sessions."""
    return ok(s.StoppedAnswer(await _kept(call, _numbers(call))))


async def stop_user(call: Call) -> Answer:
    """End every session of one user, at once or in so many seconds."""
    return ok(s.StoppedAnswer(await _stopped(call, call.name("user_id"))))


async def keep_user(call: Call) -> Answer:
    """Take back the stops that were announced of one user's sessions."""
    return ok(s.StoppedAnswer(await _kept(call, call.name("user_id"))))


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
    return ok(s.PauseAnswer(paused, shown(after)))


async def drain(call: Call) -> Answer:
    """The drain that goes on, and how many bots are left; null where there is none."""
    return _drain(call)


async def start_drain(call: Call) -> Answer:
    """Refuse every start from now on and tell the bots; who is left in so many seconds is ended."""
    body: s.DrainBody = call.body
    await call.decide(StartDrain(call.actor.name, body.reason, body.stop_in_seconds))
    return _drain(call)


async def cancel_drain(call: Call) -> Answer:
    """Admit starts again; who has not been ended goes on."""
    await call.decide(TakeDrainBack(call.actor.name, call.body.reason))
    return _drain(call)


def _drain(call: Call) -> Answer:
    state = call.services.committer.state
    of, left = state.drain, capacity(state, call.now()).current
    return ok(s.DrainAnswer(None if of is None else s.Drain(str(iso(of.since)), iso(of.stop_at), left, of.reason)))
