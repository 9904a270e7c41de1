"""Incidents, the messages about them, and the channels that carry them."""

from typing import Literal

from msgspec import Struct

from limiter.answers.limits import VersionRow
from limiter.answers.notes import Note
from limiter.answers.parts import Ok, Reason


class AcknowledgeBody(Struct):
    reason: Reason | None = None


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
