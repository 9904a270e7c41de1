"""What callers see: each case is driven in turn with the no-op of the same run, A B A B, median over the rounds.

Every round has a fresh server, an empty database and a warm-up; after each the slots are counted three ways.
"""

import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx

from benchmarks import servers
from benchmarks.load import BEAT, Load, drive
from benchmarks.servers import HERE, NO_CAP, Server, tool

CAP = 1500  # of the server that is to be full
NAIVE_CAP = 50  # of the naive peer, which admits a hundred a second
BEATING = 512  # sessions that beat
Kind = Callable[..., contextlib.AbstractContextManager[Server]]
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much: rounds, seconds of a run and of its warm-up, ended sessions of a long history, decisions before memory
    is read, seconds that four tabs watch."""

    rounds: int = 3
    seconds: float = 3.0
    warm_up: float = 1.0
    history: int = 5_000_000
    decisions: int = 1_000_000
    watched_seconds: float = 300.0


@dataclass(slots=True)
class Findings:
    """Values by the name of their figure, the rounds behind them, bots over the cap, and what could not be run."""

    values: dict[str, float] = field(default_factory=dict)
    rounds: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    over: int = 0

    def keep(self, name: str, loads: list[Load]) -> None:
        """The runs behind a figure."""
        self.rounds[name] = [{"rate": round(one.rate), "p50_ms": one.p50_ms, "p99_ms": one.p99_ms} for one in loads]


Driver = Callable[[Server, int, float], Load]


def run(kind: Kind, clients: int, effort: Effort, driver: Driver = drive, **environment: str) -> tuple[Load, int]:
    """One round: what was measured, and bots over the cap after it."""
    with servers.scratch() as folder, kind(folder, **environment) as server:
        warmed = driver(server, clients, effort.warm_up)
        measured = driver(server, clients, effort.seconds)
        if measured.broken:
            raise RuntimeError(f"{measured.broken} connections broke: {measured}")
        cap = int((NO_CAP | environment)["MAX_CONCURRENT_BOTS"])
        over = count_over(server, cap, warmed, measured) if kind is servers.limiter and driver is drive else 0
        return measured, over


def count_over(server: Server, cap: int, *loads: Load) -> int:
    """Bots above the cap; raises where what was acknowledged, what is in the file and what is told do not agree.

    wrk drops what is under way when its time is over: those starts count in the file and not in its figures.
    """
    key = (server.folder / "reader.key").read_text()
    answer = httpx.get(f"{server.url}/api/admin/capacity", headers={"Authorization": f"Bearer {key}"}, timeout=10)
    told = answer.json()["capacity"]["current_bots"]
    with contextlib.closing(sqlite3.connect(f"{(server.folder / 'limiter.db').as_uri()}?mode=ro", uri=True)) as file:
        (kept,) = file.execute("SELECT count(*) FROM active_sessions").fetchone()
        (counted,) = file.execute("SELECT active FROM fleet").fetchone()
    acknowledged = sum(load.admitted for load in loads)
    dropped = kept - acknowledged
    if not told == kept == counted or dropped < 0 or (kept < cap and dropped > 512):
        raise RuntimeError(f"slots do not agree: told {told}, in the file {kept}, {counted}, admitted {acknowledged}")
    return max(0, int(kept) - cap)


def compare(
    found: Findings, say: Say, name: str, kinds: dict[str, Kind], clients: int, effort: Effort,
    driver: Driver = drive, **environment: str,
) -> dict[str, list[Load]]:  # fmt: skip
    """The no-op and these, in turn."""
    loads: dict[str, list[Load]] = {key: [] for key in ("noop", *kinds)}
    for number in range(effort.rounds):
        for key, kind in {"noop": servers.noop, **kinds}.items():
            load, over = run(kind, clients, effort, driver, **(environment if kind is not servers.noop else {}))
            loads[key].append(load)
            found.over += over
            say(f"{name} {key}, {clients} clients, round {number + 1}: {load.rate:.0f}/s, p99 {load.p99_ms:.1f} ms")
    for key, seen in loads.items():
        found.keep(f"{name} {key} {clients}", seen)
    return loads


def ratio(loads: dict[str, list[Load]], over: str, under: str = "noop") -> float:
    """Median over the rounds of one rate over the other's in the same round."""
    return median(a.rate / b.rate for a, b in zip(loads[over], loads[under], strict=True))


def starts(found: Findings, effort: Effort, say: Say) -> None:
    """Durable starts with a key, each of another user."""
    for clients in (1, 16, 64, 256):
        loads = compare(found, say, "starts", {"limiter": servers.limiter}, clients, effort)
        found.values[f"starts_{clients}"] = ratio(loads, "limiter")
        if clients == 64:
            pairs = zip(loads["limiter"], loads["noop"], strict=True)
            found.values["p99_64"] = median(ours.p99_ms / theirs.p99_ms for ours, theirs in pairs)


def refusals(found: Findings, effort: Effort, say: Say) -> None:
    """A full server says no; the warm-up fills it."""
    loads = compare(
        found, say, "refusals", {"limiter": servers.limiter}, 64, effort, MAX_CONCURRENT_BOTS=str(CAP)
    )  # fmt: skip
    if any(load.admitted for load in loads["limiter"]):
        found.notes.append("refusals: the warm-up did not fill the server, so some of what was measured was admitted")
    found.values["refusals_64"] = ratio(loads, "limiter")


def beats(found: Findings, effort: Effort, say: Say) -> None:
    """Heartbeats of running bots."""

    def driver(server: Server, clients: int, seconds: float) -> Load:
        if not (server.folder / "limiter.db").exists():
            return drive(server, clients, seconds, BEAT, names=placeholders(server))
        return drive(server, clients, seconds, BEAT, "/api/bots/heartbeat", servers.start_bots(server, BEATING))

    loads = compare(found, say, "beats", {"limiter": servers.limiter}, 64, effort, driver)
    found.values["beats_64"] = ratio(loads, "limiter")


def placeholders(server: Server) -> Path:
    """Texts of the length of session ids, for the no-op."""
    names = server.folder / "sessions"
    names.write_text("".join(f"s{number}.{'x' * 24}\n" for number in range(BEATING)))
    return names


def slow_disk(found: Findings, effort: Effort, say: Say) -> None:
    """A disk on which every fsync takes 2 ms more."""
    with servers.scratch() as folder:
        shim = folder / "slow_disk.so"
        command = [tool("gcc", "gcc"), "-shared", "-fPIC", "-o", str(shim), str(HERE / "slow_disk.c"), "-ldl"]
        subprocess.run(command, check=True)
        for clients in (64, 256):
            loads = compare(
                found, say, "slow disk", {"limiter": servers.limiter}, clients, effort, LD_PRELOAD=str(shim)
            )  # fmt: skip
            found.values[f"slow_{clients}"] = ratio(loads, "limiter")


def peers(found: Findings, effort: Effort, say: Say) -> None:
    """What people would build instead, with its own cap out of reach."""
    servers.peers_python()
    kinds: dict[str, Kind] = {"limiter": servers.limiter, "fastapi_redis": servers.fastapi_redis}
    for clients in (64, 1):
        more: dict[str, Kind] = {"flask_redis": servers.flask_redis, "flask_sqlite": servers.flask_sqlite}
        loads = compare(found, say, "peers", kinds | (more if clients == 64 else {}), clients, effort)
        for key in loads.keys() - {"noop", "limiter"}:
            found.values[f"{key}_{clients}"] = ratio(loads, "limiter", key)
    with servers.scratch() as folder, servers.flask_sqlite(folder, MAX_CONCURRENT_BOTS=str(NAIVE_CAP)) as naive:
        drive(naive, 64, 3)
        with contextlib.closing(sqlite3.connect(folder / "naive.db")) as file:
            (kept,) = file.execute("SELECT count(*) FROM bot").fetchone()
    found.notes.append(f"Flask + SQLAlchemy + SQLite with a cap of {NAIVE_CAP} held {kept} bots under 64 clients")


def probe(found: Findings, effort: Effort, say: Say) -> None:
    """How long the event loop keeps others waiting: /livez every 5 ms under load, alone and with the lock held."""
    for name, locked in (("probe alone", False), ("probe", True)):
        found_p99 = []
        for number in range(effort.rounds):
            with servers.scratch() as folder, servers.limiter(folder) as server, contextlib.ExitStack() as stack:
                if locked:
                    command = [sys.executable, "-m", "benchmarks.lock", str(folder / "limiter.db")]
                    stack.enter_context(servers.process(command, folder))
                load = threading.Thread(target=drive, args=(server, 64, effort.warm_up + effort.seconds))
                load.start()
                time.sleep(effort.warm_up)
                p99 = ask_alive(server, effort.seconds - 0.5)
                load.join()
            found_p99.append({"p99_ms": p99})
            say(f"{name}, round {number + 1}: p99 {p99:.1f} ms")
        found.rounds[name] = found_p99
        found.values[name.replace(" ", "_")] = median(one["p99_ms"] for one in found_p99)


def ask_alive(server: Server, seconds: float) -> float:
    """The p99 in ms of a GET every 5 ms."""
    taken = []
    with httpx.Client(base_url=server.url) as client:
        client.get("/livez")
        end = time.monotonic() + max(0.5, seconds)
        while (began := time.monotonic()) < end:
            client.get("/livez").raise_for_status()
            taken.append((time.monotonic() - began) * 1000)
            time.sleep(0.005)
    return sorted(taken)[int(0.99 * len(taken))]


CASES: dict[str, Callable[[Findings, Effort, Say], None]] = {
    "starts": starts,
    "refusals": refusals,
    "beats": beats,
    "slow-disk": slow_disk,
    "peers": peers,
    "probe": probe,
}
