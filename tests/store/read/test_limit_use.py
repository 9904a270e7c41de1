"""How much of the limit was used, in hours in which it moved."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete

from limiter.store import read, schema
from limiter.store.read.limit_use import Use
from limiter.units import HOUR_MS, MINUTE_MS
from tests.rules.world import NOW
from tests.store.book import SAMPLE, Book, change


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """Eight bots for three hours; the limit is 10, from 12:30 on 20, and 0 from 14:00 on."""
    made = Book(f"sqlite:///{tmp_path / 'limiter.db'}", MAX_CONCURRENT_BOTS=10, BOT_LEASE_SECONDS=86_400)
    for n in range(8):
        made.start(f"u{n}")
    for minute in range(1, 180):
        at = NOW + minute * MINUTE_MS
        if minute in (30, 120):
            made.ask(at, change(MAX_CONCURRENT_BOTS=20 if minute == 30 else 0))
        made.ask(at, SAMPLE)
    yield made
    made.close()


def test_an_hour_in_which_the_limit_moved_is_held_against_the_limit_of_each_minute(book: Book) -> None:
    tx = book.writer.connection
    found = read.history.hours(tx, NOW, NOW + 3 * HOUR_MS)
    assert [row.limit for row in found.rows] == [20, 20, 0], "that of their ends"
    first, second, third = read.limit_use.of_buckets(tx, found)
    assert first.high == 0.8 and first.mean == pytest.approx(8 * 60 / (29 * 10 + 31 * 20), rel=0.04)
    assert (second, third) == (Use(0.4, 0.4), Use(None, None))
    later = read.history.hours(tx, NOW + HOUR_MS // 2, NOW + 2 * HOUR_MS, HOUR_MS // 2)
    assert read.limit_use.of_buckets(tx, later)[0] == Use(0.4, 0.4), "an hour of a zone with a half"
    tx.rollback()


def test_where_minutes_are_not_kept_half_hours_are_read_and_else_the_hour_itself(book: Book) -> None:
    tx = book.writer.connection
    kept = schema.snapshots.c
    for narrow, high in ((1800, 0.8), (3600, 0.4)):
        tx.execute(delete(schema.snapshots).where(kept.step < narrow, kept.at < NOW + HOUR_MS))
        assert read.limit_use.of_buckets(tx, read.history.hours(tx, NOW, NOW + HOUR_MS))[0].high == high
    assert read.limit_use.of_buckets(tx, read.history.Series(5, 5000, [], {})) == []
    tx.rollback()
