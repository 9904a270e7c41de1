"""A backup a day, beside the decisions: the database is only read, by one thread of its own.

Promises: every file under a backup's name is whole and checked; the newest `keep` stay, and nothing else in the folder
is touched; a disk that is nearly full is not filled up; one that failed is tried again after 10 minutes. Not promised:
that the folder outlives the machine. Copy it elsewhere (docs/operating.md).
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from limiter.rules.vitals import DISK_BYTES
from limiter.store.backup import copy
from limiter.store.location import STAMP, STAMPED, StoreError, free_bytes, kept, log_bytes, made_at
from limiter.units import HOUR_MS

PERIOD_SECONDS = 10.0
RETRY_SECONDS = 600.0

log = logging.getLogger("limiter")


class Backups:
    """`now` is the limiter's clock in UTC milliseconds; `hours` and `keep` are what the settings say."""

    def __init__(self, database: Path, folder: Path, hours: int, keep: int, now: Callable[[], int]) -> None:
        self.database, self.folder, self.hours, self.keep, self.now = database, folder, hours, keep, now
        self.failure: str | None = None
        self._began = now()
        self._failed_at = 0
        self._thread = ThreadPoolExecutor(1, "backup")

    async def run(self) -> None:
        """For ever; the first look is a period after the start, which has enough to do."""
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            await self.round()

    async def round(self) -> None:
        """A backup where one is due."""
        made_at = self.made_at()
        due = made_at is None or self.now() - made_at >= self.hours * HOUR_MS
        waits = self.failure is not None and self.now() - self._failed_at < RETRY_SECONDS * 1000
        if not due or waits:
            return
        stop = threading.Event()
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._make, stop)
            self.failure = None
        except (StoreError, OSError) as error:
            self.failure, self._failed_at = str(error), self.now()
            log.error("backup_failed folder=%s error=%s", self.folder, error)
        finally:
            stop.set()  # where the limiter ends, the thread shall not hold it up

    def _make(self, stop: threading.Event) -> None:
        began, stamp = time.monotonic(), datetime.fromtimestamp(self.now() / 1000, UTC).strftime(STAMP)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in self.folder.glob(f"{self.database.stem}-{STAMPED}.db.partial"):
            left.unlink()
        self._refuse_without_room()
        made = self.folder / f"{self.database.stem}-{stamp}.db"
        size = copy(self.database, made, stop.is_set)
        others = [path for _, path in kept(self.database, self.folder) if path != made]
        for old in others[: max(0, len(others) + 1 - self.keep)]:
            old.unlink()
        log.info("backup_made file=%s bytes=%d seconds=%.1f", made, size, time.monotonic() - began)

    def _refuse_without_room(self) -> None:
        free = free_bytes(self.folder)
        wanted = self.database.stat().st_size + log_bytes(self.database) + DISK_BYTES
        if free < wanted:
            raise StoreError(
                fr=f"{free >> 20} Mio de libre, et une sauvegarde qui laisse de la place en demande {wanted >> 20}",
                en=f"{free >> 20} MiB are free, and a backup that leaves room needs {wanted >> 20} MiB",
            )

    def made_at(self) -> int | None:
        """When the newest was made, UTC ms; one from the future, of a clock that was wrong, does not count."""
        return made_at(self.database, self.folder, self.now())

    def age_seconds(self) -> float:
        """Of the newest; where there is none, since the start."""
        made_at = self.made_at()
        return (self.now() - (self._began if made_at is None else made_at)) / 1000
