"""The gaps between heartbeats of the last days, and how many sessions fell silent for good."""

from sqlalchemy import Connection, func, select

from limiter.store import schema
from limiter.units import DAY_MS


def gaps(tx: Connection, since: int) -> dict[int, int]:
    """By how many of rules.lease's leases a gap exceeds: how many gaps, in the UTC days from that of `since` on."""
    table = schema.beat_gaps.c
    query = select(table.exceeded, func.sum(table.n)).where(table.day >= since // DAY_MS).group_by(table.exceeded)
    return {exceeded: int(n) for exceeded, n in tx.execute(query)}


def dead(tx: Connection, since: int) -> int:
    """How many sessions were ended since the beginning of that UTC day because nothing was heard of them."""
    first = since - since % DAY_MS
    query = select(func.count()).where(schema.ended_sessions.c.ended_at >= first, schema.died)
    return int(tx.execute(query).scalar_one())
