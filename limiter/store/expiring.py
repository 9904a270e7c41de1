"""How many rows retention would delete: the slices of `retention.py`, counted and not run.

Promises: read only, and at most `MOST` rows of a table are walked, so that a count stays well under half a second.
"""

from sqlalchemy import Connection, text

from limiter.store.schema import MINUTE_STEP, RAW_STEP
from limiter.units import DAY_MS, HOUR_MS

MOST = 1_000_000


def _of_step(step: int) -> tuple[str, ...]:
    tables = ("snapshots", "refusal_counts")
    return tuple(f"SELECT 1 FROM {table} WHERE step = {step} AND at < :before" for table in tables)


_AGED = {
    "raw_hours": _of_step(RAW_STEP),
    "minutes_days": _of_step(MINUTE_STEP),
    "refusals_days": ("SELECT 1 FROM refusals WHERE at < :before",),
    "refusals_rows": ("SELECT 1 FROM refusals WHERE id < (SELECT max(id) + 1 FROM refusals) - :keep",),
    "sessions_days": ("SELECT 1 FROM ended_sessions WHERE ended_at < :before",),
    "trades_days": ("SELECT 1 FROM trades WHERE at < :before",),
}


def count(tx: Connection, kept: str, keep: int, now: int) -> int:
    """Rows that go if `kept`, a field of Retention, were `keep` (hours, days or rows); MOST means that many or more."""
    before = now - keep * (HOUR_MS if kept == "raw_hours" else DAY_MS)
    queries = (text(f"SELECT count(*) FROM ({query} LIMIT {MOST}) AS rows") for query in _AGED[kept])
    values = {"keep": keep} if kept == "refusals_rows" else {"before": before}
    return min(MOST, sum(int(tx.execute(query, values).scalar_one()) for query in queries))
