"""Paces many starts within seconds, as after a reboot: 50 bots that each need 2.4 s of CPU to come up would keep two
cores busy for longer than a lease, with none of them trading.

The first ten go at once. From there on one goes when fewer than `busy_at_once` of those before it are at work. So no
core is idle for it, cheap bots pass as fast as they come up, and a bot that goes on working counts for half a minute.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable

FREE = 10
WITHIN_SECONDS = 10.0
LOOK_SECONDS = 0.03
BUSY_SHARE = 0.25  # of a core
LONGEST_SECONDS = 30.0


class Pacing:
    """Who may go now."""

    def __init__(self, busy_at_once: int | None = None) -> None:
        self.busy_at_once = busy_at_once or max(4, 2 * (os.cpu_count() or 1))
        self.waiting = 0
        self._gone = deque[float]()
        self._held_up = False
        """Whether there were too many at once, and somebody still waits: slow bots go no faster for being slow."""
        self._starting = dict[Callable[[], float], tuple[float, float, float]]()
        """By what tells a bot's CPU seconds: when it went, when that was last asked, and the answer."""
        self._turn = asyncio.Lock()

    async def turn(self, cpu_seconds: Callable[[], float]) -> None:
        """Returns when this bot may go. `cpu_seconds` tells what its processes have used so far."""
        clock = asyncio.get_running_loop().time
        self.waiting += 1
        try:
            async with self._turn:
                while self._gone and clock() - self._gone[0] > WITHIN_SECONDS:
                    self._gone.popleft()
                self._held_up |= len(self._gone) >= FREE
                if self._held_up:
                    while self._busy(clock()) >= self.busy_at_once:
                        await asyncio.sleep(LOOK_SECONDS)
                self._gone.append(clock())
                self._starting[cpu_seconds] = (clock(), clock(), cpu_seconds())
                self._held_up &= self.waiting > 1
        finally:
            self.waiting -= 1

    def _busy(self, now: float) -> int:
        """How many of those that went are at work; one that went a moment ago counts."""
        busy = 0
        for cpu_seconds, (went, asked, before) in list(self._starting.items()):
            if now - went > LONGEST_SECONDS:
                del self._starting[cpu_seconds]
            elif now - asked < LOOK_SECONDS / 2:
                busy += 1
            else:
                used = cpu_seconds()
                busy += used - before > BUSY_SHARE * (now - asked)
                self._starting[cpu_seconds] = (went, now, used)
        return busy
