"""Limits: those in force, users' own, what was changed when, and what the launch plan does next."""

import json
from typing import Any

from sqlalchemy import Connection, select

from limiter.rules.records import Drain, Step
from limiter.store import schema
from limiter.store.limits import overrides, read
from limiter.store.restore import read_plan, read_schedule
from limiter.store.rows import as_step

__all__ = [
    "changes_of", "coming_step", "drain", "overrides", "paused", "read", "read_plan", "read_schedule", "versions",
]  # fmt: skip

MAX_VERSIONS = 5_000


def versions(
    tx: Connection, before: int | None = None, limit: int = 50, since: int | None = None, until: int | None = None
) -> list[dict[str, Any]]:
    """Changes of the limits, newest first: version, at, actor, kind, reason, user_id, changed, in_force.

    Below the version `before`, made in [since, until); `changed` is [[name, from, to], …].
    """
    table = schema.limit_versions
    query = select(table).order_by(table.c.version.desc()).limit(min(limit, MAX_VERSIONS))
    if before is not None:
        query = query.where(table.c.version < before)
    if since is not None:
        query = query.where(table.c.at >= since)
    if until is not None:
        query = query.where(table.c.at < until)
    return [
        {**row._mapping, "changed": json.loads(row.changed), "in_force": json.loads(row.in_force)}
        for row in tx.execute(query)
    ]


def changes_of(
    tx: Connection, start: int, end: int, name: str = "MAX_CONCURRENT_BOTS", most: int = 200
) -> list[dict[str, Any]]:
    """Changes of one limit of the system in [start, end), oldest first.

    Each as at, version, kind, actor, reason, changed, before, after.
    """
    return [
        {
            **{field: one[field] for field in ("at", "version", "kind", "actor", "reason", "changed")},
            "before": before,
            "after": after,
        }
        for one in reversed(versions(tx, limit=most, since=start, until=end))
        if one["user_id"] is None
        for changed, before, after in one["changed"]
        if changed == name and before is not None
    ]


def paused(tx: Connection) -> bool:
    """Whether starts are paused."""
    return bool(tx.execute(select(schema.fleet.c.paused)).scalar())


def drain(tx: Connection) -> Drain | None:
    """The drain that goes on; None where there is none."""
    columns = schema.fleet.c
    row = tx.execute(select(columns.drain_since, columns.drain_stop_at, columns.drain_reason)).one_or_none()
    return None if row is None or row.drain_since is None else Drain(*row)


def coming_step(tx: Connection) -> Step | None:
    """The first step of the launch plan that is not applied."""
    table = schema.plan_steps
    query = select(table).where(table.c.status != "applied").order_by(table.c.at).limit(1)
    row = tx.execute(query).one_or_none()
    return None if row is None else as_step(row)
