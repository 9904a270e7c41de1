"""How much of the limit was used, against the limit of each time: it moves within hours."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import Connection, case, cast, column, func, select, values

from limiter.store.read import history, limits
from limiter.store.read.history import shots
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, STEPS, Real
from limiter.units import HOUR_MS

FINER = [(step, wider) for step, wider in pairwise(STEPS) if MINUTE_STEP <= step < HOUR_STEP]
"""The widths that such hours are read in, each with the next one."""


class Use(NamedTuple):
    """Shares of the limit (1: all of it), the mean and the highest; None where it was 0 all the time."""

    mean: float | None
    high: float | None


def of_hours(tx: Connection, hours: Sequence[history.Hour]) -> list[Use]:
    """Of each hour.

    One in which the limit moved is read minute by minute, each against the limit at its end; where minutes are not
    kept any more, from the narrowest snapshots that are. All of these together, by the database: a limit that a program
    moves each hour would be thousands of reads.
    """
    if not hours:
        return []
    finer: dict[int, Use] = {}
    if moved := limits.moved(tx, hours[0].at, hours[-1].at + HOUR_MS, HOUR_MS):
        for step, wider in FINER:
            kept = history.kept_from(tx, step, wider)
            finer |= _within(tx, [at for at in moved if at >= kept and at not in finer], step)
    return [finer.get(one.at) or _of(one) for one in hours]


def _of(one: history.Hour) -> Use:
    return Use(one.mean / one.limit, one.high / one.limit) if one.limit else Use(None, None)


def _within(tx: Connection, begins: Sequence[int], step: int) -> dict[int, Use]:
    """Of the hours that begin then, from the snapshots in them; one in which there are none is left out."""
    if not begins:
        return {}
    hour = values(column("begins", shots.at.type), name="hour").data([(at,) for at in begins]).cte()
    limit = cast(shots.limit_last, Real)
    mean = case((shots.n > 0, cast(shots.bots_sum, Real) / func.nullif(shots.n, 0)), else_=cast(shots.bots_max, Real))
    counts = shots.limit_last > 0
    query = (
        select(
            hour.c.begins,
            func.sum(case((counts, mean))) / func.sum(case((counts, limit))),
            func.max(case((counts, shots.bots_max / limit))),
        )
        .join_from(hour, shots.at.table, (shots.at >= hour.c.begins) & (shots.at < hour.c.begins + HOUR_MS))
        .where(shots.step == step)
        .group_by(hour.c.begins)
    )
    return {at: Use(mean, high) for at, mean, high in tx.execute(query)}
