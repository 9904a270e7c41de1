"""One user's ended sessions, found block by block, against a list of all; and what of the index they look at."""

import random
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from limiter.store import read, schema
from limiter.store.engine import open_reader, open_writer, reading
from limiter.store.schema import BLOCK
from tests.conftest import new_database
from tests.rules.world import NOW

LENGTHS = {None: (0, 10**9), (0, 60): (0, 60), (60, 600): (60, 600), (600, None): (600, 10**9)}
NUMBERS = 9 * BLOCK


def fill(tx: Connection, whose: dict[int, str], lasted: dict[int, int]) -> None:
    """Ended sessions of these numbers: by number whose they were, and their seconds."""
    row: dict[str, Any] = {column.name: 0 for column in schema.ended_sessions.c}
    row |= dict.fromkeys(("secret", "bot_id", "ended_reason"), "x")
    row |= dict.fromkeys(("asked_bot", "idempotency_key", "notice_reason"))
    rows = [
        row | {"number": n, "user_id": user, "started_at": NOW, "ended_at": NOW + 1000 * lasted[n]}
        for n, user in whose.items()
    ]
    tx.execute(schema.ended_sessions.insert(), rows)


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_pages_and_counts_are_those_of_a_list_of_all(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user of many, of few long ago, of blocks that lie apart, of none; a page, before a number, by length."""
    url = new_database() if database == "postgres" else f"sqlite:///{tmp_path / 'limiter.db'}"
    chance, edges = random.Random(14), [n * BLOCK + by for n in range(1, 9) for by in (-1, 0, 1)]
    numbers = {*chance.sample(range(5, NUMBERS), 900), *edges, *range(3 * BLOCK, 3 * BLOCK + 200)}
    numbers -= set(range(5 * BLOCK, 7 * BLOCK))  # trimmed, but for what began before and ended after
    whose = {n: "old" if n < 400 else chance.choice(("many", "many", "other")) for n in numbers}
    whose |= {7: "apart", 4 * BLOCK + 9: "apart", NUMBERS - 1: "apart", NUMBERS: "newest"}
    lasted = {n: chance.choice((0, 59, 60, 599, 600, 7200)) for n in whose}
    monkeypatch.setattr(read.sessions, "LATEST", 3 * BLOCK)
    writer = open_writer(url)
    with writer.begin() as tx:
        assert not read.sessions.ended(tx, "many") and not read.sessions.count_ended(tx, "many")
        fill(tx, whose, lasted)
    writer.dispose()
    reader = open_reader(url)
    with reading(reader, 60) as tx:
        for _ in range(300):
            user = chance.choice(("many", "old", "apart", "newest", "nobody"))
            before = chance.choice((None, None, 1, 5 * BLOCK, *chance.sample(sorted(whose), 3), 10**9, 10**18))
            stay, size, skipped = chance.choice(list(LENGTHS)), chance.choice((1, 8, 51)), chance.choice((0, 0, 7, 250))
            at_least, less_than = LENGTHS[stay]
            of_user = [
                n
                for n in sorted(whose, reverse=True)
                if whose[n] == user
                and (stay is None or (n > NUMBERS - 3 * BLOCK and at_least <= lasted[n] < less_than))
            ]
            wanted = [n for n in of_user if before is None or n < before][skipped : skipped + size]
            found = read.sessions.ended(tx, user, before, size, skipped, stay)
            assert [row.number for row in found] == wanted
            assert all((row.user_id, row.ended_at) == (user, NOW + 1000 * lasted[row.number]) for row in found)
            assert read.sessions.count_ended(tx, user, size, stay) == min(size, len(of_user))
    reader.dispose()


def test_no_more_blocks_are_looked_at_than_it_takes_each_by_its_index(tmp_path: Path) -> None:
    writer = open_writer(f"sqlite:///{tmp_path / 'limiter.db'}")
    with writer.begin() as tx:
        numbers = range(1, NUMBERS, 40)
        fill(tx, dict.fromkeys(numbers, "u1"), dict.fromkeys(numbers, 30))
    with writer.begin() as tx:
        asked: list[str] = []
        driver: Any = tx.connection.driver_connection
        driver.set_trace_callback(asked.append)
        read.sessions.ended(tx, "u1", limit=20)
        read.sessions.ended(tx, "u1", limit=20, lasted=(0, 60))
        read.sessions.count_ended(tx, "u1")
        driver.set_trace_callback(None)
        steps = [row[3] for query in asked for row in driver.execute(f"EXPLAIN QUERY PLAN {query}")]
        looked = [len(driver.execute(query).fetchall()) for query in asked if query.startswith("WITH RECURSIVE")]
    assert looked == [1, 1, 9]
    assert not [step for step in steps if step.startswith("SCAN") and step not in ("SCAN CONSTANT ROW", "SCAN walk")]
    by_block = "USING COVERING INDEX ended_sessions_block (<expr>=? AND user_id=? AND number>? AND number<?)"
    assert [step for step in steps if step.startswith("SEARCH ended_sessions") and by_block in step]
    writer.dispose()
