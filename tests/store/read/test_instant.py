"""Who held a slot at any instant, against a model that writes down everything after each batch."""

import random
from pathlib import Path
from typing import Any

import pytest

from limiter.rules.changes import SetPause
from limiter.store import read
from limiter.store.engine import open_reader, reading
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
            mine = [number for number in expected if slots[number][0] == "u1"]
            assert sorted(one.number for one in read.instant.held(tx, at, live, "u1")) == mine
            found = read.instant.limits(tx, at)
            assert found is not None and (found[0], read.instant.paused(tx, at)) == (version, paused)
    with reading(reader) as tx:
        assert read.instant.limits(tx, NOW - HOUR) is None
    reader.dispose()
    book.close()
