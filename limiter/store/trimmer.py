"""Deletes what is older than it is kept, a slice at a time, and gives the room back to the disk.

Promises: a slice holds the writer up for a millisecond or two, whatever the disk (its size follows what the one before
took); on SQLite the file shrinks when more than a tenth of it is free, but one that was made before it could only once
a backup of it is restored. On PostgreSQL what went stays in tables and indexes until it is vacuumed, which a long
transaction of others holds up for hours: a slice begins where the one before it ended, and does not walk over it again.
Not promised: an instant.
"""

import time
from typing import Any

from limiter.store.driver import Driver
from limiter.store.retention import MOST_ROWS, Retention
from limiter.store.statements import Statements

TARGET_SECONDS = 0.001
FEWEST_ROWS = 20
FIRST_ROWS = 200
FREE_PAGES = 256  # 1 MiB that are free in the file are left there: new rows need them soon
FREE_SHARE = 10


class Trimmer:
    """`behind`: the last slice left something to do. `shrank`: pages of the file went, which are the disk's again when
    the log is folded; who folds it says so."""

    def __init__(self, statements: Statements, retention: Retention) -> None:
        self.behind, self.shrank = False, False
        self._statements, self._retention = statements, retention
        self._turn = 0
        self._rows = FIRST_ROWS
        self._since: dict[int, Any] = {}  # of each table: what is older went, and was committed
        self._reached: dict[int, Any] = {}
        self._looked_at = 0

    def slice(self, driver: Driver, now: int, next_refusal: int) -> None:
        """In the caller's transaction: rows of the table whose turn it is, or pages of the file where none is left."""
        began = time.perf_counter()
        if now < self._looked_at:  # the clock went back, and stamps what is older than what went
            self._since.clear()
        self._looked_at = now
        full = self._delete(driver, now, next_refusal) >= self._rows
        if not full and self._is_roomy(driver):
            self._shrink(driver, began + TARGET_SECONDS)
            self.behind = self.shrank = True
            return
        self.behind = full or self._turn < len(self._statements.trims)  # after a start each table is looked at at once
        if full:
            took = max(time.perf_counter() - began, 1e-5)
            self._rows = max(FEWEST_ROWS, min(MOST_ROWS, 2 * self._rows, int(self._rows * TARGET_SECONDS / took)))

    def committed(self) -> None:
        """The slice is durable."""
        self._since |= self._reached

    def _delete(self, driver: Driver, now: int, next_refusal: int) -> int:
        """The rows that went. A table that has no more gives its turn to the next."""
        bounds = self._retention.bounds(now, next_refusal)
        which = self._turn % len(bounds)
        before: Any = bounds[which]
        first: Any = "" if isinstance(before, str) else 0
        since: Any = self._since.get(which, first)
        if since > before:  # numbers of refusals begin anew once all of them went
            since = first
        ages = driver.rows(self._statements.trims[which], since, before, self._rows)
        self._reached = {which: max(age for (age,) in ages)} if ages else {}
        if len(ages) < self._rows:
            self._turn += 1
        return len(ages)

    def _shrink(self, driver: Driver, until: float) -> None:
        """Page by page: Python's sqlite3 steps a statement without columns once, which is a page whatever is asked."""
        while time.perf_counter() < until:
            driver.rows("PRAGMA incremental_vacuum(1)")

    def _is_roomy(self, driver: Driver) -> bool:
        """Whether the file can shrink, and is worth it."""
        if not self._statements.is_sqlite:
            return False
        free, pages, can = (_pragma(driver, name) for name in ("freelist_count", "page_count", "auto_vacuum"))
        return can == 2 and free > FREE_PAGES and free * FREE_SHARE > pages


def _pragma(driver: Driver, name: str) -> int:
    ((value,),) = driver.rows(f"PRAGMA {name}")
    return int(value)
