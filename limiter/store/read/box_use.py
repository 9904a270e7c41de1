"""How the box was used in the last days, as the advice for another one looks at it (rules/box_use.py): the figures are
those of history.py, of its snapshots."""

from sqlalchemy import Connection, case, func, literal, select

from limiter.rules.box_use import BusyHour, DayOfUse, Lag
from limiter.rules.guards import DECISION_P99_MS, FEED_TOKENS_PER_MINUTE
from limiter.store import schema
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, RAW_STEP
from limiter.units import DAY_MS, HOUR_MS

shots = schema.snapshots.c


def cpu_of_a_day(tx: Connection, now: int) -> float | None:
    """Mean CPU of the last 24 h in percent of all cores; None where less than an hour of them was sampled."""
    query = select(func.sum(shots.cpu_sum), func.sum(shots.cpu_n))
    total, n = tx.execute(query.where(shots.step == MINUTE_STEP, shots.at > now - DAY_MS)).one()
    return float(total) / n if (n or 0) * RAW_STEP >= 3600 else None


def days_of_use(tx: Connection, now: int) -> list[DayOfUse]:
    """The last 7 days, the latest first, as far as something is known of them."""
    number = ((now - shots.at) // DAY_MS).label("number")
    query = (
        select(
            func.max(shots.bots_max),
            func.max(shots.cpu_sum / func.nullif(shots.cpu_n, 0)),
            func.max(shots.ram_sum / func.nullif(shots.ram_n, 0)),
            func.sum(shots.low_ms + shots.healthy_ms + shots.warning_ms + shots.full_ms),
        )
        .where(shots.step == HOUR_STEP, shots.at > now - 7 * DAY_MS)
        .group_by(number)
        .order_by(number)
    )
    return [DayOfUse(bots, cpu, ram, int(ms) / DAY_MS) for bots, cpu, ram, ms in tx.execute(query)]


def lag(tx: Connection, now: int, fed: bool) -> Lag:
    """Of the last 60 whole minutes those that were slow and not full; by the feed only where there is one."""
    end = now - now % (MINUTE_STEP * 1000)
    slow, flat = shots.p99_max > DECISION_P99_MS, shots.tokens < FEED_TOKENS_PER_MINUTE
    whole = shots.n >= MINUTE_STEP // RAW_STEP - 1  # in half a minute half as many tokens come
    flat = flat & whole & (shots.bots_min > 0) & (literal(fed))
    query = select(
        func.count(case((slow, 1))), func.max(case((slow, shots.p99_max))), func.count(case((flat, 1))),
        func.max(case((slow | flat, shots.bots_max))), func.max(case((slow | flat, shots.limit_last))),
    ).where(shots.step == MINUTE_STEP, shots.at >= end - HOUR_MS, shots.at < end, shots.full_ms == 0)  # fmt: skip
    decisions, p99, feed, bots, limit = tx.execute(query).one()
    return Lag(decisions, p99 or 0.0, feed, bots or 0, limit or 0)


def busy_days(tx: Connection, now: int) -> int:
    """Of the last 7 days, how many had 5 % of their time or more at 80 % of the limit or more."""
    number = (now - shots.at) // DAY_MS
    busy = func.sum(shots.warning_ms + shots.full_ms)
    query = (
        select(busy, func.sum(shots.low_ms + shots.healthy_ms + shots.warning_ms + shots.full_ms))
        .where(shots.step == MINUTE_STEP, shots.at > now - 7 * DAY_MS, shots.limit_last > 0)
        .group_by(number)
    )
    return sum(100 * high >= 5 * all_of_it > 0 for high, all_of_it in tx.execute(query))


def busy_hours(tx: Connection, now: int) -> list[BusyHour]:
    """Of the last 7 days the hours that were at 80 % of the limit or more for some time."""
    number = ((now - shots.at) // DAY_MS).label("day")
    busy, known = shots.warning_ms + shots.full_ms, shots.low_ms + shots.healthy_ms + shots.warning_ms + shots.full_ms
    hours = (shots.step == HOUR_STEP, shots.at > now - 7 * DAY_MS, shots.limit_last > 0)
    of_day = select(number, func.sum(known).label("known")).where(*hours).group_by(number).subquery()
    query = (
        select(number, of_day.c.known, busy, shots.bots_max, shots.peak_at)
        .join(of_day, of_day.c.day == number)
        .where(*hours, busy > 0)
        .order_by(shots.at)
    )
    return [BusyHour(day, int(all_of_it), ms, bots, at) for day, all_of_it, ms, bots, at in tx.execute(query)]
