"""The hourly rollup against a recomputation by hand, on rows that lie across the edges of hours."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Connection, select, text

from limiter.rules.clock_step import WENT_BACK
from limiter.store import read, schema, usage
from limiter.store.engine import open_writer
from limiter.store.usage import CATCH_UP_HOURS, due, roll
from limiter.units import DAY_MS, HOUR_MS

FIRST = 1_760_000_400_000  # an hour begins here
HOURS = 6
Row = tuple[object, ...]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    engine = open_writer(f"sqlite:///{tmp_path / 'limiter.db'}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def session(number: int, user_id: str, started_at: int) -> dict[str, object]:
    decided = {"active": 0, "max_bots": 9, "user_active": 0, "user_max": 1, "version": 1}
    lease = {"lease_ms": 60_000, "last_heartbeat_at": started_at, "expires_at": started_at + 60_000}
    named = {"number": number, "secret": "x", "user_id": user_id, "bot_id": f"b{number}", "started_at": started_at}
    return named | lease | decided


def trade(number: int, user_id: str, at: int) -> dict[str, object]:
    what = {"symbol": "X", "side": "buy", "quantity": "1", "price": "1", "closes": 0, "day": "d"}
    return {"trade_id": f"t{number}", "user_id": user_id, "number": 1, "at": at} | what


def refusal(number: int, user_id: str | None, at: int, repeats: int = 1) -> dict[str, object]:
    what = {"request_id": f"r{number}", "reason": "server_full", "version": 1}
    return {"id": number, "user_id": user_id, "at": at, "repeats": repeats} | what


def fill(connection: Connection, chance: Random) -> None:
    """Random rows, with edges of hours among their instants."""

    def some_instant() -> int:
        edge = FIRST + chance.randrange(HOURS + 1) * HOUR_MS
        return chance.choice((edge, edge - 1, FIRST + chance.randrange(HOURS * HOUR_MS)))

    def user() -> str:
        return f"u{chance.randrange(5)}"

    for number in range(1, 81):
        first, last = sorted((some_instant(), some_instant()))
        row = session(number, user(), first)
        if number % 8:
            connection.execute(schema.ended_sessions.insert(), row | {"ended_at": last, "ended_reason": "stopped"})
        else:
            connection.execute(schema.active_sessions.insert(), row)
        connection.execute(schema.trades.insert(), trade(number, user(), some_instant()))
        whose = user() if number % 9 else None
        connection.execute(schema.refusals.insert(), refusal(number, whose, some_instant(), 1 + number % 3))


def by_hand(connection: Connection, hour: int) -> list[Row]:
    figures: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    ends = hour + HOUR_MS
    stays = [(row.user_id, row.started_at, ends) for row in connection.execute(select(schema.active_sessions))]
    ended = connection.execute(select(schema.ended_sessions))
    stays += [(row.user_id, row.started_at, row.ended_at) for row in ended]
    for user_id, started_at, until in stays:
        if started_at < ends and until >= hour:
            figures[user_id][0] += started_at >= hour
            figures[user_id][1] += min(until, ends) - max(started_at, hour)
    for row in connection.execute(select(schema.trades)):
        if hour <= row.at < ends:
            figures[row.user_id][2] += 1
    for row in connection.execute(select(schema.refusals)):
        if row.user_id is not None and hour <= row.at < ends:
            figures[row.user_id][3] += row.repeats
    return sorted((hour, user_id, *figure) for user_id, figure in figures.items())


def rolled(connection: Connection) -> list[Row]:
    return [tuple(row) for row in connection.execute(select(schema.usage_hours).order_by("at", "user_id"))]


@pytest.mark.parametrize("seed", range(5))
def test_equals_a_recomputation_by_hand_and_may_be_done_again(connection: Connection, seed: int) -> None:
    fill(connection, Random(seed))
    hours = [FIRST + number * HOUR_MS for number in range(HOURS)]
    for hour in (*hours, hours[2], hours[0]):
        roll(connection, hour)
    assert rolled(connection) == [row for hour in hours for row in by_hand(connection, hour)]


def test_counts_what_was_recorded_late(connection: Connection) -> None:
    connection.execute(schema.active_sessions.insert(), session(1, "u1", FIRST))
    roll(connection, FIRST)
    assert rolled(connection) == [(FIRST, "u1", 1, HOUR_MS, 0, 0)]
    connection.execute(schema.active_sessions.delete())
    row = session(1, "u1", FIRST) | {"ended_at": FIRST + 60_000, "ended_reason": "lease_expired"}
    connection.execute(schema.ended_sessions.insert(), row)
    roll(connection, FIRST)
    assert rolled(connection) == [(FIRST, "u1", 1, 60_000, 0, 0)]


def test_an_hour_without_anybody_has_no_row(connection: Connection) -> None:
    roll(connection, FIRST)
    assert rolled(connection) == []


def test_due_are_the_finished_hours_after_the_last_one(connection: Connection) -> None:
    now = FIRST + 5 * HOUR_MS + 1
    assert list(due(connection, now)) == [FIRST + 4 * HOUR_MS]
    row = session(1, "u1", FIRST + 7) | {"ended_at": FIRST + HOUR_MS, "ended_reason": "stopped"}
    connection.execute(schema.ended_sessions.insert(), row)
    assert list(due(connection, now)) == [FIRST + number * HOUR_MS for number in range(5)]
    for hour in due(connection, now):
        roll(connection, hour)
    assert list(due(connection, now)) == [FIRST + number * HOUR_MS for number in (2, 3, 4)]  # hours without anybody
    assert len(due(connection, now + 1000 * HOUR_MS)) == CATCH_UP_HOURS


def test_reads_by_index_alone(connection: Connection) -> None:
    """With a million rows no table may be read whole, but the few live sessions."""
    plan = connection.execute(
        text(f"EXPLAIN QUERY PLAN {usage._ROLL.text}"), {"begins": FIRST, "ends": FIRST + HOUR_MS}
    )
    whole = {row.detail for row in plan if row.detail.startswith("SCAN")}
    assert whole == {"SCAN active_sessions", "SCAN stays", "SCAN uses"}  # the last two are the statement's own


def test_a_day_is_the_sum_of_its_hours_however_often_they_are_rolled(connection: Connection) -> None:
    """And who used most is the same from days and hours as from hours alone, from whichever hour on."""
    chance, hours = Random(5), range(FIRST, FIRST + 3 * DAY_MS, HOUR_MS)
    for number in range(1, 300):
        at = chance.choice(hours) + chance.randrange(HOUR_MS)
        ended = {"ended_at": at + chance.randrange(9 * HOUR_MS), "ended_reason": "stopped"}
        connection.execute(schema.ended_sessions.insert(), session(number, f"u{number % 7}", at) | ended)
        connection.execute(schema.trades.insert(), trade(number, f"u{chance.randrange(7)}", at))
    for hour in hours:
        roll(connection, hour)
    connection.execute(schema.trades.delete())  # the clock went back: hours come twice, and differ
    for hour in chance.sample(hours, 20):
        roll(connection, hour)
    connection.execute(schema.ended_sessions.delete())
    kept = connection.execute(select(schema.usage_hours)).all()
    by_day: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for at, user, *figures in kept:
        for place, figure in enumerate(figures):
            by_day[at - at % DAY_MS, user][place] += figure
    days = [tuple(row) for row in connection.execute(select(schema.usage_days).order_by("at", "user_id"))]
    assert days == sorted((*key, *figures) for key, figures in by_day.items())
    for hour in hours:
        held: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for row in kept:
            if row.at >= hour:
                held[row.user_id][0] += row.slot_ms
                held[row.user_id][1] += row.trades
        stays = read.usage.top_users(connection, hour + 7, hours[-1] + HOUR_MS, most=None)
        assert {one.user_id: [one.slot_ms, one.trades] for one in stays} == held


@pytest.mark.parametrize("seed", range(3))
def test_the_running_hour_is_what_the_rollup_will_say_of_it(connection: Connection, seed: int) -> None:
    fill(connection, Random(seed))
    for number in range(HOURS - 1):
        roll(connection, FIRST + number * HOUR_MS)
    last = FIRST + (HOURS - 1) * HOUR_MS
    so_far = [(last, *row) for row in usage.running(connection, last + HOUR_MS)]
    assert sorted(so_far) == by_hand(connection, last)
    stays = read.usage.top_users(connection, FIRST, last + HOUR_MS, most=None)
    roll(connection, last)
    assert stays == read.usage.top_users(connection, FIRST, last + HOUR_MS, most=None)
    held = {one.user_id: one.slot_ms for one in stays}
    rows = connection.execute(select(schema.usage_hours)).all()
    assert held == {user: sum(row.slot_ms for row in rows if row.user_id == user) for user in held}


@pytest.mark.parametrize("seed", range(4))
def test_an_hour_of_a_zone_with_a_half_is_counted_from_its_own_rows(connection: Connection, seed: int) -> None:
    """As the rollup's own statement counts it, whose hours are those of UTC; the last one is not over."""
    fill(connection, Random(seed))
    if seed % 2:  # numbers grow with time, or the clock went back
        ended = connection.execute(select(schema.ended_sessions).order_by("started_at")).all()
        connection.execute(schema.ended_sessions.delete())
        rows = [{**row._mapping, "number": number} for number, row in enumerate(ended, start=1000)]
        connection.execute(schema.ended_sessions.insert(), rows)
    else:
        known = {"at": FIRST, "actor": "clock", "action": WENT_BACK, "target": "", "reason": "", "detail": "{}"}
        connection.execute(schema.audit.insert(), known | {"id": 1, "hash": ""})
    hours = [FIRST + number * HOUR_MS + HOUR_MS // 2 for number in (0, 2, 5)]
    now = hours[-1] + HOUR_MS // 3
    wanted: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for hour in hours:
        bounds = {"begins": hour, "ends": min(hour + HOUR_MS, now)}
        for user, *figures in connection.execute(text(f"SELECT {usage._USES}"), bounds):
            wanted[user] = [old + int(new) for old, new in zip(wanted[user], figures, strict=True)]
    found = {row.user_id: list(row[1:]) for row in read.usage.top_users(connection, 0, now, hours, most=None)}
    assert len(found) > 3 and found == {user: figures for user, figures in wanted.items() if any(figures)}
    assert [row[2] for row in read.usage.top_users(connection, 0, now, hours, most=2)] == sorted(
        (figures[1] for figures in found.values()), reverse=True
    )[:2]


def test_the_first_hour_of_a_limiter_has_users_already(connection: Connection) -> None:
    connection.execute(schema.active_sessions.insert(), session(1, "u1", FIRST + 60_000))
    (found,) = read.usage.top_users(connection, FIRST, FIRST + 600_000)
    assert (found.user_id, found.starts, found.slot_ms) == ("u1", 1, 540_000)
    assert read.usage.top_users(connection, FIRST, FIRST + 600_000, within=[FIRST]) == [found]
    assert read.usage.top_users(connection, FIRST, FIRST + 600_000, within=[FIRST - HOUR_MS]) == []
