"""The wall clock is moved under a limiter: the calendar follows it, and no lease notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from limiter.clock import SETTLE_SECONDS, TOLD_SECONDS, Clock
from limiter.committer import Committer
from limiter.rules.course import GAP, MOST_MS, SLICE_MS, Point, slices
from limiter.rules.limits import defaults
from limiter.rules.quotas import TOKENS, Take, uses_of
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Admission, Heartbeat, Reap
from limiter.rules.snapshots import TakeSnapshot
from limiter.store import read
from limiter.store.engine import open_writer
from limiter.store.sqlite_writer import SqliteWriter
from tests.rules.world import HOUR, MINUTE, NOW, SECOND, asked
from tests.store.book import trade

DAY = 24 * HOUR
SAMPLE = TakeSnapshot(10.0, 20.0, 1.5)


class Clocks:
    """A wall clock and a monotonic one, in seconds, pushed by tests."""

    def __init__(self) -> None:
        self.wall, self.monotonic = NOW / SECOND, 50.0

    def pass_(self, seconds: float) -> None:
        self.wall, self.monotonic = self.wall + seconds, self.monotonic + seconds


class Limiter:
    """A committer on a real file."""

    def __init__(self, path: Path) -> None:
        self.clocks = Clocks()
        self.clock = Clock(lambda: self.clocks.wall, lambda: self.clocks.monotonic)
        writer = SqliteWriter(open_writer(f"sqlite:///{path}"))
        self.state = writer.restore(defaults(), UTC, self.clock.now())
        self.committer = Committer(self.state, writer, self.clock)

    async def ask(self, request: Any) -> Any:
        return await self.committer.submit(request)

    async def start(self, user: str) -> Any:
        answer = await self.ask(asked(user))
        assert isinstance(answer, Admission)
        return answer.session

    async def step(self, ms: int) -> None:
        """Move the wall clock and let it settle, a batch twice before and once after."""
        self.clocks.wall += ms / SECOND
        await self.ask(Reap())
        self.clocks.pass_(SETTLE_SECONDS + 1)
        await self.ask(Reap())

    def history(self) -> list[int]:
        rows = read.history.series(self.committer.writer.connection, NOW - 2 * DAY, NOW + 2 * DAY, 60).rows
        self.committer.writer.connection.rollback()
        return [row.at for row in rows]


@pytest.fixture
def drive(tmp_path: Path) -> Callable[[Callable[[Limiter], Awaitable[None]]], None]:
    def run(test: Callable[[Limiter], Awaitable[None]]) -> None:
        async def whole() -> None:
            limiter = Limiter(tmp_path / "limiter.db")
            try:
                await test(limiter)
            finally:
                await limiter.committer.close()

        asyncio.run(whole())

    return run


Drive = Callable[[Callable[[Limiter], Awaitable[None]]], None]


def test_a_clock_follows_a_step_once_it_has_settled() -> None:
    clocks = Clocks()
    clock = Clock(lambda: clocks.wall, lambda: clocks.monotonic)
    assert (clock.now(), clock.step()) == (NOW, 0)
    clocks.wall += 3600
    clocks.pass_(1.5)
    assert (clock.step(), clock.now()) == (0, NOW + 1500)
    assert clock.step_seconds() == pytest.approx(3600)
    clocks.wall += 86_400 * 365 * 10  # a wrong year, and right again before it was followed
    assert clock.step() == 0
    clocks.pass_(SETTLE_SECONDS - 1)
    assert clock.step() == 0
    clocks.wall -= 86_400 * 365 * 10
    assert clock.step() == 0
    clocks.pass_(SETTLE_SECONDS)
    assert clock.step() == pytest.approx(HOUR, abs=1)
    assert clock.now() == pytest.approx(clocks.wall * SECOND, abs=1) and clock.step() == 0
    assert clock.step_seconds() == pytest.approx(3600), "told for some minutes"
    clocks.pass_(TOLD_SECONDS)
    assert clock.step_seconds() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("by", [3 * HOUR, -3 * HOUR, DAY, -DAY])
def test_a_step_ends_no_lease_and_lengthens_none(drive: Drive, by: int) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1")
        left = session.expires_at - limiter.clock.now()
        await limiter.step(by)
        assert limiter.clock.now() == pytest.approx(NOW + by + (SETTLE_SECONDS + 1) * SECOND, abs=2)
        assert session.expires_at - limiter.clock.now() == left - (SETTLE_SECONDS + 1) * SECOND
        assert not session.suspect(limiter.clock.now())
        assert (await limiter.ask(Heartbeat(session.number, session.secret))) is session
        gone = await limiter.start("u2")
        limiter.clocks.pass_(59)
        await limiter.ask(Heartbeat(session.number, session.secret))
        limiter.clocks.pass_(2)
        await limiter.ask(Reap())
        assert list(limiter.state.sessions) == [session.number] and gone.number != session.number

    drive(test)


@pytest.mark.parametrize("by", [DAY, -DAY])
def test_the_trade_day_is_the_one_of_the_wall_clock(drive: Drive, by: int) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1")
        first = await limiter.ask(trade(session, "t1"))
        assert first.use.used == 1
        await limiter.step(by)
        assert uses_of(limiter.state, "u1", limiter.clock.now())[1].used == 0
        second = await limiter.ask(trade(session, "t2"))
        assert (second.use.used, second.resets_at - first.resets_at) == (1, by)
        await limiter.step(-by)
        assert uses_of(limiter.state, "u1", limiter.clock.now())[1].used == 1, "the day before is read again"
        assert (await limiter.ask(trade(session, "t3"))).use.used == 2

    drive(test)


@pytest.mark.parametrize("by", [3 * HOUR, -3 * HOUR])
def test_a_rate_holds_for_its_minute_whatever_the_clock_does(drive: Drive, by: int) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.ask(Take("r", TOKENS, 1000))
        await limiter.step(by)
        assert isinstance(await limiter.ask(Take("r", TOKENS, 1)), Refusal)
        limiter.clocks.pass_(41)
        assert not isinstance(await limiter.ask(Take("r", TOKENS, 1)), Refusal)

    drive(test)


@pytest.mark.parametrize("by", [3 * HOUR, -3 * HOUR])
def test_history_stands_where_the_wall_clock_stood(drive: Drive, by: int) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.start("u1")
        await limiter.ask(SAMPLE)
        await limiter.step(by)
        limiter.clocks.pass_(10)
        await limiter.ask(SAMPLE)
        found = limiter.history()
        assert len(found) == 2, "and nothing between"
        assert sorted([0, by]) == pytest.approx([at - NOW for at in found], abs=5 * MINUTE)

    drive(test)


def test_a_gap_of_weeks_writes_some_hours_of_slices() -> None:
    end = NOW + 21 * DAY
    found = slices([Point(NOW, 3, 5)], end, {("starts", NOW): 2})
    assert len(found) <= MOST_MS // SLICE_MS + 2
    assert sum(sum(one.status_ms) for one in found) == MOST_MS
    assert sum(one.counts.get("starts", 0) for one in found) == 2


def test_what_is_on_either_side_of_a_step_is_exact() -> None:
    points = [Point(NOW, 1, 2), Point(NOW + 2500, 2, 2), Point(NOW + 4000, GAP, GAP), Point(NOW - HOUR, 2, 2)]
    found = slices(points, NOW - HOUR + 1000, {})
    assert [(one.at, one.low, one.high, sum(one.status_ms)) for one in found] == [
        (NOW - HOUR, 2, 2, 1000),
        (NOW, 1, 2, 4000),
    ]
