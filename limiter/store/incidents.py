"""Incidents and deliveries as rows: how the writer keeps them, and the reads of the API and the console."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from limiter.rules.records import Changes, Channel, Crossing, Delivery, Incident
from limiter.rules.state import State
from limiter.store import schema

MAX_PAGE = 500
MAX_INSIDE = 5_000  # deliveries, changes and notes read for one page

Put = Callable[[Table, Mapping[str, Any]], None]


def save(put: Put, changes: Changes) -> None:
    """Write what the batch changed."""
    for incident in changes.incidents.values():
        crossings = [[one.at, one.level, one.bots, one.limit] for one in incident.crossings]
        plain = {name: getattr(incident, name) for name in _INCIDENT_NAMES}
        put(
            schema.incidents,
            {**plain, "refusals": json.dumps(dict(incident.refusals)), "crossings": json.dumps(crossings)},
        )
    for delivery in changes.deliveries.values():
        put(schema.deliveries, {name: getattr(delivery, name) for name in _DELIVERY_NAMES})


_INCIDENT_NAMES = [column.name for column in schema.incidents.c if column.name not in ("refusals", "crossings")]
_DELIVERY_NAMES = [column.name for column in schema.deliveries.c]


def as_incident(row: Row[Any]) -> Incident:
    """An incident from its row."""
    plain = {name: row._mapping[name] for name in _INCIDENT_NAMES}
    crossings = tuple(Crossing(*one) for one in json.loads(row.crossings))
    return Incident(**plain, refusals=json.loads(row.refusals), crossings=crossings)


def as_delivery(row: Row[Any]) -> Delivery:
    """A delivery from its row."""
    return Delivery(**row._mapping)


def restore(connection: Connection, state: State, channels: Iterable[str]) -> None:
    """What was open and on its way when the limiter stopped, and how these channels fared."""
    incidents, deliveries = schema.incidents, schema.deliveries
    for row in connection.execute(select(incidents).where(incidents.c.resolved_at.is_(None))):
        state.incidents[row.kind] = as_incident(row)
    for row in connection.execute(select(deliveries).where(deliveries.c.state == "pending")):
        state.deliveries[row.number] = as_delivery(row)
    for name, table in (("incident", incidents), ("delivery", deliveries)):
        state.numbers[name] = connection.execute(select(func.coalesce(func.max(table.c.number), 0))).scalar_one() + 1
    state.channels = {name: _channel(connection, name) for name in channels}


def fetch(connection: Connection, state: State, number: int) -> None:
    """Bring one incident that is over."""
    row = connection.execute(select(schema.incidents).where(schema.incidents.c.number == number)).one_or_none()
    if row is not None and row.resolved_at is not None:
        state.past[number] = as_incident(row)


def _channel(connection: Connection, name: str) -> Channel:
    d = schema.deliveries.c
    sent_at = connection.execute(select(func.max(d.tried_at)).where(d.channel == name, d.state == "sent")).scalar()
    last = select(schema.deliveries).where(d.channel == name, d.tries > 0).order_by(d.tried_at.desc()).limit(1)
    row = connection.execute(last).one_or_none()
    if row is None:
        return Channel()
    return Channel(row.tries if row.state != "sent" else 0, row.answer, row.tried_at, sent_at)


def incidents(
    connection: Connection,
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
    return [as_incident(row) for row in connection.execute(query)]


def deliveries(connection: Connection, numbers: list[int]) -> dict[int, list[Delivery]]:
    """The deliveries of these incidents, oldest first."""
    table = schema.deliveries
    query = select(table).where(table.c.incident.in_(numbers)).order_by(table.c.number).limit(MAX_INSIDE)
    found: dict[int, list[Delivery]] = {}
    for row in connection.execute(query):
        found.setdefault(row.incident, []).append(as_delivery(row))
    return found


def numbered(connection: Connection, numbers: list[int]) -> list[Delivery]:
    """These deliveries."""
    table = schema.deliveries
    rows = connection.execute(select(table).where(table.c.number.in_(numbers)).order_by(table.c.number))
    return [as_delivery(row) for row in rows]


def changes(connection: Connection, begin: int, end: int) -> list[Row[Any]]:
    """The versions of the limits made in [begin, end], oldest first; who changed what, when and why."""
    v = schema.limit_versions.c
    query = select(v.version, v.at, v.actor, v.kind, v.reason, v.user_id, v.changed)
    return list(connection.execute(query.where(v.at.between(begin, end)).order_by(v.version).limit(MAX_INSIDE)))
