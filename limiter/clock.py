"""Now, in which no lease notices a step of the wall clock, and instants as texts."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


def rfc3339(at: int) -> str:
    """An instant (UTC ms) as RFC 3339 in UTC, with milliseconds and Z."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


STEP_SECONDS = 1.0  # less is no step: it is what two readings are apart
SETTLE_SECONDS = 20.0  # so long the wall clock stands elsewhere before it is followed: it may be wrong for a moment
TOLD_SECONDS = 600.0  # a step that was followed is told for so long


class Clock:
    """UTC milliseconds that go on with monotonic time, and follow the wall clock where that was moved: with `step`,
    and not before it has settled. Whoever counts a duration in it has to move with the step too (clock_step.py)."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._monotonic = wall, monotonic
        self._began, self._offset = monotonic(), wall()
        self._ahead = 0.0  # of the wall clock, in seconds: another clock is followed
        self._seen: tuple[float, float] | None = None  # since when the wall clock stands elsewhere, and how far
        self._last: tuple[float, float] | None = None  # when a step was followed, and how far it went

    def now(self) -> int:
        """This instant."""
        return int((self._offset + self._ahead + self._monotonic() - self._began) * 1000)

    def follow(self, now: int) -> None:
        """Be at this instant of another clock, as from here on."""
        self._ahead += (now - self.now()) / 1000

    def step(self) -> int:
        """Follow the wall clock where it was moved and has settled; by how many ms, 0 where it was not."""
        at, off = self._monotonic(), self._off()
        if abs(off) < STEP_SECONDS:
            self._seen = None
            return 0
        if self._seen is None or abs(self._seen[1] - off) >= STEP_SECONDS:
            self._seen = at, off
        if at - self._seen[0] < SETTLE_SECONDS:
            return 0
        before = self.now()
        self._offset += off
        self._seen, self._last = None, (at, off)
        return self.now() - before

    def step_seconds(self) -> float:
        """How far the wall clock stands from this one, or was moved in the last minutes."""
        off = self._off()
        if abs(off) < STEP_SECONDS and self._last is not None and self._monotonic() - self._last[0] < TOLD_SECONDS:
            return self._last[1]
        return off

    def _off(self) -> float:
        return self._wall() - (self._offset + self._monotonic() - self._began)
