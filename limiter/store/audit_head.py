"""Where the audit ends, kept in a file outside of the database: who cuts its newest rows off is noticed.

The chain of hashes shows a row that was changed or taken out between others; of rows that are gone from its end it says
nothing. So the number and the hash of the newest row stand in a file beside the database (PostgreSQL: in data/, on each
host), and in the log.

Promises: what was acknowledged is in the file, for it is written between the commit and the answer; it is whole or as
it was. A kill between the two leaves it behind the database, which is no alarm. While the database lacks the row that
the file names, the file stays as it is, whatever is written later, until a person says why (`limiter check --accept`)
or restores a backup.
Not promised: that who may write the file too is found out; a copy of the log elsewhere tells then.
"""

import fcntl
import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.engine import make_url

from limiter.rules.words import Words
from limiter.store import schema
from limiter.store.backup import sync
from limiter.store.location import StoreError, beside, sqlite_path
from limiter.store.rows import link

LOCK_SECONDS = 1.0
ACCEPTED, BEGUN, RESTORED = "audit_accepted", "audit_head", "restore"  # actions in the audit itself
COLUMNS = schema.audit.c

log = logging.getLogger("limiter")


class End(msgspec.Struct, frozen=True):
    """The newest row of an audit: its number and hash. `then` is what comes in its place while a backup is restored."""

    row: int
    hash: str
    then: "End | None" = None


@dataclass(frozen=True, slots=True)
class Gap:
    """The audit has not the row that the file says was its newest, or nobody can say."""

    sentence: Words


def head_of(url: str) -> "AuditHead":
    """The file of the database behind the URL."""
    path = sqlite_path(url)
    name = path.name if path is not None else make_url(url).database
    return AuditHead(beside(url, f"{name}.audit-head"))


class AuditHead:
    """The file. `failure`: why it is behind the database, where it could not be written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failure: str | None = None

    def read(self) -> End | None:
        """What it says; None where there is none. Raises StoreError where it cannot be read."""
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=End)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise StoreError(
                fr=f"{self.path} est illisible ({error}) : vois docs/operating.md",
                en=f"{self.path} cannot be read ({error}): see docs/operating.md",
            ) from error

    def is_new(self) -> bool:
        """Whether there is none yet."""
        return not self.path.exists()

    def gap(self, connection: Connection) -> Gap | None:
        """What the audit lacks of what the file says; None where nothing. It is read before the audit, so that what
        is written meanwhile is in both or in the audit alone: `connection` must not have begun to read."""
        try:
            known = self.read()
        except StoreError:
            unread = Words("le fichier qui garde sa fin est illisible", "the file that keeps its end cannot be read")
            return Gap(unread)  # who asks for health reads this: no path
        if known is None or _has(connection, known) or (known.then is not None and _has(connection, known.then)):
            return None
        last = end_of(connection).row
        if last >= known.row:
            return Gap(
                Words(
                    f"la ligne {known.row} n'est pas celle qui fut écrite : des lignes ont été coupées ou changées",
                    f"row {known.row} is not the one that was written: rows were cut off or changed",
                )
            )
        several, first = last + 1 < known.row, last + 1
        lignes = f"les lignes {first} à {known.row} manquent" if several else f"la ligne {known.row} manque"
        rows = f"rows {first} to {known.row} are" if several else f"row {known.row} is"
        return Gap(
            Words(
                f"{lignes} à la fin : coupées, ou une copie plus ancienne a été mise en place à la main",
                f"{rows} missing at the end: cut off, or an older copy was put in place by hand",
            )
        )

    def keep(self, end: End, *, force: bool = False) -> None:
        """Write it, durably and at once, unless it is ahead already. One writer at a time, of whatever process; one
        that stands still with the folder locked holds a batch up for a second, and the next ones not at all."""
        try:
            with self._alone():
                known = None if force else self.read()
                if known is None or known.then is not None or known.row < end.row:
                    self._write(end)
        except (OSError, StoreError) as error:  # the rows are durable, and jobs/audit_watch.py tries again
            self.failure = str(error)
            log.error("audit_head_not_written row=%d error=%s", end.row, error)
        else:
            self.failure = None

    def follow(self, connection: Connection) -> Gap | None:
        """Go on to where the audit ends, if it has what the file says; else what it lacks."""
        found = self.gap(connection)
        if found is None and (last := end_of(connection)).row:
            self.keep(last)
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder, until = os.open(self.path.parent, os.O_RDONLY), time.monotonic() + (0 if self.failure else LOCK_SECONDS)
        try:
            while True:
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= until:
                        raise TimeoutError(f"another process holds {self.path.parent} locked") from error
                    time.sleep(0.005)
            yield
        finally:
            os.close(folder)

    def _write(self, end: End) -> None:
        fresh = self.path.with_name(self.path.name + ".partial")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(end) + b"\n")
            file.flush()
            os.fsync(handle)
            if os.geteuid() == 0:  # a command of root leaves it to the limiter
                of = self.path.parent.stat()
                os.fchown(handle, of.st_uid, of.st_gid)
        fresh.replace(self.path)
        sync(self.path.parent)
        log.info("audit_head row=%d hash=%s", end.row, end.hash)


def end_of(connection: Connection) -> End:
    """The newest row that the audit has; row 0 where it has none."""
    last = connection.execute(select(COLUMNS.id, COLUMNS.hash).order_by(COLUMNS.id.desc()).limit(1)).first()
    return End(*last) if last else End(0, "")


def _has(connection: Connection, end: End) -> bool:
    return bool(connection.execute(select(COLUMNS.hash).where(COLUMNS.id == end.row)).scalar() == end.hash)


def broken_at(connection: Connection) -> Words | None:
    """What is wrong with the chain itself: the first row that does not follow from the one before it."""
    head, number = "", 0
    for row in connection.execute(select(schema.audit).order_by(COLUMNS.id)):
        *columns, hash_ = row
        if row.id != number + 1:
            return Words(
                f"la ligne {row.id} ne suit pas la ligne {number} : des lignes entre elles ont été retirées",
                f"row {row.id} does not follow row {number}: rows between them were taken out",
            )
        head, number = link(head, tuple(columns)), row.id
        if head != hash_:
            return Words(
                f"la ligne {row.id} ou celle d'avant a été changée", f"row {row.id} or the one before it was changed"
            )
    return None


def restore_into(copy: Path, kept: AuditHead, actor: str, source: Path) -> End:
    """Write into a backup that is about to take a database's place that it does, and where the audit of that one ended;
    the end of the audit then. The file says both ends until `keep` is told that it is in place."""
    was = kept.read()
    with closing(sqlite3.connect(copy, isolation_level=None)) as file:
        last = file.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone() or (0, "")
        before = {"row": was.row, "hash": was.hash} if was is not None else None
        detail = json.dumps({"file": source.name, "head": before}, separators=(",", ":"))
        row = (last[0] + 1, int(time.time() * 1000), actor, RESTORED, source.name, "", detail)
        end = End(row[0], link(last[1], row))
        file.execute("PRAGMA synchronous=FULL")
        file.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, end.hash))
    if was is not None:
        kept.keep(End(was.row, was.hash, end), force=True)
        if kept.failure is not None:
            raise StoreError(
                fr=f"{kept.path} ne peut être écrit ({kept.failure})",
                en=f"{kept.path} cannot be written ({kept.failure})",
            )
    return end
