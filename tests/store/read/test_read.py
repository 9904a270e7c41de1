"""The console's reads against figures that were written by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from limiter.console.kit.times import RANGES
from limiter.rules.box_use import BusyHour, Lag
from limiter.rules.capacity import Capacity
from limiter.rules.limits import defaults
from limiter.rules.records import Drain
from limiter.store import read, schema
from limiter.store.engine import open_reader, open_writer, reading

HOUR, MINUTE = 3_600_000, 60_000
START = 1_790_000_000_000 // HOUR * HOUR


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """A writer and a reader of one file."""
    url = f"sqlite:///{tmp_path / 'limiter.db'}"
    writer = open_writer(url)
    reader = open_reader(url)
    yield writer, reader
    reader.dispose()
    writer.dispose()


def snapshot(tx: Connection, step: int, at: int, bots: int, limit: int = 100, n: int = 1) -> None:
    """One row of that resolution."""
    row: dict[str, Any] = {column.name: 0 for column in schema.snapshots.c}
    row |= {
        "step": step,
        "at": at,
        "n": n,
        "bots_min": bots,
        "bots_max": bots,
        "bots_sum": bots * n,
        "limit_last": limit,
    }
    row |= {"cpu_n": n, "cpu_sum": 40.0 * n, "cpu_max": 50.0, "ram_max": None, "p99_max": None, "starts": 2}
    status = Capacity(bots, limit).status.value.lower()
    tx.execute(schema.snapshots.insert(), row | {f"{status}_ms": step * 1000, "peak_at": at})


def test_a_series_leaves_gaps_out_and_takes_the_rows_that_fit(database: tuple[Engine, Engine]) -> None:
    writer, reader = database
    with writer.begin() as tx:
        for minute in (*range(60), *range(90, 120)):
            snapshot(tx, 60, START + minute * MINUTE, minute, n=12)
        for hour in range(2):
            snapshot(tx, 3600, START + hour * HOUR, 100, n=720)
        tx.execute(schema.refusal_counts.insert(), {"step": 60, "at": START, "reason": "server_full", "n": 3})
    with reading(reader) as tx:
        found = read.history.series(tx, START, START + 2 * HOUR)
        assert (found.step, found.bucket_ms) == (60, MINUTE)
        assert [row.at for row in found.rows][58:62] == [START + m * MINUTE for m in (58, 59, 90, 91)]
        first = found.rows[0]
        assert (first.low, first.mean, first.high, first.limit, first.cpu, first.ram) == (0, 0.0, 0, 100, 40.0, None)
        assert found.refused == {START: {"server_full": 3}}
        coarse = read.history.series(tx, START, START + 2 * HOUR, points=10)
        assert coarse.bucket_ms == 900_000 and coarse.rows[1].mean == 22.0 and coarse.rows[1].high == 29
        assert read.history.series(tx, START + 5 * HOUR, START + 6 * HOUR).rows == []
        assert read.history.bounds(tx) == (START, START + 119 * MINUTE)


def test_a_load_counts_minutes_from_80_percent_and_at_100(database: tuple[Engine, Engine]) -> None:
    writer, reader = database
    with writer.begin() as tx:
        for minute, bots in enumerate((79, 80, 99, 100, 101, 10)):
            snapshot(tx, 60, START + minute * MINUTE, bots)
        tx.execute(
            schema.refusal_counts.insert(), {"step": 60, "at": START + 4 * MINUTE, "reason": "server_full", "n": 7}
        )
    with reading(reader) as tx:
        found = read.history.load(tx, START, START + HOUR - 1)  # of a whole hour the hour's row would be read
    assert (found.peak, found.peak_at, found.samples, found.starts) == (101, START + 4 * MINUTE, 6, 12)
    assert (found.busy_seconds, found.full_seconds) == (240, 120)
    assert found.refusals == {"server_full": 7}


def test_limit_changes_are_those_of_the_system(database: tuple[Engine, Engine]) -> None:
    writer, reader = database
    row = {"at": START, "actor": "alice", "kind": "limits", "reason": "peak", "user_id": None, "in_force": "{}"}
    changes = (
        [["MAX_CONCURRENT_BOTS", None, 100]],
        [["MAX_CONCURRENT_BOTS", 100, 150]],
        [["MAX_TRADES_PER_DAY", 1, 2]],
    )
    with writer.begin() as tx:
        for version, changed in enumerate(changes, 1):
            tx.execute(schema.limit_versions.insert(), {**row, "version": version, "changed": json.dumps(changed)})
    with reading(reader) as tx:
        found = read.limits.changes_of(tx, START, START + 1)
        assert [(one["version"], one["before"], one["after"]) for one in found] == [(2, 100, 150)]
        assert read.limits.read(tx) is None  # the limiter has written none yet
    with writer.begin() as tx:
        for name, setting in defaults().items():
            values = {"name": name, "value": setting.value, "configured": setting.value}
            tx.execute(schema.limits.insert(), {**values, "source": "default", "configured_source": "default"})
    with reading(reader) as tx:
        limits = read.limits.read(tx)
    assert limits is not None and limits.version == 3 and limits.values["MAX_CONCURRENT_BOTS"] == 200


def test_a_limit_went_as_its_versions_say_to_the_millisecond(database: tuple[Engine, Engine]) -> None:
    writer, reader = database
    row = {"actor": "alice", "kind": "limits", "reason": "peak", "user_id": None}
    went = [(START - HOUR, 100), (START + 7, 150), (START + HOUR, 90)]
    with writer.begin() as tx:
        for version, (at, limit) in enumerate(went, 1):
            values = {
                "version": 300 * version, "at": at, "changed": json.dumps([["MAX_CONCURRENT_BOTS", 1, limit]]),
                "in_force": json.dumps({"MAX_CONCURRENT_BOTS": [limit, "live"]}),
            }  # fmt: skip
            tx.execute(schema.limit_versions.insert(), {**row, **values})
        for n in range(250):  # limits of users' own, all at once
            own = {"user_id": f"u{n}", "changed": json.dumps([["MAX_BOTS_PER_USER", 3, 5]]), "in_force": "{}"}
            tx.execute(schema.limit_versions.insert(), {**row, **own, "version": 601 + n, "at": START + 8})
    with reading(reader) as tx:
        assert read.limits.course(tx, START, START + HOUR) == [(START, 100), (START + 7, 150)]
        assert read.limits.course(tx, START - 2 * HOUR, START) == [(START - HOUR, 100)]
        assert read.limits.course(tx, START - 3 * HOUR, START - 2 * HOUR) == []
        changed = read.limits.changes_of(tx, START, START + HOUR)
        assert [(one["at"], one["after"]) for one in changed] == [(START + 7, 150)], "250 of users hide none of it"


@pytest.mark.parametrize("span", [*RANGES.values(), 365 * 24 * HOUR])
def test_a_chart_reads_few_rows_a_bucket(database: tuple[Engine, Engine], span: int) -> None:
    _, reader = database
    with reading(reader) as tx:
        found = read.history.series(tx, START, START + span)
    assert found.bucket_ms <= 5000 * found.step and span // (1000 * found.step) <= 1440


@pytest.mark.parametrize(("off", "step"), [(30, 1800), (45, 60)])
def test_hours_are_those_of_a_wall_clock_that_is_not_whole_hours_off(
    database: tuple[Engine, Engine], off: int, step: int
) -> None:
    """Made of the widest samples that begin with them: here there are no others."""
    writer, reader = database
    with writer.begin() as tx:
        for minute, bots in ((off - 30, 10), (off, 30), (off + 30, 50), (off + 60, 70)):
            snapshot(tx, step, START + minute * MINUTE, bots)
        refused = {"step": step, "at": START + off * MINUTE, "reason": "server_full", "n": 2}
        tx.execute(schema.refusal_counts.insert(), refused)
    with reading(reader) as tx:
        found = read.history.hours(tx, START, START + 2 * HOUR, off * MINUTE)
        by_hour = read.history.refused_by_hour(tx, START, START + 2 * HOUR, off * MINUTE)
    assert [(row.at - START - off * MINUTE, row.mean, row.high) for row in found] == [
        (-HOUR, 10.0, 10), (0, 40.0, 50), (HOUR, 70.0, 70),
    ]  # fmt: skip
    assert by_hour == {START + off * MINUTE: {"server_full": 2}}


def test_an_empty_database_answers_everything(database: tuple[Engine, Engine]) -> None:
    _, reader = database
    with reading(reader) as tx:
        assert (
            read.history.bounds(tx) is None
            and read.history.newest(tx) is None
            and read.history.highest(tx) == (0, None)
        )
        assert read.history.load(tx, START, START + HOUR).peak is None
        assert not read.history.series(tx, START, START + HOUR).rows and not read.history.hours(tx, START, START + HOUR)
        assert read.sessions.count_ended(tx) == 0 and read.refusals.count(tx) == 0
        assert (
            not read.usage.top_users(tx, 0, START)
            and not read.usage.trade_days(tx, "")
            and not read.limits.overrides(tx)
        )
        assert read.history.last_full(tx) is None and read.sessions.silent_since(tx, START) is None
        assert all(n == 0 for _, n in read.database.tables(tx))


def test_lengths_of_many_hours_read_the_audit_once(database: tuple[Engine, Engine]) -> None:
    """Whether the clock ever went back is found nowhere but in all of it."""
    _, reader = database
    with reading(reader) as tx:
        asked: list[str] = []
        driver: Any = tx.connection.driver_connection
        driver.set_trace_callback(asked.append)
        read.sessions.durations(tx, 0, [START + hour * HOUR for hour in range(24)])
        driver.set_trace_callback(None)
    assert len(asked) > 24 and sum("FROM audit" in one for one in asked) == 1


def test_refusals_for_a_rare_reason_are_found_by_it_and_those_of_a_user_by_the_user(
    database: tuple[Engine, Engine],
) -> None:
    """A reason alone has an index; beside a user or an instant that index would lead to more rows than theirs."""
    writer, reader = database
    with writer.begin() as tx:
        row: dict[str, Any] = {column.name: None for column in schema.refusals.c} | {"version": 1, "repeats": 1}
        for number in range(1, 41):
            of = {"id": number, "request_id": f"r{number}", "at": START + number, "user_id": f"u{number % 4}"}
            reason = "paused" if number in (7, 30) else "server_full"
            tx.execute(schema.refusals.insert(), row | of | {"reason": reason})
    with reading(reader) as tx:
        asked: list[str] = []
        driver: Any = tx.connection.driver_connection
        driver.set_trace_callback(asked.append)
        rare = [row.id for row in read.refusals.refusals(tx, reason="paused")]
        older = [row.id for row in read.refusals.refusals(tx, reason="paused", before=30)]
        counted = read.refusals.count(tx, reason="paused")
        of_user = [row.id for row in read.refusals.refusals(tx, "u2", "paused")]
        (near,) = read.refusals.near(tx, START + 9, 5, 1, "paused")
        driver.set_trace_callback(None)
        plans = [" ".join(step[3] for step in driver.execute(f"EXPLAIN QUERY PLAN {query}")) for query in asked]
        since = [row.id for row in read.refusals.refusals(tx, reason="paused", since=START + 8)]
    assert (rare, older, counted, of_user, near.id, since) == ([30, 7], [7], 2, [30], 7, [30])
    assert ["refusals_reason" in plan for plan in plans] == [True, True, True, False, False]


def test_the_sessions_of_a_length_are_those_that_it_counts(
    database: tuple[Engine, Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest by their ends: the one that began first, and ended last, is among them."""
    monkeypatch.setattr(read.sessions, "LATEST", 5)
    writer, reader = database
    with writer.begin() as tx:
        for number, (began, minutes) in enumerate(((0, 600), (10, 5), (20, 5), (30, 6), (40, 5), (50, 5), (60, 700))):
            ended_session(tx, number + 1, START + began * MINUTE, seconds=60 * minutes)
    with reading(reader) as tx:
        for since in (0, START + 40 * MINUTE):
            lengths = read.sessions.durations(tx, since)
            for low, high in ((0, 300), (300, 360), (360, 36_000), (36_000, None)):
                counted = sum(row.n for row in lengths if low <= row.seconds < (high or row.seconds + 1))
                total, rows = read.sessions.of_length(tx, since, (low, high), 20)
                assert counted == total == len(rows), (low, high)
                assert [row.ended_at for row in rows] == sorted((row.ended_at for row in rows), reverse=True)
        total, (newest,) = read.sessions.of_length(tx, 0, (36_000, None), 1)
        assert (total, newest.number) == (2, 7)


def test_lengths_and_users_of_some_hours_only(database: tuple[Engine, Engine]) -> None:
    writer, reader = database
    with writer.begin() as tx:
        for number, hour in enumerate((0, 0, 1, 5, 5, 5, 9), start=3):
            ended_session(
                tx, 2 * number, START + hour * HOUR + 1000 * number, seconds=60 * number if number != 4 else 659
            )
        for hour, user, ms in ((0, "a", 10), (5, "b", 20), (5, "a", 30), (9, "c", 40)):
            row = {"at": START + hour * HOUR, "user_id": user, "starts": 1, "slot_ms": ms, "trades": 0, "refusals": 0}
            tx.execute(schema.usage_hours.insert(), row)
    with reading(reader) as tx:
        within = [START + hour * HOUR for hour in (0, 5, 7)]
        lasted = [(row.seconds, row.n) for row in read.sessions.durations(tx, 0, within)]
        assert lasted == [(360, 1), (420, 1), (480, 1), (180, 1), (600, 1)]  # 659 s are 10 minutes
        assert not read.sessions.durations(tx, 0, [START + 20 * HOUR]) and not read.sessions.durations(tx, 0, [])
        assert sum(row.n for row in read.sessions.durations(tx, 0)) == 7
        assert [(row.user_id, row.slot_ms) for row in read.usage.top_users(tx, 0, START + 99 * HOUR, within)] == [
            ("a", 40),
            ("b", 20),
        ]


def test_the_first_session_that_started_at_an_instant_is_found_among_numbers_with_gaps(
    database: tuple[Engine, Engine],
) -> None:
    starts = {3: 0, 4: 1, 9: 1, 10: 1, 11: 5, 40: 9}
    with database[0].begin() as tx:
        for number, after in starts.items():
            ended_session(tx, number, START + after, 1)
        for at in range(-1, 11):
            first = read.sessions._number_at(tx, START + at)
            assert {n for n in starts if n >= first} == {n for n, after in starts.items() if after >= at}, at


def ended_session(tx: Connection, number: int, at: int, seconds: int) -> None:
    """A session that started then and lasted so long."""
    row: dict[str, Any] = {column.name: 0 for column in schema.ended_sessions.c}
    row |= {"number": number, "secret": "x", "user_id": "u", "bot_id": "b", "asked_bot": None, "idempotency_key": None}
    row |= {"started_at": at, "ended_at": at + 1000 * seconds, "ended_reason": "stopped"}
    tx.execute(schema.ended_sessions.insert(), row)


def test_who_waits_a_drain_and_how_many_have_left(database: tuple[Engine, Engine]) -> None:
    writer, reader = database
    with writer.begin() as tx:
        tx.execute(schema.fleet.delete())
        tx.execute(schema.fleet.insert(), {"id": 1, "active": 0, "next_number": 1, "paused": 0})
        for number, (user, asked) in enumerate((("late", 0), ("second", 300_000), ("first", 200_000))):
            row = {"user_id": user, "id": f"t{number}", "number": 9 - number, "asked_at": START + asked}
            tx.execute(schema.tickets.insert(), row)
    with reading(reader) as tx:
        assert read.limits.drain(tx) is None
        waiting = read.sessions.waiting(tx, START + 300_000)
        assert [(one.user_id, one.number) for one in waiting] == [("first", 7), ("second", 8)], "the oldest has lapsed"
        assert read.sessions.count_since(tx, START) == 0
    with writer.begin() as tx:
        tx.execute(schema.fleet.update(), {"drain_since": START, "drain_stop_at": None, "drain_reason": "reboot"})
    with reading(reader) as tx:
        assert read.limits.drain(tx) == Drain(START, None, "reboot")


def test_the_week_that_advice_is_given_on(database: tuple[Engine, Engine]) -> None:
    writer, reader = database
    now = START + 7 * 24 * HOUR
    with writer.begin() as tx:
        for hour in range(7 * 24):
            snapshot(tx, 3600, START + hour * HOUR, 30 + hour % 24, n=720)
        heavy = schema.snapshots.c.at == START + 30 * HOUR
        ram = {"ram_n": 720, "ram_sum": 720 * 81.0, "cpu_sum": 720 * 93.0}
        tx.execute(schema.snapshots.update().where(heavy).values(**ram))
    with reading(reader) as tx:
        days = read.box_use.days_of_use(tx, now)
        assert [day.bots for day in days] == [53] * 7
        assert {round(day.known, 3) for day in days} <= {1.0, 0.958}  # the window's first instant is not in it
        assert [day.cpu for day in days] == [40.0] * 5 + [93.0] + [40.0]
        assert [day.ram for day in days] == [None] * 5 + [81.0] + [None]
        assert read.box_use.days_of_use(tx, now + 8 * 24 * HOUR) == []
        assert read.box_use.busy_hours(tx, now) == []
    with writer.begin() as tx:
        hot = schema.snapshots.c.at == START + 40 * HOUR
        busy = {"warning_ms": 600_000, "healthy_ms": 0, "low_ms": 3_000_000, "bots_max": 88, "peak_at": START + 1}
        tx.execute(schema.snapshots.update().where(hot).values(**busy))
    with reading(reader) as tx:
        assert read.box_use.busy_hours(tx, now) == [BusyHour(5, 24 * HOUR, 600_000, 88, START + 1)]


def test_minutes_that_were_slow_and_not_full(database: tuple[Engine, Engine]) -> None:
    writer, reader = database
    now = START + 2 * HOUR + 30_000
    with writer.begin() as tx:
        for minute in range(-70, 1):  # the last one runs
            snapshot(tx, 60, START + 2 * HOUR + minute * MINUTE, 100, limit=200, n=12)
        tx.execute(schema.snapshots.update().values(tokens=390))

        def change(minute: int, **values: Any) -> None:
            at = schema.snapshots.c.at == START + 2 * HOUR + minute * MINUTE
            tx.execute(schema.snapshots.update().where(at).values(**values))

        for minute in (-70, -61, -60, -30, -1, 0):
            change(minute, p99_max=251.0 + minute, tokens=4)
        change(-30, p99_max=900.0, bots_max=120)
        change(-29, p99_max=950.0, full_ms=1)  # full: no wonder
        change(-28, tokens=0, n=5)  # the limiter had just started
        change(-27, tokens=0, bots_min=0)
        change(-26, tokens=5)
    with reading(reader) as tx:
        assert read.box_use.lag(tx, now, fed=True) == Lag(1, 900.0, 3, 120, 200)
        assert read.box_use.lag(tx, now, fed=False) == Lag(1, 900.0, 0, 120, 200)
        assert read.box_use.lag(tx, now + 5 * HOUR, fed=True) == Lag()
