"""Deletes what is older than it is kept, a slice at a time, and gives the room back to the disk.

Promises: a slice holds the writer up for a millisecond or two, whatever the disk (its size follows what the one before
took); on SQLite the file shrinks when more than a tenth of it is free, but one that was made before it could only once
a backup of it is restored. Not promised: an instant.
"""

import time

from limiter.store.driver import Driver
from limiter.store.retention import MOST_ROWS, Retention
from limiter.store.statements import Statements

TARGET_SECONDS = 0.001
FEWEST_ROWS = 20
FIRST_ROWS = 200
FREE_PAGES = 256  # 1 MiB that are free in the file are left there: new rows need them soon
FREE_SHARE = 10


class Trimmer:
    """`behind`: the last slice left something to do."""

    def __init__(self, driver: Driver, statements: Statements, retention: Retention) -> None:
        self.behind = False
        self._driver, self._statements, self._retention = driver, statements, retention
        self._turn = 0
        self._rows = FIRST_ROWS

    def slice(self, now: int, next_refusal: int) -> None:
        """In the caller's transaction: rows of the table whose turn it is, or pages of the file where none is left."""
        began = time.perf_counter()
        full = self._delete(now, next_refusal) >= self._rows
        if not full and self._is_roomy():
            self._shrink(began + TARGET_SECONDS)
            self.behind = True
            return
        self.behind = full or self._turn < len(self._statements.trims)  # after a start each table is looked at at once
        if full:
            took = max(time.perf_counter() - began, 1e-5)
            self._rows = max(FEWEST_ROWS, min(MOST_ROWS, 2 * self._rows, int(self._rows * TARGET_SECONDS / took)))

    def _delete(self, now: int, next_refusal: int) -> int:
        """The rows that went. A table that has no more gives its turn to the next."""
        bounds = self._retention.bounds(now, next_refusal)
        which = self._turn % len(bounds)
        self._driver.execute(self._statements.trims[which], [(bounds[which], self._rows)])
        deleted = int(self._driver.cursor.rowcount)
        if deleted < self._rows:
            self._turn += 1
        return deleted

    def _shrink(self, until: float) -> None:
        """Page by page: Python's sqlite3 steps a statement without columns once, which is a page whatever is asked."""
        while time.perf_counter() < until:
            self._driver.rows("PRAGMA incremental_vacuum(1)")

    def _is_roomy(self) -> bool:
        """Whether the file can shrink, and is worth it."""
        if not self._statements.is_sqlite:
            return False
        free, pages, can = (self._pragma(name) for name in ("freelist_count", "page_count", "auto_vacuum"))
        return can == 2 and free > FREE_PAGES and free * FREE_SHARE > pages

    def _pragma(self, name: str) -> int:
        ((value,),) = self._driver.rows(f"PRAGMA {name}")
        return int(value)
