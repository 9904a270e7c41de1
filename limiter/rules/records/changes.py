"""What one batch changed: the store writes it, the journal sends it on."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from msgspec import Struct

from limiter.rules.records.alerts import Delivery, Incident
from limiter.rules.records.keys import AuditEntry
from limiter.rules.records.limits import Version
from limiter.rules.records.sessions import Ended, Session
from limiter.rules.records.snapshots import Snapshot
from limiter.rules.records.trades import Trade


class Changes(Struct, eq=False):
    """What a batch changed, in the order it did; the store writes each list as a set.

    `trace` is for the log alone: what has a line there, each with the request that caused it (None: no request did).
    """

    started: list[Session] = []
    ended: list[Ended] = []
    notices: dict[int, Session] = {}
    restamped: dict[int, Session] = {}
    trades: list[Trade] = []
    trade_days: dict[tuple[str, str], int] = {}
    seconds: dict[tuple[str, str, int], int] = {}
    versions: list[Version] = []
    overrides: list[str] = []
    audit: list[AuditEntry] = []
    rows: list[tuple[str, Mapping[str, Any]]] = []
    snapshots: list[Snapshot] = []
    tickets: dict[str, bool] = {}
    incidents: dict[int, Incident] = {}
    deliveries: dict[int, Delivery] = {}
    plan: bool = False
    schedule: bool = False
    pause: bool = False
    drain: bool = False
    flush: bool = False
    probe: bool = False
    recount: bool = False
    trim: int = 0
    trace: list[tuple[Any, Ended | Incident | Version | AuditEntry]] = []

    def __bool__(self) -> bool:
        """Whether anything has to be durable before the answers go out."""
        return any(_all_changes(self))


_all_changes = attrgetter(*Changes.__struct_fields__)
