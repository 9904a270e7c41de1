"""The file is an inode: one lock whatever its name, and a name that leads elsewhere is noticed, and mended."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from limiter.store import schema, wal_index
from limiter.store.engine import open_writer
from limiter.store.location import StoreError, key_file, log_of, named_path, refuse_lost, sqlite_path
from limiter.store.lock import Lock
from limiter.store.watched_file import WatchedFile
from limiter.store.write_watch import WriteWatch

TICK_SECONDS = 0.02  # by which the kernel counts when a file was written to, and more


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


def watched(path: Path, writer: Engine) -> tuple[WatchedFile, Callable[[], None]]:
    """The database, and what ends its limiter."""
    lock = Lock(path)
    lock.acquire()
    assert lock.inode is not None
    file = WatchedFile(path, lock.inode)

    def close() -> None:
        file.close()
        writer.dispose()
        file.release()
        lock.release()

    return file, close


@pytest.fixture
def file(path: Path, writer: Engine) -> Iterator[WatchedFile]:
    file, close = watched(path, writer)
    yield file
    close()


def next_number(path: Path) -> int:
    """What a program finds that comes by this name."""
    connection = sqlite3.connect(path)
    (found,) = connection.execute("SELECT next_number FROM fleet").fetchone()
    connection.close()
    return int(found)


def fold(writer: Engine, how: str = "TRUNCATE") -> None:
    with writer.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.rollback()
        driver.execute(f"PRAGMA wal_checkpoint({how})").fetchall()


def count_up(writer: Engine) -> None:
    with writer.begin() as tx:
        tx.execute(schema.fleet.update().values(next_number=schema.fleet.c.next_number + 1))


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


def test_a_folder_that_was_deleted_is_made_anew_for_what_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "data" / "limiter.db"
    file, close = watched(path, open_writer(f"sqlite:///{path}"))
    shutil.rmtree(path.parent)
    assert next_number(file.save()) == 1
    close()
    with pytest.raises(StoreError, match="rescued-"):
        refuse_lost(f"sqlite:///{path}", "")


def test_a_folder_that_was_moved_leaves_a_trace_so_that_the_next_start_does_not_begin_empty(tmp_path: Path) -> None:
    path = tmp_path / "data" / "limiter.db"
    file, close = watched(path, open_writer(f"sqlite:///{path}"))
    path.parent.rename(tmp_path / "moved")
    assert file.save() == tmp_path / "moved" / "limiter.db"
    assert not path.parent.exists()  # it may be moved back
    close()
    (left,) = path.parent.iterdir()
    assert next_number(left) == 1
    (tmp_path / "moved").rename(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=f"{left} says"):
        refuse_lost(f"sqlite:///{path}", "")


def test_a_file_that_was_moved_is_found_where_it_went_and_is_well_again_when_it_is_back(
    file: WatchedFile, path: Path
) -> None:
    elsewhere = path.with_name("elsewhere.db")
    path.rename(elsewhere)
    assert file.trouble() is not None
    assert file.save() == elsewhere
    elsewhere.rename(path)
    assert file.trouble() is None


def test_an_index_that_is_gone_is_noticed(file: WatchedFile, path: Path) -> None:
    assert not file.index_lost
    path.with_name("limiter.db-shm").unlink()
    assert file.index_lost


def test_a_second_name_is_counted(file: WatchedFile, path: Path) -> None:
    assert file.names == 1
    os.link(path, path.with_name("other.db"))
    assert file.names == 2
    assert file.trouble() is None


def put_old_content(path: Path) -> None:
    """`cp old.db limiter.db`: the same inode, what it held some pages ago."""
    shutil.copyfile(path.with_name("old.db"), path)


def put_old_content_and_time(path: Path) -> None:
    """`cp -p old.db limiter.db`."""
    shutil.copy2(path.with_name("old.db"), path)


def write_the_same_size(path: Path) -> None:
    """Nothing but the content tells: one byte, and the time stamp as it was."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size - 1)
        file.write(b"x")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def empty(path: Path) -> None:
    os.truncate(path, 0)


def empty_log(path: Path) -> None:
    os.truncate(log_of(path), 0)


def cut_log(path: Path) -> None:
    os.truncate(log_of(path), log_of(path).stat().st_size - 1)


def put_another_log(path: Path) -> None:
    log_of(path).write_bytes(os.urandom(log_of(path).stat().st_size))


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (put_old_content, "limiter.db was written"), (put_old_content_and_time, "limiter.db was written"),
        (write_the_same_size, "limiter.db was written"), (empty, "limiter.db was written"), (empty_log, "-wal"),
        (cut_log, "-wal"), (put_another_log, "-wal"),
    ],
)  # fmt: skip
def test_what_others_write_into_the_files_is_noticed_whatever_was_folded_before(
    file: WatchedFile, path: Path, writer: Engine, spoil: Callable[[Path], None], what: str, folded: bool
) -> None:
    shutil.copyfile(path, path.with_name("old.db"))
    if folded:
        fold(writer)
    count_up(writer)  # what the log has then
    assert file.trouble() is None
    time.sleep(TICK_SECONDS)
    spoil(path)
    assert what in (file.trouble() or "")
    assert file.spoiled is not None
    if what != "-wal":
        assert file.written_over() == file.spoiled


def touch(path: Path) -> None:
    os.utime(path)


def restore_time(path: Path) -> None:
    """As `rsync -a` and `cp -p` do to a file whose content is right."""
    shutil.copystat(path.with_name("old.db"), path)


def change_mode(path: Path) -> None:
    path.chmod(0o640)


def change_owner(path: Path) -> None:
    os.chown(path, -1, os.getgid())


def set_attribute(path: Path) -> None:
    """As `setfacl` does."""
    os.setxattr(path, "user.backup", b"done")


def copy_away(path: Path) -> None:
    shutil.copy2(path, path.with_name("copy"))


@pytest.mark.parametrize("folded", [True, False])
@pytest.mark.parametrize("change", [touch, restore_time, change_mode, change_owner, set_attribute, copy_away])
def test_what_changes_no_byte_stops_nothing_and_hides_nothing(
    file: WatchedFile, path: Path, writer: Engine, change: Callable[[Path], None], folded: bool
) -> None:
    shutil.copyfile(path, path.with_name("old.db"))
    if folded:
        fold(writer)
    count_up(writer)
    assert file.written_over() is None
    for one in (path, log_of(path), path.with_name("limiter.db-shm")):
        change(one)
        assert (file.written_over(), file.trouble()) == (None, None)
    count_up(writer)
    fold(writer)
    assert file.trouble() is None
    time.sleep(TICK_SECONDS)
    put_old_content(path)
    touch(path)
    assert "limiter.db was written" in (file.trouble() or "")


def test_a_time_of_change_set_alone_is_taken_for_a_write_and_to_go_on_with_the_file_as_it_is_loses_nothing(
    file: WatchedFile, path: Path, writer: Engine
) -> None:
    """The kernel tells no difference: findings/touch_m_is_a_write.sh. The sentences say what to do then."""
    fold(writer)
    count_up(writer)
    assert file.trouble() is None
    subprocess.run(["touch", "-m", path], check=True)
    assert "limiter.db was written" in (file.trouble() or "")
    file.mark_spoiled()
    file.close()
    writer.dispose()
    with pytest.raises(StoreError, match="nothing is lost, if it was only a `touch -m`"):
        open_writer(f"sqlite:///{path}")
    path.with_name("limiter.db.spoiled").unlink()
    open_writer(f"sqlite:///{path}").dispose()
    assert next_number(path) == 43


def test_a_write_that_is_seen_while_a_checkpoint_ends_is_not_forgotten(
    file: WatchedFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the kernel said is read once: where that look comes to no end, the next one has to know."""
    write_the_same_size(path)
    with monkeypatch.context() as patch:
        patch.setattr(wal_index, "progress", lambda _index: None)
        assert file.written_over() is None
    assert "limiter.db was written" in (file.written_over() or "")


def test_where_the_kernel_watches_nothing_every_change_of_the_time_is_taken_for_a_write(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watch = WriteWatch(-1)
    assert "writes_not_watched" in caplog.text
    assert watch.written() and watch.written()
    watch.close()


def test_a_write_is_told_once(path: Path) -> None:
    path.touch()
    with path.open("r+b") as file:
        watch = WriteWatch(file.fileno())
        assert not watch.written()
        path.write_bytes(b"x")
        path.write_bytes(b"y")
        path.unlink()
        assert (watch.written(), watch.written()) == (True, False)
        watch.close()


def test_after_the_limiter_the_log_is_not_folded_into_what_others_wrote(
    file: WatchedFile, path: Path, writer: Engine
) -> None:
    shutil.copyfile(path, path.with_name("old.db"))
    fold(writer)
    count_up(writer)
    assert file.trouble() is None
    time.sleep(TICK_SECONDS)
    put_old_content(path)
    assert file.trouble() is not None
    file.close()
    writer.dispose()
    assert path.read_bytes() == path.with_name("old.db").read_bytes()


def test_the_next_start_refuses_what_others_wrote_into(file: WatchedFile, path: Path, writer: Engine) -> None:
    file.spoiled = "limiter.db was written over"
    file.mark_spoiled()
    file.spoiled = None
    writer.dispose()
    with pytest.raises(StoreError, match=r"limiter.db.spoiled says when.*limiter restore BACKUP"):
        open_writer(f"sqlite:///{path}")
    path.with_name("limiter.db.spoiled").unlink()
    open_writer(f"sqlite:///{path}").dispose()


STEPS = st.sampled_from(["commit", "many", "fold", "passive", "look", "read", "cut", "touch"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=5, max_size=30))
def test_what_sqlite_does_by_itself_is_never_taken_for_others(
    file: WatchedFile, path: Path, writer: Engine, steps: list[str]
) -> None:
    """Commits, checkpoints of every kind, with readers that hold them up, a file that shrinks: in any
    order, and a touch between."""
    readers = []
    for step in steps:
        if step == "read":
            reader = sqlite3.connect(path)
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM fleet").fetchall()
            readers.append(reader)
        elif step == "touch":
            touch(path)
        elif step == "look":
            assert file.trouble() is None
        elif step == "cut":
            for reader in readers:
                reader.close()
            readers.clear()
            with writer.begin() as tx:
                for _ in range(50):  # a page each
                    tx.exec_driver_sql("PRAGMA incremental_vacuum(1)")
        elif step == "many":
            with writer.begin() as tx:  # and back: pages that are free then
                rows = [{"id": f"n{n}", "at": n, "text": "x" * 3000, "author": "a", "created_at": n} for n in range(99)]
                tx.execute(schema.notes.insert(), rows)
                tx.execute(schema.notes.delete())
        elif step == "commit":
            count_up(writer)
            assert file.written_over() is None
        else:
            fold(writer, "TRUNCATE" if step == "fold" else "PASSIVE")
    assert file.trouble() is None
    for reader in readers:
        reader.close()


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
    "trace",
    [
        "admin.key", "limiter.db.ballast", "limiter.db.audit-head", "backups/limiter-20260101T000000Z.db",
        "limiter.db.rescued-20260101T000000Z",
    ],
)  # fmt: skip
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


def test_a_link_to_a_database_that_is_gone_is_no_other_database(tmp_path: Path) -> None:
    """Its disk is not there: the key beside the link alone tells of it."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "limiter.db").symlink_to(tmp_path / "disk" / "limiter.db")
    (tmp_path / "admin.key").touch()
    with pytest.raises(StoreError, match="--new"):
        refuse_lost(f"sqlite:///{tmp_path}/limiter.db", "")


def test_the_newest_copy_is_named_be_it_a_backup_or_what_was_saved(path: Path) -> None:
    saved = path.with_name("limiter.db.rescued-20260105T000000Z")
    backups = path.parent / "backups"
    backups.mkdir()
    for left in (saved, saved.with_name(saved.name + ".partial"), backups / "limiter-20260101T000000Z.db"):
        left.touch()
    with pytest.raises(StoreError, match=f"restore {saved}`"):
        refuse_lost(f"sqlite:///{path}", "")
    (backups / "limiter-20260601T000000Z.db").touch()
    with pytest.raises(StoreError, match="limiter-20260601T000000Z"):
        refuse_lost(f"sqlite:///{path}", "")


def test_a_key_beside_another_database_is_no_trace(path: Path) -> None:
    path.with_name("admin.key").touch()
    path.with_name("other.db").touch()
    refuse_lost(f"sqlite:///{path}", "")
