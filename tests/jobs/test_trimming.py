"""The job that deletes: what the file shrinks by is the disk's, without anybody who writes."""

import asyncio
import time
from datetime import UTC
from pathlib import Path

from benchmarks.inside import make
from limiter.clock import Clock
from limiter.committer import Committer
from limiter.jobs.trimming import trim
from limiter.rules.limits import defaults
from limiter.store.engine import open_writer
from limiter.store.retention import Retention
from limiter.store.sqlite_writer import SqliteWriter
from limiter.store.trimmer import FREE_PAGES


def test_the_room_of_an_idle_limiters_history_is_the_disks_when_it_is_deleted(tmp_path: Path) -> None:
    path = make(tmp_path / "limiter.db", ended=30_000)
    before = path.stat().st_size

    async def whole() -> None:
        writer, clock = (
            SqliteWriter(open_writer(f"sqlite:///{path}"), Retention(sessions_days=0, usage_days=0)),
            Clock(),
        )
        committer = Committer(writer.restore(defaults(), UTC, clock.now()), writer, clock)
        job = asyncio.create_task(trim(committer, writer.trimmer))
        until = time.monotonic() + 20
        while path.stat().st_size > (FREE_PAGES + 400) * 4096:
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        job.cancel()
        await asyncio.wait([job])
        await committer.close()

    asyncio.run(whole())
    assert before > (FREE_PAGES + 800) * 4096
