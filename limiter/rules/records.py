"""The values that rules make and the store keeps: sessions, trades, refusals, versions, snapshots, a batch's changes.

All instants are UTC milliseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal, NamedTuple

from msgspec import Struct

from limiter.rules.guards import Guard
from limiter.system_limits import Value
from limiter.units import MINUTE_MS

Scope = Literal["bots", "admin:read", "admin:write"]
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


class Session(Struct, eq=False):
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
    facts: "Facts"
    memory_bytes: int | None = None
    memory_peak: int | None = None
    cpu_seconds: float | None = None
    measured_at: int | None = None
    cpu_readings: list[tuple[int, float]] = []
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
        """Whether two heartbeats were missed."""
        return now - self.last_heartbeat_at > 2 * self.lease_ms // 3

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
        readings = self.cpu_readings
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
        self.cpu_seconds = cpu_seconds


class Facts(Struct, frozen=True):
    """What a start was decided on: slots taken and how many it could be one of (the limit, less what is kept from this
    user), the same of the user, and the version."""

    active: int
    max_bots: int
    user_active: int
    user_max: int
    version: int


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


@dataclass(frozen=True, slots=True)
class Trade:
    """A counted trade. `quantity` and `price` are the exact text that was sent."""

    trade_id: str
    user_id: str
    number: int
    symbol: str
    side: str
    quantity: str
    price: str
    closes: bool
    at: int
    day: str


class RefusalRecord(Struct, frozen=True):
    """A refusal as it is kept: which limit, its value, the count it was compared with, the version. None: no limit."""

    request_id: str
    at: int
    user_id: str | None
    bot_id: str | None
    reason: str
    limit: str | None
    value: Value
    count: int | None
    version: int
    facts: Facts | None


class KeptRefusal(Struct, frozen=True):
    """A refusal as its row has it: the row's number, and how many it stands for. `more`: it is no row of its own, but
    the latest that goes into a row which is there already, `repeats` of them."""

    number: int
    refusal: RefusalRecord
    repeats: int
    more: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """One change of the limits: who, when, why, what; `in_force` holds every (value, source) after it."""

    version: int
    at: int
    actor: str
    kind: str
    reason: str
    user_id: str | None
    changed: tuple[tuple[str, Value, Value], ...]
    in_force: Mapping[str, tuple[Value, str]]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the launch plan: at this instant, so many bots; the guards that hold it back where it is held.
    `confirm_within`: seconds in which somebody has to confirm it once it is applied; None: it needs nobody."""

    at: int
    max_bots: int
    status: Literal["planned", "applied", "held"] = "planned"
    applied_at: int | None = None
    held_by: tuple[Guard, ...] = ()
    confirm_within: int | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What a person did: actor (key id), action, its object, details, reason."""

    at: int
    actor: str
    action: str
    target: str
    reason: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slice:
    """What happened in the 5 s from `at` on, as far as no snapshot said it before.

    `low` and `high` are the fewest and most slots taken, `peak_at` the last time they were as many as `high`, `limit`
    the one at the end, `status_ms` the milliseconds spent LOW, HEALTHY, WARNING and FULL; `counts`: how often what.
    """

    at: int
    low: int
    high: int
    peak_at: int
    limit: int
    status_ms: tuple[int, int, int, int]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One instant. `tokens` to `refusals` count since the snapshot before; CPU and RAM are None where not read.

    `slices` say in which seconds all of that was.
    """

    at: int
    bots: int
    suspects: int
    limit: int
    cpu_percent: float | None
    ram_percent: float | None
    p99_ms: float | None
    tokens: int
    signals: int
    trades: int
    starts: int
    ended: int
    costs: Costs
    refusals: Mapping[str, int]
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: never its secret."""

    id: str
    name: str
    scope: Scope
    digest: str
    created_at: int
    revoked_at: int | None = None

    @property
    def actor(self) -> str:
        """How histories name who used it."""
        return f"{self.name}#{self.id}" if self.name else self.id

    def carries(self, scope: str) -> bool:
        """Whether it gives this scope; `any` is bots or admin:read."""
        return self.scope in ("admin:write", scope) or scope == "any"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One upward step of an incident: when, to which level, with how many bots against which limit."""

    at: int
    level: str
    bots: int
    limit: int


@dataclass(frozen=True, slots=True)
class Incident:
    """From the first crossing until all is well again. `rank` counts the levels that are open now: 0 once resolved.

    `facts` fill the sentence of the last crossing's level (rules/incidents.py); `message` is that sentence itself, of
    an incident from before facts were kept. `peak` is the most bots at once, `peak_limit` the limit at that instant;
    `refusals` counts by reason.
    """

    number: int
    kind: str
    rank: int
    facts: Mapping[str, Any]
    opened_at: int
    crossings: tuple[Crossing, ...]
    peak: int
    peak_limit: int
    refusals: Mapping[str, int] = field(default_factory=dict)
    resolved_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    acknowledged_reason: str | None = None
    message: str = ""

    @property
    def status(self) -> Literal["open", "acknowledged", "resolved"]:
        """Where it stands."""
        if self.resolved_at is not None:
            return "resolved"
        return "open" if self.acknowledged_at is None else "acknowledged"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one channel; `answer` is what the last try brought. A test belongs to no incident."""

    number: int
    incident: int | None
    at: int
    level: str
    title: str
    body: str
    channel: str
    state: Literal["pending", "sent", "failed"]
    tries: int
    answer: str | None
    tried_at: int | None
    next_try_at: int | None


@dataclass(frozen=True, slots=True)
class Channel:
    """How an alert channel fares: tries that failed in a row, the last answer, its last try, when it last worked."""

    failures: int = 0
    answer: str | None = None
    tried_at: int | None = None
    sent_at: int | None = None


@dataclass(slots=True)
class Changes:
    """What a batch changed, in the order it did; the store writes each list as a set."""

    started: list[Session] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    notices: dict[int, Session] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    trade_days: dict[tuple[str, str], int] = field(default_factory=dict)
    seconds: dict[tuple[str, str, int], int] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    rows: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    tickets: dict[str, bool] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    deliveries: dict[int, Delivery] = field(default_factory=dict)
    plan: bool = False
    schedule: bool = False
    pause: bool = False
    drain: bool = False
    flush: bool = False
    probe: bool = False
    recount: bool = False
    trim: int = 0

    def __bool__(self) -> bool:
        """Whether anything has to be durable before the answers go out."""
        return any(_all_changes(self))


_all_changes = attrgetter(*(one.name for one in fields(Changes)))
