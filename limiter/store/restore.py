"""The state as the database has it."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from itertools import chain

from sqlalchemy import Connection, func, select

from limiter.rules import elsewhere
from limiter.rules.course import SLICE_MS
from limiter.rules.limits import Limits
from limiter.rules.records import Drain, Step
from limiter.rules.schedule import Schedule
from limiter.rules.snapshots import FIGURES
from limiter.rules.state import GAPS, State
from limiter.rules.turns import Ticket
from limiter.rules.windows import HOUR_SECONDS, MINUTE_SECONDS, Window
from limiter.store import incidents, schema
from limiter.store.rows import as_schedule, as_session, as_step
from limiter.store.schema import MINUTE_STEP, RAW_STEP


def read_state(connection: Connection, limits: Limits, zone: tzinfo, now: int, channels: Iterable[str]) -> State:
    """The state under these limits, rates and counts of the last hour kept."""
    state = State(limits, zone)
    fleet = connection.execute(select(schema.fleet)).one()
    state.next_number, state.paused = fleet.next_number, bool(fleet.paused)
    for row in connection.execute(select(schema.active_sessions)):
        state.hold(as_session(row))
    incidents.restore(connection, state, channels)
    state.plan, state.drain = read_plan(connection), read_drain(connection)
    state.schedule = read_schedule(connection)
    ended = schema.ended_sessions.c
    freed = (
        select(ended.ended_at).where(ended.ended_reason != "replaced").order_by(ended.ended_at.desc()).limit(GAPS + 1)
    )
    state.freed.extend(reversed(connection.execute(freed).scalars().all()))
    read_day(connection, state, now)
    for row in connection.execute(select(schema.tickets)):
        elsewhere.ticket(state, row.user_id, Ticket(row.id, row.user_id, row.number, min(row.asked_at, now)))
    _read_windows(connection, state, now)
    tokens = select(func.max(schema.snapshots.c.at)).where(
        schema.snapshots.c.step == MINUTE_STEP, schema.snapshots.c.tokens > 0
    )
    state.last_token_at = connection.execute(tokens).scalar()
    return state


def read_day(connection: Connection, state: State, now: int) -> None:
    """The trades of the day that holds `now`."""
    days, today = schema.trade_days.c, state.day(now).name
    for row in connection.execute(select(days.user_id, days.used).where(days.day == today)):
        state.trade_days[row.user_id, today] = row.used


def book_the_rest(connection: Connection, state: State, now: int) -> None:
    """Have the next snapshot count what happened after the last one, before the process that took it ended. Only where
    no other process is about to: what a flood of refusals joined is among them as far as it was written."""
    shots, counts = schema.snapshots.c, schema.refusal_counts.c
    begin = connection.execute(select(func.max(shots.at)).where(shots.step == RAW_STEP)).scalar()
    if begin is None:
        return
    found = Counter[tuple[str, int]]()
    for figure, at, n in _happened(connection, begin):
        found[figure, at - at % SLICE_MS] += n
    booked = connection.execute(select(schema.snapshots).where(shots.step == RAW_STEP, shots.at == begin)).one()
    for name in FIGURES:
        found[name, begin] -= getattr(booked, name)
    for row in connection.execute(select(schema.refusal_counts).where(counts.step == RAW_STEP, counts.at >= begin)):
        found[f"refused:{row.reason}", begin] -= row.n
    for (figure, at), n in sorted(found.items(), key=lambda item: item[0][1]):
        if n > 0 and at <= now:
            state.unbooked[figure, at] = n
            if figure in ("starts", "trades") or figure.startswith("refused:"):
                elsewhere.count(state, figure, at, n)


def _happened(connection: Connection, begin: int) -> Iterator[tuple[str, int, int]]:
    """What the tables say of the time from `begin` on: figure, instant, how often."""
    live, ended, trades = schema.active_sessions.c, schema.ended_sessions.c, schema.trades.c
    begun_and_over = select(ended.started_at).where(ended.ended_at >= begin, ended.started_at >= begin)  # by its index
    instants = (
        ("starts", select(live.started_at).where(live.started_at >= begin)), ("starts", begun_and_over),
        ("ended", select(ended.ended_at).where(ended.ended_at >= begin)),
        ("trades", select(trades.at).where(trades.at >= begin)),
    )  # fmt: skip
    for figure, found in instants:
        for at in connection.execute(found).scalars():
            yield figure, at, 1
    rates, refused = schema.rate_seconds.c, schema.refusals.c
    taken = select(schema.rate_seconds).where(rates.user_id == "", rates.second >= begin // 1000)
    for row in connection.execute(taken):
        yield row.kind, row.second * 1000, row.n
    for row in connection.execute(select(schema.refusals).where(refused.at >= begin)):
        yield f"refused:{row.reason}", row.at, row.repeats


def read_plan(connection: Connection) -> tuple[Step, ...]:
    """The launch plan."""
    plan = select(schema.plan_steps).order_by(schema.plan_steps.c.at)
    return tuple(as_step(row) for row in connection.execute(plan))


def _starts(connection: Connection, since: int) -> list[tuple[int, int]]:
    """Instants since then, each with the starts that took a free slot: a replacement begins as the one before ends."""
    found: Counter[int] = Counter()
    live, ended = schema.active_sessions.c, schema.ended_sessions.c
    for began in (select(live.started_at), select(ended.started_at).where(ended.ended_at >= since)):
        found.update(at for at in connection.execute(began).scalars() if at >= since)
    replaced = select(ended.ended_at).where(ended.ended_at >= since, ended.ended_reason == "replaced")
    found.subtract(connection.execute(replaced).scalars().all())
    return sorted((at, n) for at, n in found.items() if n > 0)


def read_drain(connection: Connection) -> Drain | None:
    """The drain that goes on."""
    fleet = schema.fleet.c
    row = connection.execute(select(fleet.drain_since, fleet.drain_stop_at, fleet.drain_reason)).one()
    return None if row.drain_since is None else Drain(*row)


def read_schedule(connection: Connection) -> Schedule:
    """Peak windows and the change on probation."""
    return as_schedule(connection.execute(select(schema.fleet.c.schedule)).scalar_one())


def _read_windows(connection: Connection, state: State, now: int) -> None:
    """The last minute of rates, and the last hour of counts. What a clock that went back left in the future of
    `now` is moved to it: it holds for a minute, as promised, and not until that future comes."""
    second = now // 1000
    seconds = schema.rate_seconds
    rows = connection.execute(
        select(seconds).where(seconds.c.second >= second - MINUTE_SECONDS).order_by(seconds.c.second)
    ).all()
    for row in rows:
        state.window(row.kind, row.user_id).add(min(row.second, second), row.n)
    for at, n in _starts(connection, (second - MINUTE_SECONDS) * 1000):
        elsewhere.starts(state, min(at, now), n)
    shots = schema.snapshots
    since = (second - HOUR_SECONDS) * 1000
    recent = select(shots).where(shots.c.step == RAW_STEP, shots.c.at >= since).order_by(shots.c.at)
    counts = schema.refusal_counts
    refused = select(counts).where(counts.c.step == RAW_STEP, counts.c.at >= since).order_by(counts.c.at)
    figures = chain(
        ((name, row.at, getattr(row, name)) for row in connection.execute(recent) for name in ("starts", "trades")),
        ((f"refused:{row.reason}", row.at, row.n) for row in connection.execute(refused)),
    )
    for figure, at, n in figures:
        if n:
            state.windows.setdefault(("hour", figure), Window(HOUR_SECONDS)).add(min(at // 1000, second), n)
    ended = schema.ended_sessions.c
    expired = (
        select(ended.ended_at)
        .where(ended.ended_at >= since, ended.ended_reason == "lease_expired")
        .order_by(ended.ended_at)
    )
    for at in connection.execute(expired).scalars():
        state.windows.setdefault(("hour", "ended:lease_expired"), Window(HOUR_SECONDS)).add(min(at // 1000, second), 1)
