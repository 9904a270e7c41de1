"""A database from years ago, opened by this program. `schemas/` has each schema as released; it never changes."""

import random
import re
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection

from limiter import config, maintenance
from limiter.rules.alerts import message
from limiter.rules.guards import Guard
from limiter.rules.limits import defaults
from limiter.rules.plan import ApplyPlan
from limiter.rules.records import Step
from limiter.rules.sessions import Heartbeat
from limiter.rules.snapshots import TakeSnapshot
from limiter.store import engine, postgres, read, restore, schema
from limiter.store.engine import open_writer
from limiter.store.location import StoreError
from limiter.store.migrations import MIGRATIONS
from limiter.store.open import writer_of
from limiter.units import DAY_MS
from tests.conftest import new_database
from tests.rules.world import CALM, HOUR, MINUTE, NOW, SECOND, asked
from tests.store.book import SAMPLE, UTC, Book, change, stop

SCHEMAS = Path(__file__).with_name("schemas")
AGO = NOW - MINUTE
SESSION = f"'u%d', 'b1', 'b1', NULL, {AGO}, 60000, {AGO}, {AGO + MINUTE}, 0, 200, 0, 1, 1"
SAMPLED = "1, 7, 7, 7, 0, 200, 1, 30, 30, 1, 40, 40, 1.5, 9, 8, 7, 6, 5"
ROWS = f"""
INSERT INTO active_sessions VALUES (2, 'secret-2', {SESSION % 2});
INSERT INTO ended_sessions VALUES (1, 'secret-1', {SESSION % 1}, {AGO + 5}, 'stopped');
UPDATE fleet SET active = 1, next_number = 3;
INSERT INTO snapshots VALUES (5, {AGO}, {SAMPLED}), (60, {AGO}, {SAMPLED}), (3600, {AGO - AGO % HOUR}, {SAMPLED});
INSERT INTO migrations VALUES (1, 'first', {AGO});
"""  # what the program of that day left behind: a live session, one that is over, a sample
DATABASES = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str, str], str]:
    """`make("sqlite", rows)`: the URL of a database as step 1 was released, with these rows."""

    def make(database: str, rows: str) -> str:
        if database == "postgres":
            url = new_database()
            with psycopg.connect(plain(url)) as server:
                server.execute(((SCHEMAS / "1.postgresql.sql").read_text() + rows).encode())
            return url
        path = tmp_path / "old.db"
        with closing(sqlite3.connect(path)) as file:
            file.executescript((SCHEMAS / "1.sqlite.sql").read_text() + rows)
            file.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
            file.execute("PRAGMA user_version = 1")
            file.execute("PRAGMA journal_mode = WAL")
        return f"sqlite:///{path}"

    return make


def plain(url: str) -> str:
    return url.replace("+psycopg", "", 1)


def described(url: str) -> Any:
    """Everything that a schema holds."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            found = file.execute("SELECT name, coalesce(sql, '') FROM sqlite_master").fetchall()
            return {name: re.sub(r"\s*([,()])\s*", r"\1 ", " ".join(sql.split())).strip() for name, sql in found}
    with psycopg.connect(plain(url)) as server:
        columns = server.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        ).fetchall()
        indexes = server.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1").fetchall()
        views = server.execute("SELECT viewname, definition FROM pg_views WHERE schemaname = 'public'").fetchall()
        constraints = server.execute(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ).fetchall()
        triggers = server.execute("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1").fetchall()
        return columns, indexes, views, constraints, triggers


@DATABASES
def test_step_1_makes_what_it_made_when_it_was_released(
    make: Callable[[str, str], str], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = new_database() if database == "postgres" else f"sqlite:///{tmp_path}/new.db"
    monkeypatch.setattr(engine, "MIGRATIONS", MIGRATIONS[:1])
    open_writer(fresh).dispose()
    assert described(make(database, "")) == described(fresh)


@DATABASES
def test_an_old_database_gets_the_schema_of_a_new_one(
    make: Callable[[str, str], str], database: str, tmp_path: Path
) -> None:
    fresh = new_database() if database == "postgres" else f"sqlite:///{tmp_path}/new.db"
    old = make(database, ROWS)
    for url in (fresh, old):
        open_writer(url).dispose()
    assert described(old) == described(fresh)


@DATABASES
def test_an_old_database_goes_on_where_it_was(make: Callable[[str, str], str], database: str) -> None:
    book = Book(make(database, ROWS))
    (session,) = book.state.sessions.values()
    assert (session.number, session.user_id, session.facts.max_bots) == (2, "u2", 200)
    assert (session.memory_bytes, session.memory_peak, session.cpu_seconds) == (None, None, None)
    at = NOW + 20 * SECOND
    book.ask(at, Heartbeat(2, "secret-2", 5_000, 1.5), SAMPLE)
    (row,) = book.rows(schema.active_sessions)
    assert (row.memory_bytes, row.memory_peak, row.cpu_seconds) == (5_000, 5_000, 1.5)
    book.ask(at, stop(session), Heartbeat(1, "secret-1"))
    view = book.writer.connection.exec_driver_sql(
        "SELECT number, ended_reason, memory_bytes FROM sessions ORDER BY number"
    ).all()
    assert [tuple(row) for row in view] == [(1, "stopped", None), (2, "stopped", 5_000)]
    buckets = read.history.series(book.writer.connection, AGO, at + SECOND, 5).rows
    assert [(bucket.high, bucket.worst) for bucket in buckets] == [(7, "LOW")] + [(1, "LOW")] * 5
    assert [(row.n, row.bots_memory_n) for row in book.rows(schema.snapshots) if row.step == 60] == [(1, 0), (1, 1)]
    book.close()


@DATABASES
def test_sentences_of_before_facts_were_kept_are_shown_as_they_were_sent(
    make: Callable[[str, str], str], database: str
) -> None:
    crossed = f'[[{AGO}, "threshold", 170, 200]]'
    told = f"""
INSERT INTO incidents VALUES (1, 'capacity', 1, '⚠️ Capacité à 80 % !', {AGO}, NULL, 170, 200, '{{}}', '{crossed}', NULL, NULL, NULL);
INSERT INTO plan_steps VALUES ({AGO}, 250, 'held', NULL, 'CPU 91.0 % > 80 %');
"""  # noqa: E501
    book = Book(make(database, ROWS + told))
    assert message(book.state.incidents["capacity"], "en") == "⚠️ Capacité à 80 % !"
    assert book.state.plan == (Step(AGO, 250, "held"),)
    book.ask(NOW, ApplyPlan(replace(CALM, cpu_percent=91.0), 500))
    (step,) = restore.read_plan(book.writer.connection)
    assert step.held_by == (Guard("cpu", 91.0, 80, held=True),)
    book.writer.connection.rollback()
    book.close()


@DATABASES
def test_days_of_usage_are_made_of_the_hours_that_are_kept(make: Callable[[str, str], str], database: str) -> None:
    day = NOW - NOW % DAY_MS
    hours = [(day - 1, "u1", 1, 10, 2, 3), (day, "u1", 4, 20, 5, 6), (day + HOUR, "u1", 7, 30, 8, 9)]
    hours += [(day + HOUR, "u2", 0, 5, 0, 1)]
    told = "".join(f"INSERT INTO usage_hours VALUES {row};" for row in hours)
    book = Book(make(database, ROWS + told))
    assert sorted(map(tuple, book.rows(schema.usage_days))) == [
        (day - DAY_MS, "u1", 1, 10, 2, 3), (day, "u1", 11, 50, 13, 15), (day, "u2", 0, 5, 0, 1),
    ]  # fmt: skip
    book.close()


@DATABASES
def test_widths_that_charts_ask_for_are_made_as_samples_would_have_made_them(
    make: Callable[[str, str], str], database: str
) -> None:
    book, chance, now = Book(make(database, ROWS), MAX_CONCURRENT_BOTS=3, MAX_BOTS_PER_USER=3), random.Random(3), NOW
    tables, new = (schema.snapshots, schema.refusal_counts), (1800, 14_400, 86_400)
    for _ in range(60):
        now += chance.choice((SECOND, 9 * SECOND, 7 * MINUTE, 3 * HOUR))
        held: list[Any] = [*map(stop, list(book.state.sessions.values())[:2])] if chance.random() < 0.4 else []
        if chance.random() < 0.2:
            held.append(change(MAX_CONCURRENT_BOTS=chance.randrange(1, 5)))
        cpu = chance.choice((None, chance.randrange(100)))
        book.ask(now, *held, *(asked("u1") for _ in range(chance.randrange(4))), TakeSnapshot(cpu, None, 1.5))
    wide = [sorted(book.rows(table, table.c.step.in_(new))) for table in tables]
    connection = book.writer.connection
    for table in tables:
        connection.execute(table.delete().where(table.c.step.in_(new)))
    number = [name for name, _ in MIGRATIONS].index("widths of charts")
    MIGRATIONS[number][1](connection, number + 1)
    connection.commit()
    assert [sorted(book.rows(table, table.c.step.in_(new))) for table in tables] == wide
    assert {row.step for row in wide[0]} == {row.step for row in wide[1]} == set(new)
    book.close()


@DATABASES
def test_a_range_from_before_the_minutes_that_are_left_is_of_hours(
    make: Callable[[str, str], str], database: str
) -> None:
    """Right after the step half hours begin where minutes do, and say nothing of the time before."""
    hour = AGO - AGO % HOUR - 9 * HOUR
    rows = [(3600, hour + n * HOUR) for n in range(9)]
    rows += [(60, hour + 5 * HOUR + 47 * MINUTE + n * MINUTE) for n in range(13 + 3 * 60)]
    told = "".join(f"INSERT INTO snapshots VALUES ({step}, {at}, {SAMPLED});" for step, at in rows)
    book = Book(make(database, told + ROWS))
    connection = book.writer.connection
    for start in (hour, hour + 5 * HOUR, hour + 5 * HOUR + 50 * MINUTE):
        found = read.history.series(connection, start, hour + 9 * HOUR, 900)
        assert (found.step, found.rows[0].at) == (3600, start - start % HOUR)
    assert read.history.series(connection, hour + 6 * HOUR, hour + 9 * HOUR, 900).step == 60
    connection.rollback()
    book.close()


@pytest.mark.postgres
def test_on_a_server_a_step_takes_as_long_as_it_takes_and_who_comes_meanwhile_waits(
    make: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both longer than a statement of a batch may take, or wait for a lock."""
    url, asleep = make("postgres", ROWS), threading.Event()

    def slow(tx: Connection, _: int) -> None:
        asleep.set()
        tx.exec_driver_sql("SELECT pg_sleep(0.5)")

    for setting in ("STATEMENT_MS", "LOCK_MS"):
        monkeypatch.setattr(postgres, setting, 150)
    monkeypatch.setattr(engine, "MIGRATIONS", (*MIGRATIONS, ("slow", slow)))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(open_writer, url)
        assert asleep.wait(10)
        for one in (first, pool.submit(open_writer, url)):
            one.result(10).dispose()


@pytest.mark.postgres
def test_beside_a_limiter_of_an_older_program_nothing_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on without what the step brought: of its samples and hours a part would be missing for ever."""
    writer = writer_of(new_database())
    url = writer.connection.engine.url.render_as_string(hide_password=False)
    writer.restore(defaults(), UTC, NOW)
    monkeypatch.setattr(engine, "MIGRATIONS", (*MIGRATIONS, ("later", lambda tx, _: None)))
    with pytest.raises(StoreError, match="older program"):
        open_writer(url)
    writer.close()  # no more a leader; but another one may be there, which has just committed
    with pytest.raises(StoreError, match="older program"):
        open_writer(url)
    with psycopg.connect(plain(url)) as server:
        server.execute(f"UPDATE journal SET at = at - {postgres.SILENT_MS}".encode())
    open_writer(url).dispose()


@pytest.mark.postgres
def test_an_old_file_is_not_copied_to_a_server_before_it_is_migrated(make: Callable[[str, str], str]) -> None:
    settings = config.read({"LIMITER_DATABASE_URL": make("sqlite", ROWS)})
    with pytest.raises(StoreError, match=r"schema 1.*python -m limiter migrate"):
        maintenance.move(settings, new_database())
    maintenance.migrate(settings)
    assert maintenance.move(settings, new_database())["ended_sessions"] == 1
