"""The door where rows become a DataFrame."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import create_engine, text

from limiter.console.data import as_table


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
