"""The room that the database takes and has."""

import os
from pathlib import Path


def sizes(path: Path) -> tuple[int, int]:
    """Bytes of the write-ahead log, and bytes free under the database."""
    wal = path.with_name(path.name + "-wal")
    room = os.statvfs(path.parent)
    return wal.stat().st_size if wal.exists() else 0, room.f_bavail * room.f_frsize
