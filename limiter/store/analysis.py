"""The console's own reads: series for its charts, lists a page at a time, sums for its figures.

Run them inside `engine.reading(...)`. Each is bounded, by rows or by the range of an index; plain values out.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, select, text

from limiter.store import schema
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, RAW_STEP

POINTS = 600  # of a series; beyond about 2 000 marks a browser draws slowly and readers of screens lose them
BUCKETS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400)
LATEST_SESSIONS = 50_000
shots, counts = schema.snapshots.c, schema.refusal_counts.c


@dataclass(frozen=True, slots=True)
class Series:
    """Buckets in order; those without a snapshot are left out. `bucket_ms` wide, from rows of `step` seconds."""

    step: int
    bucket_ms: int
    rows: Sequence[Row[Any]]
    refused: Mapping[int, Mapping[str, int]]


def bounds(tx: Connection) -> tuple[int, int] | None:
    """When the first and the newest snapshot were taken; None where there is none."""
    first = tx.execute(select(func.min(shots.at)).where(shots.step == HOUR_STEP)).scalar()
    last = tx.execute(select(func.max(shots.at)).where(shots.step == RAW_STEP)).scalar()
    if last is None:
        last = tx.execute(select(func.max(shots.at)).where(shots.step == MINUTE_STEP)).scalar()
    if first is None or last is None:
        return None
    earliest = tx.execute(select(func.min(shots.at)).where(shots.step == MINUTE_STEP, shots.at >= first)).scalar()
    return earliest if earliest is not None and earliest - first < 3_600_000 else first, last


def bucket_seconds(start: int, end: int, points: int = POINTS) -> int:
    """The narrowest bucket that gives at most so many points."""
    wanted = (end - start) / 1000 / points
    return next((width for width in BUCKETS if width >= wanted), -(-int(wanted) // 86400) * 86400)


def series(tx: Connection, start: int, end: int, points: int = POINTS) -> Series:
    """Bots (min, mean, max), limit, CPU, RAM, tokens, signals, starts and refusals over [start, end)."""
    width = bucket_seconds(start, end, points)
    step = RAW_STEP if width < MINUTE_STEP else MINUTE_STEP if width < HOUR_STEP else HOUR_STEP
    if step == RAW_STEP:
        oldest = tx.execute(select(func.min(shots.at)).where(shots.step == RAW_STEP)).scalar()
        if oldest is None or oldest > start + 60_000:
            step, width = MINUTE_STEP, max(width, MINUTE_STEP)
    if step == MINUTE_STEP:
        oldest = tx.execute(select(func.min(shots.at)).where(shots.step == MINUTE_STEP)).scalar()
        older = tx.execute(select(func.min(shots.at)).where(shots.step == HOUR_STEP)).scalar()
        if oldest is not None and older is not None and start < oldest and older < oldest - 3_600_000:
            step, width = HOUR_STEP, max(width, HOUR_STEP)
    bucket_ms = width * 1000
    bucket = (shots.at - shots.at % bucket_ms).label("at")
    found = (
        select(
            bucket,
            func.min(shots.bots_min).label("low"),
            (func.sum(shots.bots_sum) * 1.0 / func.sum(shots.n)).label("mean"),
            func.max(shots.bots_max).label("high"),
            func.max(shots.limit_last).label("limit"),
            (func.sum(shots.cpu_sum) / func.nullif(func.sum(shots.cpu_n), 0)).label("cpu"),
            (func.sum(shots.ram_sum) / func.nullif(func.sum(shots.ram_n), 0)).label("ram"),
            func.sum(shots.tokens).label("tokens"),
            func.sum(shots.signals).label("signals"),
            func.sum(shots.starts).label("starts"),
        )
        .where(shots.step == step, shots.at >= start - start % (step * 1000), shots.at < end)
        .group_by(bucket)
        .order_by(bucket)
    )
    return Series(step, bucket_ms, tx.execute(found).all(), refused(tx, step, start, end, bucket_ms))


def refused(tx: Connection, step: int, start: int, end: int, bucket_ms: int) -> dict[int, dict[str, int]]:
    """Refusals by bucket and reason over [start, end)."""
    bucket = (counts.at - counts.at % bucket_ms).label("at")
    query = (
        select(bucket, counts.reason, func.sum(counts.n).label("n"))
        .where(counts.step == step, counts.at >= start - start % (step * 1000), counts.at < end)
        .group_by(bucket, counts.reason)
    )
    found: dict[int, dict[str, int]] = {}
    for row in tx.execute(query):
        found.setdefault(row.at, {})[row.reason] = row.n
    return found


@dataclass(frozen=True, slots=True)
class Load:
    """How heavy a period was, from its minutes (hours where minutes are no longer kept). Durations in seconds."""

    peak: int | None
    peak_at: int | None
    busy_seconds: int
    full_seconds: int
    refusals: Mapping[str, int]
    samples: int


def load(tx: Connection, start: int, end: int) -> Load:
    """The peak and its instant, seconds from 80 % and at 100 % of the limit of that time, refusals by reason."""
    oldest = tx.execute(select(func.min(shots.at)).where(shots.step == MINUTE_STEP)).scalar()
    step = MINUTE_STEP if oldest is not None and oldest <= max(start, end - 90 * 86_400_000) + 3_600_000 else HOUR_STEP
    first = start - start % (step * 1000)
    inside = (shots.step == step, shots.at >= first, shots.at < end)
    used, limit = 100 * shots.bots_sum, shots.limit_last * shots.n
    row = tx.execute(
        select(
            func.max(shots.bots_max).label("peak"),
            func.coalesce(func.sum(case((used >= 80 * limit, step), else_=0)), 0).label("busy"),
            func.coalesce(func.sum(case((used >= 100 * limit, step), else_=0)), 0).label("full"),
            func.count().label("samples"),
        ).where(*inside)
    ).one()
    peak_at = None
    if row.peak is not None:
        peak_at = tx.execute(select(func.max(shots.at)).where(*inside, shots.bots_max == row.peak)).scalar()
    reasons = select(counts.reason, func.sum(counts.n).label("n")).where(
        counts.step == step, counts.at >= first, counts.at < end
    )
    by_reason = {row.reason: row.n for row in tx.execute(reasons.group_by(counts.reason))}
    return Load(row.peak, peak_at, row.busy, row.full, by_reason, row.samples)


def newest(tx: Connection) -> Row[Any] | None:
    """The newest snapshot: at, bots_max, suspects_max, limit_last, cpu_sum, ram_sum, p99_max."""
    return tx.execute(
        select(schema.snapshots).where(shots.step == RAW_STEP).order_by(shots.at.desc()).limit(1)
    ).one_or_none()


# -- sessions


def active_sessions(tx: Connection, user: str = "", most: int = 5000) -> Sequence[Row[Any]]:
    """Sessions that hold a slot, newest first, of users whose name begins with `user`."""
    table = schema.active_sessions
    query = select(table).order_by(table.c.number.desc()).limit(most)
    if user:
        query = query.where(func.substr(table.c.user_id, 1, len(user)) == user)
    return tx.execute(query).all()


def count_ended(tx: Connection, user: str = "", most: int = 10_000) -> int:
    """How many sessions ended, counted up to `most`."""
    columns = schema.ended_sessions.c
    inner = select(columns.number).limit(most)
    if user:
        inner = inner.where(columns.user_id == user)
    return int(tx.execute(select(func.count()).select_from(inner.subquery())).scalar_one())


def ended_sessions(tx: Connection, user: str, offset: int, size: int) -> Sequence[Row[Any]]:
    """One page of ended sessions of that user (all where empty), newest start first."""
    table = schema.ended_sessions
    query = select(table).order_by(table.c.number.desc()).offset(offset).limit(size)
    return tx.execute(query.where(table.c.user_id == user) if user else query).all()


def trades_of(tx: Connection, users: Sequence[str], day: str) -> dict[str, int]:
    """Trades of those users on that trade day."""
    columns = schema.trade_days.c
    query = select(columns.user_id, columns.used).where(columns.day == day, columns.user_id.in_(users))
    return {row.user_id: row.used for row in tx.execute(query)}


def refusals(tx: Connection, user: str, reason: str, offset: int, size: int) -> Sequence[Row[Any]]:
    """One page of refusals of that user and reason (all where empty), newest first."""
    table = schema.refusals
    query = select(table).order_by(table.c.at.desc()).offset(offset).limit(size)
    for column, value in ((table.c.user_id, user), (table.c.reason, reason)):
        query = query.where(column == value) if value else query
    return tx.execute(query).all()


def count_refusals(tx: Connection, user: str, reason: str, most: int = 10_000) -> int:
    """How many refusals are kept one by one, counted up to `most`."""
    columns = schema.refusals.c
    inner = select(columns.id).limit(most)
    for column, value in ((columns.user_id, user), (columns.reason, reason)):
        inner = inner.where(column == value) if value else inner
    return int(tx.execute(select(func.count()).select_from(inner.subquery())).scalar_one())


def refused_users(tx: Connection, since: int, most: int = 20_000) -> int:
    """How many users were refused since then, among the newest `most` refusals."""
    columns = schema.refusals.c
    recent = select(columns.user_id).where(columns.at >= since).order_by(columns.at.desc()).limit(most).subquery()
    return int(tx.execute(select(func.count(recent.c.user_id.distinct()))).scalar_one())


# -- limits


def limit_changes(
    tx: Connection, start: int, end: int, name: str = "MAX_CONCURRENT_BOTS", most: int = 200
) -> list[dict[str, Any]]:
    """Changes of one limit in [start, end): at, version, actor, reason, before, after; oldest first."""
    columns = schema.limit_versions.c
    query = (
        select(columns.at, columns.version, columns.actor, columns.reason, columns.changed)
        .where(columns.at >= start, columns.at < end, columns.user_id.is_(None))
        .order_by(columns.version.desc())
        .limit(most)
    )
    found = [
        {
            "at": row.at,
            "version": row.version,
            "actor": row.actor,
            "reason": row.reason,
            "before": before,
            "after": after,
        }
        for row in tx.execute(query)
        for changed, before, after in json.loads(row.changed)
        if changed == name and before is not None
    ]
    return found[::-1]


# -- usage


def hours(tx: Connection, start: int, end: int) -> Sequence[Row[Any]]:
    """One row an hour: at, mean, high, limit, starts."""
    query = (
        select(
            shots.at,
            (shots.bots_sum * 1.0 / shots.n).label("mean"),
            shots.bots_max.label("high"),
            shots.limit_last.label("limit"),
            shots.starts,
        )
        .where(shots.step == HOUR_STEP, shots.at >= start, shots.at < end)
        .order_by(shots.at)
        .limit(24 * 400)
    )
    return tx.execute(query).all()


def durations(tx: Connection, since: int, within: Sequence[int] | None = None) -> Sequence[Row[Any]]:
    """How long the newest 50 000 sessions lasted: seconds, ended_reason, n. From 90 s on in whole minutes, as shown.

    Of those that ended since then; where `within` is given, of those that started in the hours that begin there.
    """
    columns = schema.ended_sessions.c
    ended = select(((columns.ended_at - columns.started_at) // 1000).label("seconds"), columns.ended_reason)
    if within is None:
        newest = ended.where(columns.ended_at >= since).order_by(columns.ended_at.desc())
        return _by_length(tx, newest.limit(LATEST_SESSIONS))
    found: list[Row[Any]] = []
    for hour in sorted(within, reverse=True):
        end = hour + HOUR_STEP * 1000
        numbers = ended.where(columns.number >= _number_at(tx, hour), columns.number < _number_at(tx, end))
        started = numbers.where(columns.started_at >= hour, columns.started_at < end)
        found += _by_length(tx, started.limit(LATEST_SESSIONS - sum(row.n for row in found)))
    return found


def _by_length(tx: Connection, sessions: Select[Any]) -> Sequence[Row[Any]]:
    # Grouped here, because 50 000 rows cost Python half a second.
    inner = sessions.subquery().c
    seconds = case((inner.seconds < 90, inner.seconds), else_=inner.seconds - inner.seconds % 60).label("seconds")
    query = select(seconds, inner.ended_reason, func.count().label("n")).group_by(seconds, inner.ended_reason)
    return tx.execute(query).all()


def _number_at(tx: Connection, at: int) -> int:
    """Of the first ended session that started then or later. Numbers grow with time: no index of starts is needed."""
    columns = schema.ended_sessions.c
    low, high = (tx.execute(select(edge(columns.number))).scalar() for edge in (func.min, func.max))
    if low is None or high is None:
        return 0

    def started(number: int) -> int:
        query = select(columns.started_at).where(columns.number >= number).order_by(columns.number).limit(1)
        return int(tx.execute(query).scalar_one())

    return int(low) + bisect_left(range(low, high + 1), at, key=started)


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


# -- the box


def tables(tx: Connection) -> list[tuple[str, int]]:
    """How many rows the tables that grow have; estimated from their keys, so that it costs nothing."""
    found = []
    for name, key in (("ended_sessions", "number"), ("refusals", "id"), ("trades", "id"), ("audit", "id")):
        row = tx.execute(text(f"SELECT coalesce(max({key}) - min({key}) + 1, 0) FROM {name}")).scalar_one()
        found.append((name, int(row)))
    return found


def size_bytes(tx: Connection) -> int:
    """What the database takes on its disk, without its write-ahead log."""
    if tx.dialect.name == "postgresql":
        return int(tx.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
    pages, size = (int(tx.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("page_count", "page_size"))
    return pages * size


def schema_step(tx: Connection) -> int:
    """The migration that the database is at."""
    return int(tx.execute(select(func.coalesce(func.max(schema.migrations.c.step), 0))).scalar_one())


def lost_sessions(tx: Connection, most: int) -> Sequence[Row[Any]]:
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


def silent_since(tx: Connection) -> int | None:
    """The oldest heartbeat of a session that holds a slot."""
    return tx.execute(select(func.min(schema.active_sessions.c.last_heartbeat_at))).scalar()


def last_token(tx: Connection) -> int | None:
    """When tokens last came, to the minute."""
    newest = select(shots.at).where(shots.step == MINUTE_STEP, shots.tokens > 0).order_by(shots.at.desc()).limit(1)
    return tx.execute(newest).scalar()


def highest(tx: Connection) -> tuple[int, int | None]:
    """The most bots ever seen at once, and when."""
    row = tx.execute(
        select(shots.bots_max, shots.at)
        .where(shots.step == HOUR_STEP)
        .order_by(shots.bots_max.desc(), shots.at.desc())
        .limit(1)
    ).one_or_none()
    return (row.bots_max, row.at) if row is not None else (0, None)


def last_full(tx: Connection) -> int | None:
    """When somebody was last refused because the server was full."""
    hour = select(func.max(counts.at)).where(counts.step == HOUR_STEP, counts.reason == "server_full")
    return tx.execute(hour).scalar()


# -- what asks for a hand


def paused(tx: Connection) -> bool:
    """Whether starts are paused."""
    return bool(tx.execute(select(schema.fleet.c.paused)).scalar())


def coming_step(tx: Connection) -> Row[Any] | None:
    """The first step of the launch plan that is not applied: at, max_bots, status, held_by."""
    table = schema.plan_steps
    query = select(table).where(table.c.status != "applied").order_by(table.c.at).limit(1)
    return tx.execute(query).one_or_none()


def unattended(tx: Connection, most: int = 5) -> Sequence[Row[Any]]:
    """Open incidents that nobody has acknowledged, newest first: level is the kind's own."""
    table = schema.incidents
    query = select(table).where(table.c.resolved_at.is_(None), table.c.acknowledged_at.is_(None))
    return tx.execute(query.order_by(table.c.opened_at.desc()).limit(most)).all()
