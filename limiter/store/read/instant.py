"""What was at an instant of the past: who held a slot, under which limits, whether starts were paused.

Exact as far back as ended sessions are kept (store/retention.py). Of live sessions memory knows more than the table:
who asks brings them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, select, union_all

from limiter.rules.records import Ended, Session
from limiter.store import schema
from limiter.store.rows import as_session, limit_value
from limiter.store.schema import LONG_MS, stayed_digits, stayed_long
from limiter.system_limits import LIMITS, Value

MOST = 20_000  # sessions of an instant
DIGITS = range(len(str(LONG_MS)), 14)  # of the length of a long stay in milliseconds; with 14 it has lasted 317 years


def _over(at: Any, lasted: int, *how_long: ColumnElement[bool]) -> Select[Any]:
    """Ended sessions that held a slot at `at`, of those that lasted less than `lasted` milliseconds: they cannot have
    ended much later."""
    table = schema.ended_sessions
    return select(table).where(
        *how_long, table.c.ended_at > at, table.c.ended_at < at + lasted, table.c.started_at <= at
    )


_at: Any = bindparam("at", type_=schema.Int)
_HELD = union_all(
    _over(_at, LONG_MS, ~stayed_long),
    *(_over(_at, 10**n, stayed_long, stayed_digits == n) for n in DIGITS),
).limit(MOST)
"""Of each length about as many are read as there are, at most ten times as many, however long the history is."""


def held(tx: Connection, at: int, known: Iterable[Session | Ended]) -> list[Session]:
    """The sessions that held a slot then, by start.

    A session holds its slot from its start on until its end, the end itself not among it. `known`: those of memory.
    """
    found = {row.number: as_session(row) for row in held_rows(tx, at)}
    for of in known:
        one, end = (of.session, of.at) if isinstance(of, Ended) else (of, of.ends_at)
        if one.number not in found and one.started_at <= at < end:
            found[one.number] = one
    return sorted(found.values(), key=lambda one: (one.started_at, one.number))


def held_rows(tx: Connection, at: int) -> Sequence[Row[Any]]:
    """The ended sessions that held a slot then, as they are kept."""
    return tx.execute(_HELD, {"at": at}).all()


def freed_after(tx: Connection, at: int) -> int | None:
    """When the next slot became free after that instant; a replacement frees none."""
    ended = schema.ended_sessions.c
    query = select(func.min(ended.ended_at)).where(ended.ended_at > at, ended.ended_reason != "replaced")
    return tx.execute(query).scalar()


def limits(tx: Connection, at: int) -> tuple[int, Mapping[str, Value]] | None:
    """The version in force then and its values by name; None before the first version that is kept."""
    versions = schema.limit_versions
    query = select(versions.c.version, versions.c.in_force).where(versions.c.at <= at)
    row = tx.execute(query.order_by(versions.c.version.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    values: Mapping[str, Sequence[Any]] = json.loads(row.in_force)
    return row.version, {name: limit_value(name, value) for name, (value, _) in values.items() if name in LIMITS}


def paused(tx: Connection, at: int) -> bool:
    """Whether starts were paused then."""
    return _last(tx, at, "pause", "resume") == "pause"


def drained(tx: Connection, at: int) -> bool:
    """Whether an operator had begun a drain then, and not taken it back."""
    return _last(tx, at, "drain", "drain_back") == "drain"


def _last(tx: Connection, at: int, *actions: str) -> str | None:
    """Which of these actions was the last one by then."""
    audit = schema.audit.c
    query = select(audit.action).where(audit.at <= at, audit.action.in_(actions))
    return tx.execute(query.order_by(audit.id.desc()).limit(1)).scalar()
