"""Whether anybody writes into a file, as the kernel tells it (inotify): `touch` and `cp -p` move its time stamp too.

Promises: asking waits for no disk, and what was written between two questions is told by the second. Not promised: to
tell `touch -m`, which sets the time of change alone, from a write, for the kernel does not; nor to hear of what is
written through a memory map, or by another kernel, as into a folder that a virtual machine shares with its host.
"""

import ctypes
import logging
import os

IN_MODIFY = 2
EVENT_BYTES = 16  # that of a file itself has no name; equal ones that nobody read yet are one

log = logging.getLogger("limiter")


class WriteWatch:
    """Of an open file, by its descriptor, whatever becomes of its name."""

    def __init__(self, descriptor: int) -> None:
        self._queue: int | None = None
        libc = ctypes.CDLL(None, use_errno=True)
        queue = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if queue >= 0 and libc.inotify_add_watch(queue, f"/proc/self/fd/{descriptor}".encode(), IN_MODIFY) >= 0:
            self._queue = queue
            return
        # Most often fs.inotify.max_user_instances, which all processes of a user share.
        log.warning(
            "writes_not_watched a touch of the database is taken for a write: %s", os.strerror(ctypes.get_errno())
        )
        if queue >= 0:
            os.close(queue)

    def written(self) -> bool:
        """Whether anybody wrote into it, this process too, since it was asked last; always where the kernel did not
        let us watch."""
        if self._queue is None:
            return True
        try:
            return bool(os.read(self._queue, 16 * EVENT_BYTES))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Watch it no more."""
        if self._queue is not None:
            os.close(self._queue)
            self._queue = None
