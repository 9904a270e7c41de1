"""Where the CPU time of a request goes: `python -m benchmarks.cpu`.

The real application, committer and file in this process; 64 connections are handed their bytes without sockets, one
request of each in a round, or one alone: there the batch costs more than the start, for its code is cold (each line
takes about five times as long). What a request costs beyond this is the kernel's, for reading and writing sockets.
Promises: CPU time of all threads, the least of many samples, so that what else runs disturbs it little. Not promised:
the same microseconds on another machine; compare two versions on one.
"""

import asyncio
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import uvicorn
import uvloop
from uvicorn.server import ServerState

from benchmarks import servers
from benchmarks.inside import url
from limiter import __version__, config
from limiter.access import Access, make_key
from limiter.clock import Clock
from limiter.committer import Committer
from limiter.events import EventLog
from limiter.http.call import Services
from limiter.http.protocol import HttpConnection
from limiter.http.server import App
from limiter.jobs.sampler import Sampler
from limiter.rules.capacity import Box
from limiter.rules.sessions import Start
from limiter.serve.collector import settle_memory
from limiter.store.engine import open_reader
from limiter.store.open import writer_of

CLIENTS = 64
ROUNDS = 15  # of a sample
SAMPLES = 30
BEATS = 500
HEAD = (
    b"POST %b HTTP/1.1\r\nHost: 127.0.0.1:5001\r\nContent-Type: application/json\r\nAuthorization: Bearer %b\r\n"
    b"Content-Length: %d\r\n\r\n"
)
Bodies = Iterator[bytes]
Connect = Callable[[App, ServerState], asyncio.Protocol]


def ours(app: Any, state: ServerState) -> asyncio.Protocol:
    """The limiter's own protocol."""
    return HttpConnection(uvicorn.Config(app), state, {})


class Wire(asyncio.Transport):
    """The client's end of a connection."""

    def __init__(self, answered: Callable[[bytes], None]) -> None:
        super().__init__()
        self._answered = answered

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self._answered(data)

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        """There is nothing to close."""


class Limiter:
    """One limiter in this process, and its clients, which reach it by our protocol or by another `connect`."""

    def __init__(self, path: Path, cap: int, connect: Connect = ours) -> None:
        settings = config.read({"MAX_CONCURRENT_BOTS": str(cap), "LIMITER_DATABASE_URL": url(path)})
        self.clock, writer = Clock(), writer_of(url(path))
        state = writer.restore(settings.limits, settings.timezone, self.clock.now())
        self.log = open(os.devnull, "w")  # noqa: SIM115 - as long as this lives
        self.committer = Committer(state, writer, self.clock, events=EventLog("text", self.log))
        text, key = make_key("bots", "", self.clock.now())
        access = Access(local=True)
        access.load([key])
        self.services = Services(
            settings, self.committer, access, Sampler(self.committer), (), open_reader(url(path)),
            ThreadPoolExecutor(1), Box(4.0), time.monotonic(), __version__,
        )  # fmt: skip
        app = App(self.services)
        self.key, self.state = text.encode(), ServerState()
        self.state.default_headers = [(b"date", b"Tue, 24 Nov 2026 12:00:00 GMT")]
        self.connections = [connect(app, self.state) for _ in range(CLIENTS)]
        self.last, self.due, self.all = b"", 0, asyncio.Event()
        for connection in self.connections:
            connection.connection_made(Wire(self._answered))

    def _answered(self, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 "):
            return  # other protocols write head and body one by one
        self.last, self.due = answer, self.due - 1
        if not self.due:
            self.all.set()

    async def request_us(self, path: bytes, bodies: Bodies, clients: int = CLIENTS) -> float:
        """CPU microseconds of one request, in batches of so many."""
        rounds = [
            [HEAD % (path, self.key, len(body)) + body for body in itertools.islice(bodies, clients)]
            for _ in range(ROUNDS)
        ]
        began = time.process_time()
        for requests in rounds:
            self.due = clients
            self.all.clear()
            for connection, request in zip(self.connections, requests, strict=False):
                connection.data_received(request)
            await self.all.wait()
        return (time.process_time() - began) / (ROUNDS * clients) * 1e6

    async def close(self) -> None:
        """Give the file back."""
        for connection in self.connections:
            connection.connection_lost(None)
        await self.committer.close()
        self.services.engine.dispose()
        self.log.close()


def parts_us(path: Path) -> dict[str, float]:
    """CPU microseconds of a start in the parts of a batch of CLIENTS, called one after the other."""
    settings = config.read({"MAX_CONCURRENT_BOTS": "1000000"})
    clock, writer = Clock(), writer_of(url(path))
    state = writer.restore(settings.limits, settings.timezone, clock.now())
    least: dict[str, float] = {}
    for number in range(SAMPLES * ROUNDS):
        asked = [Start("r", f"u{number}.{n}", "b1", "", "s" * 24) for n in range(CLIENTS)]
        now = clock.now()
        state.begin()
        began = time.process_time()
        for request in asked:
            request.decide(state, now)
        decided = time.process_time()
        writer.begin()
        writer.save(state)
        written = time.process_time()
        writer.commit()
        durable = time.process_time()
        writer.committed(state)
        taken = {"deciding": decided - began, "writing rows": written - decided, "commit": durable - written}
        least = {name: min(least.get(name, 1e9), seconds / CLIENTS * 1e6) for name, seconds in taken.items()}
    writer.close()
    return least


def starts(first: int = 0) -> Bodies:
    """Each of another user."""
    return (b'{"user_id":"u%d","bot_id":"b1"}' % n for n in itertools.count(first))


async def requests_us(folder: Path) -> dict[str, float]:
    """CPU microseconds of a request of each kind, everything but sockets included."""
    free, full = Limiter(folder / "free.db", 1_000_000), Limiter(folder / "full.db", CLIENTS)
    admitted, refused = starts(), starts()
    await free.request_us(b"/api/bots/start", admitted)
    await full.request_us(b"/api/bots/start", refused)
    session, *_ = live = [one.session_id for one in free.committer.state.sessions.values()]
    beats = itertools.repeat(json.dumps({"session_id": session}).encode())
    many = [{"session_id": one, "memory_bytes": 84_000_000, "cpu_seconds": 1.5} for one in live[:BEATS]]
    of_many = itertools.repeat(json.dumps({"beats": many}).encode())
    kinds: dict[str, tuple[Limiter, bytes, Bodies, int]] = {
        "start": (free, b"/api/bots/start", admitted, CLIENTS),
        "start, alone in its batch": (free, b"/api/bots/start", admitted, 1),
        "refusal of a full server": (full, b"/api/bots/start", refused, CLIENTS),
        "heartbeat": (free, b"/api/bots/heartbeat", beats, CLIENTS),
        f"{BEATS} heartbeats in one request, with costs": (free, b"/api/bots/heartbeats", of_many, 1),
    }
    settle_memory()
    least = dict.fromkeys(kinds, 1e9)
    for _ in range(SAMPLES):
        for name, (limiter, path, bodies, clients) in kinds.items():
            least[name] = min(least[name], await limiter.request_us(path, bodies, clients))
    for limiter in (free, full):
        await limiter.close()
    return least


@click.command()
def main() -> None:
    """CPU microseconds a request."""
    with servers.scratch() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for name, us in runner.run(requests_us(folder)).items():
            click.echo(f"{us:6.1f} µs  {name}")
        click.echo("of a start:")
        for name, us in parts_us(folder / "parts.db").items():
            click.echo(f"{us:6.1f} µs  {name}")


if __name__ == "__main__":
    main()
