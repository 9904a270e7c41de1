"""Who used how much in an hour, and in a day: the rollups behind the usage page. `roll` recomputes one finished hour
from the rows of its sessions, trades and refusals; doing it again changes nothing. A day is the sum of its hours.

Promises: exact for an hour whose rows are all there. Does not promise: hours older than what retention keeps (rolling
one again would lose what was trimmed), nor who was refused in a flood: its shared rows name one user for many.
"""

from typing import Any

from sqlalchemy import Connection, Row, func, select, text

from limiter.store.schema import ended_sessions, usage_hours
from limiter.units import DAY_MS, HOUR_MS

CATCH_UP_HOURS = 48  # a limiter that was away for longer leaves a gap


def roll(connection: Connection, hour_ms: int) -> None:
    """Write the rows of the hour that begins at `hour_ms` (UTC ms), in the caller's transaction.

    A session that is not ended yet counts to the end of the hour, so the hour has to be over and its ends recorded.
    """
    hour = {"begins": hour_ms, "day": hour_ms - hour_ms % DAY_MS}
    connection.execute(_TO_DAY, hour | {"sign": -1})  # what the day has of it, where it was rolled before
    connection.execute(_ROLL, {"begins": hour_ms, "ends": hour_ms + HOUR_MS})
    connection.execute(_TO_DAY, hour | {"sign": 1})


def due(connection: Connection, now: int) -> range:
    """The finished hours (their beginnings, UTC ms) after the last one that was rolled, oldest first."""
    current = now - now % HOUR_MS
    last = connection.execute(select(func.max(usage_hours.c.at))).scalar()
    if last is None:
        oldest = select(ended_sessions.c.started_at).order_by(ended_sessions.c.number).limit(1)
        first = connection.execute(oldest).scalar() or current - HOUR_MS
    else:
        first = last + HOUR_MS
    return range(max(first - first % HOUR_MS, current - CATCH_UP_HOURS * HOUR_MS), current, HOUR_MS)


def running(connection: Connection, now: int, since: int = 0) -> list[Row[Any]]:
    """What no finished hour has yet, up to now: user_id, starts, slot_ms, trades, refusals; not before `since`."""
    last = connection.execute(select(func.max(usage_hours.c.at))).scalar()
    begins = now - now % HOUR_MS if last is None else last + HOUR_MS
    if last is None and (hours := due(connection, now)):
        begins = hours[0]
    return list(connection.execute(text(f"SELECT {_USES}"), {"begins": max(since, begins), "ends": now}))


_USES = """
user_id, sum(starts) AS starts, sum(slot_ms) AS slot_ms, sum(trades) AS trades, sum(refusals) AS refusals FROM (
    SELECT user_id, CASE WHEN started_at >= :begins THEN 1 ELSE 0 END AS starts,
        CASE WHEN until < :ends THEN until ELSE :ends END
        - CASE WHEN started_at > :begins THEN started_at ELSE :begins END AS slot_ms,
        0 AS trades, 0 AS refusals
    FROM (
        SELECT user_id, started_at, :ends AS until FROM active_sessions WHERE started_at < :ends
        UNION ALL
        SELECT user_id, started_at, ended_at FROM ended_sessions WHERE ended_at >= :begins AND started_at < :ends
    ) AS stays
    UNION ALL
    SELECT user_id, 0, 0, count(*), 0 FROM trades WHERE at >= :begins AND at < :ends GROUP BY user_id
    UNION ALL
    SELECT user_id, 0, 0, 0, sum(repeats) FROM refusals
    WHERE at >= :begins AND at < :ends AND user_id IS NOT NULL GROUP BY user_id
) AS uses
WHERE TRUE GROUP BY user_id
"""
_ROLL = text(f"""
INSERT INTO usage_hours (at, user_id, starts, slot_ms, trades, refusals)
SELECT :begins, {_USES}
ON CONFLICT (at, user_id) DO UPDATE SET
    starts = excluded.starts, slot_ms = excluded.slot_ms, trades = excluded.trades, refusals = excluded.refusals
""")
_TO_DAY = text("""
INSERT INTO usage_days (at, user_id, starts, slot_ms, trades, refusals)
SELECT :day, user_id, :sign * starts, :sign * slot_ms, :sign * trades, :sign * refusals
FROM usage_hours WHERE at = :begins
ON CONFLICT (at, user_id) DO UPDATE SET
    starts = usage_days.starts + excluded.starts, slot_ms = usage_days.slot_ms + excluded.slot_ms,
    trades = usage_days.trades + excluded.trades, refusals = usage_days.refusals + excluded.refusals
""")
