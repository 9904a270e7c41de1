"""A shorter history gives its room back, and quickly: rows go slice by slice, and the file shrinks."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.inside import make
from limiter.rules.snapshots import Trim
from limiter.store import schema
from limiter.store.backup import copy
from limiter.store.retention import MOST_ROWS, Retention
from limiter.store.trimmer import FEWEST_ROWS, FREE_PAGES
from tests.rules.world import NOW
from tests.store.book import Book

SHORT = Retention(sessions_days=0, usage_days=0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 000 sessions that ended, some 5 MB."""
    path = make(tmp_path_factory.mktemp("made") / "limiter.db", ended=30_000)
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def trimmed(path: Path) -> Book:
    """The writer after all slices."""
    book = Book(f"sqlite:///{path}")
    book.retention = SHORT
    later = NOW + 10**12
    book.restart(later)
    for _ in range(2000):
        book.ask(later, Trim())
        assert FEWEST_ROWS <= book.writer.trimmer._rows <= MOST_ROWS
        if not book.count(schema.ended_sessions) and not book.writer.trimmer.behind:
            return book
    raise AssertionError("not in 2000 slices")


def test_the_file_shrinks_to_what_is_left_and_some_room_for_what_comes(made: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(made, tmp_path / "limiter.db"))
    before = path.stat().st_size
    assert before > (FREE_PAGES + 800) * 4096
    book = trimmed(path)
    assert book.writer.fold_log()
    after = path.stat().st_size
    assert after < (FREE_PAGES + 400) * 4096
    book.close()


def test_a_file_of_an_earlier_program_shrinks_once_a_backup_of_it_is_restored(made: Path, tmp_path: Path) -> None:
    old = Path(shutil.copy(made, tmp_path / "old.db"))
    with closing(sqlite3.connect(old, isolation_level=None)) as file:
        for pragma in ("journal_mode=DELETE", "auto_vacuum=NONE"):
            file.execute(f"PRAGMA {pragma}")
        file.execute("VACUUM")
        assert file.execute("PRAGMA auto_vacuum").fetchone() == (0,)
    before = old.stat().st_size
    book = trimmed(Path(shutil.copy(old, tmp_path / "still-old.db")))
    book.writer.fold_log()
    assert (tmp_path / "still-old.db").stat().st_size >= before * 0.99, "its pages are used again, and stay"
    book.close()
    copy(old, tmp_path / "restored.db")
    book = trimmed(tmp_path / "restored.db")
    book.writer.fold_log()
    assert (tmp_path / "restored.db").stat().st_size < (FREE_PAGES + 400) * 4096
    book.close()
