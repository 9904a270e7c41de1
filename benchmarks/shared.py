"""The part of `python -m benchmarks scale` that is about several limiters on one PostgreSQL database: what the row of
`fleet`, the journal and heartbeats in the batch cost. Without HTTP, on a server that is named; the server, and what is
measured on it, share this machine's cores.
"""

import multiprocessing
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier, Lock
from statistics import median

import psycopg
from psycopg import sql

from benchmarks.inside import BATCH, NOW, SESSION, Desk, desk
from benchmarks.report import grouped, number
from limiter.rules.records import Session
from limiter.rules.sessions import Heartbeat, Start, Stop
from limiter.store.engine import open_writer
from limiter.units import DAY_MS

SIZES = (10_000, 100_000)
TURNS = 40
SECONDS = 4.0  # of a run in which processes beat against each other


@contextmanager
def database(server: str) -> Iterator[str]:
    """A new database on the server that this URL names, as the limiter is told it; gone afterwards."""
    name = f"bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield f"{server.replace('postgresql://', 'postgresql+psycopg://', 1).rpartition('/')[0]}/{name}"
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def plain(url: str) -> str:
    """The URL as the driver takes it."""
    return url.replace("+psycopg", "", 1)


def fill(url: str, bots: int) -> None:
    """So many live sessions, with a lease of a day."""
    open_writer(url).dispose()
    with psycopg.connect(plain(url), autocommit=True) as connection:
        connection.execute(
            f"INSERT INTO active_sessions ({SESSION}) SELECT i, md5(i::text), 'u' || i %% 5000, 'b' || i, 'b' || i,"
            " NULL, %(now)s, %(day)s, %(now)s, %(now)s + %(day)s, 100, 200, 0, 1, 1"
            " FROM generate_series(1, %(bots)s) AS i",
            {"now": NOW, "day": DAY_MS, "bots": bots},
        )
        connection.execute("UPDATE fleet SET active = %s, next_number = %s", (bots, bots + 1))
        connection.execute("VACUUM ANALYZE")


def heartbeats(one: Desk, turn: int) -> list[Heartbeat]:
    """500 of bots that are scattered over all; others each turn."""
    live = list(one.committer.state.sessions.values())
    apart = max(1, len(live) // 500)
    return [Heartbeat(session.number, session.secret) for session in live[turn % apart :: apart][:500]]


def measure(server: str, bots: int) -> dict[str, str]:
    """Each row of the table at this size."""
    with database(server) as url, ExitStack() as stack, psycopg.connect(plain(server), autocommit=True) as asking:
        fill(url, bots)
        began = time.perf_counter()
        one = stack.enter_context(desk(url))
        restored = time.perf_counter() - began
        other = stack.enter_context(desk(url))

        def log_bytes() -> int:
            row = asking.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").fetchone()
            assert row is not None
            return int(row[0])

        starts, start_bytes, beats, beat_bytes, follows = [], [], [], [], []
        for turn in range(TURNS):
            before = log_bytes()
            admitted, ms = one.decide([Start("r", f"new{turn}-{n}", "b1", "", "s" * 24) for n in range(BATCH)])
            starts.append(ms)
            start_bytes.append((log_bytes() - before) / BATCH)
            one.decide([Stop(admission.session.number, admission.session.secret) for admission in admitted])
            beating, before = heartbeats(one, turn), log_bytes()
            beats.append(one.decide(beating)[1])
            beat_bytes.append((log_bytes() - before) / len(beating))
            follows.append(other.decide(beating[:1])[1])  # behind those 500, and the starts and stops
        together = {n: rate(url, n) for n in (1, 2)}
    return {
        "a process starts, and holds the row while it reads": f"{number(restored)} s",
        "64 starts in one batch": f"{number(median(starts))} ms",
        "log for each start (more after a checkpoint)": f"{number(median(start_bytes))} B",
        "500 heartbeats in one batch": f"{number(median(beats))} ms",
        "log for each heartbeat (more after a checkpoint)": f"{number(median(beat_bytes))} B",
        "a heartbeat in another process, which follows all that first": f"{number(median(follows))} ms",
        "heartbeats a second, one process that does nothing else": number(together[1]),
        "the same, two processes together": number(together[2]),
    }


def hammer(url: str, turn: Lock, gate: Barrier, rates: "Queue[float]") -> None:
    """Put the heartbeats a second that one process makes durable, 500 a batch. Starts are in turn: each holds the row
    while it reads."""
    with ExitStack() as stack:
        with turn:
            one = stack.enter_context(desk(url))
        gate.wait()
        done, batch, end = 0, 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            answers, _ = one.decide(heartbeats(one, batch))
            done, batch = done + sum(isinstance(answer, Session) for answer in answers), batch + 1
        rates.put(done / SECONDS)
        gate.wait()  # to give leadership back takes the row too


def rate(url: str, processes: int) -> float:
    """Heartbeats a second of so many processes together."""
    context = multiprocessing.get_context("spawn")
    rates: Queue[float] = context.Queue()
    shared = context.Lock(), context.Barrier(processes)
    children = [context.Process(target=hammer, args=(url, *shared, rates), daemon=True) for _ in range(processes)]
    for child in children:
        child.start()
    found = sum(rates.get(timeout=120) for _ in children)
    for child in children:
        child.join()
    return float(found)


def table(server: str) -> list[str]:
    """The rows at each size."""
    found = [measure(server, bots) for bots in SIZES]
    lines = ["| | " + " | ".join(f"{grouped(bots)} bots" for bots in SIZES) + " |", "|---|---|---|"]
    return lines + [f"| {title} | {' | '.join(one[title] for one in found)} |" for title in found[0]]
