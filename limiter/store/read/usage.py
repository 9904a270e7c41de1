"""Who used how much: by hour (store/usage.py sums up those that are over), trade day and minute."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import add
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, cast, func, literal, select, union_all

from limiter.rules.windows import MINUTE_SECONDS
from limiter.store import schema, usage
from limiter.store.read import instant, sessions
from limiter.units import DAY_MS, HOUR_MS


class Stays(NamedTuple):
    """What one user did: starts, ms of slots held, trades, refusals."""

    user_id: str
    starts: int
    slot_ms: int
    trades: int
    refusals: int


class Traded(NamedTuple):
    """Trades of one user on a trade day, and how many of them were marked as closing."""

    user_id: str
    trades: int
    closing: int


def top_users(
    tx: Connection, since: int, now: int, within: Sequence[int] | None = None, most: int | None = 20
) -> list[Stays]:
    """Who held slots longest from the hour of `since` on, up to now; only `within` those hours; all if most None.

    Hours that are not those of UTC, of a zone with a half, are counted from the rows of their sessions, trades and
    refusals, as far back as these are kept.
    """
    hours, days = schema.usage_hours, schema.usage_days
    since -= since % HOUR_MS
    if within and within[0] % HOUR_MS:
        counted = [row for hour in within for row in between(tx, hour, min(hour + HOUR_MS, now))]
        return _ordered(counted, most)
    if within is None:
        day = since + -since % DAY_MS
        of_hours = select(hours).where(hours.c.at >= since, hours.c.at < day)
        kept = union_all(of_hours, select(days).where(days.c.at >= day)).subquery().c
    else:
        kept = select(hours).where(hours.c.at.in_(within)).subquery().c
    totals = (cast(func.sum(kept[name]), schema.Int) for name in Stays._fields[1:])
    found = [Stays._make(row) for row in tx.execute(select(kept.user_id, *totals).group_by(kept.user_id))]
    hour = now - now % HOUR_MS
    if within is None or hour in within:
        so_far = usage.running(tx, now, since=since if within is None else hour)
        found += (Stays(row.user_id, *map(int, tuple(row)[1:])) for row in so_far)
    return _ordered(found, most)


def _ordered(rows: Iterable[Stays], most: int | None) -> list[Stays]:
    """The sums by user, who held slots longest first."""
    sums: dict[str, Stays] = {}
    for row in rows:
        before = sums.get(row.user_id)
        sums[row.user_id] = row if before is None else Stays(row.user_id, *map(add, before[1:], row[1:]))
    return sorted(sums.values(), key=lambda one: (-one.slot_ms, one.user_id))[:most]


def between(tx: Connection, begin: int, end: int) -> Iterator[Stays]:
    """What each user did in [begin, end), from single rows: of a user one or several."""
    active, ended = schema.active_sessions.c, schema.ended_sessions.c
    before = (row for row in instant.held_rows(tx, begin) if row.started_at < begin)
    held = [(row.user_id, row.started_at, row.ended_at) for row in before]
    started = select(ended.user_id, ended.started_at, ended.ended_at).where(
        ended.started_at >= begin, ended.started_at < end, *sessions.started_between(tx, begin, end)
    )
    living = select(active.user_id, active.started_at, literal(end)).where(active.started_at < end)
    for user, first, last in (*held, *tx.execute(started), *tx.execute(living)):
        yield Stays(user, int(first >= begin), max(0, min(last, end) - max(first, begin)), 0, 0)
    trades, refusals = schema.trades.c, schema.refusals.c
    traded = select(trades.user_id, func.count()).where(trades.at >= begin, trades.at < end)
    for user, n in tx.execute(traded.group_by(trades.user_id)):
        yield Stays(user, 0, 0, int(n), 0)
    refused = select(refusals.user_id, func.sum(refusals.repeats)).where(
        refusals.at >= begin, refusals.at < end, refusals.user_id.is_not(None)
    )
    for user, n in tx.execute(refused.group_by(refusals.user_id)):
        yield Stays(user, 0, 0, 0, int(n))


def rates(tx: Connection, second: int) -> Mapping[tuple[str, str], int]:
    """By rate and user what was taken in the minute before that second; "" is all of it."""
    columns = schema.rate_seconds.c
    query = select(columns.kind, columns.user_id, func.sum(columns.n)).where(
        columns.second >= second - MINUTE_SECONDS, columns.second <= second
    )
    return {(kind, user): int(n) for kind, user, n in tx.execute(query.group_by(columns.kind, columns.user_id))}


def rates_of_day(tx: Connection, day: str) -> Mapping[tuple[str, str], int]:
    """The same, taken on that trade day."""
    columns = schema.rate_days.c
    query = select(columns.kind, columns.user_id, columns.n).where(columns.day == day)
    return {(kind, user): n for kind, user, n in tx.execute(query)}


def trades_by_user(tx: Connection, day: str, begins: int, ends: int) -> list[Traded]:
    """Who traded on that trade day, which lasted from `begins` to `ends`."""
    trades, days = schema.trades.c, schema.trade_days.c
    closing = select(trades.user_id, func.count()).where(
        trades.at >= begins, trades.at < ends, trades.day == day, trades.closes == 1
    )
    closed = Counter({user: int(n) for user, n in tx.execute(closing.group_by(trades.user_id))})
    used = select(days.user_id, days.used).where(days.day == day).order_by(days.used.desc(), days.user_id)
    return [Traded(user, n, closed[user]) for user, n in tx.execute(used)]


def is_told(tx: Connection) -> bool:
    """Whether any bot ever told of a trade, a signal or a token of its own."""
    days, rate_days = schema.trade_days.c, schema.rate_days.c
    known = (select(days.user_id), select(rate_days.user_id).where(rate_days.user_id != ""))
    return any(tx.execute(query.limit(1)).first() is not None for query in known)


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
