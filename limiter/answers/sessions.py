"""Sessions as operators see them, and the door for starts."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from limiter.answers.bots import Notice
from limiter.answers.capacity import Capacity
from limiter.answers.parts import Ok, ReasonBody

InSeconds = Annotated[int, Meta(ge=0, le=86_400, description="the bots are told now, and end then")]
PublicIds = Annotated[list[str], Meta(min_length=1, max_length=500)]


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
    memory_mb: float | None
    memory_peak_mb: float | None
    cpu_seconds: float | None
    cpu_percent: Annotated[float | None, Meta(description="of one core, over the last minute")]
    notice: Notice | None


class SessionsAnswer(Ok):
    items: list[AdminSession]
    next_cursor: str | None


class SessionAnswer(Ok):
    session: AdminSession


class ReapAnswer(Ok):
    ended: list[AdminSession]


class StopBody(ReasonBody, kw_only=True):
    in_seconds: InSeconds | None = None


class PublicIdsBody(ReasonBody):
    public_ids: PublicIds


class StopSessionsBody(StopBody, kw_only=True):
    public_ids: PublicIds


class StoppedAnswer(Ok):
    items: list[AdminSession]


class DrainBody(ReasonBody):
    stop_in_seconds: InSeconds | None = None


class Drain(Struct):
    since: str
    stop_at: str | None
    left: int
    reason: str


class DrainAnswer(Ok):
    drain: Drain | None


class PauseAnswer(Ok):
    paused: bool
    capacity: Capacity
