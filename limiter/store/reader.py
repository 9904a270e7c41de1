"""Every read of the API and the console: bounded rows, plain values out. Each function takes an open read connection.

Run them inside `engine.reading(...)`, which is one short transaction cut off after 5 s.
"""

import json
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, case, func, null, select

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
    """The start requests since then as the replay takes them, and the median length of a session (ms; 1 h if none).

    A user's own MAX_BOTS_PER_USER is recognised by its value, where it is not the system's of that version, and by its
    date while it is still there: one that was the system's value and has been taken back since counts as the system's.
    """
    ended, live, refused = schema.ended_sessions.c, schema.active_sessions.c, schema.refusals.c
    names = ("number", "started_at", "user_id", "asked_bot", "bot_id", *Facts._fields)
    past = connection.execute(
        select(*(ended[name] for name in names), ended.ended_at, ended.ended_reason)
        .where(ended.ended_at >= since)
        .order_by(ended.number)
        .limit(MAX_DEMANDS)
    ).all()
    now = connection.execute(
        select(*(live[name] for name in names), null().label("ended_at"), null().label("ended_reason"))
    ).all()
    sessions: list[Any] = sorted((*past, *now), key=lambda row: row.number)
    handed_on = {(row.user_id, row.bot_id, row.ended_at) for row in past if row.ended_reason == "replaced"}
    owns = _own_limits(connection)
    found = [
        Demand(
            at=row.started_at,
            user_id=row.user_id,
            bot_id=row.asked_bot,
            admitted=True,
            facts=_facts(row),
            holds=row.asked_bot is not None and (row.user_id, row.bot_id, row.started_at) in handed_on,
            ended_at=row.ended_at,
            replaced=row.ended_reason == "replaced",
            own_limit=owns(row.user_id, row.started_at, row.user_max, row.version),
        )
        for row in sessions
        if row.started_at >= since
    ]
    stays: dict[tuple[str, str], list[Any]] = {}
    for row in sessions:
        stays.setdefault((row.user_id, row.bot_id), []).append(row)
    rows: Sequence[Any] = connection.execute(
        select(schema.refusals)
        .where(refused.at >= since, refused.reason.in_(("user_limit", "server_full")))
        .order_by(refused.id)
        .limit(MAX_DEMANDS)
    ).all()
    for row in rows:
        held = _held(stays.get((row.user_id, row.bot_id), ()), row.at)
        found.append(
            Demand(
                at=row.at,
                user_id=row.user_id,
                bot_id=row.bot_id,
                admitted=False,
                facts=_facts(row),
                holds=held is not None,
                ended_at=held.ended_at if held else None,
                replaced=held is not None and held.ended_reason == "replaced",
                own_limit=owns(row.user_id, row.at, row.user_max, row.version),
                repeats=row.repeats,
            )
        )
    lengths = sorted(row.ended_at - row.started_at for row in past if row.started_at >= since)
    return found, lengths[len(lengths) // 2] if lengths else 3_600_000


def _held(stays: Sequence[Any], at: int) -> Any:
    """Of one bot's sessions, in order, the one that had a slot at this instant."""
    place = bisect_right(stays, at, key=lambda row: row.started_at)
    last = stays[place - 1] if place else None
    return last if last is not None and (last.ended_at is None or last.ended_at > at) else None


def _own_limits(connection: Connection) -> Callable[[str, int, int, int], bool]:
    """Whether a user's MAX_BOTS_PER_USER at an instant, of this value under this version, was his own."""
    name, versions, owned = "MAX_BOTS_PER_USER", schema.limit_versions.c, schema.overrides.c
    of_system = {
        row.version: json.loads(row.in_force)[name][0]
        for row in connection.execute(select(versions.version, versions.in_force))
    }
    since = {
        row.user_id: row.changed_at
        for row in connection.execute(select(owned.user_id, owned.changed_at, owned.limits))
        if name in json.loads(row.limits)
    }

    def owns(user_id: str, at: int, value: int, version: int) -> bool:
        return bool(value != of_system.get(version, value) or since.get(user_id, at + 1) <= at)

    return owns


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
