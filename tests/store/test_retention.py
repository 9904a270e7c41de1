"""The rows that are counted are the rows that the slices delete."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, Text, text

from limiter.store import retention, schema
from limiter.store.engine import open_writer
from limiter.store.retention import Retention, trims
from limiter.units import DAY_MS

NOW = 1_790_000_000_000
TABLES = (
    "snapshots",
    "refusal_counts",
    "refusals",
    "ended_sessions",
    "trades",
    "usage_hours",
    "usage_days",
    "trade_days",
    "rate_days",
)
ROWS = 40  # of each table: one a day, the newest today


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with a row a day in each table that retention trims."""
    engine = open_writer(f"sqlite:///{tmp_path / 'limiter.db'}")
    with engine.begin() as tx:
        for n in range(1, ROWS + 1):
            at = NOW - (ROWS - n) * DAY_MS - 1000
            aged: dict[str, dict[str, object]] = {
                "snapshots": {"step": 60, "at": at},
                "refusal_counts": {"step": 60, "at": at},
                "refusals": {"id": n, "at": at},
                "ended_sessions": {"number": n, "ended_at": at},
                "trades": {"id": n, "trade_id": str(n), "at": at},
                "usage_hours": {"at": at},
                "usage_days": {"at": at - at % DAY_MS},
                "trade_days": {"day": f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"},
                "rate_days": {"day": f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"},
            }
            for table, values in aged.items():
                asked = [row.name for row in tx.execute(text(f"PRAGMA table_info({table})")) if row.notnull]
                row = {**dict.fromkeys(asked, 0), **values}
                names = ", ".join(row)
                tx.execute(text(f"INSERT INTO {table} ({names}) VALUES (:{', :'.join(row)})"), row)
    yield engine
    engine.dispose()


def rows(engine: Engine) -> int:
    """Of all those tables."""
    with engine.begin() as tx:
        return sum(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in TABLES)


@pytest.mark.parametrize(
    ("kept", "keep"),
    [
        ("raw_hours", 1), ("minutes_days", 10), ("refusals_days", 10), ("refusals_rows", 7), ("sessions_days", 10),
        ("trades_days", 39), ("usage_days", 10), ("sessions_days", 400),
    ],
)  # fmt: skip
def test_what_is_counted_is_what_goes(engine: Engine, kept: str, keep: int) -> None:
    with engine.begin() as tx:
        counted = retention.count(tx, kept, keep, NOW)
    before = rows(engine)
    kept_for = replace(Retention(400 * 24, 400, 400, 1000, 400, 400, 400), **{kept: keep})
    with engine.begin() as tx:
        for trim, bound in zip(trims(), kept_for.bounds(NOW, ROWS + 1), strict=True):
            tx.execute(trim, {"since": "" if isinstance(bound, str) else 0, "before": bound, "most": 100})
    assert counted == before - rows(engine)
    assert bool(counted) == (kept != "raw_hours" and keep < 400)


@pytest.mark.parametrize("kept", ["sessions_days", "trades_days", "refusals_days"])
def test_of_more_rows_than_are_counted_it_is_told_about_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """Where bots run for minutes and for weeks, and older rows went before."""
    table, number, age = retention._NUMBERED[kept]
    engine = open_writer(f"sqlite:///{tmp_path / 'limiter.db'}")
    lasted = itertools.cycle((60_000, 3_600_000, 20 * 3_600_000, 600_000, 40_000, 9 * DAY_MS))
    ages = [NOW - (4000 - n) * DAY_MS // 50 + (next(lasted) if age == "ended_at" else 0) for n in range(4000)]
    with engine.begin() as tx:
        columns = [column for column in schema.metadata.tables[table].c if not column.nullable]
        row = {column.name: "" if isinstance(column.type, Text) else 0 for column in columns}
        there = [
            row | {number: n, age: at} | ({"trade_id": str(n)} if table == "trades" else {})
            for n, at in enumerate(ages)
            if at >= NOW - 70 * DAY_MS
        ]
        tx.execute(schema.metadata.tables[table].insert(), there)
        exact = {keep: retention.count(tx, kept, keep, NOW) for keep in (40, 20, 5, 1)}
        monkeypatch.setattr(retention, "MOST", 500)
        about = {keep: retention.count(tx, kept, keep, NOW) for keep in exact}
        assert retention.count(tx, kept, 68, NOW) < 500, "counted"
    engine.dispose()
    assert min(exact.values()) > 1000 and about == pytest.approx(exact, rel=0.05, abs=60)
