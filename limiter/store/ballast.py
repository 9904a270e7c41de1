"""Room set aside on the disk, to be given up when the disk is full: then ends, and what operators do, can still be
written while nothing new is admitted.

Promises: the room is taken while the disk has it, and put back when it is there again. Not promised: that no other
program takes the room that was given up; where one does, nothing can be written until somebody makes room.
"""

from pathlib import Path

from limiter.store.location import free_bytes

MOST = 16 * 1024**2
SHARE = 4  # at most a quarter of what is free: a small disk is for the database
START_BYTES = 1024**2  # with less, opening the database may fail already


class Ballast:
    """The file beside the database that takes the room. `given_up`: the disk was full, and has not had room since."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".ballast")
        self.given_up = False
        self._size = 0

    def take(self) -> None:
        """At the start, before the database is opened, which needs room itself."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.exists():
            self._size = self.path.stat().st_size
        if self._free() < START_BYTES:
            self.give_up()
        elif not self._size:
            self._allocate()

    def give_up(self) -> None:
        """Make room on the disk."""
        self.path.unlink(missing_ok=True)
        self.given_up = True

    def put_back(self) -> bool:
        """Take the room again where the disk has twice as much, so that it is not full again at once."""
        if self._free() < max(2 * self._size, START_BYTES) or not self._allocate():
            return False
        self.given_up = False
        return True

    def _free(self) -> int:
        return free_bytes(self.path.parent)

    def _allocate(self) -> bool:
        size = max(self._size, min(MOST, self._free() // SHARE))
        try:
            self.path.touch(mode=0o600)
            self.path.write_bytes(bytes(size))  # a hole, or posix_fallocate, which not every system has, is no room
        except OSError:
            self.path.unlink(missing_ok=True)
            return False
        self._size = size
        return True
