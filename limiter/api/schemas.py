"""The bodies that come in and the objects that go out, as types: wire checks with them, OpenAPI derives from them."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from limiter.api.wire import Count, Identifier, Reason
from limiter.system_limits import CATALOGUE, Value

Struct = msgspec.Struct
Text500 = Reason
DECIMAL_SCHEMA = {"type": ["number", "string"], "pattern": r"^\d{1,20}(\.\d{1,18})?$", "exclusiveMinimum": 0}
Decimal = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=DECIMAL_SCHEMA)]
SessionId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
MemoryBytes = Annotated[
    int,
    msgspec.Meta(ge=0, le=2**53, description="what the bot's processes hold and nobody shares: Pss_Anon and swap"),
]
CpuSeconds = Annotated[
    float, msgspec.Meta(ge=0, le=10**12, description="CPU time of the bot's processes since the session began")
]
Wanted = Annotated[
    Any, msgspec.Meta(description="a number or one of the table's spellings; null takes the live change back")
]
Changes = Annotated[
    dict[str, Wanted], msgspec.Meta(extra_json_schema={"propertyNames": {"enum": [one.name for one in CATALOGUE]}})
]


# -- in


class StartBody(Struct):
    user_id: Identifier
    bot_id: Identifier | None = None


class SessionBody(Struct):
    session_id: SessionId


class HeartbeatBody(Struct):
    session_id: SessionId
    memory_bytes: MemoryBytes | None = None
    cpu_seconds: CpuSeconds | None = None


class Beat(Struct):
    session_id: str  # one that fits no grammar is unknown: it must not harm its neighbours
    memory_bytes: MemoryBytes | None = None
    cpu_seconds: CpuSeconds | None = None


class HeartbeatsBody(Struct):
    beats: Annotated[list[Beat], msgspec.Meta(min_length=1, max_length=500)]


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


class ReasonBody(Struct):
    reason: Reason


class ChangeBody(Struct):
    changes: Changes
    reason: Reason
    version: Annotated[int, msgspec.Meta(ge=0)] | None = None
    override_guard: bool = False


class PreviewBody(Struct):
    changes: Changes


class RollbackBody(Struct):
    version: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    reason: Reason
    override_guard: bool = False


class OverrideBody(Struct):
    limits: Changes
    reason: Reason
    until: str | None = None


class NoteBody(Struct):
    text: Reason
    at: str | None = None


class WantedStep(Struct, rename={"max_bots": "MAX_CONCURRENT_BOTS"}):
    at: str
    max_bots: Annotated[Any, msgspec.Meta(description="a number", extra_json_schema={"not": {"type": "null"}})]


class PlanBody(Struct):
    steps: Annotated[list[WantedStep], msgspec.Meta(max_length=100)]
    reason: Reason


class AcknowledgeBody(Struct):
    reason: Reason | None = None


class KeyBody(Struct):
    scope: Literal["bots", "admin:read", "admin:write"]
    name: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[\w .:@/-]*$")] = ""


# -- out


class Ok(Struct):
    """A 2xx answer; wire.ok puts `"success": true` before its fields."""


class Capacity(Struct):
    current_bots: int
    max_bots: int
    percent_used: float
    available_slots: int
    status: Literal["LOW", "HEALTHY", "WARNING", "FULL"]
    can_accept_new: bool


LimitValues = dict[str, int | float | None]


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
    """What will end the session, and when."""

    kind: Literal["stop", "drain"]
    at: str
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


class Use(Struct):
    used: int
    limit: int | None
    left: int | None


class UseAnswer(Ok):
    used: int
    limit: int | None
    left: int | None


class LimitsAnswer(Ok):
    limits: LimitValues
    limits_version: int


class UsageAnswer(Ok):
    bots: Use
    trades: Use
    signals: Use


class CapacityAnswer(Ok):
    capacity: Capacity


class AdminSession(Struct):
    public_id: str
    user_id: str
    bot_id: str
    status: Literal["active", "suspect", "ended"]
    started_at: str
    last_heartbeat_at: str
    lease_expires_at: str
    ended_at: str | None
    ended_reason: str | None


class SessionsAnswer(Ok):
    items: list[AdminSession]
    next_cursor: str | None


class SessionAnswer(Ok):
    session: AdminSession


class ReapAnswer(Ok):
    ended: list[AdminSession]


class RefusalRow(Struct):
    request_id: str
    at: str
    user_id: str | None
    bot_id: str | None
    reason: str
    limit: str | None
    value: Value
    version: int
    count: int | None
    repeats: int


class RefusalsAnswer(Ok):
    items: list[RefusalRow]
    next_cursor: str | None


class RefusalAnswer(Ok):
    refusal: RefusalRow


class LimitRow(Struct):
    name: str
    value: Value
    default: Value
    source: Literal["live", "environment", "env_file", "default"]
    hidden: bool
    configured: Value
    unit: str
    scope: Literal["system", "user", "session"]
    min: int | float
    max: int
    meaning: str
    changed_at: str | None
    changed_by: str | None


class LimitRowsAnswer(Ok):
    version: int
    limits: list[LimitRow]


class Moved(Struct, rename={"before": "from", "after": "to"}):
    name: str
    before: Value
    after: Value


class ChangeAnswer(Ok):
    version: int
    changed: list[Moved]
    warnings: list[str]


class Guard(Struct):
    name: str
    value: int | float | None
    threshold: int | float
    held: bool
    message: str


class Replay(Struct):
    days: int
    demands: int
    refused_now: int
    refused_then: int
    users_affected: int


class PreviewAnswer(Ok):
    capacity: Capacity
    over_by: int
    guards: list[Guard]
    warnings: list[str]
    replay: Replay


class VersionRow(Struct):
    version: int
    at: str
    by: str
    kind: str
    reason: str
    user_id: str | None
    changed: list[Moved]


class VersionsAnswer(Ok):
    versions: list[VersionRow]
    next_cursor: str | None


class UserLimitsAnswer(Ok):
    user_id: str
    limits: LimitValues
    reason: str | None
    until: str | None
    expired: bool
    changed_at: str | None
    changed_by: str | None
    version: int


class PauseAnswer(Ok):
    paused: bool
    capacity: Capacity


class Bots(Struct):
    min: int
    mean: float
    max: int


class Bucket(Struct):
    at: str
    bots: Bots
    limit: int
    cpu_percent: float | None
    ram_percent: float | None
    tokens: int
    signals: int
    starts: int
    refusals: dict[str, int]


class HistoryAnswer(Ok):
    step_seconds: float
    buckets: list[Bucket]


class Note(Struct):
    id: str
    at: str
    text: str
    author: str
    created_at: str


class NotesAnswer(Ok):
    notes: list[Note]


class NoteAnswer(Ok):
    note: Note


class AuditRow(Struct):
    id: int
    at: str
    actor: str
    action: str
    target: str
    reason: str
    detail: dict[str, Any]


class AuditAnswer(Ok):
    items: list[AuditRow]
    next_cursor: str | None


class AdviceRow(Struct):
    name: str
    strong: bool
    value: int | float
    threshold: int | float
    message: str


class AdviceAnswer(Ok):
    detected_ram_gb: float
    counts_as_gb: int | float
    recommended_max_bots: int
    price_usd_month: int | None
    advice: list[AdviceRow]


class CrossingRow(Struct):
    at: str
    level: str
    bots: int
    limit: int


class DeliveryRow(Struct):
    id: int
    at: str
    level: str
    title: str
    channel: str
    state: Literal["pending", "sent", "failed"]
    tries: int
    last_answer: str | None
    tried_at: str | None
    next_try_at: str | None


class IncidentRow(Struct):
    id: int
    kind: str
    level: str
    status: Literal["open", "acknowledged", "resolved"]
    message: str
    opened_at: str
    resolved_at: str | None
    duration_seconds: float
    peak_bots: int
    peak_limit: int
    refusals: dict[str, int]
    acknowledged_at: str | None
    acknowledged_by: str | None
    acknowledged_reason: str | None
    crossings: list[CrossingRow]
    deliveries: list[DeliveryRow]
    changes: list[VersionRow]
    notes: list[Note]


class ChannelRow(Struct):
    name: str
    ok: bool
    failures: int
    pending: int
    last_answer: str | None
    tried_at: str | None
    sent_at: str | None


class AlertsAnswer(Ok):
    items: list[IncidentRow]
    next_cursor: str | None
    channels: list[ChannelRow]


class AlertAnswer(Ok):
    alert: IncidentRow


class AlertTestAnswer(Ok):
    deliveries: list[DeliveryRow]


class PlanStep(Struct, rename={"max_bots": "MAX_CONCURRENT_BOTS"}):
    at: str
    max_bots: int
    status: Literal["planned", "applied", "held"]
    applied_at: str | None
    held_by: str | None


class PlanAnswer(Ok):
    steps: list[PlanStep]


class KeyRow(Struct):
    id: str
    name: str
    scope: str
    created_at: str
    revoked_at: str | None


class KeysAnswer(Ok):
    keys: list[KeyRow]


class NewKeyAnswer(Ok):
    key: str
    id: str


class KeyAnswer(Ok):
    key: KeyRow | None


class System(Struct):
    cpu_percent: float | None
    ram_percent: float | None
    ram_total_gb: float
    recommended_max_bots: int


class Rates(Struct):
    tokens_last_minute: int
    signals_last_minute: int
    starts_last_hour: int
    refusals_last_hour: dict[str, int]
    trades_today: int


class SessionFigures(Struct):
    active: int
    suspect: int
    expired_last_hour: int


class TopUser(Struct):
    user_id: str
    active: int
    trades_today: int


class Decisions(Struct):
    p50_ms: float | None
    p99_ms: float | None
    count: int


class StatsAnswer(Ok):
    capacity: Capacity
    limits: LimitValues
    limits_version: int
    system: System
    rates: Rates
    sessions: SessionFigures
    top_users: list[TopUser]
    decisions: Decisions
    guards: list[Guard]
    paused: bool
    uptime_seconds: float
    version: str
    at: str


class Check(Struct):
    ok: bool
    detail: str


class HealthAnswer(Struct):
    success: bool
    status: Literal["ok", "degraded", "down"]
    alert: Literal["CAPACITY_OK", "CAPACITY_ALERT"]
    capacity: Capacity
    checks: dict[str, Check]


class Alive(Ok):
    pass


class FieldError(Struct):
    field: str
    message: str


class Problem(Struct, omit_defaults=True):
    """RFC 9457; each reason adds its own facts."""

    type: str
    title: str
    status: int
    detail: str
    success: Literal[False]
    error: str
    reason: str
    request_id: str
    errors: list[FieldError] = msgspec.field(default_factory=list)
