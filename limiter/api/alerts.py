"""What operators ask about alerts: incidents with all that belongs to them, acknowledging one, proving the channels."""

import asyncio
import time
from typing import Any

from sqlalchemy import Connection

from limiter.answers import alerts as s
from limiter.answers.notes import Note
from limiter.api import paging
from limiter.api.limits import version_row
from limiter.http.call import Call, Refused, good
from limiter.http.wire import Answer, iso, ok
from limiter.rules.deliveries import answer_in, failing_channels
from limiter.rules.headlines import Reader, headline
from limiter.rules.incidents import Acknowledge, SendTest
from limiter.rules.records import Delivery, Incident
from limiter.rules.refusals import Refusal
from limiter.rules.room import capacity
from limiter.rules.sessions import Reap
from limiter.store import read

TEST_SECONDS = 8.0  # how long a test waits for what the channels answer
NUMBER_DIGITS = 15
MAX_CHANGES = 5_000  # of the limits, within the incidents of one page


async def alerts(call: Call) -> Answer:
    """Incidents, newest first, and how the channels fare."""
    state = call.wanted_choice("state", ("open", "acknowledged", "resolved"))
    before, size = paging.asked(call)
    rows = await call.read(_rows, _reader(call), state, before, size + 1)
    more = str(rows[size - 1].id) if len(rows) > size else None
    return ok(s.AlertsAnswer(rows[:size], more, _channels(call)))


async def acknowledge(call: Call) -> Answer:
    """Say that somebody looks after it; the first to say so is kept."""
    digits = call.path["id"]
    if not (digits.isascii() and digits.isdigit() and len(digits) <= NUMBER_DIGITS):
        raise Refused(Refusal("not_found"))
    reason = call.body.reason if call.body is not None else None
    incident: Incident = await call.decide(Acknowledge(int(digits), reason or "", call.actor.name))
    (row,) = await call.read(_complete, [incident], _reader(call))
    return ok(s.AlertAnswer(row))


async def send_test(call: Call) -> Answer:
    """Send a message to every channel, and wait some seconds for what they answer."""
    sent: list[Delivery] = await call.decide(SendTest(call.actor.name))
    numbers, deadline = {one.number for one in sent}, time.monotonic() + TEST_SECONDS
    while numbers & call.services.committer.state.deliveries.keys() and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    good(await call.services.committer.submit(Reap()))  # durable before it is read
    found = await call.read(read.incidents.numbered, sorted(numbers))
    return ok(s.AlertTestAnswer([_delivery(one, call.language) for one in found]))


def _rows(
    connection: Connection, reader: Reader, status: str | None, before: int | None, limit: int
) -> list[s.IncidentRow]:
    return _complete(connection, read.incidents.incidents(connection, status, before, limit), reader)


def _reader(call: Call) -> Reader:
    state, now = call.services.committer.state, call.now()
    return Reader(call.language, state.zone, now, capacity(state, now))


def _complete(connection: Connection, found: list[Incident], reader: Reader) -> list[s.IncidentRow]:
    """The incidents with deliveries, and the changes of limits and notes that fall into them."""
    if not found:
        return []
    begin, end = min(one.opened_at for one in found), max(one.resolved_at or reader.now for one in found)
    told = read.incidents.deliveries(connection, [one.number for one in found])
    changes = read.limits.versions(connection, limit=MAX_CHANGES, since=begin, until=end + 1)[::-1]
    notes = read.audit.notes(connection, begin, end + 1)
    return [_incident(one, reader, told.get(one.number, []), changes, notes) for one in found]


def _incident(incident: Incident, reader: Reader, told: list[Delivery], changes: Any, notes: Any) -> s.IncidentRow:
    end = incident.resolved_at or reader.now

    return s.IncidentRow(
        id=incident.number,
        kind=incident.kind,
        level=incident.crossings[-1].level,
        status=incident.status,
        message=headline(incident, reader),
        opened_at=str(iso(incident.opened_at)),
        resolved_at=iso(incident.resolved_at),
        duration_seconds=max(0, end - incident.opened_at) / 1000,  # the clock may have gone back
        peak_bots=incident.peak,
        peak_limit=incident.peak_limit,
        refusals=dict(incident.refusals),
        acknowledged_at=iso(incident.acknowledged_at),
        acknowledged_by=incident.acknowledged_by,
        acknowledged_reason=incident.acknowledged_reason,
        crossings=[s.CrossingRow(str(iso(one.at)), one.level, one.bots, one.limit) for one in incident.crossings],
        deliveries=[_delivery(one, reader.language) for one in told],
        changes=[version_row(row, reader.language) for row in changes if incident.opened_at <= row["at"] <= end],
        notes=[
            Note(row.id, str(iso(row.at)), row.text, row.author, str(iso(row.created_at)))
            for row in notes
            if incident.opened_at <= row.at <= end
        ],
    )


def _delivery(one: Delivery, language: str) -> s.DeliveryRow:
    return s.DeliveryRow(
        one.number, str(iso(one.at)), one.level, one.title, one.channel, one.state, one.tries,
        answer_in(one.answer, language), iso(one.tried_at), iso(one.next_try_at),
    )  # fmt: skip


def _channels(call: Call) -> list[s.ChannelRow]:
    state = call.services.committer.state
    failing, waiting = failing_channels(state), [one.channel for one in state.deliveries.values()]
    return [
        s.ChannelRow(
            name, name not in failing, one.failures, waiting.count(name), answer_in(one.answer, call.language),
            iso(one.tried_at), iso(one.sent_at),
        )
        for name, one in state.channels.items()
    ]  # fmt: skip
