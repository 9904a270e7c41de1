"""A sampler that hangs is given up and started anew; decisions do not wait for it."""

import asyncio
from datetime import UTC
from pathlib import Path

import pytest

from limiter.committer import Clock, Committer
from limiter.jobs import Job, sampler
from limiter.jobs.sampler import Sampler
from limiter.rules.limits import defaults
from limiter.rules.sessions import Admission
from limiter.store.engine import open_writer
from limiter.store.sqlite_writer import SqliteWriter
from tests.rules.world import asked


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
