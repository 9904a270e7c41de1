"""A session, what its start was decided on, what its bot costs, and how it ends. Instants are UTC milliseconds."""

from dataclasses import dataclass
from typing import NamedTuple

from msgspec import Struct

from limiter.units import MINUTE_MS

CPU_SPAN_MS = MINUTE_MS  # `Session.cpu_percent` is of the last minute,
CPU_GAP_MS = 2_000  # from readings at least this far apart, so that a bot that beats without end has few kept
START_LEAST_MS, START_MOST_MS = 45_000, 180_000  # a first reading at this age tells what the start cost


class Notice(NamedTuple):
    """What will end a session: the instant (UTC ms), and why."""

    at: int
    reason: str


class Drain(NamedTuple):
    """An operator empties the limiter: since when, when those left are ended (UTC ms; None: nobody is), and why."""

    since: int
    stop_at: int | None
    reason: str


class Facts(Struct, frozen=True):
    """What a start was decided on: slots taken and how many it could be one of (the limit, less what is kept from this
    user), the same of the user, and the version."""

    active: int
    max_bots: int
    user_active: int
    user_max: int
    version: int


class Session(Struct, eq=False, gc=False):  # nothing that it holds points back: no cycle
    """One bot's stay. `asked_bot` is the bot_id as asked for: None where a new one was made up.

    `facts` is what the start was decided on (see `Facts`): the replay decides it again under other limits.
    `memory_bytes`, its highest `memory_peak` and `cpu_seconds` (since the session began) are what heartbeats said that
    the bot costs, `measured_at` when the last of them did; None where none has. `cpu_readings` are the (instant, CPU
    seconds) of the last minute, oldest first; `start_cpu_seconds` is what the first of them said of a young bot.
    `process` is the identity of the bot's process where it told (limiter/processes.py). These two live in memory alone.
    `notice` is the stop that an operator has announced, `used_at` its last trade, signal or token (None: none yet).
    """

    number: int
    secret: str
    user_id: str
    bot_id: str
    asked_bot: str | None
    idempotency_key: str | None
    started_at: int
    lease_ms: int
    last_heartbeat_at: int
    expires_at: int
    facts: Facts
    memory_bytes: int | None = None
    memory_peak: int | None = None
    cpu_seconds: float | None = None
    measured_at: int | None = None
    cpu_readings: tuple[tuple[int, float], ...] = ()  # no list for each of those that never say
    start_cpu_seconds: float | None = None
    process: str | None = None
    notice: Notice | None = None
    used_at: int | None = None

    @property
    def public_id(self) -> str:
        """The name that may be shown."""
        return f"s{self.number}"

    @property
    def session_id(self) -> str:
        """The secret that the bot alone knows: it contains at least 128 random bits."""
        return f"s{self.number}.{self.secret}"

    @property
    def ends_at(self) -> int:
        """When it ends if nothing is heard of it any more: with its lease, or before, with its notice."""
        notice = self.notice
        return self.expires_at if notice is None or notice.at > self.expires_at else notice.at

    def suspect(self, now: int) -> bool:
        """Whether two heartbeats were missed since its lease was new: with its last one, or after a restart."""
        return now - (self.expires_at - self.lease_ms) > 2 * self.lease_ms // 3

    @property
    def cpu_percent(self) -> float | None:
        """Percent of one core over the last minute; None before there are two readings far enough apart."""
        if not self.cpu_readings:
            return None
        (begin, first), (end, last) = self.cpu_readings[0], self.cpu_readings[-1]
        return (last - first) * 100_000 / (end - begin) if end - begin >= CPU_GAP_MS else None

    def measure(self, at: int, memory_bytes: int | None, cpu_seconds: float | None) -> None:
        """Keep what a heartbeat said of the bot's memory and CPU time; None: it said nothing of it."""
        self.measured_at = at
        if memory_bytes is not None:
            self.memory_bytes = memory_bytes
            if self.memory_peak is None or memory_bytes > self.memory_peak:
                self.memory_peak = memory_bytes
        if cpu_seconds is None:
            return
        readings = list(self.cpu_readings)
        if self.cpu_seconds is None and START_LEAST_MS <= at - self.started_at <= START_MOST_MS:
            self.start_cpu_seconds = cpu_seconds
        if readings and cpu_seconds < readings[-1][1]:
            readings.clear()  # who measures has begun to count anew
        if len(readings) > 1 and readings[-1][0] - readings[-2][0] < CPU_GAP_MS:
            readings[-1] = at, cpu_seconds
        else:
            readings.append((at, cpu_seconds))
        while len(readings) > 2 and readings[1][0] <= at - CPU_SPAN_MS:
            del readings[0]
        self.cpu_readings, self.cpu_seconds = tuple(readings), cpu_seconds


class Costs(NamedTuple):
    """What measured bots cost together: how many say their memory, and its bytes; how many have a load, and the sum of
    its percents of one core."""

    memory_n: int
    memory_bytes: int
    cpu_n: int
    cpu_percent: float


@dataclass(frozen=True, slots=True)
class Ended:
    """How and when a session ended."""

    session: Session
    at: int
    reason: str
