"""The disk is full, or another process keeps the database: bots that run are kept, nobody is told what is not so."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks.inside import make
from faults.figures import Figure, Missing
from faults.power import every
from faults.running import ROOMY, answers_after_kill, health, percentile, running, seconds, seconds_until
from tests.conftest import Limiter

DISK_MIB = 48
HOLDER = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@contextlib.contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """A disk of so many MiB. Raises Missing where this process may not mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, check=False, capture_output=True).returncode:
        raise Missing("a small disk can be mounted by root alone, and in a container only with CAP_SYS_ADMIN")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(4096)):
            pass


def full_disk(folder: Path, rounds: int) -> Iterator[Figure]:
    """Another program fills the disk; then it makes room again."""
    lost, dead, refused_ends, refused_changes, starts, healthy, recoveries, slowest = 0, 0, 0, 0, 0, 0, [0.0], 0.0
    with small_disk(folder / "disk", DISK_MIB) as disk, running(disk, **ROOMY) as one:
        held = {session["public_id"]: session for session in (one.session(f"keeper-{n}") for n in range(5))}
        for number in range(rounds):
            before = [one.session(f"u{number}-{n}") for n in range(20)]
            fill(disk / "filler")
            dead += number == 0 and not answers_after_kill(one)
            full = False
            for n in range(2000):
                took, answer = seconds(functools.partial(one.start, f"v{number}-{n}"))
                slowest = max(slowest, took)
                if answer.status_code != 201:
                    full = True
                    break
                session = answer.json()["session"]
                held[session["public_id"]] = session
            starts += one.start().status_code == 201 or not full
            healthy += health(one) != 503
            refused_ends += sum(one.end(session).status_code != 200 for session in before)
            refused_ends += sum(one.beat(session).status_code != 200 for session in list(held.values())[:20])
            refused_changes += one.patch(ALERT_THRESHOLD=50 + number).status_code != 200
            (disk / "filler").unlink()
            recoveries.append(seconds_until(lambda: health(one) == 200, 20))
            healthy += one.start(f"after-{number}").status_code != 201
        one.restart(kill=True)
        lost = len(held.keys() - {row["public_id"] for row in every(one)})
    yield Figure("times full, and empty again", rounds)
    yield Figure("acknowledged starts lost", lost, 0)
    yield Figure("starts of the limiter itself that failed on it", dead, 0)
    yield Figure("stops and heartbeats refused", refused_ends, 0)
    yield Figure("changes of limits refused", refused_changes, 0)
    yield Figure("starts admitted on the full disk", starts, 0)
    yield Figure("times that health was wrong", healthy, 0)
    yield Figure("slowest answer", slowest, 2, "s")
    yield Figure("slowest recovery", max(recoveries), 5, "s")


def tiny_disk(folder: Path, mib: int) -> Iterator[Figure]:
    """The database itself fills a disk of few MiB; the limiter is then started again on it."""
    refused, held = 0, []
    with small_disk(folder / "disk", mib) as disk, running(disk, **ROOMY) as one:
        while (answer := one.start()).status_code == 201:
            held.append(answer.json()["session"])
        one.restart(kill=True)
        lost = len({session["public_id"] for session in held} - {row["public_id"] for row in every(one)})
        refused = sum(one.end(session).status_code != 200 for session in held)
        left = one.capacity()["current_bots"]
    yield Figure("starts until the disk was full", len(held))
    yield Figure("acknowledged starts lost", lost, 0)
    yield Figure("stops refused", refused, 0)
    yield Figure("slots that leaked", left, 0)


def cured_by_a_setting(folder: Path, rounds: int) -> Iterator[Figure]:
    """History fills the disk; the operator sets a shorter one and starts the limiter again."""
    ready, left, unfull, lost = [0.0], 0, 0, 0
    for number in range(rounds):
        with small_disk(folder / f"disk{number}", DISK_MIB) as disk:
            made = make(folder / "limiter.db", ended=200_000)  # one a second, for 55 hours
            shutil.move(made, disk / "limiter.db")
            with running(disk, **ROOMY) as one:
                held = [one.session()["public_id"] for _ in range(5)]
                fill(disk / "filler")
                unfull += not any(one.start().status_code == 503 for _ in range(3000))
                before = one.db_path.stat().st_size
                one.kill()
                one.set_env({"LIMITER_KEEP_SESSIONS_DAYS": 1})
                one.client = one.new_client()
                one.spawn()
                ready.append(seconds_until(lambda one=one: admits(one), 60))  # type: ignore[misc]
                shrunk = seconds_until(lambda one=one, before=before: one.db_path.stat().st_size < before * 0.7, 60)  # type: ignore[misc]
                left += shrunk == float("inf")
                lost += len(set(held) - {row["public_id"] for row in every(one)})
    yield Figure("disks that history filled", rounds)
    yield Figure("times that the disk was not full", unfull, 0)
    yield Figure("slowest from the start with the setting to an admission", max(ready), 60, "s")
    yield Figure("files that did not shrink", left, 0)
    yield Figure("acknowledged starts lost", lost, 0)


def admits(one: Limiter) -> bool:
    """Whether it answers, and a start is admitted."""
    with contextlib.suppress(httpx.TransportError):
        return one.start().status_code == 201
    return False


@contextlib.contextmanager
def holding(database: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in a write transaction, until the end of the block."""
    command = [sys.executable, "-c", HOLDER, str(database)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def held_up(one: Limiter, lasting: float, stopped: bool) -> tuple[list[float], int, int, float]:
    """A lock held for so long: durations of the answers, sessions that ended, health that was 200, the recovery."""
    over, took, ended, healthy = threading.Event(), list[float](), 0, 0
    bots = [one.session() for _ in range(5)]  # they say nothing while it lasts, for longer than their lease
    before = one.capacity()["current_bots"]
    with holding(one.db_path) as holder:
        if stopped:
            holder.send_signal(signal.SIGSTOP)
        threading.Timer(lasting, over.set).start()
        while not over.is_set():
            took.append(seconds(lambda: one.start("never"))[0])
            healthy += lasting > 2 and not over.is_set() and health(one) == 200
            ended += one.capacity()["current_bots"] < before
    recovery = seconds_until(lambda: one.start("again").status_code == 201, 10)
    ended += sum(one.beat(bot).status_code != 200 for bot in bots)
    for bot in bots:
        one.end(bot)
    return took, ended, healthy, recovery


def foreign_lock(folder: Path, longest: int) -> Iterator[Figure]:
    """Another process takes the write lock for 1 s, for `longest` seconds, and one stands still with it."""
    took, ended, healthy, recoveries = list[float](), 0, 0, list[float]()
    with running(folder, **ROOMY | {"BOT_LEASE_SECONDS": 5}) as one:
        for lasting, stopped in ((1, False), (longest, False), (longest, True)):
            durations, fewer, well, recovery = held_up(one, lasting, stopped)
            took += durations
            ended, healthy = ended + fewer, healthy + well
            recoveries.append(recovery)
    yield Figure("longest lock", longest, unit="s")
    yield Figure("answers while it was held", len(took))
    yield Figure("slowest of them", max(took), 2, "s")
    yield Figure("p50 of them", percentile(took, 0.5), None, "s")
    yield Figure("sessions ended by it", ended, 0)
    yield Figure("times that health said 200 meanwhile", healthy, 0)
    yield Figure("slowest recovery", max(recoveries), 1, "s")
