"""Looks each second whether the database file is still where its name leads, and takes care of what was committed where
it is not.

Promises: within two seconds nothing more is acknowledged that the next process would not find; what was acknowledged is
then folded into the file, and saved beside its old place where the file was deleted; all is well again without a
restart where the file comes back. One that others wrote into is left as it is, and the next start refuses it: its
content is gone. Not promised: that there is room for the copy; the try is made again each minute.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from limiter.rules.alerts import FILE, FILE_SPOILED, FILE_UNSAVED, Alert
from limiter.rules.words import Words
from limiter.store.location import RESCUED, StoreError
from limiter.store.sqlite_writer import SqliteWriter
from limiter.store.watched_file import WatchedFile

PERIOD_SECONDS = 1.0
RETRY_SECONDS = 60.0

SPOILED = Words(
    "écrasée par un autre programme : arrête le limiteur et remets une sauvegarde (limiter restore) ; si ce n'était "
    "qu'un `touch -m`, supprime plutôt le fichier .spoiled",
    "{lost}: stop the limiter and restore a backup (limiter restore); if it was only a `touch -m`, remove the .spoiled "
    "file instead",
)
IN_THE_FILE = Words(
    "le fichier n'était plus à sa place : tout ce qui était confirmé est dedans ; redémarre le limiteur",
    "{lost}: all that was acknowledged is in the file; restart the limiter",
)
MOVED = Words(
    "le fichier a été déplacé, et tout ce qui était confirmé est dedans (le journal et l'alerte disent où) : remets-le "
    "à sa place, et le limiteur continue",
    "{lost}: it was moved, and all that was acknowledged is in it (the log and the alert say where): move it back, and "
    "the limiter goes on",
)
SAVED = Words(
    "le fichier n'est plus à sa place : tout ce qui était confirmé est dans {saved} ; arrête le limiteur, restaure-le",
    "{lost}: all that was acknowledged is in {saved}; stop the limiter and restore that",
)
IN_MEMORY = Words(
    "le fichier n'est plus à sa place : ce qui était confirmé ne vit plus que dans ce processus ; ne l'arrête pas, "
    "fais de la place pour une copie",
    "{lost}: what was acknowledged lives in this process alone; do not stop it, make room for a copy",
)

log = logging.getLogger("limiter")


class FileWatch:
    """`sample` writes something, so that a database that is lost, or back, is known at once."""

    def __init__(self, file: WatchedFile, writer: SqliteWriter, sample: Callable[[], Awaitable[None]]) -> None:
        self.file, self.writer, self.sample = file, writer, sample
        self.saved: Path | None = None
        """Where all that was acknowledged lies; None while it is not lost, or not saved yet."""
        self._found: str | None = None
        self._tried_at = -math.inf

    def alert(self) -> tuple[Alert, dict[str, str]] | None:
        """What operators are told, once it was tried to save what is there; None while there is nothing to tell."""
        if self._found is not None and self.file.spoiled is not None:
            return FILE_SPOILED, {}
        if self._found is None or self._tried_at == -math.inf:
            return None
        return (FILE_UNSAVED, {}) if self.saved is None else (FILE, {"saved": str(self.saved)})

    @property
    def trouble(self) -> Words | None:
        """What has become of the file, and what to do; None where it is in its place. Who asks for health needs no key,
        so it names no folder: the log and the alert do."""
        lost = self.writer.lost
        if lost is None:
            return None
        if self.file.spoiled is not None:
            return SPOILED.filled(lost=lost)
        if self.saved == self.file.named:
            return IN_THE_FILE.filled(lost=lost)
        if self.saved is None:
            return IN_MEMORY.filled(lost=lost)
        return (SAVED if RESCUED in self.saved.name else MOVED).filled(lost=lost, saved=self.saved.name)

    async def run(self) -> None:
        """For ever, each second."""
        while True:
            await self.look()
            await asyncio.sleep(PERIOD_SECONDS)

    async def look(self) -> None:
        """One look; the first that finds the file lost, or back again, says so."""
        found, before = self.file.trouble(), self._found
        if found is None and before is None:
            return
        self.writer.lost = self._found = found
        if found is None:
            self.saved, self._tried_at = None, -math.inf
            log.warning("database_file_back")
            await self.sample()
            return
        if before is None:
            log.critical("database_file_lost file=%s: %s", self.file.named, found)
            await self.sample()
        if self.file.spoiled is not None:
            self._mark()
        elif self.saved is None and time.monotonic() - self._tried_at >= RETRY_SECONDS:
            await asyncio.to_thread(self._save)

    def _mark(self) -> None:
        """For the next start; again and again, for the disk may be full."""
        with contextlib.suppress(OSError):
            self.file.mark_spoiled()

    def _save(self) -> None:
        if not self.writer.fold_log():
            return  # a batch is under way, or a reader: at the next look
        try:
            self.saved = self.file.save()
            log.critical("database_saved file=%s", self.saved)
        except (StoreError, OSError) as error:  # OSError: of a name that has just changed again
            log.critical("database_not_saved error=%s", error)
        self._tried_at = time.monotonic()  # from now on it is told what came of it
