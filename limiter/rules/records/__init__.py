"""The values that rules make and the store keeps: sessions, trades, refusals, versions, snapshots, a batch's changes.

All instants are UTC milliseconds. Each subject has a file; callers import from here.
"""

from limiter.rules.records.alerts import Channel, Crossing, Delivery, Incident
from limiter.rules.records.changes import Changes
from limiter.rules.records.keys import AuditEntry, Key, Scope
from limiter.rules.records.limits import Step, Version
from limiter.rules.records.refusals import KeptRefusal, RefusalRecord
from limiter.rules.records.sessions import Costs, Drain, Ended, Facts, Notice, Session
from limiter.rules.records.snapshots import Slice, Snapshot
from limiter.rules.records.trades import Trade

__all__ = [
    "AuditEntry",
    "Changes",
    "Channel",
    "Costs",
    "Crossing",
    "Delivery",
    "Drain",
    "Ended",
    "Facts",
    "Incident",
    "KeptRefusal",
    "Key",
    "Notice",
    "RefusalRecord",
    "Scope",
    "Session",
    "Slice",
    "Snapshot",
    "Step",
    "Trade",
    "Version",
]
