"""A whole limiter under clocks that a test pushes: real file, real server, real channels; its jobs run when told to.

It is wired as limiter/serve/ wires it. Time goes on by `to`, in steps as the jobs would take them: what came due is
reaped, a sample is taken each 5 s, alerts look and tell. Between two steps the time stands still, so every answer has
the instant that the test knows.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from limiter import __version__, config
from limiter.channels import open_channels
from limiter.clock import Clock
from limiter.committer import Committer
from limiter.events import EventLog
from limiter.http.call import Services
from limiter.http.server import App
from limiter.jobs.alerts import Alerts
from limiter.jobs.sampler import Sampler
from limiter.rules.capacity import Box
from limiter.rules.counts import Recount
from limiter.rules.peaks import FollowSchedule, is_due
from limiter.rules.sessions import Reap
from limiter.serve.gate import open_access
from limiter.serve.listening import listen, server
from limiter.store import read
from limiter.store.engine import open_reader, reading
from limiter.store.open import writer_of
from limiter.store.postgres_writer import PostgresWriter

SAMPLE_MS = 5_000
RAM_GB = 4.0
TIMED = ("limiter.jobs.alerts", "limiter.api.health", "limiter.api.metrics", "limiter.api.capacity")


class Clocks:
    """A wall clock and a monotonic one, in seconds, that go on together."""

    def __init__(self, at: int) -> None:
        self.at = at
        self._began = at

    def time(self) -> float:
        return (self.at + 0.3) / 1000  # a float that is a little too small must not be the millisecond before

    def monotonic(self) -> float:
        return (self.at - self._began) / 1000 + 1000.0

    def patch(self, patched: pytest.MonkeyPatch) -> None:
        """Have the console, and what measures ages, read these."""
        seen = SimpleNamespace(time=self.time, monotonic=self.monotonic)
        for module in (*TIMED, "limiter.console.kit.times"):
            patched.setattr(f"{module}.time", seen)


class Machine:
    """The limiter on the folder's file, or on a database of a server. `environment`: its settings and limits, as in
    `.env`."""

    def __init__(
        self, folder: Path, clocks: Clocks, environment: dict[str, str], database_url: str | None = None
    ) -> None:
        self.folder, self.clocks = folder, clocks
        self.folder.mkdir(exist_ok=True)
        self.database_url = database_url or f"sqlite:///{folder / 'limiter.db'}"
        self.environment = {**environment, "LIMITER_DATABASE_URL": self.database_url, "LIMITER_ENV_FILE": "/dev/null"}
        self.box = (12.0, 34.0)  # what the next samples read of CPU and RAM, in percent
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="limiter", daemon=True)
        self._thread.start()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.folder / "admin.key").read_text().strip()

    # -- the process

    def start(self) -> None:
        """As the program does."""
        self._do(self._start())

    async def _start(self) -> None:
        settings = config.read(self.environment, LIMITER_PORT=self.port or None)
        clock = Clock(self.clocks.time, self.clocks.monotonic)
        channels = open_channels(settings.alert_urls)
        self.writer = writer_of(self.database_url)
        if isinstance(self.writer, PostgresWriter):  # which decides by the clock of its database
            self.writer.reader.clock = lambda _driver: self.clocks.at
        state = self.writer.restore(settings.limits, settings.timezone, clock.now(), channels)
        state.language, state.tells_ends = settings.lang, settings.alert_ends
        self._log = (self.folder / "events.log").open("a")
        self.committer = Committer(state, self.writer, clock, events=EventLog("json", self._log))
        self.engine = open_reader(self.database_url)

        def keys() -> Any:
            with reading(self.engine) as connection:
                return read.keys.keys(connection)

        access = await open_access(settings, self.committer, keys)
        self.sampler = Sampler(self.committer, lambda: self.box, self.clocks.monotonic)
        self.sampler.taken_at = self.clocks.monotonic()
        self.alerts = Alerts(self.committer, self.sampler, channels)
        listening = listen(["127.0.0.1"], self.port)
        self.port = listening[0].getsockname()[1]
        settings = config.read(self.environment, LIMITER_PORT=self.port)
        self.reads = ThreadPoolExecutor(2, "read")
        services = Services(
            settings, self.committer, access, self.sampler, (), self.engine, self.reads, Box(RAM_GB),
            self.clocks.monotonic(), __version__,
        )  # fmt: skip
        self._server = server(App(services))
        self._serving = asyncio.create_task(self._server.serve(listening))
        while not self._server.started:
            await asyncio.sleep(0.001)
        await self.sampler.sample()

    def stop(self) -> None:
        """SIGTERM."""
        self._do(self._stop())

    async def _stop(self) -> None:
        self.committer.state.draining = self._server.should_exit = True
        await self._serving
        await self.sampler.sample()
        await self.committer.submit(Reap())
        await self._give_back()

    def kill(self) -> None:
        """As SIGKILL leaves the file: what was committed is in it, and nothing else."""
        self._server.should_exit = self._server.force_exit = True
        self._do(self._killed())

    async def _killed(self) -> None:
        await self._serving
        await self._give_back()

    async def _give_back(self) -> None:
        self.reads.shutdown()
        self.engine.dispose()
        await self.committer.close()
        self._log.close()

    def close(self) -> None:
        """The end of the test."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- time

    def to(self, at: int) -> list[int]:
        """Let the time go on to this instant (UTC ms); the instants at which samples were taken."""
        taken = []
        while self.clocks.at < at:
            before = self.clocks.at
            self.clocks.at = min(at, before - before % SAMPLE_MS + SAMPLE_MS)
            samples = self.clocks.at % SAMPLE_MS == 0
            self._do(self._step(samples))
            if samples:
                taken.append(self.clocks.at)
        return taken

    async def _step(self, samples: bool) -> None:
        await self.committer.submit(Reap())
        if is_due(self.committer.state, self.clocks.at):
            readings = self.sampler.readings(), self.sampler.readings(newest=True)
            await self.committer.submit(FollowSchedule(*readings, 150))
        if samples:
            await self.sampler.sample()
            if self.clocks.at % 60_000 == 0:
                await self.committer.submit(Recount())
        await self.tell()

    async def tell(self) -> None:
        """Send what there is to send, and wait until it has arrived."""
        await self.alerts.round()
        while sending := [task for task in self.alerts._sending.values() if not task.done()]:
            await asyncio.wait(sending)
            await self.alerts.round()
