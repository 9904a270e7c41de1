"""Before a database is brought to a new schema, a copy of it: whole, checked, on disk, beside it.

Promises: where the copy cannot be made nothing is migrated. Not promised for PostgreSQL, whose backups are made by its
own tools.
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from limiter.store.backup import copy
from limiter.store.location import StoreError, sqlite_path
from limiter.store.schema import MIGRATIONS

log = logging.getLogger("limiter")


def copy_before_migration(url: str) -> Path | None:
    """The copy, where the database's schema is older than this program's; None where nothing is going to change.

    Raises StoreError where it cannot be made: a full disk, a damaged file.
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
        raise StoreError(f"nothing is migrated, for no copy can be kept: {error}") from error
    log.info("copied_before_migration file=%s bytes=%d", made, size)
    return made
