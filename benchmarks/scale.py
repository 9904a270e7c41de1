"""`python -m benchmarks scale`: checks the numbers of docs/scale.md at what this machine can run, and writes them
there.

The real rules, state, writer and committer on a file, without HTTP, for so many live sessions. What 10 000 bots cost is
the law (flat, or in proportion to the bots) that 100 000 and 1 000 000 are held against. Each size is measured in a
process of its own, so that its memory is its own.
"""

import gc
import multiprocessing
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import psutil

from benchmarks import history, servers, shared, shares
from benchmarks.history import DAY, SIZES
from benchmarks.inside import BATCH, Desk, desk, make, timed, url
from benchmarks.report import DOCS, grouped, number, place, stamp
from limiter.clock import Clock
from limiter.rules.holding import suspects
from limiter.rules.sessions import Heartbeat, Reap, Start, Stop
from limiter.rules.snapshots import TakeSnapshot

PAGE = DOCS / "scale.md"
LAPSING = 1_000  # sessions with a lease of a minute among those with a day's
PERIOD_SECONDS, SAMPLE_SECONDS = 20, 5  # of a heartbeat under a lease of 60 s, and of the sampler
BLOCKS = (1, 5, 10, 25, 50, 100)


@dataclass(slots=True)
class Hands:
    """A monotonic clock that can be put forward."""

    forward: float = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return time.monotonic() + self.forward


@dataclass(frozen=True, slots=True)
class Law:
    """One figure: its name, what it is, its unit, and whether it grows with the bots or is the same for any number."""

    name: str
    title: str
    unit: str
    grows: bool


LAWS = (
    Law("file_bytes", "database for each live session", "B", False),
    Law("memory_bytes", "memory for each live session", "B", False),
    Law("restore", "restart: sessions read, leases renewed", "s", True),
    Law("start", "64 starts in one batch, durable", "ms", False),
    Law("start_bytes", "written to the disk for each of them", "kB", False),
    Law("alone_bytes", "written to the disk for a start alone", "kB", False),
    Law("beats", "500 heartbeats in one batch", "ms", False),
    Law("lapse", "1 000 leases run out in one batch, durable", "ms", False),
    Law("sweep", "one walk over all (stats, suspects)", "ms", True),
    Law("sample", "a sample, with 5 s of heartbeats written", "ms", True),
    Law("sample_bytes", "written to the disk by it", "MB", True),
    Law("wave", "a lease after a restart: every date is due at once", "ms", True),
)


def written() -> int:
    """Bytes that this process has sent to a disk."""
    return int(psutil.Process().io_counters().write_bytes)


def fill(path: Path, bots: int) -> Path:
    """A database with so many live sessions, a thousand of them with a lease of a minute."""
    make(path, active=bots)
    with closing(sqlite3.connect(path)) as file:
        file.execute("UPDATE active_sessions SET lease_ms = 60000 WHERE number % ? = 0", (bots // LAPSING,))
        file.commit()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def beat(one: Desk, share: tuple[int, int]) -> list[float]:
    """A part of the bots beats, scattered over all, 500 a batch; milliseconds of each."""
    part, parts = share
    chosen = list(one.committer.state.sessions.values())[part::parts]
    beats = [Heartbeat(session.number, session.secret) for session in chosen]
    return [one.decide(beats[begin : begin + 500])[1] for begin in range(0, len(beats), 500)]


def measure(bots: int) -> dict[str, float]:
    """Every figure of LAWS at this size, in their units. To be called in a fresh process."""
    found: dict[str, float] = {}
    hands, memory = Hands(), psutil.Process().memory_info
    with servers.scratch() as folder:
        path = fill(folder / "scale.db", bots)
        found["file_bytes"] = path.stat().st_size / bots
        gc.collect()
        before, began = memory().rss, time.perf_counter()
        with desk(url(path), Clock(monotonic=hands)) as one:
            found["restore"] = time.perf_counter() - began
            found["memory_bytes"] = (memory().rss - before) / bots
            hands.forward += 61
            found["lapse"] = one.decide([Reap()])[1]
            assert len(one.committer.state.sessions) == bots - LAPSING
            found["start"], found["start_bytes"] = starts(one, BATCH)
            _, found["alone_bytes"] = starts(one, 1)
            state, clock = one.committer.state, one.committer.clock
            found["sweep"] = median(timed(lambda: suspects(state, clock.now()), 5))
            found["sample"], found["sample_bytes"] = sample(one)
            found["beats"], found["wave"] = wave(one, hands)
    return found


def starts(one: Desk, batch: int) -> tuple[float, float]:
    """The median of so many durable starts at once in ms, and kB written for each; the bots stop again."""
    taken, kb = [], []
    for turn in range(50):
        before = written()
        admitted, ms = one.decide([Start("r", f"new{turn}-{n}", "b1", "", "s" * 24) for n in range(batch)])
        taken.append(ms)
        kb.append((written() - before) / batch / 1000)
        one.decide([Stop(admission.session.number, admission.session.secret) for admission in admitted])
    return median(taken), median(kb)


def sample(one: Desk) -> tuple[float, float]:
    """The median of samples with a quarter of the bots to write, in ms, and the MB that each writes."""
    parts = PERIOD_SECONDS // SAMPLE_SECONDS
    taken, mb = [], []
    for part in range(parts):
        beat(one, (part, parts))
        before = written()
        taken.append(one.decide([TakeSnapshot(30.0, 40.0, 2.0)])[1])
        mb.append((written() - before) / 1e6)
    return median(taken), median(mb)


def wave(one: Desk, hands: Hands) -> tuple[float, float]:
    """The median of 500 heartbeats in ms; and the batch that finds every date due and every bot alive."""
    bots = len(one.committer.state.sessions)
    hands.forward += DAY / 2
    beats = median(beat(one, (0, 1)))
    hands.forward += DAY / 2
    _, ms = one.decide([Reap()])
    assert len(one.committer.state.sessions) == bots
    return beats, ms


def alone(what: Callable[[int], dict[str, float]], bots: int) -> dict[str, float]:
    """What it finds in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
        return child.submit(what, bots).result()


def sizes_table(found: dict[int, dict[str, float]]) -> list[str]:
    """Each figure at each size; beyond the first, how it compares with the law that the first set."""
    first, *others = found
    lines = [
        "| | law | " + " | ".join(f"{grouped(bots)} bots" for bots in found) + " |",
        "|---|---|" + "---|" * len(found),
    ]
    for law in LAWS:
        cells = [f"{number(found[first][law.name])} {law.unit}"]
        for bots in others:
            expected = found[first][law.name] * (bots / first if law.grows else 1)
            value = found[bots][law.name]
            cells.append(f"{number(value)} {law.unit} (× {value / expected:.2f})")
        lines.append(f"| {law.title} | {'∝ bots' if law.grows else 'flat'} | {' | '.join(cells)} |")
    return lines


def shares_table(world: shares.World, blocks: Sequence[int]) -> list[str]:
    """What a block's size costs and saves."""
    whole = shares.exact(world)
    lines = [
        "| slots in a block | most bots at once | idle, all well | idle, with faults | messages a start | stays cut |",
        "|---|---|---|---|---|---|",
    ]
    for block in blocks:
        well = shares.simulate(replace(world, block=block, faults=False))
        ill = shares.simulate(replace(world, block=block))
        peak = max(well.peak, ill.peak)
        lost = (f"{100 * max(0.0, 1 - one.used / whole):.1f} %" for one in (well, ill))
        lines.append(
            f"| {block} | {peak} of {world.cap} | {' | '.join(lost)} | {ill.messages / ill.starts:.1f}"
            f" | {100 * ill.cut / ill.starts:.1f} % |"
        )
    return lines


def sizes(most: int, say: Callable[[str], None]) -> list[str]:
    """The table of what so many live sessions cost, each size in a process of its own."""
    found = {}
    for bots in SIZES:
        if bots <= most:
            found[bots] = alone(measure, bots)
            say(f"{grouped(bots)} bots: " + ", ".join(f"{name} {number(each)}" for name, each in found[bots].items()))
    return [*sizes_table(found), "", stamp()]


def on_postgres(server: str) -> list[str]:
    """The table of several limiters on one database."""
    if not server:
        raise servers.Missing("no PostgreSQL server is named (--postgres)")
    return [*shared.table(server), "", stamp()]


PLACES = ("measured", "history", "postgres", "shares")


def table(name: str, most: int, server: str, say: Callable[[str], None]) -> list[str]:
    """The lines of one of PLACES. Raises Missing where it cannot be measured here."""
    match name:
        case "measured":
            return sizes(most, say)
        case "history":
            return history.table()
        case "postgres":
            return on_postgres(server)
        case _:
            return shares_table(shares.World(), BLOCKS)


def write(name: str, lines: Sequence[str], page: Path = PAGE) -> None:
    """Put a table in its place."""
    page.write_text(place(page.read_text(encoding="utf-8"), name, "\n".join(lines)), encoding="utf-8")
