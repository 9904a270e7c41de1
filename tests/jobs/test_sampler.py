"""A sampler that hangs is given up and started anew; decisions do not wait for it."""

import asyncio
from datetime import UTC
from pathlib import Path

import psutil
import pytest

from limiter.clock import Clock
from limiter.committer import Committer
from limiter.jobs import Job, sampler
from limiter.jobs.sampler import BoxReader, Sampler
from limiter.rules.limits import defaults
from limiter.rules.sessions import Admission
from limiter.store.engine import open_writer
from limiter.store.sqlite_writer import SqliteWriter
from tests.rules.world import asked

MIB = 1024 * 1024


def container(folder: Path, memory: str, quota: str) -> None:
    """The files of a cgroup, version 2: 300 of 1000 MiB are in use, 100 of them to be had at once; 2 s of CPU."""
    files = {
        "memory.max": memory, "memory.current": str(300 * MIB), "memory.stat": f"anon 1\ninactive_file {100 * MIB}",
        "cpu.max": quota, "cpu.stat": "usage_usec 2000000\nuser_usec 1",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def test_a_container_is_read_by_its_own_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    container(tmp_path, str(1000 * MIB), "50000 100000")
    monkeypatch.setattr(sampler, "CGROUPS", ((tmp_path, *sampler.CGROUPS[0][1:]),))
    at = 100.0
    read = BoxReader(lambda: at)
    cpu, ram = read()
    assert (cpu, round(ram, 6)) == (None, 20), "200 of 1000 MiB; a first reading of CPU time says no load"
    at += 10
    (tmp_path / "cpu.stat").write_text("usage_usec 4500000\n")
    cpu, ram = read()
    assert cpu is not None and (round(cpu, 6), round(ram, 6)) == (50, 20), "2.5 s in 10 s of half a core"
    assert read()[0] is None, "no time has passed"
    assert sampler.ram_total_bytes() == 1000 * MIB, "percent and total are of one memory"


def test_without_limits_the_machine_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    container(tmp_path, "max", "max 100000")
    monkeypatch.setattr(sampler, "CGROUPS", ((tmp_path, *sampler.CGROUPS[0][1:]),))
    at = 100.0
    read = BoxReader(lambda: at)
    _, ram = read()
    assert ram == pytest.approx(psutil.virtual_memory().percent, abs=10)
    at += 1000
    cpu, _ = read()
    assert cpu is not None and 0 <= cpu < 50, "CPU time of this instant over what is taken for 1000 s"


def test_means_of_a_minute_are_told_to_the_rules(tmp_path: Path) -> None:
    async def whole() -> None:
        writer, clock = SqliteWriter(open_writer(f"sqlite:///{tmp_path / 'limiter.db'}")), Clock()
        committer = Committer(writer.restore(defaults(), UTC, clock.now()), writer, clock)
        readings = iter([(None, 10.0), (40.0, 20.0), (80.0, 60.0)])
        taken, at = Sampler(committer, lambda: next(readings), lambda: at), 1000.0
        loads = []
        for _ in range(3):
            await taken.sample()
            assert committer.state.load is not None
            loads.append(committer.state.load[1:])
            at += 40
        assert loads == [(None, 10.0), (40.0, 15.0), (60.0, 40.0)], "what is older than a minute is out of the mean"
        await committer.close()

    asyncio.run(whole())


class Stuck(Sampler):
    """Waits for ever, the first time."""

    hung = False

    async def sample(self) -> None:
        if not Stuck.hung:
            Stuck.hung = True
            await asyncio.Event().wait()
        await super().sample()


def test_a_sampler_that_hangs_is_started_anew_and_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "STUCK_SECONDS", 0.2)
    monkeypatch.setattr(Stuck, "hung", False)

    async def whole() -> None:
        writer, clock = SqliteWriter(open_writer(f"sqlite:///{tmp_path / 'limiter.db'}")), Clock()
        committer = Committer(writer.restore(defaults(), UTC, clock.now()), writer, clock)
        taken = Stuck(committer, lambda: (1.0, 2.0))
        job = Job("sampler", taken.run)
        running = asyncio.create_task(job.supervise())
        for n in range(20):
            assert isinstance(await committer.submit(asked(f"u{n}")), Admission)
            await asyncio.sleep(0.02)
        assert job.failure is not None and "TimeoutError" in job.failure
        for _ in range(100):
            if taken.last is not None:
                break
            await asyncio.sleep(0.05)
        assert taken.last is not None and taken.last.bots == 20
        running.cancel()
        await committer.close()

    asyncio.run(whole())
