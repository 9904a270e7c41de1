"""The door where rows become a DataFrame, and where the database is."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from limiter import config
from limiter.console import data
from limiter.console.data import as_table
from limiter.store.engine import open_writer
from limiter.store.location import StoreError


@dataclass(frozen=True)
class Made:
    at: int
    bots: float


def test_instants_are_aware_and_utc() -> None:
    found = as_table([Made(1_795_262_400_250, 1.5)])
    assert str(found["at"].dt.tz) == "UTC"
    assert found["at"][0].to_pydatetime() == datetime.fromtimestamp(1_795_262_400.25, UTC)


def test_rows_of_a_query_keep_their_names_and_types() -> None:
    with create_engine("sqlite://").connect() as tx:
        found = as_table(tx.execute(text("SELECT 1 AS n, 'é' AS user, 0.5 AS mean")))
    assert found.to_dict("records") == [{"n": 1, "user": "é", "mean": 0.5}]


def test_whole_numbers_stay_whole_beside_none_and_a_missing_name_is_empty() -> None:
    found = as_table([{"n": 1, "x": 0.5}, {"n": None}])
    assert str(found["n"].dtype) == "Int64" and found["n"].isna().to_list() == [False, True]
    assert found["x"].isna().to_list() == [False, True]


def test_nothing_is_an_empty_table() -> None:
    assert as_table([]).empty and as_table(iter(())).empty


def database(path: Path, users: int) -> Path:
    """A database whose fleet counts so many."""
    engine: Engine = open_writer(f"sqlite:///{path}")
    with engine.begin() as tx:
        tx.execute(text("UPDATE fleet SET next_number = :n"), {"n": users})
    engine.dispose()
    return path


def test_another_file_in_the_place_of_the_database_or_of_its_link_is_read_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> int:
        found: int = data.read(lambda tx: tx.execute(text("SELECT next_number FROM fleet")).scalar_one())
        return found

    link = tmp_path / "link.db"
    settings = config.read({"LIMITER_DATABASE_URL": f"sqlite:///{link}"})
    monkeypatch.setattr(data, "settings", lambda: settings)
    with pytest.raises(StoreError, match="does not exist"):
        read()
    link.symlink_to(database(tmp_path / "one.db", 11))
    assert read() == 11
    database(tmp_path / "two.db", 22).rename(tmp_path / "one.db")
    assert read() == 22
    link.unlink()
    link.symlink_to(database(tmp_path / "three.db", 33))
    assert read() == 33
