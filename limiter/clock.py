"""Now, which no step of the wall clock moves, and instants as texts."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


def rfc3339(at: int) -> str:
    """An instant (UTC ms) as RFC 3339 in UTC, with milliseconds and Z."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class Clock:
    """UTC milliseconds that no step of the wall clock moves: the wall clock at the start, and monotonic time since."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._began, self._offset = monotonic(), wall()
        self._ahead = 0.0  # of the wall clock, in seconds

    def now(self) -> int:
        """This instant."""
        return int((self._offset + self._ahead + self._monotonic() - self._began) * 1000)

    def follow(self, now: int) -> None:
        """Be at this instant of another clock, as from here on."""
        self._ahead += (now - self.now()) / 1000

    def step_seconds(self) -> float:
        """How far the wall clock was moved since the start."""
        return self._wall() - (self._offset + self._monotonic() - self._began)
