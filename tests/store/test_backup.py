"""A copy is one snapshot, whole or not there, and nobody waits for it."""

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from limiter.store import backup
from limiter.store.backup import copy
from limiter.store.engine import open_writer
from limiter.store.location import StoreError
from limiter.store.schema import APPLICATION_ID


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A database of ours, with rows in it."""
    path = tmp_path / "limiter.db"
    engine = open_writer(f"sqlite:///{path}")
    with engine.begin() as tx:
        tx.exec_driver_sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)"
            " INSERT INTO notes SELECT 'n' || i, i, 'text ' || i, 'tests', i FROM n"
        )
    engine.dispose()
    return path


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute("SELECT count(*) FROM notes").fetchone()[0]
    return found


def test_the_copy_is_the_whole_database_for_its_owner_alone(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    assert copy(source, target) == target.stat().st_size
    assert count(target) == 30_000
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    open_writer(f"sqlite:///{target}").dispose()


def test_the_writer_commits_at_every_moment_of_a_copy(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`stopped` is asked in the midst of it, so a commit from there meets whatever locks the copy holds."""
    monkeypatch.setattr(backup, "STEPS", 5_000)
    with closing(sqlite3.connect(source, timeout=0, isolation_level=None)) as writer:
        commits = 0

        def commit() -> bool:
            nonlocal commits
            commits += 1
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO notes VALUES (?, 1, 'during', 'tests', 1)", (f"during {commits}",))
            writer.execute("COMMIT")
            return False

        copy(source, tmp_path / "copy.db", commit)
    assert commits > 20
    assert count(source) == 30_000 + commits
    assert count(tmp_path / "copy.db") == 30_000, "one snapshot, of the instant it began"


def test_a_copy_of_what_is_only_in_the_write_ahead_log(source: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(source, isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO notes VALUES ('late', 1, 'in the log', 'tests', 1)")
        copy(source, tmp_path / "copy.db")
    assert count(tmp_path / "copy.db") == 30_001


def test_a_copy_that_is_stopped_leaves_nothing(source: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoreError, match="interrupted"):
        copy(source, tmp_path / "copy.db", stop.is_set)
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == []


def test_what_is_not_a_sound_database_of_ours_is_not_copied(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with pytest.raises(StoreError, match="does not exist"):
        copy(tmp_path / "nothing.db", target)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (a)")
    with pytest.raises(StoreError, match="not a database of the limiter"):
        copy(other, target)
    (tmp_path / "text.db").write_text("not a database at all, " * 100)
    with pytest.raises(StoreError, match="not a database"):
        copy(tmp_path / "text.db", target)
    with source.open("r+b") as file:
        file.seek(20 * 4096)
        file.write(b"\xff" * 40 * 4096)
    with pytest.raises(StoreError):  # SQLite names what it could not read in several ways
        copy(source, target)
    with pytest.raises(StoreError):
        copy(other, tmp_path / "no-such-folder" / "copy.db")
    assert not target.exists()
    assert not list(tmp_path.glob("*.partial"))
