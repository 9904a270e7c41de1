"""From a file to PostgreSQL: every row arrives, and what the API and the console read there is what they read here."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, select

from limiter import config, demo, maintenance
from limiter.store import copy_to_postgres, read, retention, schema, usage
from limiter.store.engine import open_reader, open_writer, reading
from limiter.store.location import StoreError
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
    moved = maintenance.move(config.read({"LIMITER_DATABASE_URL": f"sqlite:///{path}"}), target)
    assert moved["ended_sessions"] > 1000 and moved["trades"] > 1000
    engines = open_reader(f"sqlite:///{path}"), open_reader(target)
    yield engines
    for engine in engines:
        engine.dispose()


@pytest.mark.timeout(300)  # the week of history is made for it, and moved
def test_every_row_of_every_table_is_there(both: tuple[Engine, Engine]) -> None:
    for table in schema.metadata.sorted_tables:
        if table not in copy_to_postgres.OWN:
            here, there = (
                sorted(map(repr, run(engine, lambda tx, table=table: tx.execute(select(table)).all())))  # type: ignore[misc]
                for engine in both
            )
            assert here == there, table.name


def run(engine: Engine, query: Callable[[Connection], Any]) -> Any:
    with reading(engine, 60) as tx:
        return query(tx)


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


DAY_NAME = f"{datetime.fromtimestamp((NOW - HOUR) / 1000, UTC):%Y-%m-%d}"
HOURS = [NOW - n * HOUR - NOW % HOUR for n in range(2, 40, 7)]
READS: dict[str, Callable[[Connection], Any]] = {
    "read.keys.keys": read.keys.keys,
    "read.sessions.ended": read.sessions.ended,
    "read.refusals.refusals": lambda tx: read.refusals.refusals(tx, reason="user_limit", since=NOW - 3 * DAY),
    "read.limits.versions": lambda tx: read.limits.versions(tx, since=NOW - 5 * DAY),
    "read.audit.entries": read.audit.entries,
    "read.audit.notes": lambda tx: read.audit.notes(tx, NOW - 7 * DAY, NOW),
    "read.history.series, raw": lambda tx: vars_of(read.history.series(tx, NOW - HOUR, NOW, 5)),
    "read.history.series, minutes": lambda tx: vars_of(read.history.series(tx, NOW - DAY, NOW, 60)),
    "read.history.series, hours": lambda tx: vars_of(read.history.series(tx, NOW - 7 * DAY, NOW, 3600)),
    "read.demands.demands": lambda tx: sorted(map(repr, read.demands.demands(tx, NOW - DAY)[0])),
    "read.box_use.busy_days": lambda tx: read.box_use.busy_days(tx, NOW),
    "read.history.bounds": read.history.bounds,
    "read.history.series, an hour": lambda tx: vars_of(read.history.series(tx, NOW - HOUR, NOW)),
    "read.history.series, a day": lambda tx: vars_of(read.history.series(tx, NOW - DAY, NOW)),
    "read.history.series, a week": lambda tx: vars_of(read.history.series(tx, NOW - 7 * DAY, NOW)),
    "read.history.load": lambda tx: vars_of(read.history.load(tx, NOW - 2 * DAY, NOW)),
    "read.history.newest": read.history.newest,
    "read.sessions.active": lambda tx: read.sessions.active(tx, "u"),
    "read.sessions.count_ended": read.sessions.count_ended,
    "read.sessions.ended, a page": lambda tx: read.sessions.ended(tx, limit=30, offset=20),
    "read.refusals.refusals, a page": lambda tx: read.refusals.refusals(tx, reason="user_limit", limit=30, offset=30),
    "read.refusals.count": read.refusals.count,
    "read.refusals.refused_users": lambda tx: read.refusals.refused_users(tx, NOW - DAY),
    "read.limits.read": lambda tx: sorted(map(repr, read.limits.read(tx).settings.items())),  # type: ignore[union-attr]
    "read.limits.overrides": lambda tx: repr(read.limits.overrides(tx)),
    "read.limits.changes_of": lambda tx: read.limits.changes_of(tx, NOW - 7 * DAY, NOW),
    "read.limits.course": lambda tx: read.limits.course(tx, NOW - 7 * DAY, NOW),
    "read.history.hours": lambda tx: read.history.hours(tx, NOW - 7 * DAY, NOW),
    "read.history.hours, half an hour off": lambda tx: read.history.hours(tx, NOW - 7 * DAY, NOW, 30 * 60_000),
    "read.history.refused_by_hour": lambda tx: read.history.refused_by_hour(tx, NOW - 7 * DAY, NOW),
    "read.limits.moved": lambda tx: read.limits.moved(tx, NOW - 7 * DAY, NOW, HOUR),
    "read.limit_use.of_hours": lambda tx: [
        use._asdict() for use in read.limit_use.of_hours(tx, read.history.hours(tx, NOW - 7 * DAY, NOW))
    ],
    "read.sessions.of_length": lambda tx: read.sessions.of_length(tx, NOW - 2 * DAY, (1800, 7200), 20),
    "read.sessions.durations": lambda tx: sorted(map(repr, read.sessions.durations(tx, NOW - 2 * DAY))),
    "read.sessions.durations, within": lambda tx: sorted(map(repr, read.sessions.durations(tx, 0, HOURS))),
    "read.usage.top_users": lambda tx: [row.slot_ms for row in read.usage.top_users(tx, NOW - 7 * DAY, NOW)],
    "read.usage.top_users, within": lambda tx: [row.slot_ms for row in read.usage.top_users(tx, 0, NOW, HOURS)],
    "read.usage.top_users, half an hour off": lambda tx: read.usage.top_users(
        tx, 0, NOW, [NOW - NOW % HOUR - HOUR // 2]
    ),
    "read.usage.rates": lambda tx: read.usage.rates(tx, NOW // 1000),
    "read.usage.rates_of_day": lambda tx: sorted(read.usage.rates_of_day(tx, DAY_NAME).items()),
    "read.usage.trades_by_user": lambda tx: read.usage.trades_by_user(tx, DAY_NAME, NOW - DAY, NOW),
    "read.usage.is_told": read.usage.is_told,
    "read.sessions.idle": lambda tx: read.sessions.idle(tx, NOW - HOUR, "u"),
    "read.box_use.days_of_use": lambda tx: repr(read.box_use.days_of_use(tx, NOW)),
    "read.box_use.busy_hours": lambda tx: repr(read.box_use.busy_hours(tx, NOW)),
    "read.box_use.lag": lambda tx: repr(read.box_use.lag(tx, NOW, fed=True)),
    "read.instant.drained": lambda tx: read.instant.drained(tx, NOW),
    "read.usage.trade_days": lambda tx: read.usage.trade_days(tx, "2026-01-01"),
    "read.database.tables": read.database.tables,
    "read.database.schema_step": read.database.schema_step,
    "read.sessions.lost": lambda tx: len(read.sessions.lost(tx, 20)),
    "read.sessions.silent_since": lambda tx: read.sessions.silent_since(tx, NOW + DAY),
    "read.history.highest": read.history.highest,
    "read.history.last_full": read.history.last_full,
    "read.limits.paused": read.limits.paused,
    "read.limits.coming_step": read.limits.coming_step,
    "read.incidents.unattended": read.incidents.unattended,
    "read.incidents.incidents": lambda tx: repr(read.incidents.incidents(tx, since=NOW - 5 * DAY)),
    "read.incidents.deliveries": lambda tx: repr(read.incidents.deliveries(tx, [1, 2, 3])),
    "usage.due": lambda tx: repr(usage.due(tx, NOW)),
    "retention.count": lambda tx: [retention.count(tx, kept, 1, NOW) for kept in retention._AGED],
    "retention.count, about": lambda tx: [
        retention._about(tx, *of, NOW - 3 * DAY) for of in retention._NUMBERED.values()
    ],
}


def vars_of(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__slots__}


@pytest.mark.parametrize("name", READS)
def test_what_is_read_is_the_same(both: tuple[Engine, Engine], name: str) -> None:
    here, there = (plain(run(engine, READS[name])) for engine in both)
    assert there == here


def test_the_size_is_told_of_both(both: tuple[Engine, Engine]) -> None:
    assert all(1e6 < run(engine, read.database.size_bytes) < 1e9 for engine in both)


def test_a_target_that_was_used_is_refused(both: tuple[Engine, Engine]) -> None:
    source, used = both
    target = open_writer(used.url.render_as_string(hide_password=False))
    try:
        with pytest.raises(StoreError, match="name an empty database"):
            copy_to_postgres.move(source, target)
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
