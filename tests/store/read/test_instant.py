"""Who held a slot at any instant, against a model that writes down everything after each batch."""

import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from limiter.rules.changes import SetPause
from limiter.store import read, schema
from limiter.store.engine import open_reader, open_writer, reading
from limiter.store.journal_reader import AWAY_MS
from tests.conftest import new_database
from tests.rules.world import HOUR, NOW, asked
from tests.store.book import Book, beat, change, stop

Moment = tuple[int, dict[int, tuple[str, int]], int, bool]
"""An instant, and after it: slots by number with user and end of lease, version of the limits, pause."""


STEPS = (0, 1, 500, 7_000, 14_000)
"""Milliseconds between batches: less than the silence after which PostgreSQL's writer takes it that nobody could beat,
and renews every lease, so that who the model saw ended never was."""


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_thousand_instants_are_what_the_model_saw(database: str, tmp_path: Path) -> None:
    assert max(STEPS) < AWAY_MS
    url = new_database() if database == "postgres" else f"sqlite:///{tmp_path / 'limiter.db'}"
    chance, book = random.Random(16), Book(url, MAX_CONCURRENT_BOTS=12, BOT_LEASE_SECONDS=30, MAX_BOTS_PER_USER=2)
    seen: list[Moment] = []
    now = NOW
    for _ in range(400):
        now += chance.choice(STEPS)
        held = list(book.state.sessions.values())
        what = chance.random()
        request: Any
        if what < 0.55 or not held:
            request = asked(f"u{chance.randrange(9)}", chance.choice(("a", "b", None)))
        elif what < 0.75:
            request = beat(chance.choice(held))
        elif what < 0.9:
            request = stop(chance.choice(held))
        elif what < 0.95:
            request = SetPause(not book.state.paused, "test", "tests")
        else:
            request = change(MAX_CONCURRENT_BOTS=chance.randrange(6, 15))
        book.ask(now, request)
        slots = {one.number: (one.user_id, one.expires_at) for one in book.state.sessions.values()}
        seen.append((now, slots, book.state.limits.version, book.state.paused))
    live = list(book.state.sessions.values())
    reader = open_reader(url)
    for _ in range(1000):
        with reading(reader) as tx:
            at = chance.choice((chance.randrange(NOW, now + 1), chance.choice(seen)[0]))
            _, slots, version, paused = [(NOW, {}, 1, False), *(one for one in seen if one[0] <= at)][-1]
            expected = sorted(number for number, (_, expires_at) in slots.items() if expires_at > at)
            assert sorted(one.number for one in read.instant.held(tx, at, live)) == expected
            found = read.instant.limits(tx, at)
            assert found is not None and (found[0], read.instant.paused(tx, at)) == (version, paused)
    with reading(reader) as tx:
        assert read.instant.limits(tx, NOW - HOUR) is None
    reader.dispose()
    book.close()


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_stays_of_every_length_are_found_and_few_are_read(database: str, tmp_path: Path) -> None:
    """From none at all to ten years, to the millisecond at both ends, and where the clock went back."""
    url = new_database() if database == "postgres" else f"sqlite:///{tmp_path / 'limiter.db'}"
    chance, writer = random.Random(16), open_writer(url)
    lengths = [chance.choice((10**n, 10**n - 1, chance.randrange(10**n))) for n in range(12) for _ in range(40)]
    rows: list[dict[str, Any]] = []
    for number, length in enumerate([*lengths, -5_000_000]):
        began = NOW - chance.randrange(2 * max(1, length))
        row: dict[str, Any] = {column.name: 0 for column in schema.ended_sessions.c}
        row |= dict.fromkeys(("secret", "user_id", "bot_id", "ended_reason"), "x") | {"asked_bot": None}
        row |= {"idempotency_key": None, "notice_reason": None, "number": number}
        rows.append(row | {"started_at": began, "ended_at": began + length})
    with writer.begin() as tx:
        tx.execute(schema.ended_sessions.insert(), rows)
    instants = {NOW, *(row[edge] + by for row in rows[::9] for edge in ("started_at", "ended_at") for by in (-1, 0, 1))}
    ended = schema.ended_sessions.c
    with writer.begin() as tx:
        for at in instants:
            all_of_it = select(ended.number).where(ended.started_at <= at, ended.ended_at > at)
            assert {one.number for one in read.instant.held(tx, at, ())} == set(tx.execute(all_of_it).scalars())
    writer.dispose()


def test_no_history_is_walked_over(tmp_path: Path) -> None:
    """What is asked of an instant, of the dead and of the tables is found by index, whatever lies before and after."""
    open_writer(f"sqlite:///{tmp_path / 'limiter.db'}").dispose()
    reader = open_reader(f"sqlite:///{tmp_path / 'limiter.db'}")
    with reading(reader) as tx:
        asked: list[str] = []
        driver: Any = tx.connection.driver_connection
        driver.set_trace_callback(asked.append)
        read.instant.held(tx, NOW, ())
        read.instant.paused(tx, NOW)
        read.beats.dead(tx, NOW)
        read.database.tables(tx)
        read.history.bounds(tx)
        driver.set_trace_callback(None)
        steps = [row[3] for query in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert not [step for step in steps if step.startswith("SCAN") and step != "SCAN CONSTANT ROW"]
    long = "SEARCH ended_sessions USING INDEX ended_sessions_long (<expr>=? AND ended_at>? AND ended_at<?)"
    assert steps.count(long) == len(read.instant.DIGITS)
    assert "SEARCH ended_sessions USING INDEX ended_sessions_died (ended_at>?)" in steps
    assert "SEARCH audit USING INDEX audit_action (action=?)" in steps
    reader.dispose()
