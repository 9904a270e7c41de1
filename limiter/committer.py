"""The group commit: requests queue while a commit is in flight, the whole queue is decided at one instant, made durable
by one commit, and only then is anybody answered. A commit waits a moment for those who were just answered
(gathering.py).

Promises: an answer is durable before it is given (a heartbeat's need not be: a restart renews every lease); one request
that fails takes no neighbour with it; where the database does not take the batch, every change of it is undone and all
of it but heartbeats is refused `storage_unavailable` within 2 s, and no lease ends until it does again; on a full disk
the ballast is given up, and what gives slots back or is done by operators goes on. Not promised:
that what was refused in time did not become durable after all; who asks again with the same bot_id or Idempotency-Key
gets that slot, not a second one.

Deciding and writing run in the event loop, the commit (an fsync) in one thread: the loop never waits for the disk.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    ProgrammingError,
    SQLAlchemyError,
)

from limiter.clock import Clock
from limiter.events import EventLog, request_id_of
from limiter.gathering import Gathering
from limiter.latency import Latency
from limiter.onethread import OneThread
from limiter.rules import clock_step
from limiter.rules.incidents import is_calm, watch
from limiter.rules.quotas import RecordTrade, Take
from limiter.rules.records import RefusalRecord
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Heartbeat, Heartbeats, Start, reap
from limiter.rules.snapshots import TakeSnapshot
from limiter.rules.state import State
from limiter.rules.undecided import RecordUndecided, Undecided
from limiter.store.ballast import Ballast
from limiter.store.engine import is_full
from limiter.store.writer import Writer

ANSWER_SECONDS = 1.8  # what waits longer is refused: the contract says within 2 s
LOG_SECONDS = 0.01  # how long the line of a start waits for others
LOG_LOST = contextlib.suppress(OSError, ValueError)  # nobody reads stderr any more, or its disk is full
ROOM_SECONDS = 1.0  # how often a full disk is looked at
MOST_REFUSED = 2000  # refusals in memory: with so many, or each half second, they are written
MAX_WAITING = 4096  # requests in the queue; more are refused as `overloaded`
MAX_BATCH = 512
TAKES_ROOM = (Start, RecordTrade, Take, TakeSnapshot, RecordUndecided)  # what waits for better times on a full disk
UNAVAILABLE = Refusal("storage_unavailable", {}, 5)
POISON = (DataError, IntegrityError, InterfaceError, ProgrammingError)  # what the database says of rows, not of itself

log = logging.getLogger("limiter")


class Request(Protocol):
    """Asks for a change: `decide` is a pure rule."""

    def decide(self, state: State, now: int) -> Any:
        """What is answered, once it is durable."""


class Committer:
    """Owns the state and its writer. All methods are called in the event loop."""

    def __init__(
        self,
        state: State,
        writer: Writer,
        clock: Clock,
        ballast: Ballast | None = None,
        events: EventLog | None = None,
    ) -> None:
        self.state = state
        self.writer = writer
        self.clock = clock
        self.latency = Latency()
        self.ballast = ballast
        self.events = events
        self.undecided = Undecided()
        self.failing_since: float | None = None
        self.full_since = time.monotonic() if ballast is not None and ballast.given_up else None
        self.busy_since: float | None = None
        self._steps: list[tuple[int, int]] = []  # of the clock, that no commit has written yet: by how much, to when
        self._waiting: deque[tuple[Request, asyncio.Future[Any], float]] = deque()
        self._flying: list[tuple[Request, asyncio.Future[Any], float]] = []
        self.fault: Exception | None = None
        self.on_fault: Callable[[], None] = lambda: None
        self._looked_at, self._made_room = 0.0, False
        self._gathering = Gathering(MAX_BATCH)
        self._alone = 0  # so many of those that wait are decided one by one, to find the one that spoiled their batch
        self._thread = OneThread("commit")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._log_timer: asyncio.TimerHandle | None = None

    def submit(self, request: Request) -> asyncio.Future[Any]:
        """The answer to the request, when it is durable. `overloaded` at once where too many wait."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()  # which asks the system for the process each time
        future = self._loop.create_future()
        if self.fault is not None:
            future.set_result(UNAVAILABLE)
            return future
        if len(self._waiting) >= MAX_WAITING:
            future.set_result(Refusal("overloaded", {}, 2))
            return future
        self._waiting.append((request, future, time.monotonic()))
        if len(self._waiting) == self._gathering.wanted:
            self._gathering.enough()
        if self._worker is None:
            self._worker = self._loop.create_task(self._run())
        return future

    async def close(self) -> None:
        """Finish what waits, then give the database back."""
        while self._worker is not None:
            await asyncio.wait([self._worker])
        for timer in (self._timer, self._log_timer):
            if timer is not None:
                timer.cancel()
        self._flush_log()
        self._thread.close()
        self.writer.close()

    def stalled_seconds(self) -> float:
        """How long the batch in flight has been under way; 0 where none is."""
        return time.monotonic() - self.busy_since if self.busy_since is not None else 0.0

    @property
    def away_since(self) -> float | None:
        """Since when no start can be written, for a fault or a full disk, in monotonic seconds; None where it can."""
        return self.full_since if self.failing_since is None else self.failing_since

    async def _run(self) -> None:
        if self._timer is None:
            self._expire()
        try:
            while self._waiting:
                if self.full_since is not None:
                    await self._look_for_room()
                size = 1 if self._alone else min(MAX_BATCH, len(self._waiting))
                self._alone = max(0, self._alone - 1)
                self._flying = [self._waiting.popleft() for _ in range(size)]
                self.busy_since = time.monotonic()
                await self._batch()
                if size > 1 and self.state.changes and self.failing_since is None and not self._alone:
                    await self._gathering.wait(size, len(self._waiting), self.stalled_seconds())
        except Exception as error:
            self._break(error)
        finally:
            self.busy_since, self._worker, self._flying = None, None, []

    async def _batch(self) -> None:
        state, batch = self.state, [row for row in self._flying if not row[1].done()]
        requests = [row[0] for row in batch]
        waited = len(state.refused)
        moved = self.clock.step() if self.writer.alone else 0  # several processes follow the database's clock
        now = self.clock.now()
        state.begin()
        try:
            if moved:
                self._shift(moved, now)
            for by, at in self._steps:
                clock_step.keep(state, by, at)
            now = await self._prepare(requests, now)
            reap(state, now)
            if not is_calm(state):
                self._watch(now)
            answers = [self._decide_and_watch(request, now) for request in requests]
            state.changes.probe = self.failing_since is not None
            state.changes.flush |= len(state.refused) >= MOST_REFUSED
            refused = state.refused[waited:]
            await self.writer.make_durable(state, self.failing_since is not None, self._thread)
        except Exception as error:
            self._undo()
            if await self._is_to_be_decided_again(error, len(batch)):
                self._waiting.extendleft(reversed(batch))
                return
            if _is_outage(error):
                self._fail(error)
                answers = [self._unavailable(request, now) for request in requests]
            else:
                log.exception("request_failed %s", _named(requests[0] if requests else None))
                answers = [error] * len(batch)
        else:
            self._steps.clear()
            self._succeed()
            self._log(requests, answers, refused, now)
        self._answer(batch, answers)

    def _shift(self, by: int, now: int) -> None:
        log.warning("clock_followed by=%+.1fs: the wall clock was moved", by / 1000)
        clock_step.shift(self.state, by, now - by)
        self._steps.append((by, now))
        self.writer.read_day(self.state, now)

    async def _prepare(self, requests: list[Request], now: int) -> int:
        """Have the state know what the requests name, and what other processes did; the instant of the batch."""
        at = await self.writer.prepare(self.state, requests, now, self.failing_since is not None, self._thread)
        if at != now:
            self.clock.follow(at)
        return at

    async def _is_to_be_decided_again(self, error: Exception, size: int) -> bool:
        """Room was made on the disk, or one request spoiled the batch: then each is decided alone."""
        if _is_outage(error):
            return is_full(error) and await self._make_room()
        if size > 1:
            self._alone += size
        return size > 1

    def _log(self, requests: list[Request], answers: list[Any], refused: list[RefusalRecord], now: int) -> None:
        if self.events is None:
            return
        with LOG_LOST:  # decisions go on
            self.events.write(requests, answers, self.state.changes, refused, now)
        if self.events.waiting and self._log_timer is None and self._loop is not None:
            self._log_timer = self._loop.call_later(LOG_SECONDS, self._flush_log)

    def _flush_log(self) -> None:
        self._log_timer = None
        if self.events is not None:
            with LOG_LOST:
                self.events.flush()

    def _answer(self, batch: list[tuple[Request, asyncio.Future[Any], float]], answers: list[Any]) -> None:
        at = time.monotonic()
        self.latency.add(at, [at - since for _, _, since in batch])
        for (_, future, _), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    def _decide(self, request: Request, now: int) -> Any:
        if self.full_since is not None and isinstance(request, TAKES_ROOM):
            return UNAVAILABLE
        state = self.state
        mark, state.asked_by = state.mark(), request
        try:
            return request.decide(state, now)
        except Exception as error:
            log.exception("decision_failed %s", _named(request))
            state.undo(mark)
            return error

    def _decide_and_watch(self, request: Request, now: int) -> Any:
        """The occupancy is looked at wherever it, or a limit, has changed: so no crossing hides in a batch."""
        state = self.state
        course = state.course
        points = len(course)
        answer = self._decide(request, now)
        if (len(course) != points or course is not state.course) and not is_calm(state):
            self._watch(now)
        return answer

    def _watch(self, now: int) -> None:
        """Whatever is wrong with alerts, decisions go on."""
        mark = self.state.mark()
        try:
            watch(self.state, now)
        except Exception:
            log.exception("watch_failed %s", _named(self.state.asked_by))
            self.state.undo(mark)

    def _unavailable(self, request: Request, now: int) -> Any:
        """A heartbeat needs no disk: a bot that is alive is kept, whatever the database does. But among several
        processes another one may have ended its lease."""
        keeps = isinstance(request, (Heartbeat, Heartbeats)) and self.writer.alone
        return self._decide(request, now) if keeps else UNAVAILABLE

    async def _make_room(self) -> bool:
        """Once for each batch that the disk refuses; False where that was not enough."""
        if self.ballast is None or self._made_room:
            return False
        self._made_room = True
        self.ballast.give_up()
        if self.full_since is None:
            self.full_since = time.monotonic()
            log.error("disk_full: the ballast is given up; bots can stop, none can start until there is room again")
        await self._thread.run(self.writer.fold_log)
        return True

    async def _look_for_room(self) -> None:
        since, at = self.full_since, time.monotonic()
        if self.ballast is None or since is None or at < self._looked_at + ROOM_SECONDS:
            return
        self._looked_at = at
        if await self._thread.run(self.ballast.put_back):
            self.full_since = None
            log.warning("disk_has_room after=%.1fs", time.monotonic() - since)

    def _undo(self) -> None:
        """Forget the batch; nobody is told anything that is not durable."""
        try:
            self.writer.rollback()
        except SQLAlchemyError:
            log.exception("rollback_failed")
        self.state.undo()

    def _fail(self, error: Exception) -> None:
        if self.failing_since is None:
            self.failing_since = time.monotonic()
            log.error("storage_unavailable error=%s", getattr(error, "orig", None) or error)

    def _break(self, error: Exception) -> None:
        """What should not happen did, and the state may not be what the database has: decide nothing more on it."""
        log.critical("decisions_broken: the process has to be started again", exc_info=error)
        self.fault = error
        for _, future, _ in (*self._flying, *self._waiting):
            if not future.done():
                future.set_result(UNAVAILABLE)
        self._waiting.clear()
        self.on_fault()

    def _succeed(self) -> None:
        self._made_room = False
        if self.failing_since is not None:
            log.warning("storage_back after=%.1fs", time.monotonic() - self.failing_since)
            self.failing_since = None

    def _expire(self) -> None:
        """Refuse what has waited too long, in flight or not: its fate is not known, and 2 s were promised."""
        late = time.monotonic() - ANSWER_SECONDS
        for row in (*self._flying, *self._waiting):
            if row[2] < late and not row[1].done():
                row[1].set_result(UNAVAILABLE)
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        self._timer = None
        if self._worker is not None:
            self._timer = asyncio.get_running_loop().call_later(0.1, self._expire)


def _named(request: Any) -> str:
    """A request in a line of the log."""
    return f"request={'none' if request is None else type(request).__name__} request_id={request_id_of(request)}"


def _is_outage(error: Exception) -> bool:
    """Whether the database cannot write, and not one request that asked it to write nonsense."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or not isinstance(error, POISON)
    return isinstance(error, OSError)
