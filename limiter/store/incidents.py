"""Incidents and deliveries as rows: how the writer keeps them and reads them back."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, Table, func, select

from limiter.rules.records import Changes, Channel, Crossing, Delivery, Incident
from limiter.rules.state import State
from limiter.store import schema

Put = Callable[[Table, Mapping[str, Any]], None]


def save(put: Put, changes: Changes) -> None:
    """Write what the batch changed."""
    for incident in changes.incidents.values():
        crossings = [[one.at, one.level, one.bots, one.limit] for one in incident.crossings]
        written = {
            "facts": json.dumps(dict(incident.facts)),
            "refusals": json.dumps(dict(incident.refusals)),
            "crossings": json.dumps(crossings),
        }
        put(schema.incidents, {name: getattr(incident, name) for name in _INCIDENT_NAMES} | written)
    for delivery in changes.deliveries.values():
        reached = {"reached": json.dumps(delivery.reached) if delivery.reached else None}
        put(schema.deliveries, {name: getattr(delivery, name) for name in _DELIVERY_NAMES} | reached)


_INCIDENT_NAMES = [
    column.name for column in schema.incidents.c if column.name not in ("facts", "refusals", "crossings")
]
_DELIVERY_NAMES = [column.name for column in schema.deliveries.c]


def as_incident(row: Row[Any]) -> Incident:
    """An incident from its row."""
    plain = {name: row._mapping[name] for name in _INCIDENT_NAMES}
    crossings = tuple(Crossing(*one) for one in json.loads(row.crossings))
    facts = json.loads(row.facts or "{}")
    return Incident(**plain, facts=facts, refusals=json.loads(row.refusals), crossings=crossings)


def as_delivery(row: Row[Any]) -> Delivery:
    """A delivery from its row."""
    return Delivery(**{**row._mapping, "reached": tuple(json.loads(row.reached or "[]"))})


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
