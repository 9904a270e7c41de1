"""What persons did, and what they wrote down."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, select

from limiter.store import schema
from limiter.store.rows import MAX_PAGE


def entries(tx: Connection, before: int | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Who did what, newest first, below the id `before`: id, at, actor, action, target, reason, detail, hash."""
    table = schema.audit
    query = select(table).order_by(table.c.id.desc()).limit(min(limit, MAX_PAGE + 1))
    if before is not None:
        query = query.where(table.c.id < before)
    return [{**row._mapping, "detail": json.loads(row.detail)} for row in tx.execute(query)]


def notes(tx: Connection, begin: int | None = None, end: int | None = None) -> Sequence[Row[Any]]:
    """Notes about instants in [begin, end), newest first, at most 500: id, at, text, author, created_at."""
    table = schema.notes
    query: Select[Any] = select(table).order_by(table.c.at.desc()).limit(MAX_PAGE)
    if begin is not None:
        query = query.where(table.c.at >= begin)
    if end is not None:
        query = query.where(table.c.at < end)
    return tx.execute(query).all()
