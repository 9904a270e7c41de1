"""What a batch names and memory has not: ended sessions, trades, trade days, versions and incidents that are over."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, TextClause, func, select

from limiter.rules.changes import Rollback
from limiter.rules.counts import Counted, Recount
from limiter.rules.incidents import Acknowledge
from limiter.rules.quotas import RecordTrade, Take
from limiter.rules.records import Ended, Trade, Version
from limiter.rules.sessions import Heartbeat, Heartbeats, Start, Stop
from limiter.rules.state import State
from limiter.rules.stops import StopByAdmin, TakeStopBack
from limiter.store import incidents, schema
from limiter.store.rows import as_session, limit_value


class Named(NamedTuple):
    """Numbers of sessions, trades by user and id, users whose trades of the day count, and requests about the past."""

    numbers: set[int]
    trades: set[tuple[str, str]]
    users: set[str]
    past: list[Rollback | Acknowledge | Recount]


def named(state: State, requests: Iterable[Any], day: str) -> Named:
    """Sessions, trades, users and the rest that a batch asks about and memory does not answer; nothing, mostly."""
    found = Named(set(), set(), set(), [])
    numbers, trades, users, past = found
    for request in requests:
        match request:
            case Start():
                continue
            case Heartbeat() | Stop() | Take() | RecordTrade():
                session = state.sessions.get(number := request.number or 0)
                if session is None and number:
                    numbers.add(number)
                elif session is not None and isinstance(request, RecordTrade):
                    trades.add((session.user_id, request.trade_id))
                    users.add(session.user_id)
            case Heartbeats():
                numbers.update(one.number for one in request.beats if one.number not in state.sessions and one.number)
            case StopByAdmin() | TakeStopBack() if not isinstance(request.chosen, str):
                numbers.update(number for number in request.chosen if number not in state.sessions)
            case Rollback() | Acknowledge() | Recount():
                past.append(request)
    users.difference_update([user for user in users if (user, day) in state.trade_days])
    return found


def fetch(connection: Connection, state: State, found: Named, day: str, named_trades: TextClause) -> None:
    """Bring it into the state; `named_trades` finds trades by a JSON list of [user_id, trade_id]."""
    for request in found.past:
        if isinstance(request, Rollback):
            _fetch_version(connection, state, request.version)
        elif isinstance(request, Acknowledge):
            incidents.fetch(connection, state, request.number)
        else:
            state.counted = _count(connection)
    if found.numbers:
        table = schema.ended_sessions
        for row in connection.execute(select(table).where(table.c.number.in_(sorted(found.numbers)))):
            ended = Ended(as_session(row), row.ended_at, row.ended_reason)
            state.ended[ended.session.number] = ended
    if found.trades:
        for row in connection.execute(named_trades, {"named": json.dumps(sorted(found.trades))}):
            columns: list[Any] = list(row)
            columns[7] = bool(row.closes)
            trade = Trade(*columns)
            state.trades[trade.user_id, trade.trade_id] = trade
    if found.users:
        days = schema.trade_days.c
        used = select(days.user_id, days.used).where(days.user_id.in_(sorted(found.users)), days.day == day)
        counted = {row.user_id: row.used for row in connection.execute(used)}
        state.trade_days.update({(user, day): counted.get(user, 0) for user in found.users})


def _count(connection: Connection) -> Counted:
    number = schema.active_sessions.c.number
    rows, numbers = connection.execute(select(func.count(), func.coalesce(func.sum(number), 0))).one()
    return Counted(rows, int(numbers), connection.execute(select(schema.fleet.c.active)).scalar_one())


def _fetch_version(connection: Connection, state: State, version: int) -> None:
    row = connection.execute(
        select(schema.limit_versions).where(schema.limit_versions.c.version == version)
    ).one_or_none()
    if row is not None:
        in_force = {
            name: (limit_value(name, value), source) for name, (value, source) in json.loads(row.in_force).items()
        }
        changed = tuple((str(name), before, after) for name, before, after in json.loads(row.changed))
        state.versions[version] = Version(
            row.version, row.at, row.actor, row.kind, row.reason, row.user_id, changed, in_force
        )
