"""The steps that bring a database from nothing, or from an older program, to the tables of schema.py.

Each is one transaction. What a step makes is said there, at the table, column or index; here is the order, and what a
step does to rows that are there already.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Connection, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable

from limiter.store import schema
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, RAW_STEP, step_of
from limiter.units import DAY_MS


@compiles(CreateColumn)
def _create_column(element: CreateColumn, compiler: Any, **options: Any) -> Any:
    """A table is made as its own step made it; what later steps brought is added by them."""
    column: Column[Any] = element.element
    later = step_of(column) > step_of(column.table)
    return None if later else compiler.visit_create_column(element, **options)


def _make(tx: Connection, step: int) -> None:
    """The tables, columns and indexes that this step brought."""
    compiler: Any = tx.dialect.ddl_compiler(tx.dialect, None)  # type: ignore[arg-type]  # as Alembic makes one
    for table in schema.metadata.sorted_tables:
        if step_of(table) == step:
            tx.execute(CreateTable(table))
        for column in table.c:
            if step_of(table) < step_of(column) == step:
                described = compiler.get_column_specification(column)
                tx.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {described}"))
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            if step_of(index) == step:
                index.create(tx)


def _show_sessions(tx: Connection, step: int) -> None:
    """The view of live and ended sessions, with the columns that there are after this step."""
    names = ", ".join(column.name for column in schema.active_sessions.c if step_of(column) <= step)
    tx.execute(text("DROP VIEW IF EXISTS sessions"))
    tx.execute(
        text(
            f"CREATE VIEW sessions AS SELECT {names}, NULL AS ended_at, NULL AS ended_reason FROM active_sessions"
            f" UNION ALL SELECT {names}, ended_at, ended_reason FROM ended_sessions"
        )
    )


def _make_and_show(tx: Connection, step: int) -> None:
    """What this step brought, some of it in sessions."""
    _make(tx, step)
    _show_sessions(tx, step)


_AUDIT_ONLY_GROWS = {
    "sqlite": [
        f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit"
        " BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END"
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'the audit only grows'; END $$",
        "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()",
    ],
}


def _first(tx: Connection, step: int) -> None:
    _make_and_show(tx, step)
    tx.execute(text("CREATE INDEX ended_sessions_user ON ended_sessions (user_id, number)"))  # until step 17
    tx.execute(schema.fleet.insert().values(id=1, active=0, next_number=1, paused=0))
    for statement in _AUDIT_ONLY_GROWS[tx.dialect.name]:
        tx.execute(text(statement))


def _facts_of_incidents(tx: Connection, step: int) -> None:
    _make(tx, step)
    # They were sentences: the job decides a held step anew within seconds.
    tx.execute(schema.plan_steps.update().values(held_by=None))


_SAMPLED_MS = f"(CASE WHEN n * {RAW_STEP} < step THEN n * {RAW_STEP * 1000} ELSE step * 1000 END)"
_FROM_NARROWER = (
    "UPDATE snapshots SET low_ms = f.low, healthy_ms = f.healthy, warning_ms = f.warning, full_ms = f.filled FROM"
    " (SELECT at - at % ({wide} * 1000) AS first, sum(n) AS n, sum(low_ms) AS low, sum(healthy_ms) AS healthy,"
    " sum(warning_ms) AS warning, sum(full_ms) AS filled FROM snapshots WHERE step = {narrow}"
    " GROUP BY at - at % ({wide} * 1000)) AS f"
    " WHERE snapshots.step = {wide} AND snapshots.at = f.first AND snapshots.n = f.n"
)
_PEAK_FROM_NARROWER = (
    "UPDATE snapshots SET peak_at = coalesce((SELECT max(f.peak_at) FROM snapshots AS f WHERE f.step = {narrow}"
    " AND f.at >= snapshots.at AND f.at < snapshots.at + {wide} * 1000 AND f.bots_max = snapshots.bots_max), peak_at)"
    " WHERE step = {wide}"
)


def _time_in_each_status(tx: Connection, step: int) -> None:
    """Of old snapshots only the bots at the samples are known: the mean of them tells the status of all of their 5 s
    each, and of hours the minutes tell it where all of them are kept."""
    _make(tx, step)
    used, of = "100 * bots_sum", "limit_last * n"
    tx.execute(
        text(
            f"UPDATE snapshots SET peak_at = at,"
            f" low_ms = CASE WHEN {used} < 50 * {of} THEN {_SAMPLED_MS} ELSE 0 END,"
            f" healthy_ms = CASE WHEN {used} >= 50 * {of} AND {used} < 80 * {of} THEN {_SAMPLED_MS} ELSE 0 END,"
            f" warning_ms = CASE WHEN {used} >= 80 * {of} AND {used} < 100 * {of} THEN {_SAMPLED_MS} ELSE 0 END,"
            f" full_ms = CASE WHEN {used} >= 100 * {of} THEN {_SAMPLED_MS} ELSE 0 END"
        )
    )
    for narrow, wide in ((RAW_STEP, MINUTE_STEP), (MINUTE_STEP, HOUR_STEP)):
        tx.execute(text(_FROM_NARROWER.format(narrow=narrow, wide=wide)))
        tx.execute(text(_PEAK_FROM_NARROWER.format(narrow=narrow, wide=wide)))


def _who_uses_what(tx: Connection, step: int) -> None:
    """What a session did before nobody noted: as if it had just done something, so that none is called idle for it."""
    _make_and_show(tx, step)
    sessions = schema.active_sessions
    tx.execute(sessions.update().values(used_at=sessions.c.last_heartbeat_at))


def _days_of_usage(tx: Connection, step: int) -> None:
    _make(tx, step)
    tx.execute(
        text(
            f"INSERT INTO usage_days SELECT at - at % {DAY_MS}, user_id, sum(starts), sum(slot_ms), sum(trades),"
            f" sum(refusals) FROM usage_hours GROUP BY at - at % {DAY_MS}, user_id"
        )
    )


_SUMMED = (
    "n", "bots_sum", "cpu_n", "cpu_sum", "ram_n", "ram_sum", "tokens", "signals", "trades", "starts", "ended",
    "bots_memory_n", "bots_memory_sum", "bots_cpu_n", "bots_cpu_sum", "low_ms", "healthy_ms", "warning_ms", "full_ms",
)  # fmt: skip
_HIGHEST = ("bots_max", "suspects_max", "cpu_max", "ram_max", "p99_max")
_WIDTHS_OF_CHARTS = ((1800, 60), (14_400, 3600), (86_400, 3600))


def _widths_of_charts(tx: Connection, step: int) -> None:
    """Each from the widest there were that divide it. Two figures that go together are one number, whose maximum has
    both: an instant and the limit then, the bots at a peak and its instant."""
    figures = {name: f"sum({name})" for name in _SUMMED} | {name: f"max({name})" for name in _HIGHEST}
    figures |= {"bots_min": "min(bots_min)", "limit_last": f"max(at * {1 << 20} + limit_last) % {1 << 20}"}
    figures |= {"peak_at": f"max(bots_max * {1 << 42} + peak_at) % {1 << 42}"}
    for wide, narrow in _WIDTHS_OF_CHARTS:
        begins, of = f"at - at % {wide * 1000}", f"WHERE step = {narrow} GROUP BY"
        tx.execute(
            text(
                f"INSERT INTO snapshots (step, at, {', '.join(figures)})"
                f" SELECT {wide}, {begins}, {', '.join(figures.values())} FROM snapshots {of} {begins}"
            )
        )
        tx.execute(
            text(
                f"INSERT INTO refusal_counts (step, at, reason, n) SELECT {wide}, {begins}, reason, sum(n)"
                f" FROM refusal_counts {of} {begins}, reason"
            )
        )


_LARGE = (
    "snapshots", "refusals", "ended_sessions", "trades", "trade_days", "usage_hours", "usage_days", "deliveries",
)  # fmt: skip


def _vacuum_history_early(tx: Connection, step: int) -> None:
    """What is trimmed of a large table is room again for what comes once a hundredth of it went, and not a fifth."""
    if tx.dialect.name == "postgresql":
        for name in _LARGE:
            tx.execute(text(f"ALTER TABLE {name} SET (autovacuum_vacuum_scale_factor = 0.01)"))


def _blocks_of_sessions(tx: Connection, step: int) -> None:
    tx.execute(text("DROP INDEX ended_sessions_user"))  # first: what comes takes its room
    _make(tx, step)


MIGRATIONS: tuple[tuple[str, Callable[[Connection, int], None]], ...] = (
    ("first", _first),
    ("what bots cost", _make_and_show),
    ("facts of incidents", _facts_of_incidents),
    ("announced stops", _make_and_show),
    ("users of the reserve", _make),
    ("tickets of who waits", _make),
    ("drains", _make),
    ("time in each status", _time_in_each_status),
    ("windows and probation", _make),
    ("gaps between beats", _make),
    ("who uses what", _who_uses_what),
    ("flat over years", _days_of_usage),
    ("widths of charts", _widths_of_charts),
    ("since when there is room", _make),
    ("whom a message reached", _make),
    ("history vacuumed early", _vacuum_history_early),
    ("sessions by block", _blocks_of_sessions),
    ("refusals by reason", _make),
)
"""Step n is MIGRATIONS[n - 1], and is told n. A step is never changed once it has been released; a new one goes behind
it: `_make` where it only makes what schema.py says."""
