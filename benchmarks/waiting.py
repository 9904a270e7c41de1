"""`python -m benchmarks waiting`: 200 bots behind `run --wait` for one slot, then for five; minutes, mostly asleep.

Real processes: one limiter, one agent, 200 `run`s; between agent and limiter a proxy that notes who asked when. The
bots end at once, so that each slot is free again for the next one in the queue.
"""

import asyncio
import itertools
import re
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from benchmarks import servers, wrapping
from benchmarks.builds import Build
from benchmarks.servers import ROOT, Server, free_port

WAITING, SLOTS, ONE_BY_ONE = 200, 5, 20
WATCHED_SECONDS = 60
LONGEST_SECONDS = 600
# `run` as it is, but that Python does not come up anew for each.
MANY = """
import os, sys
from limiter.agent import run
for user in sys.argv[1:]:
    if os.fork() == 0:
        os._exit(run.main(["--user", user, "--wait", "3600", "true"]))
sys.stdin.read()
"""
STARTS = re.compile(rb'POST /api/bots/start .*?"user_id": ?"([^"]+)"', re.DOTALL)
PLACE = re.compile(rb'"position": ?(\d+)')


class Listener:
    """A proxy in a thread of its own: `asked` has the instants (s) at which each user's start came by, `place` the
    first place in the queue that each was told."""

    def __init__(self, target: str) -> None:
        self.port, self.host = free_port(), target.removeprefix("http://")
        self.asked: defaultdict[str, list[float]] = defaultdict(list)
        self.place: dict[str, int] = {}
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = self.host.split(":")
        there, back = await asyncio.open_connection(host, int(port))
        last = [""]  # a connection carries one request at a time

        async def up() -> None:
            pending = b""
            while chunk := await reader.read(65_536):
                pending += chunk
                for found in STARTS.finditer(pending):
                    last[0] = found[1].decode()
                    self.asked[last[0]].append(time.monotonic())
                    pending = b""
                back.write(chunk)
            back.close()

        async def down() -> None:
            while chunk := await there.read(65_536):
                if (told := PLACE.search(chunk)) is not None and last[0]:
                    self.place.setdefault(last[0], int(told[1]))
                writer.write(chunk)
            writer.close()

        await asyncio.gather(up(), down(), return_exceptions=True)


def seconds(text: str) -> float:
    """An instant of the API."""
    return datetime.fromisoformat(text).timestamp()


def reader_key(server: Server) -> str:
    """The key for reading."""
    return (server.folder / "reader.key").read_text()


def begun(server: Server) -> list[tuple[str, float, float]]:
    """Who of the waiting has had a slot, in the order of their starts: user, start, end (s)."""
    http = httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {reader_key(server)}"}, timeout=10)
    found, cursor = list[dict[str, Any]](), ""
    while cursor is not None:
        query = {"status": "ended", "limit": "500"} | ({"cursor": cursor} if cursor else {})
        answer = http.get("/api/admin/sessions", params=query).json()
        found, cursor = found + answer["items"], answer["next_cursor"]
    rows = [one for one in found if one["user_id"].startswith("waits")]
    rows.sort(key=lambda one: int(one["public_id"][1:]))
    return [(one["user_id"], seconds(one["started_at"]), seconds(one["ended_at"])) for one in rows]


def until(holds: Callable[[], bool], what: str) -> float:
    """Seconds until it holds."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > LONGEST_SECONDS:
            raise RuntimeError(f"not within {LONGEST_SECONDS} s: {what}")
        time.sleep(0.5)
    return time.monotonic() - began


def busiest(instants: list[float], span: float) -> int:
    """The most that lie within any such span."""
    return max(sum(first <= at < first + span for at in instants) for first in instants)


def table(say: Callable[[str], None]) -> list[str]:
    """The Markdown lines."""
    with (
        servers.scratch() as folder,
        servers.limiter(folder, BOT_LEASE_SECONDS="86400", MAX_CONCURRENT_BOTS=str(SLOTS)) as server,
    ):
        return _measured(folder, server, say)


def _measured(folder: Path, server: Server, say: Callable[[str], None]) -> list[str]:
    listener, http = Listener(server.url), httpx.Client(base_url=server.url, timeout=10)
    http.headers["Authorization"] = f"Bearer {server.key}"
    holders = [
        http.post("/api/bots/start", json={"user_id": f"holds{n}"}).json()["session"]["session_id"]
        for n in range(SLOTS)
    ]
    build = Build(ROOT, folder, server)
    env = build.env | {"LIMITER_URL": f"http://127.0.0.1:{listener.port}"}
    users = [f"waits{n}" for n in range(WAITING)]
    many = subprocess.Popen(
        [sys.executable, "-c", MANY, *users], env=env, cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        joined = until(lambda: len(listener.place) == WAITING, "all have a ticket")
        say(f"waiting: {WAITING} tickets after {joined:.1f} s")
        began = time.monotonic()
        time.sleep(WATCHED_SECONDS)
        asked = {user: [at for at in listener.asked[user] if at >= began] for user in users}
        everybody = sorted(at for instants in asked.values() for at in instants)
        gaps = [b - a for instants in asked.values() for a, b in itertools.pairwise(instants)]
        say(f"waiting: shortest gap {min(gaps):.2f} s, {len(everybody) / WATCHED_SECONDS:.1f} asks a second")
        http.post("/api/bots/stop", json={"session_id": holders.pop()})
        until(lambda: len(begun(server)) >= ONE_BY_ONE, "one by one")
        first = begun(server)[:ONE_BY_ONE]
        for holder in holders:
            http.post("/api/bots/stop", json={"session_id": holder})
        rest = until(lambda: len(begun(server)) == WAITING, "all of them")
        rows = begun(server)
    finally:
        many.kill()
        build.close()
    order = sorted(users, key=listener.place.__getitem__)
    free = [later[1] - before[2] for before, later in itertools.pairwise(first)]
    left, ahead = list(order), list[int]()
    for user, *_ in rows:
        ahead.append(left.index(user))
        left.remove(user)
    return [
        "| | |", "|---|---|",
        f"| all {WAITING} have a ticket after | {joined:.1f} s |",
        f"| the shortest time between two asks of one bot, in {WATCHED_SECONDS} s | **{min(gaps):.1f} s** |",
        f"| the most that one bot asks in any 10 s | **{max(busiest(one, 10) for one in asked.values() if one)}** |",
        f"| what the limiter is asked, in all | {len(everybody) / WATCHED_SECONDS:.1f} a second, "
        f"{busiest(everybody, 1)} in the busiest second |",
        f"| one slot, the first {ONE_BY_ONE}: admitted before somebody who had waited longer | "
        f"**{sum(one > 0 for one in ahead[:ONE_BY_ONE])}** |",
        f"| … it stood free between two of them | {sum(free) / len(free):.1f} s, {max(free):.1f} at most |",
        f"| {SLOTS} slots, the other {WAITING - ONE_BY_ONE}: the most that were passed by one behind them | "
        f"**{max(ahead[ONE_BY_ONE:])}** of {SLOTS - 1} |",
        f"| … all of them have had their slot after | {rest:.0f} s |",
        wrapping.dated(),
    ]  # fmt: skip
