"""What one batch changed: the store writes it, the journal sends it on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from limiter.rules.records.alerts import Delivery, Incident
from limiter.rules.records.keys import AuditEntry
from limiter.rules.records.limits import Version
from limiter.rules.records.sessions import Ended, Session
from limiter.rules.records.snapshots import Snapshot
from limiter.rules.records.trades import Trade


@dataclass(slots=True)
class Changes:
    """What a batch changed, in the order it did; the store writes each list as a set.

    `trace` is for the log alone: what has a line there, each with the request that caused it (None: no request did).
    """

    started: list[Session] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    notices: dict[int, Session] = field(default_factory=dict)
    restamped: dict[int, Session] = field(default_factory=dict)
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
    trace: list[tuple[Any, Ended | Incident | Version | AuditEntry]] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything has to be durable before the answers go out."""
        return any(_all_changes(self))


_all_changes = attrgetter(*(one.name for one in fields(Changes)))
