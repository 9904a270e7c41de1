"""How much of the limit was used, against the limit of each time: it moves within hours."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from limiter.store.read import history, limits
from limiter.store.schema import MINUTE_STEP


class Use(NamedTuple):
    """Shares of the limit (1: all of it), the mean and the highest; None where it was 0 all the time."""

    mean: float | None
    high: float | None


def of_buckets(tx: Connection, found: history.Series) -> list[Use]:
    """Of each bucket of the series.

    One in which the limit moved is read minute by minute, each against the limit at its end; where minutes are not
    kept any more, from the narrowest snapshots that are.
    """
    if not found.rows:
        return []
    first, wide = found.rows[0].at, found.bucket_ms
    course = limits.course(tx, first, found.rows[-1].at + wide)
    moved = {at - (at - first) % wide for at, _ in course[1:]}
    return [
        of(history.series(tx, row.at, row.at + wide, MINUTE_STEP).rows if row.at in moved else [row])
        for row in found.rows
    ]


def of(rows: Iterable[history.Bucket]) -> Use:
    """Of buckets that are as wide as each other, together."""
    known = [row for row in rows if row.limit]
    if not known:
        return Use(None, None)
    slots = sum(row.limit for row in known)
    return Use(sum(row.mean for row in known) / slots, max(row.high / row.limit for row in known))
