"""The key of a limiter on this machine, for a command that was given none: read where its database's owner may read it.

It is the one that `limiter keys` uses: a running limiter writes it, with its address, into the lock file of its
database. Standard library alone, for SQLAlchemy would take as long as the whole command.
"""

import contextlib
import fcntl
import json
from pathlib import Path
from urllib.parse import urlsplit

from limiter.bilingual import Unreadable
from limiter.database_url import file_of

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def database_file(database_url: str) -> Path | None:
    """The SQLite file; None for anything else."""
    try:
        return file_of(database_url)
    except Unreadable:
        return None


def key_file(database_url: str) -> Path:
    """Where the first start put its key."""
    path = database_file(database_url)
    return (path.parent if path is not None else Path("data")) / "admin.key"


def local_key(database_url: str, url: str) -> str:
    """The key of the limiter that holds that file, if it is the one at `url` and the caller may read it; else empty."""
    path = database_file(database_url)
    if path is None:
        return ""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        real = path.resolve()  # the lock lies beside the real file
        owner = _owner(real.with_name(real.name + ".lock"))
        if _place(str(owner.get("url", ""))) == _place(url):
            return str(owner.get("key", ""))
    return ""


def _owner(lock: Path) -> dict[str, str]:
    with lock.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # somebody holds it, and has written down who
            described: dict[str, str] = json.load(handle)
            return described
    return {}


def _place(url: str) -> tuple[str, int | None]:
    """A key is told to nobody else: scheme, host and port have to be the ones that the limiter itself wrote down."""
    parts = urlsplit(url)
    host = "127.0.0.1" if parts.hostname in LOOPBACK else parts.hostname
    return f"{parts.scheme}://{host}", parts.port
