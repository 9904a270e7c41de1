"""Refusals with the facts of their instant: limit, value, count and version then.

Kept one by one as long as nobody floods; in a flood a row stands for `repeats` of them. Counts by time are the
snapshots' (history.py), and exact.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import Connection, Row, Select, func, select

from limiter.rules.records import KeptRefusal
from limiter.store import schema
from limiter.store.rows import MAX_PAGE, as_refusal

columns = schema.refusals.c


def refusals(
    tx: Connection,
    user_id: str | None = None,
    reason: str | None = None,
    since: int | None = None,
    before: int | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Sequence[Row[Any]]:
    """Refusals of that user and reason (all where None), newest first, below the id `before`."""
    query = _of(select(schema.refusals), user_id, reason, alone=since is None).order_by(columns.id.desc())
    if since is not None:
        query = query.where(columns.at >= since)
    if before is not None:
        query = query.where(columns.id < before)
    return tx.execute(query.offset(offset).limit(min(limit, MAX_PAGE + 1))).all()


def near(tx: Connection, at: int, within: int, most: int, reason: str | None = None) -> Sequence[Row[Any]]:
    """Those within so many milliseconds of an instant, for that reason (all where None), nearest first."""
    query = _of(select(schema.refusals), None, reason, alone=False).where(
        columns.at >= at - within, columns.at <= at + within
    )
    return tx.execute(query.order_by(func.abs(columns.at - at), columns.id).limit(most)).all()


def merged(
    tx: Connection,
    waiting: Iterable[KeptRefusal],
    user_id: str | None = None,
    reason: str | None = None,
    since: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[KeptRefusal]:
    """The same, of the rows and of those that wait for the next commit together."""
    found = {}
    for row in map(as_refusal, refusals(tx, user_id, reason, since, before, limit)):
        found[row.number, row.refusal.request_id] = row
    for one in waiting:
        told, key = one.refusal, (one.number, one.refusal.request_id)
        if one.more:  # where the row that it goes into is not on this page, it has nothing to do here
            if (old := next((key for key in found if key[0] == one.number), None)) is not None:
                found[key] = structs.replace(one, repeats=found.pop(old).repeats + one.repeats)
        elif (
            user_id in (None, told.user_id)
            and reason in (None, told.reason)
            and (since is None or told.at >= since)
            and (before is None or one.number < before)
        ):
            found[key] = one
    return sorted(found.values(), key=lambda one: -one.number)[:limit]


def count(tx: Connection, user_id: str | None = None, reason: str | None = None, most: int = 10_000) -> int:
    """How many rows of that user and reason (all where None) are kept, counted up to `most`."""
    inner = _of(select(columns.id), user_id, reason).limit(most)
    return int(tx.execute(select(func.count()).select_from(inner.subquery())).scalar_one())


def _of(query: Select[Any], user_id: str | None, reason: str | None, alone: bool = True) -> Select[Any]:
    """Of that user and reason; `alone`: nothing else is asked for."""
    if user_id is not None:
        query = query.where(columns.user_id == user_id)
    if reason is not None:
        query = query.where(columns.reason == reason)
        if alone and user_id is None:
            query = query.where(schema.for_a_reason)
    return query


def refusal(tx: Connection, waiting: Iterable[KeptRefusal], request_id: str) -> KeptRefusal | None:
    """The refusal that this request id was told, written or waiting; the latest where an id was used twice."""
    table = schema.refusals
    query = select(table).where(table.c.request_id == request_id).order_by(table.c.at.desc(), table.c.id.desc())
    row = tx.execute(query.limit(1)).one_or_none()
    found = [one for one in waiting if one.refusal.request_id == request_id]
    found += [as_refusal(row)] if row is not None else []
    return max(found, key=lambda one: (one.refusal.at, one.number), default=None)


def refused_users(tx: Connection, since: int, most: int = 20_000) -> int:
    """How many users were refused since then, among the newest `most` refusals."""
    recent = select(columns.user_id).where(columns.at >= since).order_by(columns.at.desc()).limit(most).subquery()
    return int(tx.execute(select(func.count(recent.c.user_id.distinct()))).scalar_one())
