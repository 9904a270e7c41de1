"""Backups on their schedule: time passes when the test says so, the files are real."""

import asyncio
import logging
from pathlib import Path

import pytest

from limiter.jobs import backups as module
from limiter.jobs.backups import Backups
from limiter.store.engine import open_writer
from limiter.store.location import free_bytes
from tests.conftest import Limiter, served, wait_until
from tests.rules.world import HOUR, MINUTE, NOW


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    """Now."""
    return Time()


@pytest.fixture
def backups(tmp_path: Path, time: Time) -> Backups:
    """Three are kept, a day apart."""
    path = tmp_path / "limiter.db"
    open_writer(f"sqlite:///{path}").dispose()
    return Backups(path, tmp_path / "backups", hours=24, keep=3, now=time)


def names(backups: Backups) -> list[str]:
    return sorted(path.name for path in backups.folder.iterdir())


def look(backups: Backups) -> None:
    asyncio.run(backups.round())


def test_one_a_day_and_the_newest_are_kept(backups: Backups, time: Time) -> None:
    assert backups.age_seconds() == 0 and backups.made_at() is None
    look(backups)
    assert names(backups) == ["limiter-20260101T120000Z.db"]
    time.now += 24 * HOUR - 1
    look(backups)
    assert len(names(backups)) == 1, "not due before 24 h"
    for _ in range(4):
        time.now += 24 * HOUR
        look(backups)
    assert names(backups) == [f"limiter-2026010{day}T115959Z.db" for day in (4, 5, 6)]
    assert backups.age_seconds() == pytest.approx(1, abs=1)


def test_a_restart_makes_none_before_its_time(backups: Backups, time: Time) -> None:
    look(backups)
    time.now += 23 * HOUR
    again = Backups(backups.database, backups.folder, 24, 3, time)
    look(again)
    assert len(names(again)) == 1
    assert again.age_seconds() == 23 * 3600


def test_nothing_else_in_the_folder_is_touched(backups: Backups, time: Time) -> None:
    backups.folder.mkdir()
    others = [
        "limiter-before-the-upgrade.db",
        "notes.txt",
        "other-20200101T000000Z.db",
        "limiter-eu-20200101T000000Z.db",  # of limiter-eu.db
        "limiter-eu-20200102T000000Z.db.partial",
        "limiter-20200101T000000Z.db-x",
    ]
    for name in others:
        (backups.folder / name).touch()
    (backups.folder / "limiter-20200101T000000Z.db.partial").touch()
    for _ in range(5):
        look(backups)
        time.now += 24 * HOUR
    assert set(others) < set(names(backups))
    assert len(names(backups)) == len(others) + 3, "what a killed limiter left half done is gone"


def test_one_from_the_future_neither_counts_nor_costs_the_new_one(backups: Backups, time: Time) -> None:
    backups.folder.mkdir()
    for year in range(2030, 2034):
        (backups.folder / f"limiter-{year}0101T000000Z.db").touch()
    look(backups)
    assert "limiter-20260101T120000Z.db" in names(backups)
    assert len(names(backups)) == 3
    look(backups)
    assert len(names(backups)) == 3
    assert backups.age_seconds() == 0


def test_one_that_fails_is_told_and_tried_again_after_ten_minutes(
    backups: Backups, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    backups.folder.write_text("a file where the folder should be")
    with caplog.at_level(logging.INFO, "limiter"):
        look(backups)
        look(backups)
    assert [record.getMessage().split()[0] for record in caplog.records] == ["backup_failed"]
    assert backups.failure
    time.now += 27 * HOUR
    assert backups.age_seconds() == 27 * 3600, "since the start, where there is none"
    time.now += MINUTE
    backups.folder.unlink()
    look(backups)
    assert backups.failure is None
    assert len(names(backups)) == 1


def test_a_disk_that_is_nearly_full_is_not_filled_up(backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DISK_BYTES", free_bytes(backups.database.parent))
    look(backups)
    assert backups.failure and "MiB are free" in backups.failure
    assert names(backups) == []


def test_the_end_of_the_limiter_does_not_wait_for_a_backup(backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limiter.store.backup.STEPS", 1)
    monkeypatch.setattr(
        module, "copy", lambda source, target, stopped: wait_until(stopped, 30, "the job's end is told to the copy")
    )

    async def end() -> None:
        task = asyncio.create_task(backups.round())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(end(), 5))
    backups._thread.shutdown()


def test_a_running_limiter_makes_one_soon_after_its_first_start_and_says_so(tmp_path: Path) -> None:
    with served(Limiter(tmp_path, {"LIMITER_BACKUP_DIR": "elsewhere"})) as one:
        check = one.client.get("/api/admin/health").json()["checks"]["backup"]
        assert check == {"ok": True, "detail": "none yet"}
        session = one.session("u1")
        wait_until(lambda: list((tmp_path / "elsewhere").glob("limiter-*Z.db")), 40, "a backup")
        check = one.client.get("/api/admin/health").json()["checks"]["backup"]
        assert check == {"ok": True, "detail": "last 0.0 h ago"}
        assert "limiter_backup_age_seconds" in one.client.get("/metrics").text
        one.beat(session)
    assert "backup_made" in one.log
    assert not (tmp_path / "backups").exists()


def test_none_are_made_where_none_are_wanted(tmp_path: Path) -> None:
    with served(Limiter(tmp_path, {"LIMITER_BACKUP_DIR": "none"})) as one:
        assert "backup" not in one.client.get("/api/admin/health").json()["checks"]
        assert "limiter_backup_age_seconds" not in one.client.get("/metrics").text
