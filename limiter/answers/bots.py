"""What bots ask and are answered: start, heartbeat, stop, trades, signals, tokens."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from limiter.answers.capacity import Capacity
from limiter.answers.parts import Count, Identifier, LimitValues, Ok, SessionId

DECIMAL_SCHEMA = {"type": ["number", "string"], "pattern": r"^\d{1,20}(\.\d{1,18})?$", "exclusiveMinimum": 0}
Decimal = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=DECIMAL_SCHEMA)]
MemoryBytes = Annotated[
    int,
    msgspec.Meta(ge=0, le=2**53, description="what the bot's processes hold and nobody shares: Pss_Anon and swap"),
]
CpuSeconds = Annotated[
    float, msgspec.Meta(ge=0, le=10**12, description="CPU time of the bot's processes since the session began")
]

Process = Annotated[
    Identifier, msgspec.Meta(description="identity of the bot's process: pid.start.boot, see limiter/processes.py")
]


class StartBody(Struct):
    user_id: Identifier
    bot_id: Identifier | None = None
    process: Process | None = None
    queue: bool = False
    ticket: Identifier | None = None


class SessionBody(Struct):
    session_id: SessionId


class HeartbeatBody(Struct):
    session_id: SessionId
    memory_bytes: MemoryBytes | None = None
    cpu_seconds: CpuSeconds | None = None
    process: Process | None = None


class Beat(Struct):
    session_id: str  # one that fits no grammar is unknown: it must not harm its neighbours
    memory_bytes: MemoryBytes | None = None
    cpu_seconds: CpuSeconds | None = None
    process: Process | None = None


class HeartbeatsBody(Struct):
    beats: Annotated[list[Beat], msgspec.Meta(min_length=1, max_length=500)]


class RunsOn(Struct):
    """A bot that lost its slot and runs on: its first process, what all of them hold, and since when they run."""

    user_id: Identifier
    bot_id: Identifier
    pid: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    name: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
    age_seconds: Annotated[float, msgspec.Meta(ge=0, le=10**9)]
    memory_bytes: MemoryBytes | None = None


class StrangersBody(Struct):
    """All of that kind that an agent knows; none: there is none any more."""

    host: Identifier
    agent: Annotated[Identifier, msgspec.Meta(description="which of that host; never the same for two")]
    strangers: Annotated[list[RunsOn], msgspec.Meta(max_length=500)]


class TradeBody(Struct):
    session_id: SessionId
    symbol: Identifier
    side: Literal["buy", "sell"]
    quantity: Decimal
    price: Decimal
    trade_id: Identifier | None = None
    closes: bool = False


class SignalsBody(Struct):
    session_id: SessionId
    count: Count = 1


class TokensBody(Struct):
    count: Count = 1
    session_id: Annotated[SessionId, msgspec.Meta(description="whose bot took them, for the figures")] | None = None


class BotSession(Struct, omit_defaults=True):
    session_id: str
    public_id: str
    user_id: str
    bot_id: str
    started_at: str
    lease_expires_at: str
    lease_seconds: int
    heartbeat_seconds: int | float
    ended_at: str | None = None
    ended_reason: str | None = None


class StartAnswer(Ok):
    session: BotSession
    limits: LimitValues
    limits_version: int
    capacity: Capacity


class Notice(Struct):
    """What will end the session, and when; `at` null: a drain that waits for its bots."""

    kind: Literal["stop", "drain"]
    at: str | None
    reason: str


class HeartbeatAnswer(Ok):
    session: BotSession
    limits: LimitValues
    limits_version: int
    notice: Notice | None


class BeatResult(Struct, omit_defaults=True):
    """Renewed: `lease_expires_at` and `notice`. Not: `reason`, and how an ended session ended."""

    ok: bool
    lease_expires_at: str | UnsetType = UNSET
    notice: Notice | UnsetType | None = UNSET
    reason: Literal["session_ended", "session_unknown"] | UnsetType = UNSET
    ended_at: str | UnsetType = UNSET
    ended_reason: str | UnsetType = UNSET


class HeartbeatsAnswer(Ok):
    results: list[BeatResult]
    limits: LimitValues
    limits_version: int
    heartbeat_seconds: int | float


class StrangersAnswer(Ok):
    tell_again_seconds: float


class StopAnswer(Ok):
    session: BotSession


class Trade(Struct):
    trade_id: str
    symbol: str
    side: str
    quantity: str
    price: str
    closes: bool
    at: str


class TradeAnswer(Ok):
    trade: Trade
    trades_today: int
    trades_left: int
    limit: int
    resets_at: str


class UseAnswer(Ok):
    used: int
    limit: int | None
    left: int | None
