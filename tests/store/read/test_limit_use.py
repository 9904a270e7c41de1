"""How much of the limit was used, in hours in which it moved."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, event, insert

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
    assert [row.limit for row in found] == [20, 20, 0], "that of their ends"
    first, second, third = read.limit_use.of_hours(tx, found)
    assert first.high == 0.8 and first.mean == pytest.approx(8 * 60 / (29 * 10 + 31 * 20), rel=0.04)
    assert (second, third) == (Use(0.4, 0.4), Use(None, None))
    later = read.history.hours(tx, NOW + HOUR_MS // 2, NOW + 2 * HOUR_MS, HOUR_MS // 2)
    assert read.limit_use.of_hours(tx, later)[0] == Use(0.4, 0.4), "an hour of a zone with a half"
    tx.rollback()


def test_where_minutes_are_not_kept_half_hours_are_read_and_else_the_hour_itself(book: Book) -> None:
    tx = book.writer.connection
    kept = schema.snapshots.c
    for narrow, high in ((1800, 0.8), (3600, 0.4)):
        tx.execute(delete(schema.snapshots).where(kept.step < narrow, kept.at < NOW + HOUR_MS))
        assert read.limit_use.of_hours(tx, read.history.hours(tx, NOW, NOW + HOUR_MS))[0].high == high
    assert read.limit_use.of_hours(tx, []) == []
    tx.rollback()


def test_a_limit_that_moves_each_hour_costs_no_read_an_hour(book: Book) -> None:
    """As one that a program moves: of 28 days each hour was thousands of statements."""
    tx, begin, hours = book.writer.connection, NOW - 48 * HOUR_MS, range(24)
    for hour in hours:
        for step, ats in ((60, range(0, HOUR_MS, MINUTE_MS)), (3600, [0])):
            rows = [_snapshot(step, begin + hour * HOUR_MS + at, 10 if at < HOUR_MS // 2 and step == 60 else 20)
                    for at in ats]  # fmt: skip
            tx.execute(insert(schema.snapshots), rows)
        version = {"version": 100 + hour, "at": begin + hour * HOUR_MS + HOUR_MS // 2, "actor": "script", "reason": "r"}
        version |= {"kind": "limits", "in_force": "{}", "changed": json.dumps([["MAX_CONCURRENT_BOTS", 10, 20]])}
        tx.execute(insert(schema.limit_versions), version)
    found, statements = read.history.hours(tx, begin, begin + len(hours) * HOUR_MS), list[str]()
    event.listen(tx, "before_cursor_execute", lambda *given: statements.append(given[2]))
    uses = read.limit_use.of_hours(tx, found)
    assert len(uses) == len(hours) and len(statements) < 10
    assert {use.high for use in uses} == {0.5} and uses[0].mean == pytest.approx(1 / 3) == uses[-1].mean
    tx.rollback()


def _snapshot(step: int, at: int, limit: int) -> dict[str, int]:
    """Five bots all the time."""
    n = step // 5
    return dict.fromkeys(schema.snapshots.c.keys(), 0) | {
        "step": step, "at": at, "n": n, "bots_min": 5, "bots_max": 5, "bots_sum": 5 * n, "limit_last": limit,
    }  # fmt: skip
