"""Faults inside the process: poisoned batches, a sampler that crashes, and hours in minutes. The rules,
the committer and the database are the real ones; time is a clock that the fault pushes."""

import asyncio
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

from faults.figures import Figure
from limiter.jobs import Job
from limiter.jobs.sampler import Sampler
from limiter.rules.quotas import Take
from limiter.rules.records import Ended, Session
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Admission, Heartbeat, Reap, Stop
from limiter.rules.snapshots import TakeSnapshot
from tests.rules.world import SECOND, asked
from tests.test_committer import POISON, Limiter, change, trade

DECISIONS_PER_SECOND = 32  # of the soak's time: 1 000 000 decisions are 8.7 hours of bots that come and go
USERS = 500
WARM_HOURS = 2  # until the windows of an hour and SQLite's cache are full
SAMPLE_SECONDS = 200


def with_committer(path: Path, work: Callable[[Limiter], Coroutine[Any, Any, None]]) -> None:
    """Runs it with a committer on a database of its own, closed at the end."""

    async def whole() -> None:
        limiter = Limiter(path)
        try:
            await work(limiter)
        finally:
            await limiter.committer.close()
            limiter.reader.close()

    asyncio.run(whole())


def poison(folder: Path, batches: int) -> Iterator[Figure]:
    """Batches of innocent starts with one request in each that fails, of every kind that there is."""
    found: Counter[str] = Counter()

    async def work(limiter: Limiter) -> None:
        await limiter.ask(change(MAX_CONCURRENT_BOTS=1_000_000))
        kinds = list(POISON.values())
        for number in range(batches):
            before = [asked(f"u{number}-{n}") for n in range(4)]
            answers = await limiter.ask(*before[:2], kinds[number % len(kinds)], *before[2:])
            poisoned = answers.pop(2)
            found["failed"] += sum(not isinstance(answer, Admission) for answer in answers)
            found["taken"] += not isinstance(poisoned, Exception)
        rows = limiter.rows("SELECT count(*) FROM active_sessions")[0][0]
        found["rows"] = abs(rows - 4 * batches)

    with_committer(folder / "limiter.db", work)
    yield Figure("batches with one poisoned request each", batches)
    yield Figure("innocent requests that failed", found["failed"], 0)
    yield Figure("poisoned requests that were taken", found["taken"], 0)
    yield Figure("rows too many or too few", found["rows"], 0)


def sampler(folder: Path, rounds: int) -> Iterator[Figure]:
    """The sampler crashes again and again while bots start, and then does not."""
    found: Counter[str] = Counter()

    async def work(limiter: Limiter) -> None:
        await limiter.ask(change(MAX_CONCURRENT_BOTS=1_000_000))
        broken = True

        def read() -> tuple[float, float]:
            if broken:
                raise OSError("no such reading")
            return 1.0, 2.0

        taken = Sampler(limiter.committer, read)
        job = Job("sampler", taken.run)
        running = asyncio.create_task(job.supervise())
        for n in range(rounds):
            answers = await limiter.ask(*(asked(f"u{n}-{m}") for m in range(10)))
            found["failed"] += sum(not isinstance(answer, Admission) for answer in answers)
        found["unseen"] = int(job.failure is None)
        broken = False
        for _ in range(100):
            if taken.last is not None:
                break
            await asyncio.sleep(0.05)
        found["not restarted"] = int(taken.last is None)
        running.cancel()

    with_committer(folder / "limiter.db", work)
    yield Figure("starts while the sampler crashes", 10 * rounds)
    yield Figure("of them that failed", found["failed"], 0)
    yield Figure("crashes that nobody sees", found["unseen"], 0)
    yield Figure("samplers that are not started again", found["not restarted"], 0)


class Bots:
    """A fleet of made-up bots: which are alive, and the requests of the next second."""

    def __init__(self) -> None:
        self.chance = random.Random(20)
        self.alive: deque[Session] = deque()
        self.numbers = count()

    def requests(self) -> list[Any]:
        """Starts, beats, trades, signals and stops; one in ten bots vanishes without a stop."""
        made: list[Any] = []
        while len(made) < DECISIONS_PER_SECOND - 2:
            n = next(self.numbers)
            what = self.chance.random()
            if what < 0.3 or not self.alive:
                made.append(asked(f"u{n % USERS}", f"b{n % (3 * USERS)}", f"k{n}" if n % 4 == 0 else None))
                continue
            self.alive.rotate(-1)
            bot = self.alive[0]
            if what < 0.65:
                made.append(Heartbeat(bot.number, bot.secret))
            elif what < 0.75:
                made.append(trade(bot, f"t{n}"))
            elif what < 0.8:
                made.append(Take("r", "signals", 1, bot.number, bot.secret))
            else:
                self.alive.popleft()
                if what < 0.98:
                    made.append(Stop(bot.number, bot.secret))
        return made

    def hear(self, answer: Any) -> None:
        """A new bot lives from now on."""
        if isinstance(answer, Admission) and answer.created:
            self.alive.append(answer.session)


def soak(folder: Path, decisions: int) -> Iterator[Figure]:
    """In a process of its own: what other faults left in this one's memory would hide its growth."""
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        yield from alone.submit(soaked, folder, decisions).result()


def soaked(folder: Path, decisions: int) -> list[Figure]:
    """Bots come and go, with snapshots, quotas and refusals, under a clock that runs as fast as it can."""
    path, found, this, kept = folder / "limiter.db", Counter[str](), psutil.Process(), list[tuple[int, int, int]]()

    async def work(limiter: Limiter) -> None:
        bots, done, second = Bots(), 0, 0
        await limiter.ask(change(MAX_CONCURRENT_BOTS=200, MAX_BOTS_PER_USER=3))
        while done < decisions:
            asks = [*bots.requests(), Reap(), *([TakeSnapshot(10.0, 20.0, 1.0)] if second % 5 == 0 else [])]
            for answer in await limiter.ask(*asks):
                bots.hear(answer)
                found["faults"] += isinstance(answer, Exception)
                found["refused"] += isinstance(answer, Refusal)
                found["ended"] += isinstance(answer, Ended)
            done, second = done + len(asks), second + 1
            limiter.time.pass_(SECOND)
            found["above"] += len(limiter.state.sessions) > 200
            if second % SAMPLE_SECONDS == 0 or done >= decisions:
                wal = path.with_name(path.name + "-wal").stat().st_size
                kept.append((this.memory_info().rss, wal, len(os.listdir("/proc/self/fd"))))
        limiter.time.pass_(120 * SECOND)
        await limiter.ask(Reap())
        found["leaked"] = len(limiter.state.sessions) + limiter.rows("SELECT count(*) FROM active_sessions")[0][0]
        freed = await limiter.ask(*(asked(f"w{n}") for n in range(201)))
        found["not free"] = abs(sum(isinstance(answer, Admission) for answer in freed) - 200)
        found["decisions"], found["seconds"] = done, second

    with_committer(path, work)
    warm = kept[min(len(kept) - 1, WARM_HOURS * 3600 // SAMPLE_SECONDS)]
    judged = 5 if found["seconds"] >= 2 * WARM_HOURS * 3600 else None
    return [
        Figure("decisions", found["decisions"]),
        Figure("hours of the clock", found["seconds"] / 3600, unit="h"),
        Figure("decisions that failed", found["faults"], 0),
        Figure("seconds with more bots than slots", found["above"], 0),
        Figure("slots leaked when every lease has ended", found["leaked"], 0),
        Figure("slots that were not free again, of 200", found["not free"], 0),
        Figure(f"growth of memory after {WARM_HOURS} h", 100 * (kept[-1][0] / warm[0] - 1), judged, "%"),
        Figure("largest write-ahead log", max(wal for _, wal, _ in kept) / 1024**2, 64, "MiB"),
        Figure("growth of open files", kept[-1][2] - warm[2], 0),
    ]
