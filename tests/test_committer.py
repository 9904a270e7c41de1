"""The group commit on real files: nobody is answered before it is durable, nobody pays for a neighbour's fault, and an
outage ends no session."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from limiter import committer as module
from limiter.clock import SETTLE_SECONDS, Clock
from limiter.committer import Committer
from limiter.events import EventLog
from limiter.rules.changes import ChangeLimits, Rollback, SetPause
from limiter.rules.limits import defaults
from limiter.rules.quotas import RecordTrade, Take
from limiter.rules.records import Ended, Session
from limiter.rules.refusals import Refusal
from limiter.rules.room import capacity
from limiter.rules.sessions import Admission, Heartbeat, Heartbeats, Reap, Stop
from limiter.rules.snapshots import TakeSnapshot
from limiter.rules.state import State
from limiter.rules.stops import StartDrain
from limiter.store import sqlite_writer
from limiter.store.ballast import Ballast
from limiter.store.engine import open_writer
from limiter.store.sqlite_writer import SqliteWriter
from tests.rules.world import CALM, HOUR, NOW, SECOND, asked, picture

UNAVAILABLE = "storage_unavailable"


class Time:
    """A monotonic clock that tests push."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def pass_(self, ms: int) -> None:
        self.seconds += ms / SECOND


class Limiter:
    """A committer on a real file, with a reader of its own that sees what is durable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.time = Time()
        writer = SqliteWriter(open_writer(f"sqlite:///{path}"))
        clock = Clock(lambda: NOW / SECOND, self.time.monotonic)
        state = writer.restore(defaults(), UTC, clock.now())
        self.committer = Committer(state, writer, clock)
        self.reader = sqlite3.connect(path)

    @property
    def state(self) -> State:
        return self.committer.state

    async def ask(self, *requests: Any) -> list[Any]:
        """What all of them are answered, submitted at once."""
        return list(await asyncio.gather(*map(self.committer.submit, requests), return_exceptions=True))

    async def start(self, user: str, bot: str | None = None, key: str | None = None) -> Session:
        (answer,) = await self.ask(asked(user, bot, key))
        assert isinstance(answer, Admission), answer
        return answer.session

    def rows(self, sql: str) -> list[Any]:
        return self.reader.execute(sql).fetchall()

    def commits(self) -> int:
        """Grows with each commit that another connection made."""
        return int(self.rows("PRAGMA data_version")[0][0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "limiter.db"


Test = Callable[[Callable[[Limiter], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run(path: Path) -> Test:
    """Runs a test's coroutine with a limiter that is closed at its end."""

    def run_one(test: Callable[[Limiter], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            limiter = Limiter(path)
            try:
                await test(limiter)
            finally:
                await limiter.committer.close()
                limiter.reader.close()

        asyncio.run(whole())

    return run_one


@pytest.fixture
def foreign_lock(path: Path) -> Iterator[Callable[[], Callable[[], None]]]:
    """`release = foreign_lock()`: another process takes the write lock, until `release()`."""
    program = f"""
import sqlite3, sys
connection = sqlite3.connect({str(path)!r}, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
connection.close()
print("released", flush=True)
"""
    holders: list[subprocess.Popen[str]] = []

    def hold() -> Callable[[], None]:
        holder = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        holders.append(holder)
        assert holder.stdin is not None and holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        stdin, stdout = holder.stdin, holder.stdout

        def release() -> None:
            stdin.write("\n")
            stdin.flush()
            assert stdout.readline() == "released\n"

        return release

    yield hold
    for holder in holders:
        holder.kill()
        holder.communicate()


def trade(session: Session, trade_id: str) -> RecordTrade:
    """A plain buy."""
    return RecordTrade("r", session.number, session.secret, trade_id, "BTC", "buy", "1", "1", False)


def change(**changes: Any) -> ChangeLimits:
    """A change of limits that no guard holds."""
    return ChangeLimits(changes, "tests", None, True, "key-1", CALM, 150)


def reasons(answers: list[Any]) -> list[str]:
    """Why each was refused; `ok` where it was not."""
    return [answer.reason if isinstance(answer, Refusal) else "ok" for answer in answers]


# -- durable before told, one instant a batch


def test_what_is_answered_is_durable(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1", "b1")
        assert limiter.rows("SELECT number, user_id, bot_id FROM active_sessions") == [(session.number, "u1", "b1")]
        await limiter.ask(trade(session, "t1"))
        assert limiter.rows("SELECT trade_id FROM trades") == [("t1",)]
        await limiter.ask(change(MAX_CONCURRENT_BOTS=250))
        assert limiter.rows("SELECT value FROM limits WHERE name = 'MAX_CONCURRENT_BOTS'") == [(250.0,)]
        await limiter.ask(Stop(session.number, session.secret))
        assert limiter.rows("SELECT number, ended_reason FROM ended_sessions") == [(session.number, "stopped")]

    run(test)


def test_who_asks_at_once_shares_an_instant_and_a_commit_and_never_the_last_slot(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.ask(change(MAX_CONCURRENT_BOTS=30))
        before = limiter.commits()
        answers = await limiter.ask(*(asked(f"u{n}") for n in range(100)))
        assert limiter.commits() == before + 1
        admitted = [answer.session for answer in answers if isinstance(answer, Admission)]
        assert len(admitted) == 30
        assert len({session.started_at for session in admitted}) == 1
        assert reasons(answers[30:]) == ["server_full"] * 70

    run(test)


def test_each_request_sees_what_those_before_it_changed(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        answers = await limiter.ask(
            change(MAX_CONCURRENT_BOTS=0), asked("u1"), change(MAX_CONCURRENT_BOTS=1), asked("u1"), asked("u2")
        )
        assert reasons(answers) == ["ok", "server_full", "ok", "ok", "server_full"]

    run(test)


def test_a_slot_is_free_the_instant_its_lease_ends_whatever_the_reaper_does(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.ask(change(MAX_CONCURRENT_BOTS=1))
        old = await limiter.start("u1")
        limiter.time.pass_(60 * SECOND - 1)
        assert reasons(await limiter.ask(asked("u2"))) == ["server_full"]
        limiter.time.pass_(1)
        await limiter.start("u2")
        assert limiter.rows("SELECT number, ended_at, ended_reason FROM ended_sessions") == [
            (old.number, old.expires_at, "lease_expired")
        ]

    run(test)


def test_heartbeats_repeats_and_refusals_cost_no_commit(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1", "b1", "k1")
        before = limiter.commits()
        beat = Heartbeat(session.number, session.secret)
        for _ in range(5):
            answers = await limiter.ask(beat, asked("u1", "b1", "k1"), asked("u1", "b2"))
            assert reasons(answers) == ["ok", "ok", "user_limit"]
        assert limiter.commits() == before
        await limiter.ask(Reap())
        assert limiter.rows("SELECT count(*) FROM refusals") == [(5,)]

    run(test)


def test_a_flood_of_refusals_does_not_pile_up_in_memory(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.start("u1", "b1")
        for _ in range(4):
            await limiter.ask(*(asked("u1", "b2") for _ in range(module.MOST_REFUSED // 4)))
        assert limiter.rows("SELECT sum(repeats) FROM refusals") == [(module.MOST_REFUSED,)]
        assert not limiter.state.refused

    run(test)


# -- a fault takes no neighbour with it


class Failing:
    """A request that changes this and that, and then fails."""

    def decide(self, state: State, now: int) -> None:
        asked("poison", "b1").decide(state, now)
        SetPause(True, "tests", "tests").decide(state, now)
        raise ZeroDivisionError


class Spoiling:
    """A request whose decision is fine and whose row no database takes."""

    def __init__(self, row: dict[str, Any], table: str = "notes") -> None:
        self.row, self.table = row, table

    def decide(self, state: State, now: int) -> str:
        asked("poison", "b1").decide(state, now)
        state.write(self.table, self.row)
        return "decided"


NOTE = {"id": "n1", "at": 1, "text": "t", "author": "a", "created_at": 1}
POISON: dict[str, Any] = {
    "fails to decide": Failing(),
    "an object for a text": Spoiling(NOTE | {"text": object()}),
    "a lone surrogate": Spoiling(NOTE | {"text": "\ud800"}),
    "an integer beyond 64 bits": Spoiling(NOTE | {"at": 2**63}),
    "a text for an integer": Spoiling(NOTE | {"at": "soon"}),
    "nothing for a text": Spoiling(NOTE | {"text": None}),
    "no such table": Spoiling(NOTE, "nowhere"),
    "a number that cannot be looked up": Rollback(2**70, "t", False, "k", CALM, 150),
}


@pytest.mark.parametrize("kind", POISON)
def test_a_poisoned_request_fails_alone(run: Test, kind: str) -> None:
    async def test(limiter: Limiter) -> None:
        before = await limiter.ask(asked("first"))
        answers = await limiter.ask(
            *(asked(f"u{n}", "b1") for n in range(5)), POISON[kind], *(asked(f"v{n}", "b1") for n in range(5))
        )
        assert reasons(before + answers[:5] + answers[6:]) == ["ok"] * 11
        assert isinstance(answers[5], Exception)
        users = {f"u{n}" for n in range(5)} | {f"v{n}" for n in range(5)} | {"first"}
        assert {row[0] for row in limiter.rows("SELECT user_id FROM active_sessions")} == users
        assert limiter.state.users.keys() == users
        assert not limiter.state.paused
        assert limiter.committer.failing_since is None
        assert reasons(await limiter.ask(asked("last"))) == ["ok"]

    run(test)


def test_many_poisoned_batches_harm_nobody(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        for n in range(40):
            answers = await limiter.ask(asked(f"a{n}"), list(POISON.values())[n % len(POISON)], asked(f"b{n}"))
            assert reasons([answers[0], answers[2]]) == ["ok", "ok"]
        assert limiter.rows("SELECT count(*), max(number) FROM active_sessions") == [(80, 80)]

    run(test)


def test_a_step_of_the_clock_is_written_though_the_batch_that_followed_it_fails(run: Test) -> None:
    """Memory has moved, and a restart must find what memory has."""

    async def test(limiter: Limiter) -> None:
        ago = 3 * HOUR
        await limiter.start("first")
        await limiter.ask(StartDrain("tests", "tests", HOUR // SECOND))
        limiter.committer.clock = clock = Clock(
            lambda: NOW / SECOND + limiter.time.seconds - (ago / SECOND if moved else 0), limiter.time.monotonic
        )
        moved.append(True)
        clock.step()
        limiter.time.pass_(int(SETTLE_SECONDS) * SECOND)
        await limiter.ask(Reap(), POISON["no such table"])
        assert limiter.rows("SELECT action FROM audit ORDER BY id")[-1] == ("clock_back",)
        assert limiter.rows("SELECT started_at FROM active_sessions") == [(NOW - ago,)]
        assert limiter.rows("SELECT drain_stop_at FROM fleet") == [(NOW - ago + HOUR,)]
        steps = "SELECT count(*) FROM audit WHERE action = 'clock_back'"
        await limiter.ask(Reap(), SetPause(True, "tests", "tests"))
        assert limiter.rows(steps) == [(1,)], "and once"

    moved: list[bool] = []
    run(test)


class Irrevocable:
    """A request that cannot be written, nor taken back."""

    def decide(self, state: State, now: int) -> None:
        def fail() -> None:
            raise MemoryError

        asked("ghost").decide(state, now)
        state.journal.calls.append((fail,))
        state.write("nowhere", NOTE)


def test_on_a_state_that_could_not_be_taken_back_nothing_more_is_decided(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        told: list[str] = []
        limiter.committer.on_fault = lambda: told.append("broken")
        await limiter.start("u1")
        assert set(reasons(await limiter.ask(Irrevocable(), asked("u2")))) == {UNAVAILABLE}
        assert reasons(await limiter.ask(asked("u3"))) == [UNAVAILABLE]
        assert told == ["broken"] and isinstance(limiter.committer.fault, MemoryError)
        assert limiter.rows("SELECT user_id FROM active_sessions") == [("u1",)]

    run(test)


def test_one_who_does_not_wait_for_his_answer_harms_nobody(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        futures = [limiter.committer.submit(asked(f"u{n}")) for n in range(3)]
        futures[1].cancel()
        assert isinstance(await futures[0], Admission) and isinstance(await futures[2], Admission)
        assert limiter.rows("SELECT count(*) FROM active_sessions") == [(2,)]

    run(test)


# -- outages


def test_while_another_process_holds_the_lock_everyone_is_told_within_2_seconds_and_nothing_changes(
    run: Test, foreign_lock: Callable[[], Callable[[], None]]
) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1", "b1")
        before = picture(limiter.state)
        release = foreign_lock()
        for requests in ([asked("u2"), trade(session, "t1")], [asked("u3")], [Stop(session.number, session.secret)]):
            began = time.monotonic()
            assert set(reasons(await limiter.ask(*requests))) == {UNAVAILABLE}
            assert time.monotonic() - began < 2
            assert picture(limiter.state) == before
        assert limiter.committer.failing_since is not None
        release()
        began = time.monotonic()
        assert reasons(await limiter.ask(asked("u2"), trade(session, "t1"))) == ["ok", "ok"]
        assert time.monotonic() - began < 1
        assert limiter.committer.failing_since is None
        assert limiter.rows("SELECT count(*) FROM active_sessions") == [(2,)]

    run(test)


def test_who_comes_while_a_batch_waits_is_told_within_2_seconds_too(
    run: Test, foreign_lock: Callable[[], Callable[[], None]]
) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.start("u0")
        foreign_lock()

        async def timed(n: int) -> float:
            await asyncio.sleep(n * 0.15)
            began = time.monotonic()
            assert reasons(await limiter.ask(asked(f"u{n}"))) == [UNAVAILABLE]
            return time.monotonic() - began

        assert max(await asyncio.gather(*(timed(n) for n in range(1, 20)))) < 2

    run(test)


def test_a_lock_that_is_held_for_a_moment_is_waited_for(
    run: Test, foreign_lock: Callable[[], Callable[[], None]]
) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1", "b1")
        release = foreign_lock()
        requests = trade(session, "t1"), asked("u2"), asked("u3")
        waiting = asyncio.gather(*(limiter.committer.submit(request) for request in requests))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        release()
        assert reasons(list(await waiting)) == ["ok"] * 3
        assert limiter.committer.failing_since is None

    run(test)


def test_reads_wait_for_no_other_process(run: Test, foreign_lock: Callable[[], Callable[[], None]]) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1", "b1")
        await limiter.ask(Stop(session.number, session.secret))
        foreign_lock()
        began = time.monotonic()
        (gone,) = await limiter.ask(Heartbeat(session.number, session.secret))
        assert time.monotonic() - began < 0.5
        assert gone.reason == "session_ended"

    run(test)


def test_heartbeats_are_answered_in_an_outage(run: Test, foreign_lock: Callable[[], Callable[[], None]]) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1", "b1")
        foreign_lock()
        await limiter.ask(asked("u2"))
        for _ in range(3):
            began = time.monotonic()
            beat, unknown = Heartbeat(session.number, session.secret), Heartbeat(99, "x")
            answers = await limiter.ask(asked("u2"), beat, Heartbeats([unknown, beat]))
            assert reasons(answers) == [UNAVAILABLE, "ok", "ok"]
            assert reasons(answers[2]) == ["session_unknown", "ok"]
            assert time.monotonic() - began < sqlite_writer.LOCK_SECONDS, "an outage that is known is not waited for"

    run(test)


def test_no_lease_ends_in_an_outage_and_everyone_has_a_full_one_after_it(
    run: Test, foreign_lock: Callable[[], Callable[[], None]]
) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.ask(change(MAX_CONCURRENT_BOTS=2))
        silent, told = await limiter.start("u1", "b1"), await limiter.start("u2", "b1")
        await limiter.ask(Stop(told.number, told.secret))
        release = foreign_lock()
        await limiter.ask(asked("u3"))
        for _ in range(4):
            limiter.time.pass_(HOUR)
            await limiter.ask(Reap())
            assert capacity(limiter.state, limiter.committer.clock.now()).current == 1
        release()
        assert reasons(await limiter.ask(asked("u3"), asked("u4"))) == ["ok", "server_full"]
        now = limiter.committer.clock.now()
        assert limiter.state.sessions[silent.number].expires_at == now + 60 * SECOND
        answers = await limiter.ask(Heartbeat(silent.number, silent.secret), Stop(told.number, told.secret))
        assert isinstance(answers[0], Session)
        assert isinstance(answers[1], Ended) and answers[1].reason == "stopped", "an end that was told is one"
        limiter.time.pass_(60 * SECOND)
        await limiter.ask(Reap())
        assert limiter.state.sessions == {}

    run(test)


def test_a_lost_answer_is_asked_for_again_with_the_same_key(
    run: Test, foreign_lock: Callable[[], Callable[[], None]]
) -> None:
    async def test(limiter: Limiter) -> None:
        release = foreign_lock()
        assert reasons(await limiter.ask(asked("u1", "b1", "k1"))) == [UNAVAILABLE]
        release()
        (first,), (again,) = await limiter.ask(asked("u1", "b1", "k1")), await limiter.ask(asked("u1", "b1", "k1"))
        assert (first.created, again.created, again.session) == (True, False, first.session)

    run(test)


def test_a_full_disk_is_an_outage_and_ends_with_it(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        session = await limiter.start("u1", "b1")
        connection = limiter.committer.writer.connection

        def most_pages(n: int) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {n}").all()
            connection.rollback()

        most_pages(1)
        before = picture(limiter.state)
        starts = [asked(f"{n}-" + "x" * 60, "y" * 64) for n in range(300)]
        assert set(reasons(await limiter.ask(*starts))) == {UNAVAILABLE}
        assert picture(limiter.state) == before
        assert reasons(await limiter.ask(Heartbeat(session.number, session.secret))) == ["ok"]
        most_pages(2**30)
        assert reasons(await limiter.ask(asked("u2"))) == ["ok"]
        assert limiter.committer.failing_since is None
        assert limiter.rows("SELECT count(*) FROM active_sessions") == [(2,)]

    run(test)


def test_what_a_full_disk_undid_is_no_write_of_another_program(run: Test) -> None:
    """SQLite's data_version moves also where a batch was larger than the cache, and its pages could not be written."""

    async def test(limiter: Limiter) -> None:
        writer = limiter.committer.writer
        assert isinstance(writer, SqliteWriter)
        await limiter.ask(TakeSnapshot(1.0, 2.0, None))
        writer.connection.exec_driver_sql("PRAGMA cache_size = 10")
        writer.connection.rollback()
        before, limits = limiter.commits(), resource.getrlimit(resource.RLIMIT_FSIZE)
        starts = [asked(f"{n}-" + "x" * 60, "y" * 64) for n in range(300)]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            refused = reasons(await limiter.ask(*starts))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert set(refused) == {UNAVAILABLE}
        await limiter.ask(TakeSnapshot(1.0, 2.0, None))
        assert limiter.commits() > before
        assert not writer.others_wrote
        session = await limiter.start("u1", "b1")
        with sqlite3.connect(limiter.path) as other:
            other.execute("CREATE TEMP TABLE next AS SELECT * FROM active_sessions")
            other.execute("UPDATE next SET number = ?, bot_id = 'b2'", (session.number + 1,))
            other.execute("INSERT INTO active_sessions SELECT * FROM next")
        other.close()
        assert isinstance((await limiter.ask(asked("u2")))[0], IntegrityError)  # that number is taken
        await limiter.ask(TakeSnapshot(1.0, 2.0, None))
        assert writer.others_wrote

    run(test)


def test_on_a_full_disk_the_ballast_lets_ends_and_operators_in(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        committer = limiter.committer
        connection = committer.writer.connection

        def most_pages(n: int) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {n}").all()
            connection.rollback()

        class Room(Ballast):
            """Given up, it is pages that the database may have."""

            def give_up(self) -> None:
                super().give_up()
                most_pages(2**30)

        committer.ballast = ballast = Room(limiter.path)
        ballast.take()
        bots = [await limiter.start(f"u{n}") for n in range(3)]
        committer._looked_at = float("inf")  # the disk is looked at no more
        most_pages(1)
        starts = [asked(f"{n}-" + "x" * 60, "y" * 64) for n in range(300)]
        assert set(reasons(await limiter.ask(*starts))) == {UNAVAILABLE}
        assert not ballast.path.exists()
        assert committer.away_since is not None and committer.failing_since is None
        taking = (asked("v"), trade(bots[0], "t"), Take("r", "tokens", 1), TakeSnapshot(1.0, 2.0, None))
        assert set(reasons(await limiter.ask(*taking))) == {UNAVAILABLE}
        assert (
            reasons(
                await limiter.ask(
                    Stop(bots[0].number, bots[0].secret),
                    Heartbeat(bots[1].number, bots[1].secret),
                    change(ALERT_THRESHOLD=70),
                )
            )
            == ["ok"] * 3
        )
        limiter.time.pass_(60 * SECOND)
        await limiter.ask(Heartbeat(bots[1].number, bots[1].secret), Reap())
        ended = dict(limiter.rows("SELECT number, ended_reason FROM ended_sessions"))
        assert ended == {bots[0].number: "stopped", bots[1].number: "lease_expired", bots[2].number: "lease_expired"}
        committer._looked_at = 0.0
        assert reasons(await limiter.ask(asked("v"))) == ["ok"]
        assert committer.away_since is None and ballast.path.exists()

    run(test)


def test_the_counts_of_an_outage_are_those_of_what_happened(
    run: Test, foreign_lock: Callable[[], Callable[[], None]]
) -> None:
    async def test(limiter: Limiter) -> None:
        release = foreign_lock()
        assert set(reasons(await limiter.ask(asked("u1"), TakeSnapshot(1.0, 2.0, None)))) == {UNAVAILABLE}
        release()
        await limiter.ask(asked("u1"), TakeSnapshot(1.0, 2.0, None))
        assert limiter.rows("SELECT starts, bots_max FROM snapshots WHERE step = 5") == [(1, 1)]

    run(test)


# -- overload and the end


@pytest.mark.alone
def test_the_queue_is_bounded_and_one_too_many_is_told_at_once(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.ask(change(MAX_CONCURRENT_BOTS=10))
        futures = [limiter.committer.submit(asked(f"u{n}")) for n in range(module.MAX_WAITING + 5)]
        assert [future.done() for future in futures[-6:]] == [False, True, True, True, True, True]
        answers = list(await asyncio.gather(*futures))
        assert reasons(answers[-5:]) == ["overloaded"] * 5
        assert answers[-1].retry_after_seconds
        assert reasons(answers[:-5]).count("ok") == 10

    run(test)


def test_closing_finishes_what_waits(path: Path) -> None:
    async def whole() -> list[Any]:
        limiter = Limiter(path)
        futures = [limiter.committer.submit(asked(f"u{n}")) for n in range(700)]
        limiter.reader.close()
        await limiter.committer.close()
        return [future.result() for future in futures]

    answers = asyncio.run(whole())
    assert reasons(answers).count("ok") == 200
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM active_sessions").fetchone() == (200,)
    connection.close()
    assert not path.with_name("limiter.db-wal").exists()


# -- lines of the log


def test_the_lines_of_starts_are_written_together_soon_after(run: Test, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(limiter: Limiter) -> None:
        stream = StringIO()
        limiter.committer.events = EventLog("text", stream)
        monkeypatch.setattr(module, "LOG_SECONDS", 1)
        for user in ("u1", "u2", "u3"):
            await limiter.start(user)
        async with asyncio.timeout(5):
            while not stream.getvalue():
                await asyncio.sleep(0.01)
        assert [line.count(" start ") for line in stream.getvalue().splitlines()] == [1, 1, 1], "in one write"

    run(test)


def test_what_still_waited_is_written_at_the_end(run: Test) -> None:
    stream = StringIO()

    async def test(limiter: Limiter) -> None:
        limiter.committer.events = EventLog("text", stream)
        await limiter.start("u1")

    run(test)
    assert "user=u1" in stream.getvalue()


def test_another_line_does_not_overtake_that_of_a_start(run: Test) -> None:
    async def test(limiter: Limiter) -> None:
        stream = StringIO()
        limiter.committer.events = EventLog("text", stream)
        session = await limiter.start("u1")
        await limiter.ask(Stop(session.number, session.secret))
        assert [line.split()[3] for line in stream.getvalue().splitlines()] == ["start", "end"]

    run(test)
