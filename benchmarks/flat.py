"""`python -m benchmarks.flat`: whether the limiter is after five million ended sessions as it was on its first day.

Two limiters in this process, one on a long history and one on none, are asked in turn (benchmarks/cpu.py). Promises:
CPU time of all threads, the least of many samples of a round, and bytes that were written to files; so what else runs
on the machine disturbs it little. Then each is a server of its own on a fresh copy of its file, in turn: by the wall
clock, from the start of the process to `/readyz`, and starts a second of 64 clients. That wants a quiet machine.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import click
import psutil
import uvloop

from benchmarks import servers
from benchmarks.cpu import CLIENTS, ROUNDS, Limiter, starts
from benchmarks.inside import NOW, make, url
from benchmarks.load import drive
from benchmarks.report import grouped, number, stamp
from benchmarks.scale import write
from limiter.rules.sessions import Start, Stop
from limiter.serve.collector import settle_memory
from limiter.store import read, retention
from limiter.store.engine import open_reader, reading
from limiter.units import DAY_MS, HOUR_MS

BOTS, USERS = 200, 5_000  # that run, and that the history has
START, STAY = "a start over HTTP", "a stay: start and stop, without HTTP"
READY, RATE = "from the start of the process to `/readyz`", "starts a second, 64 clients, HTTP"
FEWER = 200
HOUR = NOW - NOW % HOUR_MS
SPANS = (1, 7, 30, 90, 365)  # days of a chart
TIMES = 40


Ask = Callable[[Limiter], Awaitable[float]]


def asking(kind: str) -> Ask:
    """What asks one limiter, ROUNDS times CLIENTS at once, and tells the CPU microseconds of each."""
    bodies, users = starts(USERS), (BOTS + 1 + n * 7919 % (USERS - BOTS - 1) for n in itertools.count())

    async def start(limiter: Limiter) -> float:
        us = await limiter.request_us(b"/api/bots/start", bodies)
        assert limiter.last.startswith(b"HTTP/1.1 201"), limiter.last
        return us

    async def stay(limiter: Limiter) -> float:
        began, submit = time.process_time(), limiter.committer.submit
        for _ in range(ROUNDS):
            asked = [Start("r", f"u{next(users)}", "again", "", "s" * 24) for _ in range(CLIENTS)]
            held = [(await one).session for one in [submit(start) for start in asked]]
            for ended in [submit(Stop(session.number, session.secret)) for session in held]:
                await ended
        return (time.process_time() - began) / (ROUNDS * CLIENTS) * 1e6

    return start if kind == START else stay


async def requests(folder: Path, ended: int, rounds: int, samples: int) -> dict[str, list[tuple[float, float]]]:
    """By kind and round: CPU time over that without a history, and bytes written over those."""
    found: dict[str, list[tuple[float, float]]] = {}
    files = (make(folder / "none.db", active=BOTS), make(folder / "long.db", ended, active=BOTS))
    none, long = (Limiter(file, 1_000_000) for file in files)
    for kind in (START, STAY):
        asked = {limiter: asking(kind) for limiter in (none, long)}
        settle_memory()
        for turn in range(rounds + 1):
            least, sent = dict.fromkeys(asked, 1e9), dict.fromkeys(asked, 0.0)
            for sample in range(samples):
                for limiter in (none, long) if (sample + turn) % 2 else (long, none):
                    before = psutil.Process().io_counters().write_chars
                    least[limiter] = min(least[limiter], await asked[limiter](limiter))
                    sent[limiter] += psutil.Process().io_counters().write_chars - before
            if turn:  # the first one warms up
                found.setdefault(kind, []).append((least[long] / least[none], sent[long] / sent[none]))
    for limiter in (none, long):
        await limiter.close()
    return found


def seconds_to_ready(folder: Path) -> float:
    """From the start of a limiter on the file of this folder until it can decide."""
    port = servers.free_port()
    command = [sys.executable, "-m", "limiter", "serve", "--port", str(port)]
    began = time.monotonic()
    with servers.process(command, folder, LIMITER_DATABASE_URL=url(folder / "limiter.db")) as running:
        while running.poll() is None:
            with contextlib.suppress(OSError), contextlib.closing(HTTPConnection("127.0.0.1", port)) as asking:
                asking.request("GET", "/readyz")
                if asking.getresponse().status == 200:
                    return time.monotonic() - began
            time.sleep(0.005)
    raise RuntimeError((folder / "log").read_text(errors="replace")[-2000:])


def by_the_clock(folder: Path, ended: int, rounds: int, seconds: float = 4) -> dict[str, list[float]]:
    """By kind and round: seconds until it is ready, and starts a second, over those without a history."""
    files = {"none": make(folder / "none.db", active=BOTS), "long": make(folder / "long.db", ended, active=BOTS)}
    found: dict[str, list[float]] = {READY: [], RATE: []}
    for turn in range(rounds):
        ready, rate = dict.fromkeys(files, 0.0), dict.fromkeys(files, 0.0)
        for name in sorted(files, reverse=bool(turn % 2)):
            home = folder / name
            home.mkdir()
            shutil.copy(files[name], home / "limiter.db")
            os.sync()  # what is still to be written would be written beside what is measured
            ready[name] = seconds_to_ready(home)
            with servers.limiter(home) as server:
                drive(server, CLIENTS, 1)
                rate[name] = drive(server, CLIENTS, seconds).rate
            shutil.rmtree(home)
        found[READY].append(ready["long"] / ready["none"])
        found[RATE].append(rate["long"] / rate["none"])
    return found


def spread(values: Sequence[float]) -> str:
    """The median, and least and most."""
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def reads_ms(path: Path, users: int = USERS, only: str = "") -> dict[str, float]:
    """CPU milliseconds of what the console's pages read, the least of many times; of some alone."""
    engine = open_reader(url(path))
    history, top, day = read.history, read.usage.top_users, (NOW - DAY_MS, NOW)
    queries: dict[str, tuple[Callable[..., object], ...]] = {
        **{
            f"chart of {days} day{'s' * (days > 1)}": (partial(history.series, start=NOW - days * DAY_MS, end=NOW),)
            for days in SPANS
        },
        **{f"load of {days} days": (partial(history.load, start=NOW - days * DAY_MS, end=NOW),) for days in SPANS[-2:]},
        "a page of sessions": (read.sessions.ended, read.sessions.count_ended),
        **{
            f"a page of {whose}": (
                partial(read.sessions.ended, user_id=user),
                partial(read.sessions.count_ended, user_id=user),
            )
            for whose, user in (("one user's", "u7"), ("a user who has none", "nobody"))
        },
        "figures of Overview": (
            history.newest,
            lambda tx: history.load(tx, *day),
            lambda tx: read.refusals.refused_users(tx, NOW - 3_600_000),
            lambda tx: read.sessions.lost(tx, 20),
            history.last_full,
            history.highest,
        ),
        "who held a slot 30 days ago": (lambda tx: read.instant.held(tx, NOW - 30 * DAY_MS, ()),),
        "bots that fell silent, 7 days": (lambda tx: read.beats.dead(tx, NOW - 7 * DAY_MS),),
        "rows of the tables": (read.database.tables,),
        "lengths of sessions, 28 days": (lambda tx: read.sessions.durations(tx, NOW - 28 * DAY_MS),),
        "lengths of an hour of the week, 90 days": (
            lambda tx: read.sessions.durations(tx, 0, [HOUR - days * DAY_MS for days in range(7, 90, 7)]),
        ),
        **{
            f"hours of {days} days": (partial(history.hours, start=NOW - days * DAY_MS, end=NOW),)
            for days in SPANS[-2:]
        },
        "refusals of the hours of 90 days": (partial(history.refused_by_hour, start=NOW - 90 * DAY_MS, end=NOW),),
        "sessions that would go if a day were kept": (partial(retention.count, kept="sessions_days", keep=1, now=NOW),),
        **{
            f"top users of {days} days, of {grouped(users)}": (partial(top, since=NOW - days * DAY_MS, now=NOW),)
            for days in (7, 28, 60)
        },
    }
    queries = {name: asked for name, asked in queries.items() if name.startswith(only)}
    found = dict.fromkeys(queries, 1e9)
    for _ in range(TIMES):
        for name, asked in queries.items():
            began = time.process_time()
            for query in asked:
                with reading(engine) as tx:
                    query(tx)
            found[name] = min(found[name], (time.process_time() - began) * 1000)
    engine.dispose()
    return found


def table(ended: int, rounds: int, samples: int) -> list[str]:
    """The lines of the table in docs/scale.md."""
    with servers.scratch() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(requests(folder, ended, rounds, samples))
    with servers.scratch() as folder:
        clock = by_the_clock(folder, ended, rounds)
    with servers.scratch() as folder:
        reads = reads_ms(make(folder / "reads.db", ended, BOTS, snapshots=True, users=USERS))
        reads |= reads_ms(make(folder / "fewer.db", active=BOTS, users=FEWER), FEWER, "top users")
    lines = [f"| of none, {rounds} rounds | CPU time | bytes written |", "|---|---|---|"]
    for name, pairs in found.items():
        lines.append(f"| {name} | {' | '.join(map(spread, zip(*pairs, strict=True)))} |")
    lines += ["", f"| of none, {rounds} rounds | by the wall clock |", "|---|---|"]
    lines += [f"| {name} | {spread(ratios)} |" for name, ratios in clock.items()]
    lines += ["", f"| over {grouped(ended)} ended sessions and a year of samples | CPU, ms |", "|---|---|"]
    lines += [f"| {name} | {number(ms)} |" for name, ms in reads.items()]
    return [*lines, "", stamp()]


@click.command()
@click.option("--ended", default=5_000_000, help="Ended sessions of the long history.")
@click.option("--rounds", default=5)
@click.option("--samples", default=12, help="Of each round; the least counts.")
def main(ended: int, rounds: int, samples: int) -> None:
    """Measure, print, and write the table into docs/scale.md: five minutes."""
    lines = table(ended, rounds, samples)
    write("flat", lines)
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
