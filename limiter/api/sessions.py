"""Sessions as operators see them: list, stop, reap; and the door for starts."""

from collections.abc import Callable
from heapq import nlargest
from typing import Any

from sqlalchemy import Row

from limiter.answers import sessions as s
from limiter.api import paging
from limiter.api.capacity import shown
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, iso, ok
from limiter.rules.capacity import Capacity
from limiter.rules.changes import SetPause
from limiter.rules.records import Ended, Session
from limiter.rules.refusals import Refusal, invalid
from limiter.rules.sessions import Reap, ReapSuspects, StopByAdmin
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


def session(of: Session, now: int, ended: tuple[int, str] | None = None) -> s.AdminSession:
    """A session as operators see it: never its secret."""
    status = "ended" if ended else "suspect" if of.suspect(now) else "active"
    return s.AdminSession(
        of.public_id, of.user_id, of.bot_id, status,  # type: ignore[arg-type]
        str(iso(of.started_at)), str(iso(of.last_heartbeat_at)), str(iso(of.expires_at)),
        iso(ended[0]) if ended else None, ended[1] if ended else None,
        _megabytes(of.memory_bytes), _megabytes(of.memory_peak), _rounded(of.cpu_seconds),
        None if ended else _rounded(of.cpu_percent), notice=None,
    )  # fmt: skip


def _megabytes(of: int | None) -> float | None:
    return None if of is None else round(of / MIB, 1)


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 1)


def ended_session(ended: Ended, now: int) -> s.AdminSession:
    """One that is over."""
    return session(ended.session, now, (ended.at, ended.reason))


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
        if one.expires_at > now
        and (user_id is None or one.user_id == user_id)
        and (before is None or one.number < before)
        and (status != "suspect" or one.suspect(now))
    ]
    if order is not None:
        if status == "ended" or before is not None:
            raise Refused(_NOT_ORDERED)
        heaviest = nlargest(size, held, key=lambda one: (HEAVIEST[order](one), one.number))
        return ok(s.SessionsAnswer([session(one, now) for one in heaviest], None))
    rows = [(one.number, session(one, now)) for one in held]
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
    return ok(s.PauseAnswer(paused, shown(after)))
