"""Whether the database that is open is still the one that its name leads to.

A file can be removed, moved, or have another one put in its place while it is open: what is then written goes to a
file that no later process will find. Device, inode and link count tell, of the database and of its write-ahead log.

Promises: `trouble` looks at names only and opens nothing, so SQLite's locks stay. Not promised: that a file which is
overwritten in place is noticed; SQLite finds that malformed.
"""

import os
import sqlite3
import time
from pathlib import Path

from limiter.store.backup import copy_from
from limiter.store.location import log_of

Identity = tuple[int, int]


class WatchedFile:
    """The database as it is open now: `named` may be a link, `inode` is a descriptor of the open file.

    It keeps a connection of its own that reads, for that still sees a file whose name is gone.
    """

    def __init__(self, named: Path, inode: int) -> None:
        self.named = named.absolute()
        self._inode = inode
        self._reader = sqlite3.connect(
            f"{self.named.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        self._reader.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log too
        self._log = _identity(log_of(self.named.resolve()))

    def close(self) -> None:
        """Before the writer, so that the writer is the last one and folds the log."""
        self._reader.close()

    @property
    def names(self) -> int:
        """How many names the open file has. A second one is a way to open it with another log."""
        return os.fstat(self._inode).st_nlink

    def trouble(self) -> str | None:
        """What is wrong, as a sentence; None where the names lead to what is open."""
        opened = os.fstat(self._inode)
        found = _identity(self.named)
        if found is None:
            return f"{self.named.name} is gone"
        if found != (opened.st_dev, opened.st_ino):
            return f"{self.named.name} is another file than the one that is open"
        if _identity(log_of(self.named.resolve())) != self._log:
            return f"the -wal file of {self.named.name} is gone or another one"
        return None

    def save(self) -> Path:
        """Where all that was committed can be found: where the file was moved to, else a copy made now. Call it when
        nothing more is written and the log was folded. Raises StoreError where no copy can be made."""
        now = os.readlink(f"/proc/self/fd/{self._inode}")
        if not now.endswith(" (deleted)"):
            return Path(now)
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        target = self.named.with_name(f"{self.named.name}.rescued-{stamp}")
        copy_from(self._reader, self.named, target)
        return target


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
