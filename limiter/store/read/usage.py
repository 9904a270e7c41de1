"""Who used how much: by hour (store/usage.py writes the rollup) and by trade day."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from limiter.store import schema


def top_users(tx: Connection, since: int, within: Sequence[int] | None = None, most: int = 20) -> Sequence[Any]:
    """Who held slots longest since then: user_id, starts, slot_ms, trades, refusals; only in those hours if given."""
    columns = schema.usage_hours.c
    inside = columns.at >= since if within is None else columns.at.in_(within)
    total = func.sum(columns.slot_ms).label("slot_ms")
    query = (
        select(
            columns.user_id,
            func.sum(columns.starts).label("starts"),
            total,
            func.sum(columns.trades).label("trades"),
            func.sum(columns.refusals).label("refusals"),
        )
        .where(inside)
        .group_by(columns.user_id)
        .order_by(total.desc())
        .limit(most)
    )
    return tx.execute(query).all()


def trade_days(tx: Connection, since_day: str) -> Sequence[Row[Any]]:
    """One row a trade day: day, total, most (of one user), users."""
    columns = schema.trade_days.c
    query = (
        select(
            columns.day,
            func.sum(columns.used).label("total"),
            func.max(columns.used).label("most"),
            func.count().label("users"),
        )
        .where(columns.day >= since_day)
        .group_by(columns.day)
        .order_by(columns.day)
        .limit(400)
    )
    return tx.execute(query).all()


def trades_of(tx: Connection, users: Sequence[str], day: str) -> dict[str, int]:
    """Trades of those users on that trade day."""
    columns = schema.trade_days.c
    query = select(columns.user_id, columns.used).where(columns.day == day, columns.user_id.in_(users))
    return {row.user_id: row.used for row in tx.execute(query)}
