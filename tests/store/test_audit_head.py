"""Where the audit ends is known outside of the database: whatever is killed when, no alarm is false, no cut hidden."""

import fcntl
import json
import logging
import os
import time
from pathlib import Path

import pytest

from limiter.rules.changes import SetPause
from limiter.store import schema
from limiter.store.audit_head import LOCK_SECONDS, AuditHead, End, end_of, head_of, restore_into
from limiter.store.backup import copy
from tests.conftest import new_database
from tests.rules.world import NOW
from tests.store.book import Book


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def book(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.chdir(tmp_path)  # where PostgreSQL's files go
    book = Book("sqlite:///limiter.db" if request.param == "sqlite" else new_database())
    request.addfinalizer(book.close)
    return book


def pause(book: Book) -> End:
    """A change that the audit keeps; where the audit ends then."""
    book.ask(NOW, SetPause(not book.state.paused, "tests", "key-1"))
    return end(book)


def end(book: Book) -> End:
    found = end_of(book.writer.connection)
    book.writer.connection.rollback()
    return found


def gap(book: Book) -> str | None:
    found = head_of(book.url).follow(book.writer.connection)
    book.writer.connection.rollback()
    return found.sentence.en if found else None


def cut(book: Book, after: int) -> None:
    """What somebody does who may do everything in the database."""
    connection = book.writer.connection
    if book.writer.alone:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_no_delete")
    else:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS audit_no_change ON audit")
    connection.execute(schema.audit.delete().where(schema.audit.c.id > after))
    connection.commit()


def test_what_is_acknowledged_is_in_the_file(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "limiter")
    ends = [pause(book) for _ in range(3)]
    assert [one.row for one in ends] == [1, 2, 3]
    assert head_of(book.url).read() == ends[-1]
    assert f"audit_head row=3 hash={ends[-1].hash}" in caplog.text, "and in the log, which may be kept elsewhere"
    assert head_of(book.url).path.stat().st_mode & 0o777 == 0o600


def test_a_kill_between_commit_and_file_is_no_alarm_and_the_file_goes_on(book: Book) -> None:
    head = head_of(book.url)
    first = pause(book)
    second = pause(book)
    head.keep(first, force=True)  # as if it had been killed there
    assert gap(book) is None
    assert head.read() == second
    cut(book, after=1)
    assert gap(book) == "row 2 is missing at the end: cut off, or an older copy was put in place by hand"


def test_a_start_hides_no_cut_and_neither_does_what_is_written_after_it(book: Book) -> None:
    ends = [pause(book) for _ in range(4)]
    cut(book, after=1)
    book.restart(NOW)
    assert "rows 2 to 4 are missing" in (gap(book) or "")
    for _ in range(3):
        pause(book)
        book.restart(NOW)
    assert "row 4 is not the one that was written" in (gap(book) or "")
    pause(book)
    assert head_of(book.url).read() == ends[-1], "the evidence stays"


def test_a_file_that_cannot_be_written_or_read_stops_no_decision_and_is_told(book: Book) -> None:
    head = book.writer.head
    assert head is not None
    pause(book)
    kept = head.path.read_bytes()
    head.path.with_name(head.path.name + ".partial").mkdir()
    second = pause(book)
    assert head.failure and head.path.read_bytes() == kept
    head.path.with_name(head.path.name + ".partial").rmdir()
    assert gap(book) is None and head.read() == second
    pause(book)
    assert head.failure is None
    head.path.write_text("{")
    pause(book)
    assert gap(book) == "the file that keeps its end cannot be read"


def test_a_file_that_was_removed_leaves_a_trace_in_the_audit(tmp_path: Path) -> None:
    book = Book(f"sqlite:///{tmp_path / 'limiter.db'}")
    last = [pause(book) for _ in range(2)][-1]
    head_of(book.url).path.unlink()
    book.restart(NOW)
    row = book.rows(schema.audit)[-1]
    assert (row.id, row.action, json.loads(row.detail)) == (3, "audit_head", {"row": 2, "hash": last.hash})
    assert head_of(book.url).read() == end(book)
    book.restart(NOW)
    assert book.count(schema.audit) == 3, "once"
    book.close()


@pytest.mark.parametrize("killed", ["before the file is in place", "after it", "never"])
def test_a_restore_that_is_killed_is_no_alarm(tmp_path: Path, killed: str) -> None:
    path = tmp_path / "limiter.db"
    book = Book(f"sqlite:///{path}")
    pause(book)
    copy(path, tmp_path / "older.db")
    before = [pause(book) for _ in range(3)][-1]
    book.close()
    head = head_of(book.url)
    made = restore_into(tmp_path / "older.db", head, "cli", Path("older.db"))
    if killed != "before the file is in place":
        (tmp_path / "older.db").replace(path)
    if killed == "never":
        head.keep(made, force=True)
    book.open(NOW)
    assert gap(book) is None
    assert head.read() == (before if killed == "before the file is in place" else made)
    pause(book)
    assert head.read() == end(book)
    cut(book, after=1)
    assert gap(book) is not None
    book.close()


def test_of_two_that_write_the_newer_one_stays(tmp_path: Path) -> None:
    head = AuditHead(tmp_path / "head")
    head.keep(End(5, "five"))
    head.keep(End(4, "four"))
    assert head.read() == End(5, "five")


def test_a_process_that_stands_still_with_the_folder_locked_holds_one_batch_up_for_a_second(book: Book) -> None:
    kept = pause(book)
    head = book.writer.head
    assert head is not None
    folder = os.open(head.path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    began = time.monotonic()
    pause(book)
    first, began = time.monotonic() - began, time.monotonic()
    last = pause(book)
    second = time.monotonic() - began
    assert head.failure is not None and "locked" in head.failure and head.read() == kept
    os.close(folder)
    assert LOCK_SECONDS <= first < LOCK_SECONDS + 1 and second < LOCK_SECONDS
    assert gap(book) is None and head_of(book.url).read() == last, "the watch that looks each minute has it follow"
