"""Every read of the API and the console: bounded rows, plain values out. Each function takes an open read connection.

Run them inside `engine.reading(...)`, which is one short transaction cut off after 5 s.
"""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, select

from limiter.rules.records import Facts, Key
from limiter.rules.replay import Demand
from limiter.store import schema
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, RAW_STEP

MAX_BUCKETS = 1000
MAX_PAGE = 500
MAX_DEMANDS = 500_000


def keys(connection: Connection) -> list[Key]:
    """Every key, revoked ones too."""
    columns = schema.keys.c
    found = select(columns.id, columns.name, columns.scope, columns.digest, columns.created_at, columns.revoked_at)
    return [Key(*row) for row in connection.execute(found.order_by(columns.created_at))]


def ended_sessions(connection: Connection, user_id: str | None, before: int | None, limit: int) -> Sequence[Row[Any]]:
    """Ended sessions, newest start first, below the number `before`."""
    table = schema.ended_sessions
    query = select(table).order_by(table.c.number.desc()).limit(min(limit, MAX_PAGE + 1))
    if user_id is not None:
        query = query.where(table.c.user_id == user_id)
    if before is not None:
        query = query.where(table.c.number < before)
    return connection.execute(query).all()


def ended_session(connection: Connection, number: int) -> Row[Any] | None:
    """One ended session."""
    return connection.execute(
        select(schema.ended_sessions).where(schema.ended_sessions.c.number == number)
    ).one_or_none()


def refusals(
    connection: Connection,
    user_id: str | None = None,
    reason: str | None = None,
    since: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Sequence[Row[Any]]:
    """Refusals, newest first, below the id `before`."""
    table = schema.refusals
    query = select(table).order_by(table.c.id.desc()).limit(min(limit, MAX_PAGE + 1))
    for column, value in ((table.c.user_id, user_id), (table.c.reason, reason)):
        if value is not None:
            query = query.where(column == value)
    if since is not None:
        query = query.where(table.c.at >= since)
    if before is not None:
        query = query.where(table.c.id < before)
    return connection.execute(query).all()


def refusal(connection: Connection, request_id: str) -> Row[Any] | None:
    """The refusal that this request id was told; the latest where an id was used twice."""
    table = schema.refusals
    query = select(table).where(table.c.request_id == request_id).order_by(table.c.at.desc(), table.c.id.desc())
    return connection.execute(query.limit(1)).one_or_none()


def limit_versions(
    connection: Connection, before: int | None = None, limit: int = 50, since: int | None = None
) -> list[dict[str, Any]]:
    """Changes of the limits, newest first: version, at, actor, kind, reason, user_id, changed, in_force."""
    table = schema.limit_versions
    query = select(table).order_by(table.c.version.desc()).limit(min(limit, MAX_PAGE + 1))
    if before is not None:
        query = query.where(table.c.version < before)
    if since is not None:
        query = query.where(table.c.at >= since)
    return [
        {**row._mapping, "changed": json.loads(row.changed), "in_force": json.loads(row.in_force)}
        for row in connection.execute(query)
    ]


def audit(connection: Connection, before: int | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """What persons did, newest first."""
    table = schema.audit
    query = select(table).order_by(table.c.id.desc()).limit(min(limit, MAX_PAGE + 1))
    if before is not None:
        query = query.where(table.c.id < before)
    return [{**row._mapping, "detail": json.loads(row.detail)} for row in connection.execute(query)]


def notes(connection: Connection, begin: int | None = None, end: int | None = None) -> Sequence[Row[Any]]:
    """Notes about instants in [begin, end), newest first, at most 500."""
    table = schema.notes
    query: Select[Any] = select(table).order_by(table.c.at.desc()).limit(MAX_PAGE)
    if begin is not None:
        query = query.where(table.c.at >= begin)
    if end is not None:
        query = query.where(table.c.at < end)
    return connection.execute(query).all()


def resolution(begin: int, end: int, step_ms: int, oldest_raw: int) -> int:
    """Which snapshots to read, in seconds: raw up to 2 h and while they are kept, minutes up to 14 days, hours."""
    span = end - begin
    if step_ms < MINUTE_STEP * 1000 or (span <= 2 * 3_600_000 and begin >= oldest_raw):
        return RAW_STEP
    if step_ms < HOUR_STEP * 1000 or span <= 14 * 86_400_000:
        return MINUTE_STEP
    return HOUR_STEP


def history(connection: Connection, begin: int, end: int, step_ms: int) -> list[dict[str, Any]]:
    """Buckets of `step_ms` over [begin, end), at most 1 000; those without a snapshot are left out."""
    shots = schema.snapshots.c
    oldest = connection.execute(select(func.min(shots.at)).where(shots.step == RAW_STEP)).scalar()
    step = resolution(begin, end, step_ms, oldest or 0)
    step_ms = max(step_ms, step * 1000, -(-(end - begin) // MAX_BUCKETS))
    first = begin - begin % (step * 1000)
    bucket = (shots.at - begin) // step_ms
    found = (
        select(
            func.max(bucket).label("bucket"), func.min(shots.bots_min), func.sum(shots.bots_sum), func.sum(shots.n),
            func.max(shots.bots_max), func.max(shots.at), func.sum(shots.cpu_sum), func.sum(shots.cpu_n),
            func.sum(shots.ram_sum), func.sum(shots.ram_n), func.sum(shots.tokens), func.sum(shots.signals),
            func.sum(shots.starts),
        )
        .where(shots.step == step, shots.at >= first, shots.at < end)
        .group_by(bucket)
        .order_by(bucket)
    )  # fmt: skip
    inside = (shots.step == step, shots.at >= first, shots.at < end)
    newest = select(func.max(shots.at)).where(*inside).group_by(bucket)
    last = select(shots.at, shots.limit_last).where(shots.step == step, shots.at.in_(newest))
    limits = {row.at: row.limit_last for row in connection.execute(last)}
    counts = schema.refusal_counts.c
    which = (counts.at - begin) // step_ms
    refused: dict[int, dict[str, int]] = {}
    for number, reason, n in connection.execute(
        select(which, counts.reason, func.sum(counts.n))
        .where(counts.step == step, counts.at >= first, counts.at < end)
        .group_by(which, counts.reason)
    ):
        refused.setdefault(max(0, number), {})[reason] = n
    buckets: list[dict[str, Any]] = []
    for number, low, total, n, high, last, cpu, cpu_n, ram, ram_n, tokens, signals, starts in connection.execute(found):
        buckets.append(
            {
                "at": begin + max(0, number) * step_ms,
                "bots": {"min": low, "mean": round(total / n, 2), "max": high},
                "limit": limits[last],
                "cpu_percent": round(cpu / cpu_n, 1) if cpu_n else None,
                "ram_percent": round(ram / ram_n, 1) if ram_n else None,
                "tokens": tokens,
                "signals": signals,
                "starts": starts,
                "refusals": refused.get(max(0, number), {}),
            }
        )
    return buckets


def demands(connection: Connection, since: int) -> tuple[list[Demand], int]:
    """The start requests since then as the replay takes them, and the median length of a session (ms; 1 h if none)."""
    sessions, refused = schema.metadata.tables["ended_sessions"].c, schema.refusals.c
    live = schema.active_sessions.c
    names = ("started_at", "user_id", "asked_bot", "bot_id", "active", "max_bots", "user_active", "user_max", "version")
    ended = connection.execute(
        select(*(sessions[name] for name in names), sessions.ended_at, sessions.ended_reason)
        .where(sessions.ended_at >= since, sessions.started_at >= since)
        .limit(MAX_DEMANDS)
    ).all()
    active = connection.execute(select(*(live[name] for name in names)).where(live.started_at >= since)).all()
    handed_on = {(row.user_id, row.bot_id, row.ended_at) for row in ended if row.ended_reason == "replaced"}
    found = [
        Demand(
            at=row.started_at,
            user_id=row.user_id,
            bot_id=row.asked_bot,
            admitted=True,
            facts=_facts(row),
            replaces=row.asked_bot is not None and (row.user_id, row.bot_id, row.started_at) in handed_on,
            ended_at=getattr(row, "ended_at", None),
        )
        for row in (*ended, *active)
    ]
    rows = connection.execute(
        select(schema.refusals)
        .where(refused.at >= since, refused.reason.in_(("user_limit", "server_full")))
        .limit(MAX_DEMANDS)
    )
    found += [
        Demand(row.at, row.user_id, row.bot_id, admitted=False, facts=_facts(row), repeats=row.repeats) for row in rows
    ]
    lengths = sorted(row.ended_at - row.started_at for row in ended)
    return found, lengths[len(lengths) // 2] if lengths else 3_600_000


def _facts(row: Row[Any]) -> Facts:
    return Facts(row.active, row.max_bots, row.user_active, row.user_max, row.version)


def busy_days(connection: Connection, now: int) -> int:
    """Of the last 7 days, how many had 5 % of their minutes or more at 80 % of the limit or more."""
    shots, day = schema.snapshots.c, 86_400_000
    number = (now - shots.at) // day
    busy = func.sum(case((100 * shots.bots_max >= 80 * shots.limit_last, 1), else_=0))
    query = (
        select(busy, func.count())
        .where(shots.step == MINUTE_STEP, shots.at > now - 7 * day, shots.limit_last > 0)
        .group_by(number)
    )
    return sum(100 * (high or 0) >= 5 * n for high, n in connection.execute(query))
