"""A shorter history gives its room back, and quickly: rows go slice by slice, and the file shrinks."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from benchmarks.inside import make
from limiter.rules.snapshots import Trim
from limiter.store import schema
from limiter.store.backup import copy
from limiter.store.retention import MOST_ROWS, Retention, trims
from limiter.store.schema import RAW_STEP
from limiter.store.trimmer import FEWEST_ROWS, FREE_PAGES
from tests.conftest import new_database
from tests.rules.world import NOW, asked
from tests.store.book import DAY, SAMPLE, Book

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


def test_what_a_clock_that_went_back_stamped_is_trimmed_too(tmp_path: Path) -> None:
    book = Book(f"sqlite:///{tmp_path}/limiter.db")

    def look(now: int) -> list[int]:
        for _ in range(2 * len(book.writer.trimmer._statements.trims)):
            book.ask(now, Trim())
        return [row.at for row in book.rows(schema.snapshots) if row.step == RAW_STEP]

    book.ask(NOW, SAMPLE)
    assert look(NOW + 3 * DAY) == []
    book.ask(NOW - DAY, SAMPLE, Trim())
    assert look(NOW - DAY)
    assert look(NOW + 3 * DAY) == []
    book.close()


@pytest.fixture
def shared() -> Iterator[Book]:
    """A writer on PostgreSQL, beside 5 000 sessions that ended long ago."""
    book = Book(new_database())
    needed = [column for column in schema.ended_sessions.c if not column.nullable]
    values = {"number": "n", "ended_at": "n", "secret": "'s'", "user_id": "'u'", "bot_id": "'b'", "ended_reason": "'e'"}
    chosen = ", ".join(values.get(column.name, "0") for column in needed)
    names = ", ".join(column.name for column in needed)
    book.writer.connection.exec_driver_sql(
        f"INSERT INTO ended_sessions ({names}) SELECT {chosen} FROM generate_series(1, 5000) AS n"
    )
    book.writer.connection.commit()
    yield book
    book.close()


def slices(book: Book, until: Callable[[], bool]) -> None:
    """Of the trimmer, until it is so."""
    for _ in range(2000):
        if until():
            return
        book.ask(NOW, Trim())
    raise AssertionError("not in 2000 slices")


def read_by(book: Book, since: int) -> int:
    """The pages that a slice from there on reads."""
    which = book.writer.trimmer._statements.trims[6]
    assert "ended_sessions" in which
    with psycopg.connect(book.url.replace("+psycopg", "")) as other:
        told = other.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {which}".encode(), (since, NOW, 20)).fetchone()
        other.rollback()
    assert told is not None
    return int(told[0][0]["Plan"]["Shared Hit Blocks"])


@pytest.mark.postgres
def test_beside_a_long_transaction_of_others_a_slice_does_not_walk_over_what_went_before(shared: Book) -> None:
    with psycopg.connect(shared.url.replace("+psycopg", "")) as dump:  # as pg_dump: nothing is vacuumed meanwhile
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT count(*) FROM ended_sessions")
        slices(shared, lambda: shared.count(schema.ended_sessions) < 1000)
        assert read_by(shared, 0) > read_by(shared, shared.writer.trimmer._since[6]) + 50
    slices(shared, lambda: not shared.count(schema.ended_sessions))


@pytest.mark.postgres
def test_a_slice_that_was_not_committed_is_done_again(shared: Book) -> None:
    slices(shared, lambda: shared.count(schema.ended_sessions) < 5000)
    kept = shared.count(schema.ended_sessions)
    shared.decide(NOW, Trim())
    shared.writer.save(shared.state)
    shared.writer.rollback()
    shared.ask(NOW)  # by a new connection
    assert shared.count(schema.ended_sessions) == kept
    slices(shared, lambda: not shared.count(schema.ended_sessions))


@pytest.mark.postgres
def test_a_process_that_refused_nothing_trims_what_others_refused(shared: Book) -> None:
    shared.retention = Retention(refusals_rows=5)
    shared.restart(NOW)
    other = Book(shared.url, MAX_CONCURRENT_BOTS=1)
    for number in range(10):
        other.ask(NOW, asked(f"u{number}"))
    assert other.count(schema.refusals) == 9
    slices(shared, lambda: shared.count(schema.refusals) == 5)
    other.close()


@pytest.mark.postgres
def test_history_is_vacuumed_once_a_hundredth_of_it_went(shared: Book) -> None:
    told = shared.writer.connection.exec_driver_sql(
        "SELECT relname FROM pg_class WHERE 'autovacuum_vacuum_scale_factor=0.01' = ANY (reloptions)"
    )
    found = {name for (name,) in told}
    shared.writer.connection.rollback()
    small = {"rate_seconds", "refusal_counts", "rate_days"}
    assert found == {str(one.table) for one in trims()} - small
