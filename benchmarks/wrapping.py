"""`python -m benchmarks wrapping`: what `run` costs beside a bot, next to an earlier build, in one run.

Both builds (builds.py) ask the same limiter. What is compared is measured in turns, so that a busy moment of the
machine meets both.

Promises: memory is what goes when the process ends (USS: private pages, those of files too), the same measure for both.
Does not promise: anything about the bots themselves; they are shells and sleepers, but for the table of real ones
(real_bots.py).
"""

import os
import signal
import statistics
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil

from benchmarks.builds import BEFORE, SHELL, Build, end_all, two_builds, until_it_runs
from benchmarks.over_http import Say
from benchmarks.real_bots import MB, real_table, told_and_freed
from benchmarks.report import place
from benchmarks.servers import ROOT, Missing, Server

PAGE = ROOT / "docs" / "bots.md"
BOTS, AT_ONCE, PAIRS, ROUNDS = 150, 40, 40, 5
KILLS, UNDER = 100, 100
SHORT_LEASE = 10


# What stands beside the bots


def memory(build: Build, bots: int) -> tuple[float, int]:
    """MB of all our processes beside so many bots, 30 s after the last came up, and how many processes that are."""
    started = [until_it_runs(build.start(f"m{number}-{build.folder.name}", *SHELL)) for number in range(bots)]
    try:
        time.sleep(30)  # some beats
        ours = build.ours(started)
        return sum(one.memory_full_info().uss + one.memory_full_info().swap for one in ours) / MB, len(ours)
    finally:
        end_all(started)


def first_instruction(build: Build, user: str) -> float:
    """Milliseconds from the start of `run` to the first line of the bot."""
    began = time.perf_counter()
    bot = until_it_runs(build.start(user, *SHELL))
    took = (time.perf_counter() - began) * 1000
    end_all([bot])
    return took


def at_once(build: Build, name: str) -> tuple[float, float]:
    """Bots started at once where no agent runs yet: CPU seconds of all our processes (and of the shells that the bots
    begin as), and seconds until the last one runs.
    """
    began = time.perf_counter()
    started = [build.start(f"{name}-{number}", *SHELL) for number in range(AT_ONCE)]
    for bot in started:
        until_it_runs(bot)
    took = time.perf_counter() - began
    everyone = {one.pid: one for one in [*build.ours(started), *(psutil.Process(bot.pid) for bot in started)]}
    cpu = sum(one.cpu_times().user + one.cpu_times().system for one in everyone.values())
    end_all(started)
    build.close()
    return cpu, took


# What becomes of a slot


def held(server: Server) -> int:
    """Slots that are taken now."""
    key = {"Authorization": f"Bearer {(server.folder / 'reader.key').read_text()}"}
    answer = httpx.get(f"{server.url}/api/admin/capacity", headers=key, timeout=10)
    taken: int = answer.json()["capacity"]["current_bots"]
    return taken


def freed(build: Build, user: str, *, tree: bool) -> float:
    """Seconds from kill -9 of the bot, or of it and of all above it that is ours alone, until its slot is free."""
    before = held(build.server)
    bot = until_it_runs(build.start(user, *SHELL))
    family = [psutil.Process(bot.pid), *psutil.Process(bot.pid).children(recursive=True)]
    doomed = family if tree else family[-1:]
    began = time.perf_counter()
    for one in doomed:
        one.kill()
    while held(build.server) > before and time.perf_counter() - began < 3 * SHORT_LEASE:
        time.sleep(0.005)
    took = time.perf_counter() - began
    bot.wait()
    return took


@dataclass(slots=True)
class Kills:
    """What a hundred kills of the agent did."""

    lost: int = 0
    leaked: int = 0
    without_slot: int = 0
    back_seconds: float = 0.0


def kills(build: Build, kills: int, bots: int, say: Say) -> Kills:
    """Kill the agent again and again, every fourth time its guardian, every fifth time a bot with it."""
    found = Kills()
    before = held(build.server)
    running = [until_it_runs(build.start(f"k{number}", *SHELL)) for number in range(bots)]
    back: list[float] = []
    for number in range(kills):
        told = build.agent()
        assert told is not None
        if number % 5 == 4:
            running.pop().kill()
        os.kill(told["guardian"] if number % 4 == 3 else told["pid"], signal.SIGKILL)
        began = time.perf_counter()
        while (now := build.agent()) is None or (now["pid"], now["guardian"]) == (told["pid"], told["guardian"]):
            if time.perf_counter() - began > 30:
                raise RuntimeError("the agent did not come back")
        back.append(time.perf_counter() - began)
        if number % 20 == 19:
            say(f"wrapping: {number + 1} kills, {held(build.server) - before} slots for {len(running)} bots")
    time.sleep(SHORT_LEASE + 10)
    living = sum(bot.poll() is None for bot in running)
    found.lost = len(running) - living
    found.without_slot = max(0, living - (held(build.server) - before))
    end_all(running)
    time.sleep(1)
    found.leaked = held(build.server) - before
    found.back_seconds = max(back)
    return found


# The page


def table(name: str, real: Path | None, say: Say) -> list[str]:
    """The Markdown lines of one table."""
    if name == "wrapping":
        with two_builds("60") as both:
            lines = costs(*both, say)
        with two_builds(str(SHORT_LEASE)) as both:
            return lines + slots(*both, say) + [dated()]
    if real is None:
        raise Missing("a folder with real bots (--real)")
    with two_builds("60") as (_, now):
        return [*real_table(told_and_freed(now, real, say)), dated()]


def costs(before: Build, now: Build, say: Say) -> list[str]:
    """Memory, time and CPU."""
    waits: dict[Build, list[float]] = {before: [], now: []}
    bursts: dict[Build, list[tuple[float, float]]] = {before: [], now: []}
    keeper = until_it_runs(now.start("keeper", *SHELL))  # so that an agent is up
    for number in range(PAIRS):
        for build in (before, now):
            waits[build].append(first_instruction(build, f"w{number}-{build.folder.name}"))
    end_all([keeper])
    now.close()
    say(f"wrapping: first instruction {statistics.median(waits[before]):.0f} / {statistics.median(waits[now]):.0f} ms")
    for number in range(ROUNDS):
        for build in (before, now):
            bursts[build].append(at_once(build, f"b{number}-{build.folder.name}"))
            say(f"wrapping: {AT_ONCE} at once: {bursts[build][-1][0]:.2f} s of CPU in {bursts[build][-1][1]:.1f} s")
    held_by = {build: memory(build, BOTS) for build in (before, now)}
    say(f"wrapping: {held_by[before][0]:.0f} / {held_by[now][0]:.1f} MB")
    cpu = {build: statistics.median(one for one, _ in bursts[build]) for build in bursts}
    took = {build: statistics.median(one for _, one in bursts[build]) for build in bursts}
    wait = {build: statistics.median(waits[build]) for build in waits}
    rows = [
        ("memory of ours", f"{BOTS} bots", "MB", held_by[before][0], held_by[now][0], 1),
        ("processes of ours", f"{BOTS} bots", "", held_by[before][1], held_by[now][1], 0),
        ("`run` to the bot's first instruction, an agent up", f"{PAIRS} pairs", "ms", wait[before], wait[now], 1),
        ("CPU until all run, no agent up before", f"{AT_ONCE} at once", "s", cpu[before], cpu[now], 2),
        ("time until all run", f"{AT_ONCE} at once", "s", took[before], took[now], 2),
    ]
    head = ["| | of | unit | " + BEFORE + " | now | ratio |", "|---|---|---|---|---|---|"]
    return head + [
        f"| {what} | {of} | {unit} | {a:.{digits}f} | **{b:.{digits}f}** | {b / a:.3f} |"
        for what, of, unit, a, b, digits in rows
    ]


def slots(before: Build, now: Build, say: Say) -> list[str]:
    """What becomes of slots where something is killed."""
    lines = []
    for what, tree in (("the bot", False), ("the bot's whole tree", True)):
        then = statistics.median(
            freed(before, f"f{number}-{tree}-then", tree=tree) for number in range(1 + 2 * (not tree))
        )
        today = statistics.median(freed(now, f"f{number}-{tree}-now", tree=tree) for number in range(5))
        lines.append(
            f"| slot free after kill -9 of {what} (lease {SHORT_LEASE} s) | | s | {then:.2f} | **{today:.2f}** | |"
        )
        say(lines[-1])
    now.close()
    found = kills(now, KILLS, UNDER, say)
    now.close()
    counts = f"**{found.lost} / {found.leaked} / {found.without_slot}**"
    lines.append(
        f"| {KILLS} × kill -9 of the agent or its guardian: lost / leaked / without a slot | {UNDER} bots"
        f" | | – | {counts} | |"
    )
    lines.append(f"| the agent is back after | the slowest of {KILLS} | s | – | **{found.back_seconds:.2f}** | |")
    return lines


def dated() -> str:
    """When and on what."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"Linux {os.uname().release.split('-')[0]}, Python {sys.version.split()[0]}"
    return f"\n{datetime.now(UTC):%d %B %Y}, {os.cpu_count()} cores, {memory:.0f} GB, {system}."


PLACES = ("wrapping", "real-bots")


def write(name: str, lines: list[str], page: Path = PAGE) -> None:
    """Put a table in its place."""
    page.write_text(place(page.read_text(encoding="utf-8"), name, "\n".join(lines)), encoding="utf-8")
