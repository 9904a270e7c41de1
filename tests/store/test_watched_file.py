"""The file is an inode: one lock whatever its name, and a name that leads elsewhere is noticed, and mended."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from limiter.store import schema
from limiter.store.engine import open_writer
from limiter.store.location import StoreError, key_file, named_path, refuse_lost, sqlite_path
from limiter.store.lock import Lock
from limiter.store.watched_file import WatchedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "limiter.db"


@pytest.fixture
def writer(path: Path) -> Iterator[Engine]:
    """The database, open, with one row of which the file itself knows nothing yet."""
    engine = open_writer(f"sqlite:///{path}")
    with engine.begin() as tx:
        tx.execute(schema.fleet.update().values(next_number=42))
    yield engine
    engine.dispose()


@pytest.fixture
def file(path: Path, writer: Engine) -> Iterator[WatchedFile]:
    lock = Lock(path)
    lock.acquire()
    assert lock.inode is not None
    file = WatchedFile(path, lock.inode)
    yield file
    file.close()
    writer.dispose()
    lock.release()


def next_number(path: Path) -> int:
    """What a program finds that comes by this name."""
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT next_number FROM fleet").fetchone()
    connection.close()
    return int(found)


def put_another(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    os.replace(path.with_name("copy"), path)


def remove_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [(Path.unlink, "is gone"), (put_another, "is another file"), (remove_log, "-wal file .* is gone")],
)
def test_a_name_that_leads_elsewhere_is_noticed(
    file: WatchedFile, path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    assert file.trouble() is None
    spoil(path)
    assert (told := file.trouble()) is not None
    assert pytest.raises(AssertionError, match=sentence).matches(AssertionError(told))


def test_a_file_that_was_deleted_is_saved_with_all_that_was_committed(file: WatchedFile, path: Path) -> None:
    path.unlink()
    saved = file.save()
    assert saved.parent == path.parent and saved.name.startswith("limiter.db.rescued-")
    assert next_number(saved) == 42


def test_a_file_that_was_moved_is_found_where_it_went_and_is_well_again_when_it_is_back(
    file: WatchedFile, path: Path
) -> None:
    elsewhere = path.with_name("elsewhere.db")
    path.rename(elsewhere)
    assert file.trouble() is not None
    assert file.save() == elsewhere
    elsewhere.rename(path)
    assert file.trouble() is None


def test_a_second_name_is_counted(file: WatchedFile, path: Path) -> None:
    assert file.names == 1
    os.link(path, path.with_name("other.db"))
    assert file.names == 2
    assert file.trouble() is None


@pytest.mark.parametrize("how", ["link", "hard link", "lock file removed"])
def test_a_file_is_locked_by_whatever_name(path: Path, writer: Engine, how: str) -> None:
    held, other = Lock(path), path.with_name("other.db")
    held.acquire()
    if how == "link":
        other.symlink_to(path)
    elif how == "hard link":
        os.link(path, other)
    else:
        held.path.unlink()
        other = path
    real = sqlite_path(f"sqlite:///{other}")
    assert real is not None
    with pytest.raises(StoreError, match="one writer"):
        Lock(real).acquire()
    writer.dispose()
    held.release()
    then = Lock(real)
    then.acquire()
    then.release()


def test_links_are_followed_to_the_real_file_but_the_key_lies_where_it_is_looked_for(tmp_path: Path) -> None:
    disk, data = tmp_path / "disk", tmp_path / "data"
    disk.mkdir()
    data.mkdir()
    (data / "limiter.db").symlink_to(disk / "real.db")
    url = f"sqlite:///{data}/limiter.db"
    assert sqlite_path(url) == disk / "real.db"
    assert named_path(url) == data / "limiter.db"
    assert key_file(url) == data / "admin.key"


@pytest.mark.parametrize(
    "trace", ["admin.key", "limiter.db.ballast", "backups/limiter-20260101T000000Z.db", "limiter.db.rescued-1"]
)
def test_no_database_is_begun_where_one_was(path: Path, trace: str) -> None:
    url = f"sqlite:///{path}"
    refuse_lost(url, "")
    left = path.parent / trace
    left.parent.mkdir(exist_ok=True)
    left.touch()
    with pytest.raises(StoreError, match="--new") as error:
        refuse_lost(url, "")
    assert str(left) in str(error.value)
    assert ("limiter restore" in str(error.value)) == ("limiter-" in trace or "rescued" in trace)
    open_writer(url).dispose()
    refuse_lost(url, "")


def test_a_key_beside_another_database_is_no_trace(path: Path) -> None:
    path.with_name("admin.key").touch()
    path.with_name("other.db").touch()
    refuse_lost(f"sqlite:///{path}", "")
