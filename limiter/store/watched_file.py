"""Whether the database that is open is still the one that its name leads to.

A file can be removed, moved, or have another one put in its place while it is open: what is then written goes to a
file that no later process will find. Device, inode and link count tell, of the database and of its write-ahead log.
Or it is written over in place (`cp` onto it, `>` into it): of SQLite's own writes only a checkpoint goes to the
database, and leaves its trace in the index of the log; a database that was written to without one was by others. Where
its time stamp moved, the kernel says whether anybody wrote at all (write_watch.py).

Promises: `trouble` opens nothing that SQLite locks, for closing it would take the locks with it. Not promised: that
what others write is noticed where it falls into the milliseconds of a checkpoint.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from limiter.store import wal_index
from limiter.store.backup import copy_from
from limiter.store.location import RESCUED, STAMP, StoreError, log_of, out_of_reach, spoiled_mark
from limiter.store.wal_index import Progress
from limiter.store.write_watch import WriteWatch

Identity = tuple[int, int]
Stamp = tuple[int, int]
"""What a first look at the file goes by: its time of change (ns), which more than a write moves, and its bytes."""


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
        real = self.named.resolve()
        self._log = _identity(log_of(real))
        self._index = os.open(real.with_name(real.name + "-shm"), os.O_RDONLY)
        self._writes = WriteWatch(inode)
        self._written = False
        """Whether anybody wrote into the database since `_seen`."""
        self._seen: tuple[Stamp, Progress] | None = None
        self.spoiled: str | None = None
        """Who wrote into the files beside SQLite, once that was seen: what they hold belongs together no more."""
        self.written_over()

    def close(self) -> None:
        """Before the writer, so that the writer is the last one and folds the log: but not into what others wrote, for
        that might be a good backup."""
        if self.spoiled is None:
            self._reader.close()

    def release(self) -> None:
        """After the writer. Where the folder was moved away, every trace of the database went with it: one is left, for
        the next start shall not begin empty."""
        self._writes.close()
        os.close(self._index)
        if not self.named.parent.exists() and (now := self._moved_to()) is not None:
            with contextlib.suppress(OSError, StoreError):
                self._saved_name().symlink_to(now)

    @property
    def names(self) -> int:
        """How many names the open file has. A second one is a way to open it with another log."""
        return os.fstat(self._inode).st_nlink

    @property
    def index_lost(self) -> bool:
        """Whether the name of the log's index leads elsewhere: who opens the file now does not see what is written."""
        opened, real = os.fstat(self._index), self.named.resolve()
        return _identity(real.with_name(real.name + "-shm")) != (opened.st_dev, opened.st_ino)

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
        return self.written_over() or self._log_cut()

    def written_over(self) -> str | None:
        """What is wrong where others wrote into the database since it was asked last; a microsecond where nobody did.
        In the event loop."""
        seen = self._seen
        if self.spoiled is not None or (seen is not None and seen[0] == self._stamp()):
            return self.spoiled
        before, stamp = wal_index.progress(self._index), self._stamp()
        self._written |= self._writes.written()
        after = wal_index.progress(self._index)
        if before is None or after is None or not after.rests or before.checkpoint != after.checkpoint:
            return None  # a checkpoint is under way: when it is done
        written, self._written = self._written, False
        self._seen = stamp, after
        if seen is None or seen[1].checkpoint != after.checkpoint:
            return None
        if written or seen[0][1] != stamp[1]:
            self.spoiled = f"{self.named.name} was written over in place by another program"
        return self.spoiled

    def _log_cut(self) -> str | None:
        """What is wrong where the log is shorter than it has to be, or begins as none that SQLite wrote."""
        progress = wal_index.progress(self._index)
        if progress is None or not progress.frames:
            return None
        try:
            with log_of(self.named.resolve()).open("rb") as log:  # SQLite has no lock on it
                begins, size = log.read(wal_index.LOG_HEADER), os.fstat(log.fileno()).st_size
        except OSError:
            return None  # by the next look its name is gone
        if size >= progress.log_bytes and begins[16:24] == progress.salts:
            return None
        if progress == wal_index.progress(self._index):
            self.spoiled = f"the -wal file of {self.named.name} was cut or written over in place by another program"
        return self.spoiled

    def _stamp(self) -> Stamp:
        opened = os.fstat(self._inode)
        return opened.st_mtime_ns, opened.st_size

    def mark_spoiled(self) -> None:
        """Have the next start refuse the file, and say why. Raises OSError."""
        spoiled_mark(self.named.resolve()).write_text(
            f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}: {self.spoiled}\n"
        )

    def save(self) -> Path:
        """Where all that was committed can be found: where the file was moved to, else a copy made now. Call it when
        nothing more is written and the log was folded. Raises StoreError where no copy can be made."""
        if (now := self._moved_to()) is not None:
            return now
        target = self._saved_name()
        copy_from(self._reader, self.named, target)
        return target

    def _moved_to(self) -> Path | None:
        """Where the open file is; None where it has no name any more."""
        now = os.readlink(f"/proc/self/fd/{self._inode}")
        return None if now.endswith(" (deleted)") else Path(now)

    def _saved_name(self) -> Path:
        """A name beside the old place, in its folder, which may be gone too. Raises StoreError."""
        try:
            self.named.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise out_of_reach(self.named, error) from error
        return self.named.with_name(f"{self.named.name}{RESCUED}{time.strftime(STAMP, time.gmtime())}")


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
