"""What this process costs its machine, told with the beats of a session: memory that nobody shares, CPU seconds.

Promises: nothing is told before there is something to tell (a bot is importing for its first minute), where the kernel
does not say it (Linux alone does), or where several sessions live in this process: nobody knows whose is what.
Does not promise: what the bot's child processes cost. `python -m limiter run` measures those too.
"""

import time
from pathlib import Path
from typing import ClassVar

from limiter.processes import MEASURED_AFTER_SECONDS, MEASURED_EVERY_SECONDS, unshared_bytes

ROLLUP = Path("/proc/self/smaps_rollup")


class OwnCost:
    """The figures of one session, from `begin` to `end`."""

    _open: ClassVar[set["OwnCost"]] = set()

    def __init__(self) -> None:
        self._cpu_before = self._due_at = 0.0

    def begin(self, now: float) -> None:
        """The session holds its slot from now on, in monotonic seconds."""
        self._open.add(self)
        self._cpu_before, self._due_at = time.process_time(), now + MEASURED_AFTER_SECONDS

    def end(self) -> None:
        """The session is over."""
        self._open.discard(self)

    def figures(self, now: float) -> dict[str, int | float]:
        """`memory_bytes` and `cpu_seconds` where they are due and known, else nothing."""
        if now < self._due_at or self._open != {self}:
            return {}
        self._due_at = now + MEASURED_EVERY_SECONDS  # a reading takes 1 to 4 ms of a bot of 100 MB
        try:
            memory = unshared_bytes(ROLLUP.read_bytes())
        except OSError:
            return {}
        cpu_seconds = round(time.process_time() - self._cpu_before, 3)
        return {"cpu_seconds": cpu_seconds} | ({} if memory is None else {"memory_bytes": memory})
