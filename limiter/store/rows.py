"""Values as rows, and rows as values. No SQL here."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Row

from limiter.rules import guards
from limiter.rules.records import Facts, KeptRefusal, Notice, RefusalRecord, Session, Step, Trade
from limiter.rules.schedule import Schedule
from limiter.system_limits import LIMITS, Value

MAX_PAGE = 500  # rows of a page; a read gives one more, so that who asks sees whether there is a next one


def session_row(session: Session) -> tuple[Any, ...]:
    """The row of a session, in the order of its table."""
    return (*started_row(session), *costs_row(session), *notice_row(session), session.used_at)


def costs_row(session: Session) -> tuple[int | None, int | None, float | None, float | None]:
    """What a session costs, as its heartbeats said, in the order of its columns."""
    return session.memory_bytes, session.memory_peak, session.cpu_seconds, session.cpu_percent


def notice_row(session: Session) -> tuple[int | None, str | None]:
    """The end that is announced of a session, in the order of its columns."""
    return session.notice or (None, None)


def started_row(session: Session) -> tuple[Any, ...]:
    """The row of a session that starts: nobody knows yet what it costs, nor its end."""
    facts = session.facts
    return (
        session.number, session.secret, session.user_id, session.bot_id, session.asked_bot, session.idempotency_key,
        session.started_at, session.lease_ms, session.last_heartbeat_at, session.expires_at,
        facts.active, facts.max_bots, facts.user_active, facts.user_max, facts.version,
    )  # fmt: skip


def as_session(row: Iterable[Any]) -> Session:
    """A session from its row. Its load, and what follows the columns of a live one, are passed over."""
    columns: list[Any] = list(row)
    told, used_at = columns[19:21], columns[21:22]
    columns[10:] = [Facts(*columns[10:15]), *columns[15:18]]
    session = Session(*columns)
    if told and told[0] is not None:
        session.notice = Notice(*told)
    if used_at:
        session.used_at = used_at[0]
    return session


def trade_row(trade: Trade) -> tuple[Any, ...]:
    """The row of a trade, but its id."""
    return (
        trade.trade_id, trade.user_id, trade.number, trade.symbol, trade.side, trade.quantity, trade.price,
        int(trade.closes), trade.at, trade.day,
    )  # fmt: skip


def refusal_row(one: RefusalRecord, repeats: int) -> tuple[Any, ...]:
    """The row of a refusal, but its id; it stands for `repeats` of them."""
    facts = one.facts
    return (
        one.request_id, one.at, one.user_id, one.bot_id, one.reason, one.limit, one.value, one.count, one.version,
        *((facts.active, facts.max_bots, facts.user_active, facts.user_max) if facts else (None,) * 4), repeats,
    )  # fmt: skip


def as_refusal(row: Iterable[Any]) -> KeptRefusal:
    """A refusal from its row, the id first."""
    number, *told, active, max_bots, user_active, user_max, repeats = row
    facts = None if active is None else Facts(active, max_bots, user_active, user_max, told[-1])
    return KeptRefusal(number, RefusalRecord(*[*told, facts]), repeats)


def link(head: str, row: tuple[Any, ...]) -> str:
    """The hash of an audit row, chained to the one before it."""
    return hashlib.sha256((head + json.dumps(row, separators=(",", ":"))).encode()).hexdigest()


def limit_value(name: str, value: float | None) -> Value:
    """A limit's value as it was stored: SQLite keeps 200 as 200.0. One that is out of bounds by now stays as it is."""
    if value is None:
        return None
    try:
        return LIMITS[name].accept(value)
    except ValueError:
        return value


def held_by_text(step: Step) -> str | None:
    """What holds a step of the launch plan, as its column has it."""
    return json.dumps([guard.as_facts() for guard in step.held_by]) if step.held_by else None


def as_step(row: Row[Any]) -> Step:
    """A step of the launch plan from its row."""
    held_by = guards.from_facts(json.loads(row.held_by or "[]"))
    return Step(row.at, row.max_bots, row.status, row.applied_at, held_by, row.confirm_within)


def schedule_text(schedule: Schedule) -> str | None:
    """Windows, the open one and the probation, as their column has them; None where there is none of it."""
    return None if schedule == Schedule() else msgspec.json.encode(schedule).decode()


def as_schedule(text: str | None) -> Schedule:
    """From that column."""
    return Schedule() if text is None else msgspec.json.decode(text, type=Schedule)
