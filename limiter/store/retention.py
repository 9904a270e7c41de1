"""How long rows are kept, the slices in which older ones go, and how many would go.

A slice is bounded, so that no deletion holds the writer up: deleting 1.5 million rows at once held the lock for 246 ms.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    bindparam,
    func,
    literal_column,
    select,
    text,
    tuple_,
)
from sqlalchemy.sql.dml import ReturningDelete

from limiter.rules.windows import MINUTE_SECONDS
from limiter.store import schema
from limiter.store.schema import MINUTE_STEP, RAW_STEP
from limiter.units import DAY_MS, HOUR_MS

MOST_ROWS = 5_000  # of a slice
MOST = 100_000  # rows that `count` walks: 5 ms
EDGE = 100  # rows that went last before an instant: the highest of their numbers is of a short session


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept: hours of raw snapshots, days of the rest, rows of refusals."""

    raw_hours: int = 48
    minutes_days: int = 90
    refusals_days: int = 90
    refusals_rows: int = 200_000
    sessions_days: int = 400
    trades_days: int = 400
    usage_days: int = 800

    def bounds(self, now: int, next_refusal: int) -> tuple[int | str, ...]:
        """Below what each of `trims` deletes: instants, the id of a refusal, a second, a day."""
        minutes, refusals = now - self.minutes_days * DAY_MS, now - self.refusals_days * DAY_MS
        raw, usage = now - self.raw_hours * HOUR_MS, now - self.usage_days * DAY_MS
        return (
            raw, minutes, raw, minutes, refusals, next_refusal - self.refusals_rows, now - self.sessions_days * DAY_MS,
            now - self.trades_days * DAY_MS, now // 1000 - 2 * MINUTE_SECONDS, refusals,
            usage, usage - DAY_MS, _day(usage), _day(usage),
        )  # fmt: skip


def trims() -> Iterator[ReturningDelete[Any]]:
    """One deletion each of what lies from `since` on below `before`: the `most` oldest rows (store/trimmer.py)."""
    for table in (schema.snapshots, schema.refusal_counts):
        for step in (RAW_STEP, MINUTE_STEP):
            yield _oldest(table, (table.c.step, table.c.at), table.c.at, table.c.step == literal_column(str(step)))
    refusals, ended, trades = schema.refusals, schema.ended_sessions, schema.trades
    yield _oldest(refusals, (refusals.c.id,), refusals.c.at)
    yield _oldest(refusals, (refusals.c.id,), refusals.c.id)
    yield _oldest(ended, (ended.c.number,), ended.c.ended_at)
    yield _oldest(trades, (trades.c.id,), trades.c.at)
    rates = schema.rate_seconds
    yield _oldest(rates, tuple(rates.primary_key.columns), rates.c.second)
    sent = schema.deliveries.c.state.in_([literal_column("'sent'"), literal_column("'failed'")])
    yield _oldest(schema.deliveries, (schema.deliveries.c.number,), schema.deliveries.c.at, sent)
    for used in (schema.usage_hours, schema.usage_days):
        yield _oldest(used, (used.c.at, used.c.user_id), used.c.at)
    for days in (schema.rate_days, schema.trade_days):
        yield _oldest(days, tuple(days.primary_key.columns), days.c.day)


def _oldest(
    table: Table, key: tuple[Column[Any], ...], age: Column[Any], *where: ColumnElement[bool]
) -> ReturningDelete[Any]:
    inside = select(*key).where(*where, age >= bindparam("since"), age < bindparam("before")).order_by(age)
    inside = inside.limit(bindparam("most")).offset(literal_column("0"))  # SQLite's would be a parameter
    return table.delete().where(tuple_(*key).in_(inside) if len(key) > 1 else key[0].in_(inside)).returning(age)


def _day(at: int) -> str:
    """The day that holds this instant (UTC ms), as trade days are named."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"


def _of_step(step: int) -> tuple[str, ...]:
    tables = ("snapshots", "refusal_counts")
    return tuple(f"SELECT 1 FROM {table} WHERE step = {step} AND at < :before" for table in tables)


_NUMBERED = {
    "refusals_days": ("refusals", "id", "at"),
    "refusals_rows": ("refusals", "id", "id"),
    "sessions_days": ("ended_sessions", "number", "ended_at"),
    "trades_days": ("trades", "id", "at"),
}
"""Tables whose rows are numbered as they come: their number, and by what they go."""
_AGED = {
    "raw_hours": _of_step(RAW_STEP),
    "minutes_days": _of_step(MINUTE_STEP),
    **{kept: (f"SELECT 1 FROM {table} WHERE {age} < :before",) for kept, (table, _, age) in _NUMBERED.items()},
    "usage_days": (
        "SELECT 1 FROM usage_hours WHERE at < :before",
        f"SELECT 1 FROM usage_days WHERE at < :before - {DAY_MS}",  # when the last of its hours has gone
        "SELECT 1 FROM rate_days WHERE day < :day",
        "SELECT 1 FROM trade_days WHERE day < :day",
    ),
}


def count(tx: Connection, kept: str, keep: int, now: int) -> int:
    """Rows that go if `kept`, a field of Retention, were `keep` (hours, days or rows).

    Exact below MOST; MOST means that many or more, and what is above it about so many.
    """
    before = now - keep * (HOUR_MS if kept == "raw_hours" else DAY_MS)
    if kept == "refusals_rows":
        before = (tx.execute(select(func.max(schema.refusals.c.id))).scalar() or 0) + 1 - keep
    values, rows = {"before": before, "day": _day(before)}, 0
    for query in _AGED[kept]:
        rows += tx.execute(text(f"SELECT count(*) FROM ({query} LIMIT {MOST - rows}) AS rows"), values).scalar_one()
    return max(rows, _about(tx, *_NUMBERED[kept], before)) if rows == MOST and kept in _NUMBERED else rows


def _about(tx: Connection, table: str, number: str, age: str, before: int) -> int:
    """How far the numbers of what goes reach, to two digits. Sessions end in another order than they are numbered in,
    so that is off by as many as ran at once."""
    oldest, newest = f"ORDER BY {age}", f"WHERE {age} < {before} ORDER BY {age} DESC"
    first, last = (
        tx.execute(text(f"SELECT max(n) FROM (SELECT {number} AS n FROM {table} {edge} LIMIT {EDGE}) AS edge"))
        for edge in (oldest, newest)
    )
    rows = int(last.scalar_one()) - int(first.scalar_one()) + EDGE
    return round(rows, 2 - len(str(rows)))
