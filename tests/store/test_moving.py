"""From a file to PostgreSQL: every row arrives, and what the API and the console read there is what they read here."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from limiter import config, demo, upkeep
from limiter.store import analysis, expiring, incidents, moving, reader, schema, usage
from limiter.store import limits as stored_limits
from limiter.store.engine import StoreError, open_reader, open_writer, reading
from tests.conftest import new_database

pytestmark = pytest.mark.postgres
HOUR, DAY = 3_600_000, 86_400_000
NOW = 1_767_268_800_000 + 20 * DAY  # the end of the history, in UTC milliseconds


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Engine]]:
    """A week of history in a file, and the same on PostgreSQL: readers of both."""
    path = tmp_path_factory.mktemp("moving") / "limiter.db"
    demo.fill(f"sqlite:///{path}", config.read({}), seed=1, weeks=1, until=NOW, bots=50)
    target = new_database()
    moved = upkeep.move(config.read({"LIMITER_DATABASE_URL": f"sqlite:///{path}"}), target)
    assert moved["ended_sessions"] > 1000 and moved["trades"] > 1000
    engines = open_reader(f"sqlite:///{path}"), open_reader(target)
    yield engines
    for engine in engines:
        engine.dispose()


def test_every_row_of_every_table_is_there(both: tuple[Engine, Engine]) -> None:
    for table in schema.metadata.sorted_tables:
        if table not in moving.OWN:
            here, there = (
                sorted(map(repr, run(engine, lambda tx, table=table: tx.execute(select(table)).all())))  # type: ignore[misc]
                for engine in both
            )
            assert here == there, table.name


def run(engine: Engine, read: Callable[[Connection], Any]) -> Any:
    with reading(engine, 60) as tx:
        return read(tx)


def plain(found: Any) -> Any:
    """Values alone, in an order of their own where the read promises none."""
    if isinstance(found, dict):
        return {key: plain(value) for key, value in found.items()}
    if hasattr(found, "_asdict"):
        return {name: plain(value) for name, value in found._asdict().items()}
    if isinstance(found, float):
        return pytest.approx(found)
    if isinstance(found, (list, tuple)):
        return [plain(one) for one in found]
    return found


HOURS = [NOW - n * HOUR - NOW % HOUR for n in range(2, 40, 7)]
READS: dict[str, Callable[[Connection], Any]] = {
    "reader.keys": reader.keys,
    "reader.ended_sessions": lambda tx: reader.ended_sessions(tx, None, None, 50),
    "reader.refusals": lambda tx: reader.refusals(tx, reason="user_limit", since=NOW - 3 * DAY),
    "reader.limit_versions": lambda tx: reader.limit_versions(tx, since=NOW - 5 * DAY),
    "reader.audit": reader.audit,
    "reader.notes": lambda tx: reader.notes(tx, NOW - 7 * DAY, NOW),
    "reader.history, raw": lambda tx: reader.history(tx, NOW - HOUR, NOW, 5_000),
    "reader.history, minutes": lambda tx: reader.history(tx, NOW - DAY, NOW, 60_000),
    "reader.history, hours": lambda tx: reader.history(tx, NOW - 7 * DAY, NOW, HOUR),
    "reader.demands": lambda tx: sorted(map(repr, reader.demands(tx, NOW - DAY)[0])),
    "reader.busy_days": lambda tx: reader.busy_days(tx, NOW),
    "analysis.bounds": analysis.bounds,
    "analysis.series, an hour": lambda tx: vars_of(analysis.series(tx, NOW - HOUR, NOW)),
    "analysis.series, a day": lambda tx: vars_of(analysis.series(tx, NOW - DAY, NOW)),
    "analysis.series, a week": lambda tx: vars_of(analysis.series(tx, NOW - 7 * DAY, NOW)),
    "analysis.load": lambda tx: vars_of(analysis.load(tx, NOW - 2 * DAY, NOW)),
    "analysis.newest": analysis.newest,
    "analysis.active_sessions": lambda tx: analysis.active_sessions(tx, "u"),
    "analysis.count_ended": analysis.count_ended,
    "analysis.ended_sessions": lambda tx: analysis.ended_sessions(tx, "", 20, 30),
    "analysis.refusals": lambda tx: [row.request_id for row in analysis.refusals(tx, "", "user_limit", 0, 30)],
    "analysis.count_refusals": lambda tx: analysis.count_refusals(tx, "", ""),
    "analysis.refused_users": lambda tx: analysis.refused_users(tx, NOW - DAY),
    "limits.read": lambda tx: sorted(map(repr, stored_limits.read(tx).settings.items())),  # type: ignore[union-attr]
    "limits.overrides": lambda tx: repr(stored_limits.overrides(tx)),
    "analysis.limit_changes": lambda tx: analysis.limit_changes(tx, NOW - 7 * DAY, NOW),
    "analysis.hours": lambda tx: analysis.hours(tx, NOW - 7 * DAY, NOW),
    "analysis.durations": lambda tx: sorted(map(repr, analysis.durations(tx, NOW - 2 * DAY))),
    "analysis.durations, within": lambda tx: sorted(map(repr, analysis.durations(tx, 0, HOURS))),
    "analysis.top_users": lambda tx: [row.slot_ms for row in analysis.top_users(tx, NOW - 7 * DAY)],
    "analysis.top_users, within": lambda tx: [row.slot_ms for row in analysis.top_users(tx, 0, HOURS)],
    "analysis.trade_days": lambda tx: analysis.trade_days(tx, "2026-01-01"),
    "analysis.tables": analysis.tables,
    "analysis.schema_step": analysis.schema_step,
    "analysis.lost_sessions": lambda tx: len(analysis.lost_sessions(tx, 20)),
    "analysis.silent_since": analysis.silent_since,
    "analysis.last_token": analysis.last_token,
    "analysis.highest": analysis.highest,
    "analysis.last_full": analysis.last_full,
    "analysis.paused": analysis.paused,
    "analysis.coming_step": analysis.coming_step,
    "analysis.unattended": analysis.unattended,
    "incidents.incidents": lambda tx: repr(incidents.incidents(tx, since=NOW - 5 * DAY)),
    "incidents.deliveries": lambda tx: repr(incidents.deliveries(tx, [1, 2, 3])),
    "incidents.changes": lambda tx: incidents.changes(tx, NOW - 7 * DAY, NOW),
    "usage.due": lambda tx: repr(usage.due(tx, NOW)),
    "expiring.count": lambda tx: [expiring.count(tx, kept, 1, NOW) for kept in expiring._AGED],
}


def vars_of(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__slots__}


@pytest.mark.parametrize("name", READS)
def test_what_is_read_is_the_same(both: tuple[Engine, Engine], name: str) -> None:
    here, there = (plain(run(engine, READS[name])) for engine in both)
    assert there == here


def test_the_size_is_told_of_both(both: tuple[Engine, Engine]) -> None:
    assert all(1e6 < run(engine, analysis.size_bytes) < 1e9 for engine in both)


def test_a_target_that_was_used_is_refused(both: tuple[Engine, Engine]) -> None:
    source, used = both
    target = open_writer(used.url.render_as_string(hide_password=False))
    try:
        with pytest.raises(StoreError, match="name an empty database"):
            moving.move(source, target)
    finally:
        target.dispose()


def test_a_reader_cannot_write(both: tuple[Engine, Engine]) -> None:
    with pytest.raises(Exception, match="read-only"), reading(both[1]) as tx:
        tx.execute(schema.fleet.update().values(active=0))


def test_the_audit_only_grows(both: tuple[Engine, Engine]) -> None:
    target = open_writer(both[1].url.render_as_string(hide_password=False))
    try:
        for statement in (schema.audit.delete(), schema.audit.update().values(actor="nobody")):
            with pytest.raises(Exception, match="the audit only grows"), target.begin() as tx:
                tx.execute(statement)
    finally:
        target.dispose()
