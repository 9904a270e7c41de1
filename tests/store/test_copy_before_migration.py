"""A database is copied before it is migrated, and not migrated where it cannot be."""

from pathlib import Path

import pytest

from limiter.store import backup, engine
from limiter.store.backup import copy, copy_before_migration
from limiter.store.engine import open_writer
from limiter.store.location import StoreError
from limiter.store.migrations import MIGRATIONS
from limiter.store.open import writer_of


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of the schema as it is, which the next program will migrate."""
    path = tmp_path / "limiter.db"
    writer_of(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def later(old: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of that database, seen by a program that has one migration more."""
    more = (*MIGRATIONS, ("later", lambda tx, _: tx.exec_driver_sql("CREATE TABLE fruit (id INTEGER)")))
    for module in (engine, backup):
        monkeypatch.setattr(module, "MIGRATIONS", more)
    return f"sqlite:///{old}"


def test_the_copy_has_the_old_schema_and_the_program_before_opens_it(
    later: str, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer_of(later).close()
    made = old.with_name(f"limiter.db.schema-{len(MIGRATIONS)}")
    monkeypatch.undo()
    with pytest.raises(StoreError, match="newer than this program"):
        open_writer(later)
    open_writer(f"sqlite:///{made}").dispose()


def test_a_database_that_is_new_or_up_to_date_or_of_others_is_not_copied(old: Path, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database at all, but long enough to look like one" * 20)
    for name in (old.name, "none.db", "text.db"):
        assert copy_before_migration(f"sqlite:///{tmp_path / name}") is None
    assert copy_before_migration("postgresql://localhost/none") is None


def test_without_a_copy_nothing_is_migrated(later: str, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = size(old)
    old.with_name(f"limiter.db.schema-{len(MIGRATIONS)}").mkdir()  # stands in the copy's way
    with pytest.raises(StoreError, match="nothing is migrated"):
        writer_of(later)
    monkeypatch.undo()
    open_writer(later).dispose()  # it still has the old schema
    assert size(old) == before


def size(path: Path) -> int:
    """The size of the database's copy: of its rows, and not of its file."""
    return copy(path, path.with_name("measure.db"))
