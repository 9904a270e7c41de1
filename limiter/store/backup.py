"""A copy of a SQLite database in one file: one snapshot of it, compact, checked, on disk, and only then named.

Promises: the source is only read and its writer is not held up; `target` is whole or not there, and for its owner's
eyes alone. Not promised: what was committed after the copy began.
"""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from limiter.store.location import StoreError, sqlite_path
from limiter.store.migrations import MIGRATIONS
from limiter.store.schema import APPLICATION_ID

log = logging.getLogger("limiter")
STEPS = 100_000  # of SQLite's virtual machine, some milliseconds, between two looks at whether to go on


def copy(source: Path, target: Path, stopped: Callable[[], bool] = lambda: False) -> int:
    """Copy by `VACUUM INTO`; the bytes of the copy. `stopped` is asked again and again, and ends it when true.

    Raises StoreError where the source is not a sound database of ours, the disk is full, or it was stopped.
    """
    if not source.exists():
        raise StoreError(fr=f"{source} n'existe pas", en=f"{source} does not exist")
    try:
        with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return copy_from(connection, source, target, stopped)
    except sqlite3.Error as error:
        raise StoreError(fr=f"{source} : {error}", en=f"{source}: {error}") from error


def copy_from(
    connection: sqlite3.Connection, source: Path, target: Path, stopped: Callable[[], bool] = lambda: False
) -> int:
    """As `copy`, by a connection that is open on `source`, whose name may be gone."""
    partial = target.with_name(target.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)  # VACUUM INTO takes an empty file as it is

        def flush() -> bool:
            """Bit by bit: 138 MB at once, at the end, held the writer's own sync up for 100 ms; so it is 6 at most."""
            os.fsync(handle)
            return stopped()

        try:
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                raise StoreError(
                    fr=f"{source} n'est pas une base du limiteur", en=f"{source} is not a database of the limiter"
                )
            if not connection.execute("PRAGMA auto_vacuum").fetchone()[0]:  # of an earlier program: its copy can shrink
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.set_progress_handler(flush, STEPS)
            connection.execute("VACUUM INTO ?", (str(partial),))
        finally:
            connection.set_progress_handler(None, 0)
            os.close(handle)
        with closing(sqlite3.connect(f"{partial.resolve().as_uri()}?mode=ro", uri=True)) as made:
            made.set_progress_handler(stopped, STEPS)
            problem = made.execute("PRAGMA quick_check(1)").fetchone()[0]
            version = made.execute("PRAGMA user_version").fetchone()[0]
        if problem != "ok" or not 1 <= version <= len(MIGRATIONS):
            raise StoreError(
                fr=f"{source} : la copie n'est pas saine ({problem}, schéma {version})",
                en=f"{source}: the copy is not sound ({problem}, schema {version})",
            )
        sync(partial)
        partial.rename(target)
        sync(target.parent)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(fr=f"{source} : {error}", en=f"{source}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return target.stat().st_size


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on disk before going on."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy_before_migration(url: str) -> Path | None:
    """A copy beside the database whose schema is older than this program's; None where nothing is going to change.

    Raises StoreError where it cannot be made (full disk, damaged file): then nothing is migrated. Not for PostgreSQL,
    whose backups are made by its own tools.
    """
    path = sqlite_path(url)
    if path is None or not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error:
        return None  # opening it will say what is wrong
    if not 0 < version < len(MIGRATIONS):
        return None
    made = path.with_name(f"{path.name}.schema-{version}")
    try:
        size = copy(path, made)
    except StoreError as error:
        raise StoreError(
            fr=f"rien n'est migré, car aucune copie ne peut être gardée : {error.fr}",
            en=f"nothing is migrated, for no copy can be kept: {error.en}",
        ) from error
    log.info("copied_before_migration file=%s bytes=%d", made, size)
    return made
