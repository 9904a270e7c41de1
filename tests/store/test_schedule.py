"""Probation and windows on a real database, killed and restored at any instant: the right value holds in all of it."""

import random
from dataclasses import replace
from datetime import time
from pathlib import Path

import pytest

from limiter.rules.peaks import FollowSchedule, SetWindows
from limiter.rules.probation import Confirm
from limiter.rules.refusals import Refusal
from limiter.rules.schedule import DAYS, MAX, PeakWindow, Schedule
from limiter.store import read
from tests.rules.world import CALM, HOUR, MINUTE, NOW, SECOND
from tests.store.book import Book, change

HOT = replace(CALM, ram_percent=86.0)
RUNS = 100


def on_probation(book: Book, bots: int, seconds: int) -> None:
    book.ask(NOW, replace(change(**{MAX: bots}), confirm_within=seconds))


def run(book: Book, seed: int) -> tuple[str, int, int]:
    """One raise from 100 to 200 on probation: looked at each 5 s for as long as that and a bit, killed at any of these,
    confirmed in time or late, its box hot for a while. What happened, the limit at the end, and the right one."""
    chance = random.Random(seed)
    seconds = chance.choice((60, 300, 900))
    confirmed = chance.choice((None, chance.randrange(5, seconds, 5), seconds + 30))
    heat = chance.choice((None, chance.randrange(0, seconds, 5)))
    lasting = chance.choice((30, 60, 90))
    kills = {chance.randrange(0, seconds + 60, 5) for _ in range(chance.choice((0, 0, 1)))}
    on_probation(book, 200, seconds)
    version, happened, right, hot_since = book.state.limits.version, "open", 200, None
    for second in range(0, seconds + 60, 5):
        now = NOW + second * SECOND
        if second in kills:
            book.restart(now)
            hot_since = None  # who was killed has not watched that minute
        if second == confirmed:
            (answer,) = book.ask(now, Confirm(version, "seen", "key-1"))
            assert isinstance(answer, Refusal) == (happened != "open" or second >= seconds), seed
            if happened == "open" and second < seconds:
                happened = "confirmed"
        hot = heat is not None and heat <= second <= heat + lasting
        book.decide(now, FollowSchedule(HOT if hot else CALM, HOT if hot else CALM, 500))
        if book.state.changes:
            book.write()
        hot_since = (now if hot_since is None else hot_since) if hot else None
        if happened == "open" and hot_since is not None and now - hot_since >= MINUTE:
            happened, right = "tripped", 100
        if happened == "open" and second >= seconds:
            happened, right = "unconfirmed", 100
        assert book.state.limits.whole(MAX) == right, (seed, second, happened)
    return happened, book.state.limits.whole(MAX), right


def test_a_hundred_raises_on_probation_end_with_the_right_value(tmp_path: Path) -> None:
    seen = set()
    book = Book(f"sqlite:///{tmp_path}/runs.db", MAX_CONCURRENT_BOTS=100)
    for seed in range(RUNS):
        happened, value, right = run(book, seed)
        assert value == right, (seed, happened)
        seen.add(happened)
        book.ask(NOW, change(**{MAX: 100}))
    assert seen == {"confirmed", "tripped", "unconfirmed"}
    book.close()


DATABASES = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])


@DATABASES
def test_windows_and_probation_are_what_they_were_after_a_kill(tmp_path: Path, database: str) -> None:
    from tests.conftest import new_database

    url = new_database() if database == "postgres" else f"sqlite:///{tmp_path}/limiter.db"
    book = Book(url, MAX_CONCURRENT_BOTS=100)
    noon = PeakWindow(DAYS, time(12), time(13), 200)
    book.ask(NOW, SetWindows((noon,), "t", "k"), FollowSchedule(CALM, CALM, 500))
    on_probation(book, 250, 600)
    book.decide(NOW + SECOND, SetWindows((), "t", "k"))  # is not written
    kept = book.state.schedule
    book.state.undo()
    book.writer.rollback()
    book.restart(NOW + MINUTE)
    assert kept != book.state.schedule
    assert (book.state.schedule.windows, book.state.limits.whole(MAX)) == ((noon,), 250)
    assert read.limits.read_schedule(book.writer.connection) == book.state.schedule
    book.writer.connection.rollback()
    for after, wanted in ((11 * MINUTE, 200), (HOUR, 100)):
        book.restart(NOW + after)
        book.ask(NOW + after, FollowSchedule(CALM, CALM, 500))
        assert book.state.limits.whole(MAX) == wanted
    assert book.state.limits.settings[MAX].source == "environment"
    assert book.state.schedule == Schedule((noon,), version=1)
    book.close()


@pytest.mark.postgres
def test_another_process_on_the_database_follows() -> None:
    from tests.conftest import new_database

    one = Book(new_database(), MAX_CONCURRENT_BOTS=100)
    other = Book(one.url, MAX_CONCURRENT_BOTS=100)
    on_probation(one, 250, 600)
    version = one.state.limits.version
    other.ask(NOW + MINUTE, Confirm(version, "seen", "k"))
    one.ask(NOW + 2 * MINUTE, FollowSchedule(CALM, CALM, 500))
    assert one.state.schedule == other.state.schedule == Schedule()
    assert one.state.limits.whole(MAX) == other.state.limits.whole(MAX) == 250
    one.close()
    other.close()
