"""How full it is, the figures of one instant, and what the box carries."""

from typing import Literal

from msgspec import Struct

from limiter.answers.parts import LimitValues, Ok


class Capacity(Struct):
    current_bots: int
    max_bots: int
    percent_used: float
    available_slots: int
    status: Literal["LOW", "HEALTHY", "WARNING", "FULL"]
    can_accept_new: bool


class CapacityAnswer(Ok):
    capacity: Capacity


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


class QueueFigures(Struct):
    waiting: int


class TopUser(Struct):
    user_id: str
    active: int
    trades_today: int


class Decisions(Struct):
    p50_ms: float | None
    p99_ms: float | None
    count: int


class Guard(Struct):
    name: str
    value: int | float | None
    threshold: int | float
    held: bool
    message: str


class StatsAnswer(Ok):
    capacity: Capacity
    limits: LimitValues
    limits_version: int
    system: System
    rates: Rates
    sessions: SessionFigures
    queue: QueueFigures
    top_users: list[TopUser]
    decisions: Decisions
    guards: list[Guard]
    paused: bool
    draining: bool
    storage_available: bool
    uptime_seconds: float
    version: str
    at: str


class AdviceRow(Struct):
    name: str
    strong: bool
    value: int | float
    threshold: int | float
    message: str


class AdviceDecision(Struct):
    """`larger` or `smaller`: the size of VPS that the measured use asks for (null: none of the guide's is enough), and
    the bots that it carries; `limit`: this box is enough, and `bots` the limit to set. `sentence` is both texts."""

    kind: Literal["larger", "smaller", "limit"]
    ram_gb: int | None
    bots: int | None
    price_usd_month: int | None
    what: str
    because: str
    sentence: str


class AdviceAnswer(Ok):
    detected_ram_gb: float
    counts_as_gb: int | float
    recommended_max_bots: int
    price_usd_month: int | None
    advice: list[AdviceRow]
    decision: AdviceDecision | None = None
