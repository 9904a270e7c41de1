"""History against a log of all that was done: each bucket says what happened in its seconds, over restarts too."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.rules.capacity import Capacity
from limiter.rules.quotas import SIGNALS, TOKENS, Take
from limiter.rules.refusals import Refusal
from limiter.store import read
from tests.conftest import new_database
from tests.rules.world import HOUR, MINUTE, NOW, SECOND, asked
from tests.store.book import SAMPLE, Book, change, stop

DATABASES = pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
ROW = 5 * SECOND
LIMITS = {"MAX_CONCURRENT_BOTS": 5, "MAX_BOTS_PER_USER": 99, "BOT_LEASE_SECONDS": 86_400}


@dataclass
class Log:
    """What was done, by an own account of it: counts by figure and 5 s, and (from, bots, limit) in order."""

    counts: Counter[tuple[str, int]] = field(default_factory=Counter)
    course: list[tuple[int, int, int]] = field(default_factory=list)

    def count(self, figure: str, at: int, n: int = 1) -> None:
        self.counts[figure, at // ROW * ROW] += n

    def spent(self, begin: int, end: int, *statuses: str) -> int:
        """Milliseconds of [begin, end) in one of these."""
        ends = [at for at, _, _ in self.course[1:]] + [end]
        return sum(
            max(0, min(until, end) - max(at, begin))
            for (at, bots, limit), until in zip(self.course, ends, strict=True)
            if Capacity(bots, limit).status in statuses
        )

    def bots(self, begin: int, end: int) -> list[int]:
        """How many there were at some time of [begin, end)."""
        ends = [at for at, _, _ in self.course[1:]] + [end + 1]
        return [
            bots
            for (at, bots, _), until in zip(self.course, ends, strict=True)
            if at < end and (until > begin or at >= begin)
        ]


class Driven:
    """A limiter that is driven with a log beside it."""

    def __init__(self, url: str) -> None:
        self.book, self.log, self.now = Book(url, **LIMITS), Log(), NOW
        self.limit = 5
        self.note()

    def note(self) -> None:
        self.log.course.append((self.now, len(self.book.state.sessions), self.limit))

    def ask(self, request: Any) -> Any:
        (answer,) = self.book.ask(self.now, request)
        self.note()
        return answer

    def act(self, action: str, n: int) -> None:
        sessions = list(self.book.state.sessions.values())
        if action == "start":
            answer = self.ask(asked(f"u{n}"))
            self.log.count("server_full" if isinstance(answer, Refusal) else "starts", self.now)
        elif action == "stop" and sessions:
            self.ask(stop(sessions[n % len(sessions)]))
        elif action == "tokens":
            self.ask(Take("r", TOKENS, n + 1))
            self.log.count("tokens", self.now, n + 1)
        elif action == "signals" and sessions:
            one = sessions[n % len(sessions)]
            if not isinstance(self.ask(Take("r", SIGNALS, 1, one.number, one.secret)), Refusal):
                self.log.count("signals", self.now)
        elif action == "limit":
            self.limit = n + 1
            self.ask(change(MAX_CONCURRENT_BOTS=n + 1))
        elif action == "snapshot":
            self.ask(SAMPLE)
        elif action == "killed" and self.book.writer.alone:
            self.ask(SAMPLE)
            self.book.restart(self.now)

    def check(self) -> None:
        """Each bucket of 5 s and of a minute, and the whole."""
        self.ask(SAMPLE)
        begin, end = NOW, self.now
        with _same(self.book) as tx:
            for width in (5, 20, 60):
                series = read.history.series(tx, begin, end + 1, width)
                assert series.bucket_ms == width * SECOND
                first, last = begin // series.bucket_ms, end // series.bucket_ms
                assert [row.at // series.bucket_ms for row in series.rows] == list(range(first, last + 1))
                for row in series.rows:
                    rows = range(row.at, row.at + series.bucket_ms, ROW)
                    for name in ("starts", "tokens", "signals"):
                        assert getattr(row, name) == sum(self.log.counts[name, at] for at in rows), (name, row)
                    refused = sum(self.log.counts["server_full", at] for at in rows)
                    assert series.refused.get(row.at, {}).get("server_full", 0) == refused
                    bots = self.log.bots(row.at, row.at + series.bucket_ms)
                    assert (row.low, row.high) == (min(bots), max(bots)), row
            hours, series = read.history.hours(tx, begin, end + 1), read.history.series(tx, begin, end + 1, 3600)
            assert hours == [tuple(getattr(row, name) for name in read.history.Hour._fields) for row in series.rows]
            assert read.history.refused_by_hour(tx, begin, end + 1) == series.refused
            whole = [read.history.load(tx, NOW - back, end + 1) for back in (0, HOUR, 24 * HOUR, 28 * 24 * HOUR)]
        assert all(one == whole[0] for one in whole)
        full, busy = self.log.spent(begin, end, "FULL"), self.log.spent(begin, end, "FULL", "WARNING")
        touched = end // ROW - begin // ROW + 1  # at most a millisecond a slice more: a level of one instant
        assert -(-full // 1000) <= whole[0].full_seconds <= -(-(full + touched) // 1000)
        assert -(-busy // 1000) <= whole[0].busy_seconds <= -(-(busy + touched) // 1000)
        assert whole[0].starts == sum(self.log.counts["starts", at] for at in range(begin // ROW * ROW, end + 1, ROW))
        assert whole[0].peak == max(bots for _, bots, _ in self.log.course)


class _same:
    """The writer's own connection, for one read."""

    def __init__(self, book: Book) -> None:
        self.connection = book.writer.connection

    def __enter__(self) -> Any:
        return self.connection

    def __exit__(self, *_: object) -> None:
        self.connection.rollback()


ACTIONS = st.lists(
    st.tuples(
        st.integers(0, 7000),
        st.sampled_from(
            ("start", "start", "start", "stop", "tokens", "signals", "limit", "snapshot", "snapshot", "killed")
        ),
        st.integers(0, 6),
    ),
    max_size=40,
)


@settings(max_examples=12, deadline=None)
@given(actions=ACTIONS)
def test_every_bucket_says_what_happened_in_it(
    tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[int, str, int]]
) -> None:
    drive(f"sqlite:///{tmp_path_factory.mktemp('course')}/limiter.db", actions)


@pytest.mark.postgres
def test_every_bucket_says_what_happened_in_it_on_postgresql() -> None:
    """One history: random ones of 40 actions take ten seconds each there."""
    drive(new_database(), [(700, "start", 2), (4_000, "start", 3), (20_000, "snapshot", 0), (90, "stop", 1)])


def drive(url: str, actions: list[tuple[int, str, int]]) -> None:
    driven = Driven(url)
    driven.act("snapshot", 0)
    for wait, action, n in actions:
        driven.now += wait
        driven.act(action, n)
    driven.check()
    driven.book.close()


@DATABASES
def test_a_full_shorter_than_a_snapshot_does_not_vanish(database: str, tmp_path: Path) -> None:
    driven = Driven(new_database() if database == "postgres" else f"sqlite:///{tmp_path}/limiter.db")
    driven.act("snapshot", 0)
    for user in range(5):
        driven.act("start", user)
    driven.now = NOW + 1500
    driven.act("stop", 0)
    driven.now = NOW + ROW
    driven.act("snapshot", 0)
    tx = driven.book.writer.connection
    load = read.history.load(tx, NOW, NOW + MINUTE)
    (first, *_) = read.history.series(tx, NOW, NOW + MINUTE, 5).rows
    tx.rollback()
    assert (load.peak, load.peak_at, load.full_seconds, load.busy_seconds) == (5, NOW, 2, 5)
    assert (first.low, first.high, first.worst, first.starts) == (0, 5, "FULL", 5)
    driven.book.close()


def test_what_a_kill_left_unbooked_is_booked_after_the_restart(tmp_path: Path) -> None:
    """Without a last snapshot: what happened in the last seconds is in its seconds all the same."""
    driven = Driven(f"sqlite:///{tmp_path}/limiter.db")
    driven.act("snapshot", 0)
    for after, action, n in ((1200, "start", 1), (3000, "tokens", 6), (5500, "start", 2), (6100, "signals", 0)):
        driven.now = NOW + after
        driven.act(action, n)
    driven.book.restart(NOW + 20 * SECOND)
    driven.now = NOW + 21 * SECOND
    driven.act("snapshot", 0)
    tx = driven.book.writer.connection
    rows = {
        row.at - NOW: (row.starts, row.tokens, row.signals) for row in read.history.series(tx, NOW, driven.now, 5).rows
    }
    tx.rollback()
    assert rows[0] == (1, 7, 0) and rows[ROW] == (1, 0, 1)
    assert sum(starts for starts, _, _ in rows.values()) == 2
    driven.book.close()
