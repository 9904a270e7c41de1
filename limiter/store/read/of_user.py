"""The ended sessions of one user, looked for block by block of numbers, from the newest on: an index in blocks costs an
end less than one by user (schema.py).

Each block costs a look into the index, whether it has some of the user or not: as many looks as it takes to find
enough, and one in every block for a user who has less.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, cast, func, select

from limiter.store import schema
from limiter.store.schema import BLOCK, block

_ended = schema.ended_sessions.c
Where = Sequence[ColumnElement[bool]]


def page(
    tx: Connection, user_id: str, numbers: range, where: Where, *, size: int, skipped: int = 0
) -> Sequence[Row[Any]]:
    """So many of this user's ended sessions with these numbers for which that holds, newest start first, after those
    that are skipped."""
    found = [one for one in _blocks(tx, user_id, numbers, where, skipped + size) if one.newer + one.here > skipped]
    if not found:
        return []
    # Numbers first: a block may be all of one user. Their order is said by block, which no other index has, so that no
    # planner takes it that a walk down the numbers of all would soon come by enough of this user's.
    these = select(_ended.number).where(block.in_([one.block for one in found]), *_of(user_id, numbers), *where)
    these = these.order_by(block.desc(), _ended.number.desc()).limit(size).offset(skipped - found[0].newer)
    rows = select(schema.ended_sessions).where(_ended.number.in_(these)).order_by(_ended.number.desc())
    return tx.execute(rows).all()


def count(tx: Connection, user_id: str, numbers: range, where: Where, most: int) -> int:
    """How many there are, counted up to `most`."""
    found = _blocks(tx, user_id, numbers, where, most)
    return min(most, found[-1].newer + found[-1].here) if found else 0


def _blocks(tx: Connection, user_id: str, numbers: range, where: Where, most: int) -> Sequence[Row[Any]]:
    """The blocks that have some, newest first, until there are `most`: block, newer (how many those before it have),
    here (how many it has)."""
    if not numbers:
        return []
    none = cast(0, schema.Int)
    walk = select(
        cast(numbers[-1] // BLOCK + 1, schema.Int).label("block"), none.label("newer"), none.label("here")
    ).cte("walk", recursive=True)
    so_far = walk.c.newer + walk.c.here
    here = select(func.count()).where(block == walk.c.block - 1, *_of(user_id, numbers), *where).scalar_subquery()
    older = select(walk.c.block - 1, so_far, here).where(so_far < most, walk.c.block > numbers[0] // BLOCK)
    walk = walk.union_all(older)
    return tx.execute(select(walk).where(walk.c.here > 0).order_by(walk.c.block.desc())).all()


def _of(user_id: str, numbers: range) -> list[ColumnElement[bool]]:
    return [_ended.user_id == user_id, _ended.number >= numbers.start, _ended.number < numbers.stop]
