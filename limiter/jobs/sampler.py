"""A snapshot every 5 s: bots against the limit in force, CPU, RAM, and what happened since the one before.

Keeps the last five minutes of readings in memory, for guards and advice. Rollups and retention are written in the same
transaction (store/save.py).
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from limiter.committer import Committer
from limiter.rules.guards import Readings
from limiter.rules.records import Snapshot
from limiter.rules.refusals import Refusal
from limiter.rules.snapshots import TakeSnapshot

PERIOD_SECONDS = 5.0
STUCK_SECONDS = 15.0  # one that takes longer is given up, and the loop started again


CGROUPS = (  # limit, use, and the line of memory.stat that counts what can be given up at once; version 2, and 1
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def ram_total_bytes() -> int:
    """The cgroup's limit where there is one below the machine's RAM, else the machine's."""
    return ram_bytes()[0]


def ram_bytes() -> tuple[int, int]:
    """RAM, and what of it is in use and cannot be had: of the cgroup where it has a limit below the machine's RAM (a
    container), else of the machine."""
    machine = psutil.virtual_memory()
    for folder, limit, use, spare in CGROUPS:
        try:
            text = (folder / limit).read_text().strip()
            if not text.isdigit() or int(text) >= machine.total:
                continue
            counts = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return int(text), max(0, int((folder / use).read_text()) - int(counts.get(spare, 0)))
        except (OSError, ValueError):
            continue
    return machine.total, machine.total - machine.available


def cores() -> float:
    """Cores that this box may use: those of the machine, or as many as the cgroup's quota is worth."""
    count = float(psutil.cpu_count() or 1)
    try:
        quota, period = (CGROUPS[0][0] / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return count
    return min(count, int(quota) / int(period)) if quota.isdigit() else count


def read_box() -> tuple[float, float]:
    """CPU and RAM in percent; CPU since the call before."""
    return psutil.cpu_percent(interval=None), psutil.virtual_memory().percent


@dataclass(slots=True)
class Sampler:
    """Takes snapshots for as long as the limiter runs."""

    committer: Committer
    read: Callable[[], tuple[float, float]] = read_box
    monotonic: Callable[[], float] = time.monotonic
    last: Snapshot | None = None
    taken_at: float = field(default_factory=time.monotonic)
    _recent: deque[tuple[float, float, float]] = field(default_factory=lambda: deque(maxlen=60))

    async def run(self) -> None:
        """For ever, every 5 s, without drift."""
        self.read()
        begin = self.monotonic()
        while True:
            async with asyncio.timeout(STUCK_SECONDS):
                await self.sample()
            elapsed = self.monotonic() - begin
            await asyncio.sleep(PERIOD_SECONDS - elapsed % PERIOD_SECONDS)

    async def sample(self) -> None:
        """One snapshot. Where it cannot be written, the next one carries its counts."""
        cpu, ram = self.read()
        self._recent.append((self.monotonic(), cpu, ram))
        (p99,) = self.committer.latency.percentile_ms(0.99)
        snapshot = await self.committer.submit(TakeSnapshot(cpu, ram, p99))
        if not isinstance(snapshot, Refusal):
            self.last, self.taken_at = snapshot, self.monotonic()

    def mean(self, seconds: float) -> tuple[float | None, float | None]:
        """Means of CPU and RAM over the last seconds; None where nothing was read."""
        since = self.monotonic() - seconds
        rows = [(cpu, ram) for at, cpu, ram in self._recent if at >= since]
        if not rows:
            return None, None
        return sum(cpu for cpu, _ in rows) / len(rows), sum(ram for _, ram in rows) / len(rows)

    def readings(self) -> Readings:
        """What the guards look at."""
        state, now = self.committer.state, self.committer.clock.now()
        cpu, ram = self.mean(60)
        (p99,) = self.committer.latency.percentile_ms(0.99)
        tokens = state.window("tokens").used(now // 1000)
        age = self.monotonic() - self.taken_at
        return Readings(cpu, ram, tokens, state.last_token_at, p99, age, state.capacity(now).current)
