"""Every file that must not be taken for ours as we left it is refused with a sentence, and nothing is written to it."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from limiter.store import schema
from limiter.store.engine import open_writer
from limiter.store.location import StoreError


def damage(path: Path, at: int, data: bytes) -> None:
    """Overwrites some bytes."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def cut(path: Path, size: int) -> None:
    """Leaves the first bytes of the file."""
    os.truncate(path, size)


def foreign(path: Path) -> None:
    """Another program's database in its place."""
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE accounts (id INTEGER)")
    connection.close()


def empty_beside_wal(path: Path) -> None:
    """An empty file and the -wal file that a killed process left."""
    cut(path, 0)
    path.with_name(path.name + "-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(28))


def gone_beside_wal(path: Path) -> None:
    """No file, and the -wal file that a killed process left."""
    empty_beside_wal(path)
    path.unlink()


def run(path: Path, *statements: str) -> None:
    """Statements on the file, by hand."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "emptied": (lambda path: cut(path, 0), "is empty"),
    "emptied beside its WAL": (empty_beside_wal, "is empty but its -wal file is there"),
    "gone beside its WAL": (gone_beside_wal, "is gone but its -wal file is there"),
    "a text": (lambda path: path.write_text("MAX_CONCURRENT_BOTS=200\n" * 500), "damaged or not a SQLite database"),
    "cut to its header": (lambda path: cut(path, 100), "damaged|empty"),
    "cut in half": (lambda path: cut(path, path.stat().st_size // 2), "damaged"),
    "without its last page": (lambda path: cut(path, path.stat().st_size - 4096), "damaged"),
    "with a smashed header": (lambda path: damage(path, 0, b"x" * 100), "damaged or not a SQLite database"),
    "with a smashed schema": (lambda path: damage(path, 100, b"\xff" * 400), "damaged"),
    "with a smashed page": (lambda path: damage(path, 3 * 4096, b"\xff" * 4096), "damaged"),
    "of another program": (foreign, "of another program"),
    "with another application id": (lambda path: run(path, "PRAGMA application_id = 7"), "of another program"),
    "of a newer program": (lambda path: run(path, "PRAGMA user_version = 99"), "newer than this program"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_is_not_ours_as_we_left_it_is_refused_with_a_sentence(url: str, path: Path, kind: str) -> None:
    open_writer(url).dispose()
    spoil, sentence = BROKEN[kind]
    spoil(path)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(StoreError, match=sentence) as error:
        open_writer(url)
    assert str(path) in str(error.value)
    assert (path.read_bytes() if path.exists() else None) == before, "nothing was written to it"


def test_a_database_of_ours_without_its_tables_is_refused(url: str, path: Path) -> None:
    path.parent.mkdir()
    run(path, f"PRAGMA application_id = {schema.APPLICATION_ID}", "PRAGMA user_version = 1")
    with pytest.raises(StoreError, match="lost its tables"):
        open_writer(url)


def test_a_folder_in_its_place_is_refused(url: str, path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match="is a folder"):
        open_writer(url)


def test_a_network_file_system_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = f"disk / ext4 rw 0 0\nhost:/share {tmp_path}/share nfs4 rw 0 0\n"
    read_text = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, *a: mounts if str(self) == "/proc/mounts" else read_text(self, *a)
    )
    with pytest.raises(StoreError, match="network file system"):
        open_writer(f"sqlite:///{tmp_path}/share/limiter.db")
    open_writer(f"sqlite:///{tmp_path}/local/limiter.db").dispose()
