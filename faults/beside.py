"""What goes wrong beside the decisions, which must not feel it: a sampler that hangs, alert channels that do not work,
and a crowd of console pages that read."""

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from faults.figures import Figure
from faults.running import ROOMY, percentile, running, seconds, seconds_until
from limiter.store import read
from limiter.store.engine import open_reader, reading
from tests.conftest import ROOT, Limiter
from tests.webhook import Webhook

STARTS = 1000  # of one round: the three of them that cross a level, and write it down, are not its p99
JUDGED_ROUNDS = 8  # with fewer, a p99 says more about the machine than about the limiter
WORSE = 1.10  # of a p99
TABS = 20
REDRAWN_SECONDS = (
    0.5  # ten times as often as a page does. Readers without a pause let no log be folded: 2.5 MiB a second
)
ALARM_SECONDS = 60
STALLS = """
import asyncio, os
from limiter.jobs.sampler import Sampler

sample = Sampler.sample

async def hangs(self):
    if os.path.exists("stall"):
        await asyncio.Event().wait()
    await sample(self)

Sampler.sample = hangs
"""


def stall(folder: Path, rounds: int) -> Iterator[Figure]:
    """The sampler waits for ever for something that never comes."""
    home, errors, starts = folder / "limiter", 0, 0
    home.mkdir()
    (home / "sitecustomize.py").write_text(STALLS)
    alarms, unseen, backs = list[float](), 0, list[float]()
    with Webhook() as webhook:
        env = {"PYTHONPATH": f"{home}:{ROOT}", "LIMITER_ALERT_URLS": webhook.address("/hook")}
        with running(home, **ROOMY, **env) as one:
            for number in range(1, rounds + 1):
                (home / "stall").touch()
                began = time.monotonic()
                while len([title for title in webhook.titles("/hook") if title.startswith("🕳")]) < number:
                    starts, errors = starts + 1, errors + (one.start().status_code != 201)
                    if time.monotonic() > began + ALARM_SECONDS:
                        break
                    time.sleep(0.1)
                alarms.append(time.monotonic() - began)
                unseen += "degraded" not in one.client.get("/api/admin/health").text
                (home / "stall").unlink()
                backs.append(seconds_until(lambda: '"degraded"' not in one.client.get("/api/admin/health").text, 90))
    yield Figure("stalls of the sampler", rounds)
    yield Figure("starts meanwhile", starts)
    yield Figure("of them that failed", errors, 0)
    yield Figure("longest until an alert of it had arrived", max(alarms), ALARM_SECONDS, "s")
    yield Figure("stalls that health did not tell", unseen, 0)
    yield Figure("longest until health was well again, the sampler started anew", max(backs), 90, "s")


def timed(one: Limiter) -> tuple[list[float], int]:
    """How long starts took, over every level of the occupancy and back, in ms; and how many failed."""
    took, failed, held = list[float](), 0, []
    for _ in range(STARTS):
        duration, answer = seconds(one.start)
        took.append(1000 * duration)
        failed += answer.status_code != 201
        held.append(answer.json()["session"])
    for session in held:
        one.end(session)
    return took, failed


def compared(plain: Limiter, other: Limiter, rounds: int) -> tuple[list[float], list[float], int]:
    """Both in turn, so that the machine's moods are the same for both."""
    without, beside, failures = list[float](), list[float](), 0
    for _ in range(rounds):
        for one, durations in ((plain, without), (other, beside)):
            took, failed = timed(one)
            durations.extend(took)
            failures += failed
    return without, beside, failures


def channels(folder: Path, rounds: int) -> Iterator[Figure]:
    """Starts that cross every level, with three channels that do not work and with none."""
    limits = {"MAX_CONCURRENT_BOTS": STARTS}
    with Webhook() as webhook:
        webhook.delays["/slow"], webhook.statuses["/bad"] = 60.0, 500
        addresses = f"{webhook.address('/slow')},{webhook.address('/bad')},json://127.0.0.1:9/dead"
        with (
            running(folder / "plain", **limits) as plain,
            running(folder / "told", **limits, LIMITER_ALERT_URLS=addresses) as told,
        ):
            timed(told)  # Apprise is loaded by the first message
            without, beside, failed = compared(plain, told, rounds)
            rows = told.admin("GET", "/api/admin/alerts").json()
            crossings = sum(len(one["crossings"]) for one in rows["items"])
            waiting = max(one["pending"] for one in rows["channels"])
    yield Figure(f"starts, each level crossed every {STARTS}", len(beside))
    yield Figure("of them that failed", failed, 0)
    yield Figure("crossings that were to be told", crossings)
    yield Figure("most messages that wait for one channel", waiting, 100)
    yield Figure("p50 without channels", statistics.median(without), unit="ms")
    yield Figure("p50 with channels that do not work", statistics.median(beside), unit="ms")
    yield from _ratio(without, beside, rounds)


def _ratio(without: list[float], beside: list[float], rounds: int) -> Iterator[Figure]:
    worse = percentile(beside, 0.99) / percentile(without, 0.99)
    yield Figure("p99 without", percentile(without, 0.99), unit="ms")
    yield Figure("p99 with them, over that", worse, WORSE if rounds >= JUDGED_ROUNDS else None)


def readers(folder: Path, rounds: int) -> Iterator[Figure]:
    """Starts while a process beside them reads as twenty pages would that are drawn anew twice a second."""
    begun, end = folder / "begun", folder / "end"
    with running(folder / "read", **ROOMY) as one, ProcessPoolExecutor(1, get_context("spawn")) as other:
        without = [duration for _ in range(rounds) for duration in timed(one)[0]]
        crowd = other.submit(read_on, f"sqlite:///{one.db_path}", begun, end)
        seconds_until(begun.exists, 30)
        beside, failed, largest = list[float](), 0, 0
        wal = one.db_path.with_name("limiter.db-wal")
        for _ in range(rounds):
            took, wrong = timed(one)
            beside, failed, largest = beside + took, failed + wrong, max(largest, wal.stat().st_size)
        end.touch()
        reads, faults = crowd.result()
    yield Figure("pages, each drawn anew twice a second", TABS)
    yield Figure("reads", reads)
    yield Figure("of them that failed", faults, 0)
    yield Figure("starts meanwhile", len(beside))
    yield Figure("of them that failed", failed, 0)
    yield Figure("largest write-ahead log", largest / 1024**2, 64, "MiB")
    yield Figure("p99 without readers", percentile(without, 0.99), unit="ms")
    yield Figure("p99 beside them, on the cores that they share", percentile(beside, 0.99), 250, "ms")


def read_on(url: str, begun: Path, end: Path) -> tuple[int, int]:
    """The reads of all pages until the file `end` is there, and how many of them failed."""
    begun.touch()
    with ThreadPoolExecutor(TABS) as pool:
        tabs = [pool.submit(page, url, end) for _ in range(TABS)]
        counts = [tab.result() for tab in tabs]
    return sum(reads for reads, _ in counts), sum(faults for _, faults in counts)


def page(url: str, end: Path) -> tuple[int, int]:
    """One page's queries, again and again, by a reader of its own."""
    engine, reads, faults = open_reader(url), 0, 0
    while not end.exists():
        time.sleep(REDRAWN_SECONDS)
        for query in (read.limits.read, read.history.last_full, read.history.highest, read.keys.keys):
            reads += 1
            try:
                with reading(engine) as connection:
                    query(connection)
            except Exception:  # counted, whatever it is
                faults += 1
    engine.dispose()
    return reads, faults
