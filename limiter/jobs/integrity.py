"""Reads the whole database once after a start, when there is little to decide: is every page what it should be?

A start itself checks a small file whole, and of a large one what decisions rest on (store/file_checks.py), so that it
is as quick after five million sessions as on the first day. Promises: damage in the history is found and told, and
decisions go on. Not promised: under load without a quiet minute nothing is checked; then the daily backup reads every
row.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from limiter.store.file_checks import quick_check

QUIET_SECONDS = 10.0
QUIET_DECISIONS = 50  # a second: with more, this waits
STEPS = 100_000  # of SQLite's virtual machine, some milliseconds, between two looks at whether to go on

log = logging.getLogger("limiter")


class Integrity:
    """`decisions` counts them since the start. `damage`: what is wrong; `checked`: whether all was read."""

    def __init__(self, database: Path, decisions: Callable[[], int], quiet_seconds: float = QUIET_SECONDS) -> None:
        self.database, self.decisions, self.quiet_seconds = database, decisions, quiet_seconds
        self.damage: str | None = None
        self.checked = False
        self._stop = threading.Event()

    async def run(self) -> None:
        """Until the database was read once; then it has nothing more to do."""
        while not self.checked:
            before = self.decisions()
            await asyncio.sleep(self.quiet_seconds)
            if self._was_quiet(before):
                self._stop.clear()
                check = asyncio.to_thread(self.check)
                try:
                    await self._while_quiet(asyncio.create_task(check))
                finally:
                    self._stop.set()  # where the limiter ends, the thread shall not hold it up
        await asyncio.Event().wait()

    def _was_quiet(self, before: int) -> bool:
        return self.decisions() - before < QUIET_DECISIONS * self.quiet_seconds

    async def _while_quiet(self, check: asyncio.Task[None]) -> None:
        while not check.done():
            before = self.decisions()
            await asyncio.wait([check], timeout=self.quiet_seconds)
            if not self._was_quiet(before):
                self._stop.set()
        check.result()

    def check(self) -> None:
        """Read it all, unless it is stopped."""
        with closing(sqlite3.connect(f"{self.database.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.set_progress_handler(self._stop.is_set, STEPS)
            try:
                problem = quick_check(connection)
            except sqlite3.DatabaseError as error:
                if self._stop.is_set():
                    return
                problem = str(error)
        self.checked = True
        if problem is None:
            log.info("database_checked file=%s", self.database)
        else:
            self.damage = problem
            log.critical("database_damaged file=%s problem=%s", self.database, problem)
