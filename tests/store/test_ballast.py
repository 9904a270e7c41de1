"""Room set aside on the disk. What it is worth on a disk that is really full: tests/faults."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from limiter.store.ballast import MOST, SHARE, START_BYTES, Ballast

MIB = 1024**2


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database will be."""
    return tmp_path / "data" / "limiter.db"


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """`room(n)`: the disk says that n bytes are free."""

    def say(free: int) -> None:
        monkeypatch.setattr(psutil, "disk_usage", lambda path: SimpleNamespace(free=free))

    yield say


def taken(ballast: Ballast) -> int:
    """Bytes that are really taken on the disk; a hole takes none."""
    return ballast.path.stat().st_blocks * 512 if ballast.path.exists() else 0


def test_it_takes_room_for_its_owner_alone_before_the_database_is_there(database: Path) -> None:
    ballast = Ballast(database)
    ballast.take()
    assert taken(ballast) >= MOST
    assert not ballast.given_up
    assert ballast.path.stat().st_mode & 0o077 == 0
    assert ballast.path.parent.stat().st_mode & 0o077 == 0


def test_a_small_disk_is_left_to_the_database(database: Path, room: Callable[[int], None]) -> None:
    room(8 * MIB)
    ballast = Ballast(database)
    ballast.take()
    assert ballast.path.stat().st_size == 8 * MIB // SHARE


def test_given_up_it_is_put_back_where_there_is_twice_the_room(database: Path, room: Callable[[int], None]) -> None:
    room(8 * MIB)
    ballast = Ballast(database)
    ballast.take()
    ballast.give_up()
    assert (ballast.given_up, taken(ballast)) == (True, 0)
    room(4 * MIB - 512)
    assert not ballast.put_back()
    assert (ballast.given_up, taken(ballast)) == (True, 0)
    room(4 * MIB)
    assert ballast.put_back()
    assert not ballast.given_up
    assert ballast.path.stat().st_size == 2 * MIB
    ballast.give_up()
    room(1024 * MIB)
    assert ballast.put_back()
    assert ballast.path.stat().st_size == MOST, "on a disk with much more room it grows"


def test_a_start_on_a_full_disk_gives_it_up_at_once(database: Path, room: Callable[[int], None]) -> None:
    Ballast(database).take()
    room(START_BYTES - 512)
    again = Ballast(database)
    again.take()
    assert (again.given_up, taken(again)) == (True, 0)


def test_a_start_takes_what_was_left_as_it_is(database: Path, room: Callable[[int], None]) -> None:
    room(8 * MIB)
    Ballast(database).take()
    room(2 * MIB)
    again = Ballast(database)
    again.take()
    assert not again.given_up
    assert again.path.stat().st_size == 2 * MIB


def test_a_disk_that_promises_room_and_has_none_is_no_failure(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    ballast = Ballast(database)
    ballast.take()
    assert not ballast.path.exists()
    ballast.give_up()
    assert not ballast.put_back()
    assert ballast.given_up
