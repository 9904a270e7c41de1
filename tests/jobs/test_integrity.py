"""What a start does not read is read afterwards: damage in the history is found, and holds no start up."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from datetime import UTC
from pathlib import Path

import pytest

from benchmarks.inside import make
from limiter.jobs.integrity import Integrity
from limiter.rules.limits import defaults
from limiter.store import file_checks
from limiter.store.file_checks import HISTORY
from limiter.store.location import StoreError
from limiter.store.open import writer_of
from tests.rules.world import NOW


def smash(path: Path, name: str) -> None:
    """The first page of a table or an index."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    with path.open("r+b") as raw:
        raw.seek((page - 1) * 4096)
        raw.write(b"\xff" * 4096)


def checked(path: Path, decisions: list[int]) -> Integrity:
    """The job, run until it has nothing more to do, or for half a second."""
    job = Integrity(path, lambda: decisions.pop() if len(decisions) > 1 else decisions[0], quiet_seconds=0.01)

    async def run() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await job.run()

    asyncio.run(run())
    return job


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path / "limiter.db", ended=2000, active=5)


def test_a_sound_database_is_read_once_and_says_nothing(path: Path) -> None:
    job = checked(path, [0])
    assert job.checked and job.damage is None


def test_damage_in_the_history_of_a_large_file_is_told_and_decisions_go_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smash(path, "ended_sessions_block")
    with pytest.raises(StoreError, match="damaged"):
        writer_of(f"sqlite:///{path}")
    monkeypatch.setattr(file_checks, "WHOLE_BYTES", 0)
    writer = writer_of(f"sqlite:///{path}")
    assert len(writer.restore(defaults(), UTC, NOW).sessions) == 5
    job = checked(path, [0])
    assert job.checked and job.damage
    writer.close()


def test_damage_where_decisions_rest_on_it_is_refused_in_a_large_file_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smash(path, "active_sessions_bot")
    monkeypatch.setattr(file_checks, "WHOLE_BYTES", 0)
    with pytest.raises(StoreError, match="damaged"):
        writer_of(f"sqlite:///{path}")


def test_nothing_is_read_while_there_is_much_to_decide(path: Path) -> None:
    job = checked(path, list(range(10**6, 0, -100)))
    assert not job.checked


def test_the_history_is_what_retention_trims_and_what_only_grows() -> None:
    from limiter.store.retention import trims
    from limiter.store.schema import metadata

    assert metadata.tables.keys() >= HISTORY
    assert {str(one.table) for one in trims()} - {"rate_seconds"} <= HISTORY
