"""Sessions: those that hold a slot, and those that are over."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, func, select, text

from limiter.rules.clock_step import WENT_BACK
from limiter.rules.turns import LAPSE_MS, Ticket
from limiter.store import schema
from limiter.store.read import of_user
from limiter.store.rows import MAX_PAGE
from limiter.store.schema import HOUR_STEP

LATEST = 50_000  # ended sessions whose lengths are looked at


def active(tx: Connection, user: str = "", most: int = 5000) -> Sequence[Row[Any]]:
    """Sessions that hold a slot, newest first, of users whose name begins with `user`."""
    table = schema.active_sessions
    query = select(table).order_by(table.c.number.desc()).limit(most)
    if user:
        query = query.where(func.substr(table.c.user_id, 1, len(user)) == user)
    return tx.execute(query).all()


def idle(tx: Connection, before: int, user: str = "", most: int = 5000) -> Sequence[Row[Any]]:
    """Those of `active` that have had no trade, signal or token since that instant, the longest idle first."""
    table = schema.active_sessions
    last = func.coalesce(table.c.used_at, table.c.started_at)
    query = select(table).where(last <= before).order_by(last, table.c.number).limit(most)
    if user:
        query = query.where(func.substr(table.c.user_id, 1, len(user)) == user)
    return tx.execute(query).all()


Lasted = tuple[int, int | None]
"""Seconds from which, and below which where there is an end."""


def ended(
    tx: Connection,
    user_id: str | None = None,
    before: int | None = None,
    limit: int = 50,
    offset: int = 0,
    lasted: Lasted | None = None,
) -> Sequence[Row[Any]]:
    """Ended sessions of that user (of all where None), newest start first, below the number `before`; those that
    `lasted` so long are of the newest 50 000 of all."""
    numbers, where, size = _numbers(tx, before, lasted), _so_long(lasted), min(limit, MAX_PAGE + 1)
    if user_id is not None:
        return of_user.page(tx, user_id, numbers, where, size=size, skipped=offset)
    table = schema.ended_sessions
    query = select(table).where(*_among(numbers), *where).order_by(table.c.number.desc()).offset(offset).limit(size)
    return tx.execute(query).all()


def count_ended(tx: Connection, user_id: str | None = None, most: int = 10_000, lasted: Lasted | None = None) -> int:
    """How many sessions of that user (of all where None) ended, counted up to `most`; those that `lasted` so long of
    the newest 50 000 of all."""
    numbers, where = _numbers(tx, None, lasted), _so_long(lasted)
    if user_id is not None:
        return of_user.count(tx, user_id, numbers, where, most)
    inner = select(schema.ended_sessions.c.number).where(*_among(numbers), *where).limit(most)
    return int(tx.execute(select(func.count()).select_from(inner.subquery())).scalar_one())


def _numbers(tx: Connection, before: int | None, lasted: Lasted | None) -> range:
    """Those that are looked at, of what there is."""
    number = schema.ended_sessions.c.number
    edges = select(select(func.min(number)).scalar_subquery(), select(func.max(number)).scalar_subquery())
    first, last = (edge or 0 for edge in tx.execute(edges).one())
    low = first if lasted is None else max(first, last - LATEST + 1)
    return range(low, last + 1 if before is None else min(before, last + 1))


def _among(numbers: range) -> list[ColumnElement[bool]]:
    number = schema.ended_sessions.c.number
    return [number >= numbers.start, number < numbers.stop]


def _so_long(lasted: Lasted | None, columns: Any = schema.ended_sessions.c) -> list[ColumnElement[bool]]:
    if lasted is None:
        return []
    low, high = lasted
    ms = columns.ended_at - columns.started_at
    return [ms >= 1000 * low, *([] if high is None else [ms < 1000 * high])]


def lost(tx: Connection, most: int) -> Sequence[Row[Any]]:
    """The newest of the last 500 ends that nobody asked for: user_id, bot_id, ended_at."""
    columns = schema.ended_sessions.c
    recent = (
        select(columns.user_id, columns.bot_id, columns.ended_at, columns.ended_reason)
        .order_by(columns.ended_at.desc())
        .limit(500)
        .subquery()
    )
    query = (
        select(recent).where(recent.c.ended_reason == "lease_expired").order_by(recent.c.ended_at.desc()).limit(most)
    )
    return tx.execute(query).all()


def waiting(tx: Connection, now: int) -> list[Ticket]:
    """The tickets of who waits for a slot at that instant, the next one first."""
    table = schema.tickets
    query = select(table.c.id, table.c.user_id, table.c.number, table.c.asked_at).order_by(table.c.number)
    return [Ticket(*row) for row in tx.execute(query.where(table.c.asked_at > now - LAPSE_MS))]


def count_since(tx: Connection, at: int) -> int:
    """How many sessions have ended from that instant on."""
    columns = schema.ended_sessions.c
    return int(tx.execute(select(func.count()).where(columns.ended_at >= at)).scalar_one())


def silent_since(tx: Connection, now: int) -> int | None:
    """The oldest heartbeat among the sessions that hold a slot and missed two at that instant; None where none did."""
    of = schema.active_sessions.c
    missed = 3 * (now - of.expires_at + of.lease_ms) > 2 * of.lease_ms
    return tx.execute(select(func.min(of.last_heartbeat_at)).where(missed)).scalar()


def durations(tx: Connection, since: int, within: Sequence[int] | None = None) -> Sequence[Row[Any]]:
    """How long the newest 50 000 sessions lasted: seconds, ended_reason, n. From 10 min on in whole minutes, as shown.

    Of those that ended since then; where `within` is given, of those that started in the hours that begin there.
    """
    columns = schema.ended_sessions.c
    ended = select(((columns.ended_at - columns.started_at) // 1000).label("seconds"), columns.ended_reason)
    if within is None:
        return _by_length(tx, _newest(ended, since))
    found: list[Row[Any]] = []
    in_order = not _went_back(tx)
    for hour in sorted(within, reverse=True):
        end = hour + HOUR_STEP * 1000
        started = ended.where(columns.started_at >= hour, columns.started_at < end)
        if in_order:  # for speed alone
            started = started.where(columns.number >= _number_at(tx, hour), columns.number < _number_at(tx, end))
        found += _by_length(tx, started.limit(LATEST - sum(row.n for row in found)))
    return found


def of_length(tx: Connection, since: int, lasted: Lasted, most: int) -> tuple[int, Sequence[Row[Any]]]:
    """Of the sessions that `durations` tells of since then, those that lasted so long: how many, and the newest ends
    of them, up to `most`."""
    table = schema.ended_sessions
    newest = _newest(select(table.c.number, table.c.started_at, table.c.ended_at), since).subquery()
    found = select(newest.c.number).where(*_so_long(lasted, newest.c))
    total = tx.execute(select(func.count()).select_from(found.subquery())).scalar_one()
    latest = found.order_by(newest.c.ended_at.desc(), newest.c.number.desc()).limit(most)
    order = table.c.ended_at.desc(), table.c.number.desc()
    return int(total), tx.execute(select(table).where(table.c.number.in_(latest)).order_by(*order)).all()


def _newest(of: Select[Any], since: int) -> Select[Any]:
    """Of ended sessions the 50 000 that ended last, as far as they ended since then."""
    columns = schema.ended_sessions.c
    return of.where(columns.ended_at >= since).order_by(columns.ended_at.desc(), columns.number.desc()).limit(LATEST)


def _by_length(tx: Connection, sessions: Select[Any]) -> Sequence[Row[Any]]:
    # Grouped here, because 50 000 rows cost Python half a second.
    inner = sessions.subquery().c
    seconds = case((inner.seconds < 600, inner.seconds), else_=inner.seconds - inner.seconds % 60).label("seconds")
    query = select(seconds, inner.ended_reason, func.count().label("n")).group_by(seconds, inner.ended_reason)
    return tx.execute(query).all()


def started_between(tx: Connection, begin: int, end: int) -> list[ColumnElement[bool]]:
    """What is true of every ended session that started in [begin, end), for speed alone: of few others; where the clock
    ever went back, of all that ended since."""
    columns = schema.ended_sessions.c
    if _went_back(tx):
        return [columns.ended_at >= begin]
    return [columns.number >= _number_at(tx, begin), columns.number < _number_at(tx, end)]


def _went_back(tx: Connection) -> bool:
    """Whether the clock ever did: then numbers do not grow with time."""
    return tx.execute(select(schema.audit.c.id).where(schema.audit.c.action == WENT_BACK).limit(1)).first() is not None


_NUMBER_AT = text(f"""
WITH RECURSIVE search(number, step) AS (
    SELECT coalesce(min(number), 1) - 1, {1 << 40} FROM ended_sessions
    UNION ALL
    SELECT number + CASE WHEN (
        SELECT started_at FROM ended_sessions AS ended WHERE ended.number >= search.number + step
        ORDER BY ended.number LIMIT 1
    ) < :at THEN step ELSE 0 END, step / 2 FROM search WHERE step > 0
)
SELECT number + 1 FROM search WHERE step = 0
""")
"""By halves in the database: a query each took 1 ms, and lengths of an hour of the week ask for two in each week."""


def _number_at(tx: Connection, at: int) -> int:
    """Of the first ended session that started then or later. Numbers grow with time: no index of starts is needed."""
    return int(tx.execute(_NUMBER_AT, {"at": at}).scalar_one())
