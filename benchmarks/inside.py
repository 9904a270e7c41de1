"""What no caller sees: decisions, samples and the console's queries in this process, with the real writer and files."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import uvloop

from benchmarks import servers
from benchmarks.over_http import Effort, Findings, Say
from limiter import config
from limiter.clock import Clock
from limiter.committer import Committer, Request
from limiter.rules.sessions import Heartbeat, Heartbeats, Start, Stop
from limiter.rules.snapshots import TakeSnapshot
from limiter.serve.collector import settle_memory
from limiter.store import read, schema
from limiter.store.engine import open_reader, open_writer, reading
from limiter.store.open import writer_of
from limiter.units import DAY_MS, HOUR_MS

DAYS = 90
SAMPLED = {step: DAYS if step <= schema.MINUTE_STEP else 365 for step in schema.STEPS}
"""Days of samples by their width in seconds: of the narrow ones more than the default keeps."""
BATCH = 64
TURNS = 150  # batches of a round
NOW = int(time.time() * 1000)
SESSION = (
    "number, secret, user_id, bot_id, asked_bot, idempotency_key, started_at, lease_ms, last_heartbeat_at, expires_at,"
    " active, max_bots, user_active, user_max, version"
)
STAYED = "CASE WHEN i % 9973 = 0 THEN 20 * 86400000 WHEN i % 97 = 0 THEN 6 * 3600000 ELSE 30000 END"
COSTS = "memory_bytes, memory_peak, cpu_seconds, cpu_percent"
SNAPSHOT = ", ".join(schema.snapshots.c.keys())
"""Columns are named: where a migration has put them is its own business."""
INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'ended_sessions' AND sql NOT NULL"


def url(path: Path) -> str:
    """The database URL of a file."""
    return f"sqlite:///{path}"


@dataclass(frozen=True, slots=True)
class Desk:
    """The product's committer on one file, without HTTP."""

    committer: Committer
    runner: asyncio.Runner

    def decide(self, requests: Sequence[Request]) -> tuple[list[Any], float]:
        """The answers of one batch, durable, and the milliseconds it took from first question to last answer."""

        async def ask() -> tuple[list[Any], float]:
            began = time.perf_counter()
            futures = [self.committer.submit(request) for request in requests]
            answers = [await future for future in futures]
            return answers, (time.perf_counter() - began) * 1000

        return self.runner.run(ask())


@contextmanager
def desk(database: str, clock: Clock | None = None) -> Iterator[Desk]:
    """One open on the database of this URL, under a lease of a day and no cap that is met."""
    settings = config.read({"MAX_CONCURRENT_BOTS": "1000000", "BOT_LEASE_SECONDS": "86400"})
    writer, clock = writer_of(database), clock or Clock()
    state = writer.restore(settings.limits, settings.timezone, clock.now())
    settle_memory()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        one = Committer(state, writer, clock)
        yield Desk(one, runner)
        runner.run(one.close())


def make(path: Path, ended: int = 0, active: int = 0, snapshots: bool = False, users: int = 0) -> Path:
    """A database with so many ended and running sessions, a year of samples where asked, and 90 days of the usage of so
    many users, all of them each hour."""
    open_writer(url(path)).dispose()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("PRAGMA synchronous=OFF")
        file.execute("BEGIN IMMEDIATE")
        series = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        common = "i, hex(randomblob(12)), 'u' || (i % 5000), 'b' || i, 'b' || i, NULL"
        facts, costs = "100, 200, 0, 1, 1", "84000000, 90000000, 3600.5, 3.5"
        if ended:
            indexes = file.execute(INDEXES).fetchall()
            for name, _ in indexes:
                file.execute(f"DROP INDEX {name}")  # millions of rows are sorted once, not placed one by one
            file.execute(
                f"INSERT INTO ended_sessions ({SESSION}, ended_at, ended_reason, {COSTS}) {series}"
                f" SELECT {common}, ? + i * 1000, 60000, ? + i * 1000 + 5000,"
                f" ? + i * 1000 + 65000, {facts}, min(? + i * 1000 + {STAYED}, ?),"
                f" CASE WHEN i % 50 THEN 'stopped' ELSE 'lease_expired' END, {costs} FROM n",
                (ended, *(NOW - ended * 1000 - 60_000,) * 4, NOW - 1),
            )
            for _, sql in indexes:
                file.execute(sql)
        if active:
            file.execute(
                f"INSERT INTO active_sessions ({SESSION}, {COSTS}) {series}"
                f" SELECT {common.replace('i, hex', f'{ended} + i, hex', 1)},"
                f" ?, 86400000, ?, ?, {facts}, {costs} FROM n",
                (active, NOW, NOW, NOW + DAY_MS),
            )
        file.execute("UPDATE fleet SET active = ?, next_number = ?", (active, ended + active + 1))
        for step, days in SAMPLED.items() if snapshots else ():
            n = step // 5
            file.execute(
                f"INSERT INTO snapshots ({SNAPSHOT}) {series}"
                f" SELECT ?, ? - i * ?, {n}, 90, 170, {n} * 140, 3, 200, {n},"
                f" {n} * 31.5, 60, {n}, {n} * 45.5, 55, 4.5, {n} * 70, {n} * 8, {n} * 2, {n}, {n},"
                f" {n} * 140, {n} * 140 * 84000000, {n} * 140, {n} * 140 * 3.5,"
                f" 0, {n} * 5000, 0, 0, ? - i * ? FROM n",
                (days * 86_400 // step, step, *(NOW - NOW % (step * 1000), step * 1000) * 2),
            )
            file.execute(
                f"INSERT INTO refusal_counts {series} SELECT ?, ? - i * ?, 'server_full', {n} FROM n",
                (days * 86_400 // step, step, NOW - NOW % (step * 1000), step * 1000),
            )
        if users:
            file.execute(
                f"INSERT INTO usage_hours {series}, u(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM u WHERE k < ?)"
                " SELECT ? - i * ?, 'u' || k, 1, 3600000, 2, 0 FROM n, u ORDER BY 1, 2",
                (DAYS * 24, users, NOW - NOW % HOUR_MS, HOUR_MS),
            )
            file.execute(
                "INSERT INTO usage_days SELECT at - at % :day, user_id, sum(starts), sum(slot_ms), sum(trades),"
                " sum(refusals) FROM usage_hours GROUP BY at - at % :day, user_id",
                {"day": DAY_MS},
            )
        file.execute("COMMIT")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def timed(what: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        what()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def decision_ms(one: Desk, turn: int) -> float:
    """A batch of 64 starts, durable, in milliseconds; the bots stop again."""
    admitted, ms = one.decide([Start("r", f"new{turn}-{n}", "b1", "", "s" * 24) for n in range(BATCH)])
    one.decide([Stop(admission.session.number, admission.session.secret) for admission in admitted])
    return ms


def decisions(found: Findings, effort: Effort, say: Say) -> None:
    """What a batch of 64 starts costs with a long history, and with many bots: in turn, batch by batch."""
    with servers.scratch() as folder, ExitStack() as stack:
        say(f"filling databases: {effort.history} ended sessions, 10 000 bots …")
        files = {
            "bare": make(folder / "bare.db", active=200),
            "ended": make(folder / "ended.db", effort.history, active=200),
            "active": make(folder / "active.db", active=10_000),
        }
        mb = files["ended"].stat().st_size / 1e6
        desks = {name: stack.enter_context(desk(url(path))) for name, path in files.items()}
        for number in range(effort.rounds):
            turns = range(number * TURNS, (number + 1) * TURNS)
            taken: dict[str, list[float]] = {name: [] for name in desks}
            for turn in turns:
                for name, one in desks.items():
                    taken[name].append(decision_ms(one, turn))
            medians = {name: median(times) for name, times in taken.items()}
            found.rounds.setdefault("decisions", []).append(medians)
            say(f"decisions, round {number + 1}: " + ", ".join(f"{name} {ms:.3f} ms" for name, ms in medians.items()))
    found.notes.append(f"decisions: the long history has {effort.history} ended sessions in {mb:.0f} MB")
    for name in ("ended", "active"):
        found.values[f"decisions_{name}"] = median(one[name] / one["bare"] for one in found.rounds["decisions"])


def beats(found: Findings, effort: Effort, say: Say) -> None:
    """500 heartbeats of 10 000 bots: as many requests of one batch, and as one that says what they cost."""
    with servers.scratch() as folder, desk(url(make(folder / "beats.db", active=10_000))) as one:
        live = list(one.committer.state.sessions.values())
        chosen = [live[n * len(live) // 500] for n in range(500)]
        beating = [Heartbeat(session.number, session.secret) for session in chosen]
        found.values["beats_500"] = median(one.decide(beating)[1] for _ in range(200 * effort.rounds))
        taken = []
        for second in range(200 * effort.rounds):
            costs = [Heartbeat(beat.number, beat.secret, 84_000_000 + second, second / 20) for beat in beating]
            taken.append(one.decide([Heartbeats(costs)])[1])
        found.values["beats_one"] = median(taken)
    say(f"500 heartbeats: {found.values['beats_500']:.2f} ms, in one request {found.values['beats_one']:.2f} ms")


def console(found: Findings, effort: Effort, say: Say) -> None:
    """The console's queries, and the sample that feeds them, over 90 days of samples every 5 s."""
    with servers.scratch() as folder:
        say(f"filling a database with {DAYS} days of samples …")
        path = make(folder / "console.db", ended=20_000, active=150, snapshots=True)
        engine = open_reader(url(path))

        def chart() -> None:
            with reading(engine) as tx:
                read.history.series(tx, NOW - DAYS * DAY_MS, NOW)

        def page() -> None:
            for query in (
                read.history.newest,
                lambda tx: read.history.load(tx, NOW - DAY_MS, NOW),
                lambda tx: read.refusals.refused_users(tx, NOW - 3_600_000),
                lambda tx: read.history.series(tx, NOW - DAY_MS, NOW),
                lambda tx: read.limits.changes_of(tx, NOW - DAY_MS, NOW),
                lambda tx: read.audit.notes(tx, NOW - DAY_MS, NOW),
                lambda tx: read.audit.entries(tx, limit=20),
                lambda tx: read.refusals.refusals(tx, limit=20),
                lambda tx: read.sessions.lost(tx, 20),
            ):
                with reading(engine) as tx:
                    query(tx)

        times = 20 * effort.rounds
        chart()
        page()
        found.values["chart"], found.values["page"] = median(timed(chart, times)), median(timed(page, times))
        engine.dispose()
        with desk(url(path)) as one:
            taking = [TakeSnapshot(30.0, 40.0, 2.0)]
            samples = sorted(one.decide(taking)[1] for _ in range(100 * effort.rounds))
        found.values["sample"] = median(samples)
        found.notes.append(f"sample: p99 {samples[int(0.99 * len(samples))]:.2f} ms, its fsync included")
    for name in ("chart", "page", "sample"):
        say(f"{name}: {found.values[name]:.2f} ms")


CASES: dict[str, Callable[[Findings, Effort, Say], None]] = {
    "decisions": decisions,
    "batch-of-beats": beats,
    "console": console,
}
