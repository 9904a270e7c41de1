"""The statements of every batch: written in Core, compiled once for the dialect, run by the driver's own cursor.

The text is the same on both databases but for how each marks its parameters. A row is a tuple in the order that is
named beside its statement. Through `exec_driver_sql` a batch of one start took 145 µs of CPU instead of 60, by the ORM
8 to 17 times as much at 100 rows.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Dialect, Table, bindparam, case, func, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import ColumnCollection

from limiter.store import schema
from limiter.store.retention import trims

COSTS = ("memory_bytes", "memory_peak", "cpu_seconds", "cpu_percent")
NOTICE = ("notice_at", "notice_reason")
BEAT = ("lease_ms", "last_heartbeat_at", "expires_at", *COSTS, "used_at")
STARTED = tuple(column.name for column in schema.active_sessions.c if column.name not in (*COSTS, *NOTICE, "used_at"))
TRADE = tuple(column.name for column in schema.trades.c if column.name != "id")
REFUSAL = tuple(column.name for column in schema.refusals.c if column.name not in ("id", "repeats"))
SUMS = (
    "n", "bots_sum", "cpu_n", "cpu_sum", "ram_n", "ram_sum", "tokens", "signals", "trades", "starts", "ended",
    "bots_memory_n", "bots_memory_sum", "bots_cpu_n", "bots_cpu_sum", "low_ms", "healthy_ms", "warning_ms", "full_ms",
)  # fmt: skip
MAXIMA = ("bots_max", "suspects_max", "cpu_max", "ram_max", "p99_max")

Columns = ColumnCollection[str, Any]


class Statements:
    """The text of each statement for one dialect, and how it is compiled."""

    def __init__(self, dialect: Dialect) -> None:
        made: Callable[..., Dialect] = type(dialect)
        self._dialect = made(paramstyle="qmark" if dialect.name == "sqlite" else "format")
        self._insert: Callable[[Table], Any] = sqlite.insert if dialect.name == "sqlite" else postgresql.insert
        live, fleet, refusals = schema.active_sessions, schema.fleet, schema.refusals
        only = fleet.c.id == literal_column("1")
        self.inserts = {
            name: self.compiled(table.insert(), table.c.keys()) for name, table in schema.metadata.tables.items()
        }
        self.insert_started = self.compiled(live.insert(), STARTED)
        self.delete_active = self.compiled(live.delete().where(live.c.number == bindparam("of")), ["of"])
        self.update_fleet = self.compiled(fleet.update().where(only), ["active", "next_number", "paused"])
        self.update_drain = self.compiled(fleet.update().where(only), ["drain_since", "drain_stop_at", "drain_reason"])
        self.update_schedule = self.compiled(fleet.update().where(only), ["schedule"])
        self.update_room = self.compiled(fleet.update().where(only), ["room_since"])
        self.update_beat = self.compiled(live.update().where(live.c.number == bindparam("of")), [*BEAT, "of"])
        self.update_start = self.compiled(live.update().where(live.c.number == bindparam("of")), ["started_at", "of"])
        self.update_notice = self.compiled(live.update().where(live.c.number == bindparam("of")), [*NOTICE, "of"])
        waiting = schema.tickets
        self.delete_ticket = self.compiled(waiting.delete().where(waiting.c.user_id == bindparam("of")), ["of"])
        self.insert_trade = self.compiled(schema.trades.insert().inline(), TRADE)
        self.upsert_day = self._upsert(schema.trade_days, lambda _, new: {"used": new.used})
        self.upsert_second = self._upsert(schema.rate_seconds, lambda old, new: {"n": old.n + new.n})
        self.upsert_rate_day = self._upsert(schema.rate_days, lambda old, new: {"n": old.n + new.n})
        self.upsert_gap = self._upsert(schema.beat_gaps, lambda old, new: {"n": old.n + new.n})
        self.upsert_refusal_count = self._upsert(schema.refusal_counts, lambda old, new: {"n": old.n + new.n})
        self.upsert_snapshot = self._upsert(schema.snapshots, _merged)
        repeated = refusals.update().values(repeats=refusals.c.repeats + bindparam("more"))
        self.update_refusal = self.compiled(repeated.where(refusals.c.id == bindparam("of")), [*REFUSAL, "more", "of"])
        self.trims = [self.compiled(one, ["since", "before", "most"]) for one in trims()]
        self.is_sqlite = dialect.name == "sqlite"
        mine: Any = bindparam("mine")
        now: Any = bindparam("now")
        free = or_(fleet.c.leader.is_(None), fleet.c.leader == mine, fleet.c.leader_until <= now)
        self.lead = self.compiled(fleet.update().where(only, free), ["leader", "leader_until", "mine", "now"])
        lost = fleet.update().where(fleet.c.leader == mine).values(leader=literal_column("NULL"))
        self.stop_leading = self.compiled(lost, ["mine"])
        self.delete_journal = self.compiled(
            schema.journal.delete().where(schema.journal.c.at < bindparam("before")), ["before"]
        )
        self.renew_all = self.compiled(
            live.update().values(expires_at=bindparam("now", type_=schema.Int) + live.c.lease_ms), ["now"]
        )
        self.lock_fleet = self.compiled(
            select(fleet.c.active, fleet.c.next_number, fleet.c.paused, fleet.c.leader, fleet.c.leader_until)
            .where(only)
            .with_for_update(),
            [],
        )
        journal = schema.journal.c
        last = select(func.max(journal.revision)).scalar_subquery()
        self.latest_revision = self.compiled(select(journal.revision, journal.at).where(journal.revision == last), [])
        newer = select(journal.revision, journal.at, journal.changes).where(journal.revision > bindparam("known"))
        self.newer_revisions = self.compiled(newer.order_by(journal.revision), ["known"])

    def compiled(self, statement: Any, names: Sequence[str]) -> str:
        """The text whose parameters are these, in this order; those that are columns of its table are set by it."""
        columns = statement.table.c.keys() if hasattr(statement, "table") else ()
        keys = None if statement.is_select or statement.is_delete else [name for name in names if name in columns]
        found = statement.compile(dialect=self._dialect, column_keys=keys)
        order = list(found.positiontup)
        assert order == list(names), f"{found}: {order} is not {list(names)}"
        return str(found)

    def _upsert(self, table: Table, change: Callable[[Columns, Columns], dict[str, Any]]) -> str:
        row = self._insert(table)
        merged = row.on_conflict_do_update(
            index_elements=list(table.primary_key.columns), set_=change(table.c, row.excluded)
        )
        return self.compiled(merged, table.c.keys())


def _merged(old: Columns, new: Columns) -> dict[str, Any]:
    """A snapshot that comes to one that is there: sums add up, extremes are kept, the limit is the later one's."""
    lowest = case((new.bots_min < old.bots_min, new.bots_min), else_=old.bots_min)
    highest = {
        name: case((or_(old[name].is_(None), new[name] > old[name]), new[name]), else_=old[name]) for name in MAXIMA
    }
    sums = {name: old[name] + new[name] for name in SUMS}
    later = or_(new.bots_max > old.bots_max, (new.bots_max == old.bots_max) & (new.peak_at > old.peak_at))
    peak_at = case((later, new.peak_at), else_=old.peak_at)
    return {"limit_last": new.limit_last, "bots_min": lowest, "peak_at": peak_at, **sums, **highest}
