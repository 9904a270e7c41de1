"""Limits: those in force, users' own, what was changed when, and what the launch plan does next."""

import json
from typing import Any

from sqlalchemy import Connection, Select, select

from limiter.rules.records import Drain, Step
from limiter.store import schema
from limiter.store.limits import overrides, read
from limiter.store.restore import read_plan, read_schedule
from limiter.store.rows import as_step

__all__ = [
    "changes_of", "coming_step", "course", "drain", "overrides", "paused", "read", "read_plan", "read_schedule",
    "versions",
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
    tx: Connection, start: int, end: int, name: str = "MAX_CONCURRENT_BOTS", most: int = MAX_VERSIONS
) -> list[dict[str, Any]]:
    """The newest `most` changes of one limit of the system in [start, end), oldest first.

    Each as at, version, kind, actor, reason, changed, before, after.
    """
    table = schema.limit_versions
    query = _of_the_system(name).where(table.c.at >= start, table.c.at < end)
    return [
        {
            **{field: row._mapping[field] for field in ("at", "version", "kind", "actor", "reason")},
            "changed": changed,
            "before": before,
            "after": after,
        }
        for row in reversed(tx.execute(query.order_by(table.c.version.desc()).limit(most)).all())
        for changed in [json.loads(row.changed)]
        for moved, before, after in changed
        if moved == name and before is not None
    ]


def course(tx: Connection, start: int, end: int, name: str = "MAX_CONCURRENT_BOTS") -> list[tuple[int, int]]:
    """One limit of the system as it went: (instant, value) at `start`, and at each change of it in (start, end).

    It begins with the first version there is where that is later; empty where there is none before `end`.
    """
    table = schema.limit_versions
    before = select(table.c.in_force).where(table.c.at <= start).order_by(table.c.version.desc()).limit(1)
    found = [(start, in_force) for in_force in tx.execute(before).scalars()]
    changes = _of_the_system(name).where(table.c.at > start, table.c.at < end).order_by(table.c.version)
    found += [(row.at, row.in_force) for row in tx.execute(changes.limit(MAX_VERSIONS))]
    return [(at, json.loads(in_force)[name][0]) for at, in_force in found]


def moved(tx: Connection, start: int, end: int, wide: int, name: str = "MAX_CONCURRENT_BOTS") -> list[int]:
    """In which parts of (start, end), each `wide` ms long, that limit moved: where they begin, in order."""
    at = schema.limit_versions.c.at
    part = (at - (at - start) % wide).label("part")
    query = _of_the_system(name).with_only_columns(part).where(at > start, at < end)
    return list(tx.execute(query.distinct().order_by(part)).scalars())


def _of_the_system(name: str) -> Select[Any]:
    """Versions that moved this limit: users' own, of which there may be hundreds at once, are no part of it."""
    table = schema.limit_versions
    return select(table).where(table.c.user_id.is_(None), table.c.changed.contains(name, autoescape=True))


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
