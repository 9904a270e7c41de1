"""Every question to the database, asked in one place for the API, the console and the command line alike, by subject.

Each function takes an open read connection; run it inside `engine.reading(...)`, one short transaction cut off after
5 s. Each is bounded, by rows or by the range of an index, and gives plain values. Instants are UTC milliseconds.
"""

from limiter.store.read import (
    audit,
    beats,
    box_use,
    database,
    demands,
    history,
    incidents,
    instant,
    keys,
    limit_use,
    limits,
    refusals,
    sessions,
    usage,
)
from limiter.store.rows import MAX_PAGE

__all__ = [
    "MAX_PAGE",
    "audit",
    "beats",
    "box_use",
    "database",
    "demands",
    "history",
    "incidents",
    "instant",
    "keys",
    "limit_use",
    "limits",
    "refusals",
    "sessions",
    "usage",
]
