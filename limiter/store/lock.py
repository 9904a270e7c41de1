"""Who may write to a SQLite file: one process, whatever name the file goes by.

Two locks make it so. One lies on a file beside the database and says who holds it, and where they answer. The other
lies on the database's own inode, so that a second process is kept out where the lock file was removed, or where it
comes by a link. It is an open-file-description lock on a byte that SQLite never locks, and Linux alone has it:
elsewhere the lock file stands alone.
"""

import contextlib
import fcntl
import json
import os
import struct
import time
from pathlib import Path
from typing import Any

from limiter.store.location import StoreError, out_of_reach, refuse_folder

LOCK_BYTES = 1024  # more than any owner's description
FAR_BYTE = 1 << 62  # beyond any database: SQLite locks at 1 GiB
UN_SEUL = "une base SQLite n'a qu'un écrivain ; arrête-le, ou prends PostgreSQL pour plusieurs processus"
ONE_WRITER = "a SQLite database has one writer; stop it, or use PostgreSQL for several processes"


class Lock:
    """Held while a process may write to the SQLite file; says who holds it, and where they answer.

    Whoever holds it must close its database before it gives the lock up: a file of this process that is closed takes
    the locks of SQLite with it (sqlite.org/howtocorrupt.html).
    """

    def __init__(self, database: Path) -> None:
        self.database = database
        self.path = database.with_name(database.name + ".lock")
        self._file: Any = None
        self.inode: int | None = None
        """The descriptor of the database's own file while it is locked; None before there is one."""

    def acquire(self, **owner: str) -> None:
        """Take it, or raise StoreError with the owner's pid."""
        try:
            refuse_folder(self.database)
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        except OSError as error:
            raise out_of_reach(self.database, error) from error
        if not self._locks(handle):
            handle.close()
            pid = self.owner().get("pid", "?")
            raise StoreError(
                fr=f"un autre processus (pid {pid}) écrit dans {self.database} : {UN_SEUL}",
                en=f"another process (pid {pid}) writes to {self.database}: {ONE_WRITER}",
            ) from None
        self._file = handle
        try:
            self.describe(**owner)
            self.lock_database()
        except OSError as error:
            raise StoreError(
                fr=f"{self.path} ne peut être écrit ({error.strerror})",
                en=f"{self.path} cannot be written ({error.strerror})",
            ) from error

    def lock_database(self) -> None:
        """Lock the database's own file, once there is one. Raises StoreError where another process has it locked."""
        if self.inode is not None or not hasattr(fcntl, "F_OFD_SETLK"):
            return
        try:
            handle = os.open(self.database, os.O_RDWR)
        except OSError:
            return  # none yet, or one that cannot be written: opening it says so
        try:
            fcntl.fcntl(handle, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, FAR_BYTE, 1, 0))
        except OSError as error:
            os.close(handle)
            self.release()
            raise StoreError(
                fr=f"un autre processus écrit dans {self.database}, qu'il connaît par un autre nom, ou dont le verrou "
                f"a été supprimé : {UN_SEUL}",
                en=f"another process writes to {self.database}, which it knows by another name, or whose lock file was "
                f"removed: {ONE_WRITER}",
            ) from error
        self.inode = handle

    @staticmethod
    def _locks(handle: Any) -> bool:
        """Try for a moment: who only asks for the owner holds it for less."""
        for _ in range(10):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.02)
            else:
                return True
        return False

    def describe(self, **owner: str) -> None:
        """Write down who holds it."""
        self._write(json.dumps({"pid": str(os.getpid()), **owner}))

    def owner(self) -> dict[str, str]:
        """Who holds it, as written; empty where nobody does."""
        with contextlib.suppress(OSError, ValueError), self.path.open() as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                described: dict[str, str] = json.load(handle)
                return described
        return {}

    def release(self) -> None:
        """Give it up."""
        if self.inode is not None:
            os.close(self.inode)
            self.inode = None
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a disk that takes nothing any more; nobody holds the lock then
                self._write("")
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _write(self, text: str) -> None:
        """The file keeps its size, so that a full disk has room for it."""
        self._file.seek(0)
        self._file.write(text.ljust(LOCK_BYTES))
        self._file.flush()
