"""How long rows are kept, and the slices in which older ones go.

A slice is bounded, so that no deletion holds the writer up: deleting 1.5 million rows at once held the lock for 246 ms.
"""

from dataclasses import dataclass

from limiter.rules.windows import MINUTE_SECONDS
from limiter.store.schema import MINUTE_STEP, RAW_STEP

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
TRIM_ROWS = 500


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept: hours of raw snapshots, days of the rest, rows of refusals."""

    raw_hours: int = 48
    minutes_days: int = 90
    refusals_days: int = 90
    refusals_rows: int = 200_000
    sessions_days: int = 400
    trades_days: int = 400

    def slices(self, now: int, next_refusal: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """One deletion each: the SQL and what it takes. The writer runs one a snapshot, in turn."""
        return (
            (_TRIM_SNAPSHOTS, (RAW_STEP, now - self.raw_hours * HOUR_MS)),
            (_TRIM_SNAPSHOTS, (MINUTE_STEP, now - self.minutes_days * DAY_MS)),
            (_TRIM_COUNTS, (RAW_STEP, now - self.raw_hours * HOUR_MS)),
            (_TRIM_COUNTS, (MINUTE_STEP, now - self.minutes_days * DAY_MS)),
            (_TRIM_REFUSALS, (now - self.refusals_days * DAY_MS,)),
            (_TRIM_REFUSAL_ROWS, (next_refusal - self.refusals_rows,)),
            (_TRIM_ENDED, (now - self.sessions_days * DAY_MS,)),
            (_TRIM_TRADES, (now - self.trades_days * DAY_MS,)),
            (_TRIM_SECONDS, (now // 1000 - 2 * MINUTE_SECONDS,)),
            (_TRIM_DELIVERIES, (now - self.refusals_days * DAY_MS,)),
        )


_TRIM_SNAPSHOTS = (
    "DELETE FROM snapshots WHERE (step, at) IN"
    f" (SELECT step, at FROM snapshots WHERE step = ? AND at < ? ORDER BY at LIMIT {TRIM_ROWS})"
)
_TRIM_COUNTS = _TRIM_SNAPSHOTS.replace("snapshots", "refusal_counts")
_TRIM_REFUSALS = (
    f"DELETE FROM refusals WHERE id IN (SELECT id FROM refusals WHERE at < ? ORDER BY at LIMIT {TRIM_ROWS})"
)
_TRIM_REFUSAL_ROWS = (
    f"DELETE FROM refusals WHERE id IN (SELECT id FROM refusals WHERE id < ? ORDER BY id LIMIT {TRIM_ROWS * 10})"
)
_TRIM_ENDED = (
    "DELETE FROM ended_sessions WHERE number IN"
    f" (SELECT number FROM ended_sessions WHERE ended_at < ? ORDER BY ended_at LIMIT {TRIM_ROWS})"
)
_TRIM_TRADES = f"DELETE FROM trades WHERE id IN (SELECT id FROM trades WHERE at < ? ORDER BY at LIMIT {TRIM_ROWS})"
_TRIM_DELIVERIES = (
    "DELETE FROM deliveries WHERE number IN (SELECT number FROM deliveries"
    f" WHERE state IN ('sent', 'failed') AND at < ? LIMIT {TRIM_ROWS})"
)
_TRIM_SECONDS = "DELETE FROM rate_seconds WHERE second < ?"
