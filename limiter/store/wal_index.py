"""How far the write-ahead log goes and how much of it lies in the database, as SQLite's connections tell each other.

They do so in the -shm file, whose layout is part of the file format (sqlite.org/walformat.html, "WAL-Index Format").
Promises: it is only read, and what is returned is of one instant. Its descriptor must not be closed while a connection
of this process is open: that would take SQLite's locks on the file with it.
"""

import os
import struct
from typing import NamedTuple

HEADER = struct.Struct("=12xBBHII8x8s8x")  # after the first copy comes a second one
BEGINNING = 2 * HEADER.size + 40  # up to what a checkpoint writes down before and after it moves pages
LOG_HEADER, FRAME_HEADER = 32, 24  # bytes


class Progress(NamedTuple):
    """`salts` name the round of the log, which begins anew once all of it was moved; `frames` are in it, `moved` of
    them in the database too; `moving` is how far a checkpoint wants to come. Pages are of `page` bytes."""

    salts: bytes
    frames: int
    page: int
    moved: int
    moving: int

    @property
    def checkpoint(self) -> tuple[bytes, int, int]:
        """What every checkpoint changes, and the log that begins anew after one."""
        return self.salts, self.moved, self.moving

    @property
    def rests(self) -> bool:
        """Whether no checkpoint is under way, nor one left half done."""
        return self.moved == self.moving

    @property
    def log_bytes(self) -> int:
        """The least that the log's file can have."""
        return LOG_HEADER + self.frames * (FRAME_HEADER + self.page) if self.frames else 0


def progress(index: int) -> Progress | None:
    """What the open -shm file says; None while it is being changed."""
    read = os.pread(index, BEGINNING, 0)
    header = read[: HEADER.size]
    if len(read) < BEGINNING or header != read[HEADER.size : 2 * HEADER.size]:
        return None
    _, _, page, frames, _, salts = HEADER.unpack(header)
    moved, moving = struct.unpack_from("=I28xI", read, 2 * HEADER.size)
    return Progress(salts, frames, 65536 if page == 1 else page, moved, moving)
