"""The wall clock is moved under a limiter: the calendar follows it, and no lease notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, time
from pathlib import Path
from typing import Any

import pytest

from limiter.clock import SETTLE_SECONDS, TOLD_SECONDS, Clock
from limiter.committer import Committer
from limiter.rules.changes import Changed
from limiter.rules.course import GAP, MOST_MS, SLICE_MS, Point, slices
from limiter.rules.limits import defaults
from limiter.rules.peaks import FollowSchedule, SetWindows
from limiter.rules.plan import SetPlan
from limiter.rules.probation import Confirm
from limiter.rules.quotas import TOKENS, Take, uses_of
from limiter.rules.records import Step
from limiter.rules.refusals import Refusal
from limiter.rules.schedule import DAYS, PeakWindow
from limiter.rules.sessions import Admission, Heartbeat, Reap, Stop
from limiter.rules.snapshots import TakeSnapshot
from limiter.store import read
from limiter.store.engine import open_writer
from limiter.store.sqlite_writer import SqliteWriter
from tests.rules.world import CALM, HOUR, MINUTE, NOW, SECOND, asked
from tests.store.book import change, trade

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

    async def follow(self) -> int:
        """The limit once windows, plan and probation were followed."""
        await self.ask(FollowSchedule(CALM, CALM, 500))
        return self.state.limits.whole("MAX_CONCURRENT_BOTS")

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


@pytest.mark.parametrize("by", [3 * HOUR, -3 * HOUR, 60 * MINUTE, -2 * MINUTE])
def test_a_change_on_probation_has_its_whole_time_whatever_the_clock_does(drive: Drive, by: int) -> None:
    async def test(limiter: Limiter) -> None:
        changed = await limiter.ask(replace(change(MAX_CONCURRENT_BOTS=150), confirm_within=600))
        assert isinstance(changed, Changed)
        await limiter.step(by)
        assert await limiter.follow() == 150
        limiter.clocks.pass_(600 - SETTLE_SECONDS - 3)
        assert await limiter.follow() == 150, "it can still be confirmed"
        limiter.clocks.pass_(5)
        assert isinstance(await limiter.ask(Confirm(changed.limits.version, "late", "key-1")), Refusal)
        assert await limiter.follow() == 200

    drive(test)


@pytest.mark.parametrize("by", [8 * HOUR, -8 * HOUR])
def test_windows_and_plan_are_of_the_wall_clock_after_a_suspend_or_a_step(drive: Drive, by: int) -> None:
    async def test(limiter: Limiter) -> None:
        here = (12 + by // HOUR) % 24  # it is 12:00, and will be this
        window = PeakWindow(DAYS, time(here, 0), time(here, 30), 120)
        await limiter.ask(SetWindows((window,), "tests", "key-1"))
        assert await limiter.follow() == 200
        await limiter.step(by)
        assert await limiter.follow() == 120
        await limiter.step(-by)
        assert await limiter.follow() == 200, "and back where it was"
        due = Step(NOW + by, 180) if by > 0 else Step(NOW + 8 * HOUR, 180)
        await limiter.ask(SetPlan((due,), "tests", "key-1"))
        await limiter.step(by)
        await limiter.ask(SetWindows((), "tests", "key-1"))
        assert await limiter.follow() == (180 if by > 0 else 200), "a step comes at its time, and not before"

    drive(test)


def test_who_held_a_slot_is_known_where_the_clock_went_back(drive: Drive) -> None:
    """Numbers of sessions do not grow with time then."""

    async def test(limiter: Limiter) -> None:
        committer = limiter.committer

        def held(at: int) -> list[str]:
            found = read.instant.held(committer.writer.connection, at, limiter.state.sessions.values())
            committer.writer.connection.rollback()
            return sorted(one.user_id for one in found)

        before = [await limiter.start(f"before-{n}") for n in range(6)]
        kept = await limiter.start("kept")
        limiter.clocks.pass_(10)
        for one in before:
            await limiter.ask(Stop(one.number, one.secret, "r"))
        await limiter.ask(Heartbeat(kept.number, kept.secret))
        await limiter.step(-3 * HOUR)
        now = limiter.clock.now()
        assert (NOW - 3 * HOUR <= kept.started_at < now) and kept.started_at < kept.expires_at
        after = [await limiter.start(f"after-{n}") for n in range(3)]
        assert held(limiter.clock.now()) == ["after-0", "after-1", "after-2", "kept"]
        limiter.clocks.pass_(10)
        for one in after:
            await limiter.ask(Stop(one.number, one.secret, "r"))
        await limiter.ask(Heartbeat(kept.number, kept.secret))
        assert held(now + 5 * SECOND) == ["after-0", "after-1", "after-2", "kept"]
        assert held(NOW + 5 * SECOND) == [f"before-{n}" for n in range(6)], "by the stamps that there were"
        hour = (now + 5 * SECOND) // HOUR * HOUR
        lengths = read.sessions.durations(committer.writer.connection, 0, [hour])
        committer.writer.connection.rollback()
        assert [(row.seconds, row.n) for row in lengths] == [(10, 3)]
        rows = read.audit.entries(committer.writer.connection)
        committer.writer.connection.rollback()
        assert [(row["action"], row["target"]) for row in rows] == [("clock_back", "-10800 s")]

    drive(test)


def test_a_start_into_the_past_is_kept_in_the_audit_and_so_is_what_was_held(tmp_path: Path) -> None:
    async def run(shift_ms: int, user: str) -> list[Any]:
        limiter = Limiter(tmp_path / "limiter.db")
        limiter.clocks.wall += shift_ms / SECOND
        await limiter.committer.close()
        limiter.clock = Clock(lambda: limiter.clocks.wall, lambda: limiter.clocks.monotonic)
        writer = SqliteWriter(open_writer(f"sqlite:///{tmp_path / 'limiter.db'}"))
        state = writer.restore(defaults(), UTC, limiter.clock.now())
        limiter.state, limiter.committer = state, Committer(state, writer, limiter.clock)
        session = await limiter.start(user)
        limiter.clocks.pass_(10)
        await limiter.ask(Stop(session.number, session.secret, "r"))
        held = read.instant.held(writer.connection, NOW + shift_ms + 5 * SECOND, ())
        told = read.audit.entries(writer.connection)
        writer.connection.rollback()
        await limiter.committer.close()
        return [[one.user_id for one in held], [row["action"] for row in told]]

    assert asyncio.run(run(0, "first")) == [["first"], []]
    assert asyncio.run(run(-5 * HOUR, "second")) == [["second"], ["clock_back"]]
    assert asyncio.run(run(HOUR, "third"))[0] == ["third"]


def test_hours_that_come_twice_are_counted_whole(drive: Drive) -> None:
    async def test(limiter: Limiter) -> None:
        connection = limiter.committer.writer.connection

        async def hour_of(user: str) -> None:
            session = await limiter.start(user)
            for _ in range(30):
                limiter.clocks.pass_(50)
                await limiter.ask(Heartbeat(session.number, session.secret))
                await limiter.ask(SAMPLE)
            await limiter.ask(Stop(session.number, session.secret, "r"))
            for _ in range(5):
                limiter.clocks.pass_(450)
                await limiter.ask(SAMPLE)

        await hour_of("first")
        await limiter.step(-HOUR)
        await hour_of("second")
        limiter.clocks.pass_(3600)
        await limiter.ask(SAMPLE)
        users = read.usage.top_users(connection, NOW - 5 * HOUR, limiter.clock.now())
        connection.rollback()
        assert {one.user_id: (one.starts, one.slot_ms) for one in users} == {
            "first": (1, 1500 * SECOND),
            "second": (1, 1500 * SECOND),
        }

    drive(test)
