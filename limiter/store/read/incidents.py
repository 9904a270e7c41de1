"""Incidents and the messages sent about them."""

from sqlalchemy import Connection, select

from limiter.rules.records import Delivery, Incident
from limiter.store import schema
from limiter.store.incidents import as_delivery, as_incident
from limiter.store.rows import MAX_PAGE

MAX_INSIDE = 5_000  # deliveries read for one page


def incidents(
    tx: Connection,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
    since: int | None = None,
) -> list[Incident]:
    """Incidents, newest first, below the number `before`; `since`: that were open at that instant or later."""
    c = schema.incidents.c
    query = select(schema.incidents).order_by(c.number.desc()).limit(min(limit, MAX_PAGE + 1))
    if status == "resolved":
        query = query.where(c.resolved_at.is_not(None))
    elif status is not None:
        seen = c.acknowledged_at.is_not(None) if status == "acknowledged" else c.acknowledged_at.is_(None)
        query = query.where(c.resolved_at.is_(None), seen)
    if before is not None:
        query = query.where(c.number < before)
    if since is not None:
        query = query.where((c.resolved_at.is_(None)) | (c.resolved_at >= since))
    return [as_incident(row) for row in tx.execute(query)]


def covering(tx: Connection, at: int, kind: str) -> Incident | None:
    """The incident of that kind that is over and had begun at that instant and not ended."""
    c = schema.incidents.c
    query = select(schema.incidents).where(c.kind == kind, c.opened_at <= at, c.resolved_at >= at)
    row = tx.execute(query.order_by(c.number.desc()).limit(1)).one_or_none()
    return as_incident(row) if row is not None else None


def deliveries(tx: Connection, numbers: list[int]) -> dict[int, list[Delivery]]:
    """The deliveries of these incidents, oldest first."""
    table = schema.deliveries
    query = select(table).where(table.c.incident.in_(numbers)).order_by(table.c.number).limit(MAX_INSIDE)
    found: dict[int, list[Delivery]] = {}
    for row in tx.execute(query):
        found.setdefault(row.incident, []).append(as_delivery(row))
    return found


def numbered(tx: Connection, numbers: list[int]) -> list[Delivery]:
    """These deliveries."""
    table = schema.deliveries
    rows = tx.execute(select(table).where(table.c.number.in_(numbers)).order_by(table.c.number))
    return [as_delivery(row) for row in rows]


def unattended(tx: Connection, most: int = 5) -> list[Incident]:
    """Open incidents that nobody has acknowledged, newest first."""
    table = schema.incidents
    query = select(table).where(table.c.resolved_at.is_(None), table.c.acknowledged_at.is_(None))
    return [as_incident(row) for row in tx.execute(query.order_by(table.c.opened_at.desc()).limit(most))]
