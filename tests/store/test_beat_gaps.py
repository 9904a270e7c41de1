"""Gaps between beats as they are kept, against a count over all of them, over kill -9, on both databases."""

import random
from pathlib import Path

import pytest

from limiter.rules.lease import LEASES_SECONDS, LeaseRow, needs, rows, said, shortest
from limiter.store import read
from limiter.store.engine import open_reader, reading
from tests.conftest import new_database
from tests.rules.world import NOW
from tests.store.book import DAY, SAMPLE, Book, beat

DATABASES = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])


@DATABASES
def test_what_each_lease_would_have_done_is_what_counting_each_gap_gives(database: str, tmp_path: Path) -> None:
    url = new_database() if database == "postgres" else f"sqlite:///{tmp_path / 'limiter.db'}"
    chance, book = random.Random(16), Book(url, BOT_LEASE_SECONDS=700, MAX_BOTS_PER_USER=9)
    for n in range(4):
        book.start("u1", f"b{n}")
    last = dict.fromkeys(book.state.sessions, NOW)
    kept: list[int] = []  # what was written before the process was killed
    since: list[int] = []
    now = NOW
    for step in range(400):
        now += chance.choice((1, 900, 4_000, 9_000, 12_000))  # less than the silence that is an outage on PostgreSQL
        number = chance.choice(sorted(book.state.sessions))
        session = book.state.sessions[number]
        book.ask(now, beat(session))
        since.append(now - last[number])
        last[number] = now
        if step % 20 == 19:
            book.ask(now, SAMPLE)
            kept, since = kept + since, []
        if step % 90 == 89:  # kill -9: on PostgreSQL each batch is written, on SQLite every few seconds
            book.restart(now)
            kept, since = kept + (since if database == "postgres" else []), []
            last = dict.fromkeys(last, now)  # a start renews every lease
    book.ask(now, SAMPLE)
    kept += since
    reader = open_reader(url)
    with reading(reader) as tx:
        found = rows(read.beats.gaps(tx, NOW), 0)
        assert sum(read.beats.gaps(tx, NOW).values()) == len(kept) > 300
        assert read.beats.gaps(tx, NOW + 2 * DAY) == {} and read.beats.dead(tx, NOW) == 0
    expected = [sum(gap > 1000 * lease for gap in kept) for lease in LEASES_SECONDS]
    assert [row.living_ended for row in found] == expected and expected[0] > expected[4] > 0
    reader.dispose()
    book.close()


def test_the_dead_held_their_slots_for_the_whole_lease(tmp_path: Path) -> None:
    book = Book(f"sqlite:///{tmp_path / 'limiter.db'}", BOT_LEASE_SECONDS=60)
    for n in range(9):
        book.start(f"u{n}")
    book.ask(NOW + 61_000, SAMPLE)
    reader = open_reader(book.url)
    with reading(reader) as tx:
        assert read.beats.dead(tx, NOW) == 9 and read.beats.dead(tx, NOW + DAY) == 0
    assert rows({}, 9)[5] == LeaseRow(60, 0, 0.15) and rows({}, 9)[-1].slot_hours_held_by_the_dead == 1.5
    reader.dispose()
    book.close()


def test_it_is_said_in_both_languages() -> None:
    found = rows({0: 500, 3: 4, 5: 1}, 36)
    assert [row.living_ended for row in found[:6]] == [5, 5, 5, 1, 1, 0]
    assert shortest(found) == LeaseRow(60, 0, 0.6) and shortest(rows({11: 1}, 0)) is None
    assert said(found, 60, "en").startswith("A lease of 60 s would have been enough: no living bot")
    assert said(found, 20, "fr").endswith(
        "Les 20 s en vigueur ; bots vivants arrêtés : 5, heures de places tenues par des morts : 0,2."
    )
    assert said(rows({11: 1}, 0), 7, "en").startswith("None of these leases")
    assert needs(100, "en") is None and str(needs(3, "en")).endswith("there are 3.")
