"""Where things lie: the file behind a database's URL, what is kept beside it, and the room there is."""

from pathlib import Path

import psutil
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

NEITHER = "it is sqlite:///data/limiter.db or postgresql+psycopg://user@host/name"


class StoreError(Exception):
    """The database cannot be used as it is; the text says why and what to do."""


def sqlite_path(url: str) -> Path | None:
    """The file behind a SQLite URL; None for PostgreSQL. Raises StoreError for what is neither."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"LIMITER_DATABASE_URL is not a URL: {NEITHER}") from error
    if parsed.get_backend_name() == "postgresql":
        return None
    if parsed.get_backend_name() != "sqlite":
        raise StoreError(f"LIMITER_DATABASE_URL: {NEITHER}")
    if not parsed.database or parsed.database == ":memory:":
        raise StoreError("the database must be a file: sqlite:///data/limiter.db")
    return Path(parsed.database)


def beside(url: str, name: str) -> Path:
    """A file or folder of that name beside the SQLite file, else (PostgreSQL) in data/."""
    path = sqlite_path(url)
    return (path.parent if path is not None else Path("data")) / name


def key_file(url: str) -> Path:
    """Where the first key is put."""
    return beside(url, "admin.key")


def backup_folder(url: str, chosen: str) -> Path | None:
    """Where backups go, by LIMITER_BACKUP_DIR; None where none are made: that is chosen, or it is PostgreSQL."""
    if chosen == "none" or sqlite_path(url) is None:
        return None
    return Path(chosen) if chosen else beside(url, "backups")


def log_bytes(path: Path) -> int:
    """Bytes of the write-ahead log of a SQLite file. Raises OSError."""
    log = path.with_name(path.name + "-wal")
    return log.stat().st_size if log.exists() else 0


def free_bytes(folder: Path) -> int:
    """Bytes that are free for this process on the disk under the folder. Raises OSError."""
    return int(psutil.disk_usage(str(folder)).free)
