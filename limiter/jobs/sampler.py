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
from statistics import fmean

import psutil

from limiter.committer import Committer
from limiter.rules.guards import Readings
from limiter.rules.records import Snapshot
from limiter.rules.refusals import Refusal
from limiter.rules.room import capacity
from limiter.rules.snapshots import TakeSnapshot

PERIOD_SECONDS = 5.0
LEAST_SECONDS = 0.5  # between two readings of CPU time that say a load
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


def cpu_seconds() -> float | None:
    """CPU time of this box's cgroup; None where it cannot be read."""
    try:
        counts = dict(line.split() for line in (CGROUPS[0][0] / "cpu.stat").read_text().splitlines())
        return int(counts["usage_usec"]) / 1e6
    except (OSError, ValueError, KeyError):
        return None


def cores() -> float:
    """Cores that this box may use: those of the machine, or as many as the cgroup's quota is worth."""
    count = float(psutil.cpu_count() or 1)
    try:
        quota, period = (CGROUPS[0][0] / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return count
    return min(count, int(quota) / int(period)) if quota.isdigit() else count


class BoxReader:
    """CPU and RAM in percent of what this box may use: of the cgroup where that is limited, else of the machine. CPU is
    since the call before; None where that is no time ago, and the first time."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self._before: tuple[float, float] | None = None

    def __call__(self) -> tuple[float | None, float]:
        total, used = ram_bytes()
        return self._cpu(), 100 * used / total

    def _cpu(self) -> float | None:
        at, limited = self.monotonic(), cores()
        seconds = None if limited >= (psutil.cpu_count() or 1) else cpu_seconds()
        if seconds is None:
            times = psutil.cpu_times()
            seconds = times.user + times.system + getattr(times, "nice", 0.0)
            seconds += sum(getattr(times, name, 0.0) for name in ("irq", "softirq", "steal"))
        before, self._before = self._before, (at, seconds)
        if before is None or at - before[0] < LEAST_SECONDS:
            return None
        return min(100.0, max(0.0, 100 * (seconds - before[1]) / (at - before[0]) / limited))


@dataclass(slots=True)
class Sampler:
    """Takes snapshots for as long as the limiter runs."""

    committer: Committer
    read: Callable[[], tuple[float | None, float]] = field(default_factory=BoxReader)
    monotonic: Callable[[], float] = time.monotonic
    last: Snapshot | None = None
    taken_at: float = field(default_factory=time.monotonic)
    _recent: deque[tuple[float, float | None, float]] = field(default_factory=lambda: deque(maxlen=60))

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
        committer = self.committer
        undecided = committer.undecided.request(committer.state, committer.busy_since is not None)
        if undecided is not None:  # before the snapshot, which ends the time that they belong to
            committer.submit(undecided)
        snapshot = await committer.submit(TakeSnapshot(cpu, ram, p99, *self.mean(60)))
        if not isinstance(snapshot, Refusal):
            self.last, self.taken_at = snapshot, self.monotonic()

    def mean(self, seconds: float) -> tuple[float | None, float | None]:
        """Means of CPU and RAM over the last seconds; None where nothing was read."""
        since = self.monotonic() - seconds
        loads = [cpu for at, cpu, _ in self._recent if at >= since and cpu is not None]
        rams = [ram for at, _, ram in self._recent if at >= since]
        return fmean(loads) if loads else None, fmean(rams) if rams else None

    def readings(self, *, newest: bool = False) -> Readings:
        """What the guards look at: CPU and RAM as means of a minute, or of the one or two `newest` samples."""
        state, now = self.committer.state, self.committer.clock.now()
        cpu, ram = self.mean(2 * PERIOD_SECONDS if newest else 60)
        (p99,) = self.committer.latency.percentile_ms(0.99)
        tokens = state.window("tokens").used(now // 1000)
        age = self.monotonic() - self.taken_at
        return Readings(cpu, ram, tokens, state.last_token_at, p99, age, capacity(state, now).current)
