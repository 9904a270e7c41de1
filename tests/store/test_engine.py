"""Opening the database: what a writer and a reader are, and every file that must not be taken for ours."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from limiter.store import engine as store
from limiter.store import schema
from limiter.store.engine import is_busy, migrate, open_reader, open_writer, reading
from limiter.store.location import StoreError, sqlite_path
from limiter.store.lock import Lock
from limiter.store.migrations import MIGRATIONS


@pytest.fixture
def opened(url: str) -> Iterator[Callable[..., Engine]]:
    """Opens engines and disposes of them."""
    engines: list[Engine] = []

    def open_one(how: Callable[[str], Engine] = open_writer) -> Engine:
        engines.append(how(url))
        return engines[-1]

    yield open_one
    for engine in engines:
        engine.dispose()


def make(url: str) -> None:
    """A database of ours, closed."""
    open_writer(url).dispose()


def pragma(engine: Engine, name: str) -> Any:
    """What the connection says."""
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


# -- writer and reader


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("wal_autocheckpoint", 1000),
        ("journal_size_limit", 67108864),
        ("trusted_schema", 0),
        ("application_id", schema.APPLICATION_ID),
        ("user_version", len(MIGRATIONS)),
    ],
)
def test_the_writer_is_durable_and_the_file_is_ours(opened: Callable[..., Engine], name: str, value: Any) -> None:
    assert pragma(opened(), name) == value


def test_file_and_folder_are_for_the_owner_alone(url: str, path: Path) -> None:
    make(url)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_reader_reads_and_cannot_write(opened: Callable[..., Engine]) -> None:
    opened()
    reader = opened(open_reader)
    assert pragma(reader, "query_only") == 1
    assert pragma(reader, "wal_autocheckpoint") == 0
    with reading(reader) as connection:
        assert connection.execute(schema.fleet.select()).one().active == 0
    with pytest.raises(OperationalError, match="readonly"), reader.begin() as connection:
        connection.execute(schema.notes.insert().values(id="n", at=1, text="t", author="a", created_at=1))


def test_a_read_that_runs_away_is_cut_off_and_the_connection_lives_on(opened: Callable[..., Engine]) -> None:
    opened()
    reader = opened(open_reader)
    forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    began = time.monotonic()
    with pytest.raises(OperationalError, match="interrupted"), reading(reader, seconds=0.1) as connection:
        connection.exec_driver_sql(forever).all()
    assert time.monotonic() - began < 2
    with reading(reader) as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_reader_delays_no_writer(opened: Callable[..., Engine]) -> None:
    writer, reader = opened(), opened(open_reader)
    with reading(reader) as connection:
        connection.execute(schema.fleet.select()).all()
        with writer.begin() as tx:
            tx.execute(schema.fleet.update().values(active=1))
        assert connection.execute(schema.fleet.select()).one().active == 0, "it sees the instant at which it began"


def test_a_reader_needs_a_database(opened: Callable[..., Engine], path: Path) -> None:
    with pytest.raises(StoreError, match="start the limiter first"):
        opened(open_reader)
    assert not path.exists()


def test_a_second_writer_is_busy_at_once(opened: Callable[..., Engine]) -> None:
    one, two = opened(), opened()
    with one.begin(), pytest.raises(OperationalError) as error:
        two.connect().begin()
    assert is_busy(error.value)


# -- where it is


def test_the_path_may_hold_what_urls_and_sqlite_escape(tmp_path: Path) -> None:
    make(f"sqlite:///{tmp_path}/50%2541 #1/a b.db")
    assert (tmp_path / "50%41 #1" / "a b.db").exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="must name a file"):
        open_writer(url)


def test_the_file_behind_a_url() -> None:
    assert sqlite_path("sqlite:///data/limiter.db") == Path("data/limiter.db")
    assert sqlite_path("postgresql+psycopg://host/limiter") is None


# -- migrations


def test_opening_again_migrates_nothing_and_keeps_everything(url: str, opened: Callable[..., Engine]) -> None:
    with opened().begin() as tx:
        tx.execute(schema.fleet.update().values(next_number=7))
    opened().dispose()
    writer = opened()
    assert migrate(writer) == 0
    with writer.connect() as connection:
        assert connection.execute(schema.fleet.select()).one().next_number == 7
        steps = connection.execute(schema.migrations.select()).all()
    assert [(row.step, row.name) for row in steps] == [(n, name) for n, (name, _) in enumerate(MIGRATIONS, 1)]


def tables(path: Path) -> dict[str, Any]:
    """Everything that the file's schema holds, and its versions."""
    connection = sqlite3.connect(path)
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
    found["versions"] = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
    connection.close()
    return found


def test_a_migration_that_is_cut_at_any_statement_is_rolled_back(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 2 of a later program, interrupted before its n-th statement, for every n."""
    make(url)
    before = tables(path)

    def second(cut_before: int) -> Callable[[Any, int], None]:
        def step(tx: Any, _: int) -> None:
            statements = (
                "CREATE TABLE fruit (id INTEGER PRIMARY KEY)",
                "ALTER TABLE notes ADD COLUMN colour TEXT",
                "INSERT INTO fruit VALUES (1)",
                "DROP TABLE usage_hours",
            )
            for n, statement in enumerate(statements):
                if n == cut_before:
                    raise InterruptedError
                tx.exec_driver_sql(statement)

        return step

    for n in range(4):
        monkeypatch.setattr(store, "MIGRATIONS", (*MIGRATIONS, ("second", second(n))))
        with pytest.raises(InterruptedError):
            open_writer(url)
        assert tables(path) == before
    monkeypatch.setattr(store, "MIGRATIONS", (*MIGRATIONS, ("second", second(9))))
    open_writer(url).dispose()
    after = tables(path)
    assert "fruit" in after and "usage_hours" not in after
    monkeypatch.undo()
    with pytest.raises(StoreError, match="newer than this program"):
        open_writer(url)


def test_the_first_migration_killed_in_the_middle_leaves_a_file_that_opens(url: str, path: Path) -> None:
    """A real process that ends without a word half-way through step 1."""
    program = f"""
import os
from limiter.store import engine
name, first = engine.MIGRATIONS[0]
def half(tx, step):
    first(tx, step)
    os._exit(9)
engine.MIGRATIONS = ((name, half),)
engine.open_writer({url!r})
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], check=False)
    assert ended.returncode == 9
    make(url)
    assert "active_sessions" in tables(path)


# -- who may write


def test_the_lock_is_held_once_and_says_by_whom(path: Path) -> None:
    first, second = Lock(path), Lock(path)
    assert second.owner() == {}
    first.acquire(url="http://127.0.0.1:5001")
    assert second.owner() == {"pid": str(os.getpid()), "url": "http://127.0.0.1:5001"}
    with pytest.raises(StoreError, match=f"pid {os.getpid()}.*one writer"):
        second.acquire()
    first.describe(url="http://127.0.0.1:5002", control="secret")
    assert second.owner()["control"] == "secret"
    first.release()
    assert second.owner() == {}
    second.acquire()
    second.release()
    second.release()


def test_the_lock_file_is_for_the_owner_alone(path: Path) -> None:
    lock = Lock(path)
    lock.acquire()
    assert lock.path.stat().st_mode & 0o077 == 0
    lock.release()


def test_the_lock_file_keeps_its_size_so_that_a_full_disk_has_room_for_it(path: Path) -> None:
    lock = Lock(path)
    lock.acquire()
    size = lock.path.stat().st_size
    lock.describe(url="http://127.0.0.1:5001", key="k" * 60)
    assert lock.path.stat().st_size == size
    lock.release()
    assert lock.path.stat().st_size == size
    assert not lock.path.read_text().strip(), "no key is left in it"


def test_a_killed_process_holds_no_lock(path: Path) -> None:
    program = f"""
import json, pathlib, sys, time
from limiter.store.lock import Lock
lock = Lock(pathlib.Path({str(path)!r}))
lock.acquire(url="http://127.0.0.1:1")
print("held", flush=True)
time.sleep(60)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", program], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert Lock(path).owner()["pid"] == str(holder.pid)
        with pytest.raises(StoreError, match=f"pid {holder.pid}"):
            Lock(path).acquire()
    finally:
        holder.kill()
        holder.communicate()
    assert json.loads(Lock(path).path.read_text())["pid"] == str(holder.pid), "what it wrote is still there"
    assert Lock(path).owner() == {}
    mine = Lock(path)
    mine.acquire()
    mine.release()


# -- what the tables themselves refuse


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO fleet VALUES (2, 0, 1, 0)",
        "UPDATE fleet SET active = -1",
        "UPDATE fleet SET active = 'many'",
        "UPDATE fleet SET active = 1.5",
        "INSERT INTO notes (id, at, text, author, created_at) VALUES ('n', 'now', 't', 'a', 1)",
        "INSERT INTO notes (id, at, text, author, created_at) VALUES ('n', 1, NULL, 'a', 1)",
    ],
)
def test_rows_of_a_wrong_type_are_refused_by_the_database(opened: Callable[..., Engine], statement: str) -> None:
    with pytest.raises(DBAPIError), opened().begin() as tx:
        tx.exec_driver_sql(statement)


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
def test_the_audit_only_grows(opened: Callable[..., Engine], statement: str) -> None:
    writer = opened()
    with writer.begin() as tx:
        tx.execute(
            schema.audit.insert().values(
                id=1, at=1, actor="a", action="b", target="c", reason="d", detail="{}", hash="e"
            )
        )
    with pytest.raises(DBAPIError, match="only grows"), writer.begin() as tx:
        tx.exec_driver_sql(statement)


def test_a_plain_copy_of_file_and_wal_opens(
    url: str, path: Path, tmp_path: Path, opened: Callable[..., Engine]
) -> None:
    """What a killed machine leaves on the disk: the file, and a WAL that was never checkpointed."""
    with opened().begin() as tx:
        tx.execute(schema.fleet.update().values(next_number=42))
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    shutil.copy(path.with_name(path.name + "-wal"), copy.with_name(copy.name + "-wal"))
    writer = open_writer(f"sqlite:///{copy}")
    with writer.connect() as connection:
        assert connection.execute(schema.fleet.select()).one().next_number == 42
    writer.dispose()
