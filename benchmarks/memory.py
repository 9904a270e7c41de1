"""What the limiter keeps in memory after a million decisions, with 200 bots running."""

from collections.abc import Callable

import psutil

from benchmarks import servers
from benchmarks.load import BEAT, START, drive
from benchmarks.over_http import Effort, Findings, Say
from benchmarks.servers import Server

BOTS = 200
CLIENTS = 64
MB = 1e6


def resident(pid: int) -> float:
    """What a process has in RAM, in MB."""
    return float(psutil.Process(pid).memory_info().rss) / MB


def decide(server: Server, least: int) -> int:
    """Heartbeats of running bots and refusals of a full server, in turn, until it is so many; how many it was."""
    names = servers.start_bots(server, BOTS)
    done = 0
    while done < least:
        done += drive(server, CLIENTS, 2, BEAT, "/api/bots/heartbeat", names).requests
        done += drive(server, CLIENTS, 2, START).requests
    return done


def memory(found: Findings, effort: Effort, say: Say) -> None:
    """RSS at first, and after a million decisions: half heartbeats, half refusals, each refusal of another user."""
    with servers.scratch() as folder, servers.limiter(folder, MAX_CONCURRENT_BOTS=str(BOTS)) as server:
        first = resident(server.pid)
        decided = decide(server, effort.decisions)
        found.values["limiter_mb"] = resident(server.pid)
    found.notes.append(f"memory: the limiter had {first:.0f} MB after its start, then {decided} decisions were made")
    say(f"memory: {first:.1f} MB, after {decided} decisions {found.values['limiter_mb']:.1f} MB")


CASES: dict[str, Callable[[Findings, Effort, Say], None]] = {"memory": memory}
