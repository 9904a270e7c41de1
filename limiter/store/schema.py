"""The tables. All instants (`*_at`, `at`, `until`) are UTC milliseconds.

A live session is a row of `active_sessions`, a narrow table that heartbeats rewrite; when it ends the row moves to
`ended_sessions`, which only grows. The view `sessions` shows both. Snapshots of all resolutions share one table:
a raw snapshot is a rollup of one.

A table, column or index says by `_since(n)` which step of migrations.py brought it (1 where it says nothing), and that
step makes it: a new database and one from years ago have been through the same steps.
"""

from typing import Any

from sqlalchemy import (
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    cast,
    func,
    literal_column,
    text,
)
from sqlalchemy.types import TypeEngine

APPLICATION_ID = 0x4C494D31  # "LIM1", in the header of a SQLite file that is ours
RAW_STEP, MINUTE_STEP, HOUR_STEP, DAY_STEP = 5, 60, 3600, 86_400  # seconds
STEPS = (RAW_STEP, MINUTE_STEP, 1800, HOUR_STEP, 14_400, DAY_STEP)
"""The widths in which snapshots are kept: of the ranges that the console offers a bucket is a row, or five at most."""

metadata = MetaData()
Int = BigInteger().with_variant(Integer(), "sqlite")
Real: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")


def _table(name: str, *columns: Any, **options: Any) -> Table:
    return Table(name, metadata, *columns, sqlite_strict=True, **options)


def _needed(name: str, kind: Any = Int, **options: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, **options)


def _since(step: int) -> dict[str, Any]:
    return {"info": {"step": step}}


def step_of(item: Table | Column[Any] | Index) -> int:
    """The migration step that brings it."""
    own: int = item.info.get("step", 1)
    if isinstance(item, Index):
        assert item.table is not None
        return max(own, step_of(item.table), *(step_of(column) for column in item.columns))
    return own


def _session_columns() -> list[Column[Any]]:
    return [
        Column("number", Int, primary_key=True, autoincrement=False),
        _needed("secret", Text),
        _needed("user_id", Text),
        _needed("bot_id", Text),
        Column("asked_bot", Text),  # the bot_id as asked for; NULL where a new one was made up
        Column("idempotency_key", Text),
        _needed("started_at"),
        _needed("lease_ms"),
        _needed("last_heartbeat_at"),
        _needed("expires_at"),
        _needed("active"),  # what the start was decided on: see rules.records.Facts
        _needed("max_bots"),
        _needed("user_active"),
        _needed("user_max"),
        _needed("version"),
        Column("memory_bytes", Int, **_since(2)),  # what its heartbeats said it costs: see rules.records.Session
        Column("memory_peak", Int, **_since(2)),
        Column("cpu_seconds", Real, **_since(2)),
        Column("cpu_percent", Real, **_since(2)),
        Column(
            "notice_at", Int, **_since(4)
        ),  # when an operator ends it, as its bot is told; NULL: nobody announced it
        Column("notice_reason", Text, **_since(4)),
        Column("used_at", Int, **_since(11)),  # its last trade, signal or token; NULL: none yet
    ]


fleet = _table(
    "fleet",
    Column("id", Int, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
    _needed("active"),
    _needed("next_number"),
    _needed("paused"),
    Column("leader", Text),  # of several processes on PostgreSQL the one that tells operators and follows the plan
    Column("leader_until", Int),
    Column("drain_since", Int, **_since(7)),  # an operator empties the limiter: see rules.records.Drain
    Column("drain_stop_at", Int, **_since(7)),
    Column("drain_reason", Text, **_since(7)),
    Column("schedule", Text, **_since(9)),  # JSON: windows and probation, see rules.schedule.Schedule
    Column("room_since", Int, **_since(14)),  # see rules.limits.Limits; NULL: nobody noted it
    CheckConstraint("active >= 0", name="fleet_active"),
)

journal = _table(
    "journal",  # on PostgreSQL: what each batch changed, for the memory of the other processes (store/journal.py)
    Column("revision", Int, primary_key=True, autoincrement=False),
    _needed("at"),
    _needed("changes", Text),
)

active_sessions = _table("active_sessions", *_session_columns())
Index("active_sessions_bot", active_sessions.c.user_id, active_sessions.c.bot_id, unique=True)

ended_sessions = _table("ended_sessions", *_session_columns(), _needed("ended_at"), _needed("ended_reason", Text))
Index("ended_sessions_ended", ended_sessions.c.ended_at)

BLOCK = 8192
block = ended_sessions.c.number // literal_column(str(BLOCK), Int)
"""Who ends at about the same time is in few pages of an index by block and user, however long the history is, and in as
many as there are users of one by user. A user's sessions are looked for block by block (read/of_user.py)."""
Index("ended_sessions_block", block, ended_sessions.c.user_id, ended_sessions.c.number, **_since(17))

LONG_MS = 10**6  # a stay of 17 minutes or more
_stayed = ended_sessions.c.ended_at - ended_sessions.c.started_at
stayed_long = _stayed >= literal_column(str(LONG_MS))
stayed_digits = func.length(cast(_stayed, Text))
died = ended_sessions.c.ended_reason.in_([literal_column(f"'{reason}'") for reason in ("lease_expired", "reaped")])
"""Conditions of indexes that not every end writes into: a query finds them by the same text, without parameters."""
Index(
    "ended_sessions_long",  # who held a slot at an instant is found among stays about as long (read/instant.py)
    stayed_digits,
    ended_sessions.c.ended_at,
    sqlite_where=stayed_long,
    postgresql_where=stayed_long,
    **_since(12),
)
Index("ended_sessions_died", ended_sessions.c.ended_at, sqlite_where=died, postgresql_where=died, **_since(12))

refusals = _table(
    "refusals",
    Column("id", Int, primary_key=True, autoincrement=False),
    _needed("request_id", Text),
    _needed("at"),
    Column("user_id", Text),
    Column("bot_id", Text),
    _needed("reason", Text),
    Column("limit_name", Text),
    Column("value", Int),
    Column("count", Int),
    _needed("version"),
    Column("active", Int),
    Column("max_bots", Int),
    Column("user_active", Int),
    Column("user_max", Int),
    _needed("repeats"),  # how many refusals this row stands for: more than 1 only in a flood
)
Index("refusals_request", refusals.c.request_id)
Index("refusals_at", refusals.c.at)
Index("refusals_user", refusals.c.user_id, refusals.c.at)
for_a_reason = refusals.c.reason > literal_column("''")
"""The condition of an index for a reason and nothing else: beside a user or an instant it would lead to more rows."""
Index(
    "refusals_reason",
    refusals.c.reason,
    refusals.c.id,
    sqlite_where=for_a_reason,
    postgresql_where=for_a_reason,
    **_since(18),
)

trades = _table(
    "trades",
    Column("id", Int, primary_key=True),
    _needed("trade_id", Text),
    _needed("user_id", Text),
    _needed("number"),
    _needed("symbol", Text),
    _needed("side", Text),
    _needed("quantity", Text),
    _needed("price", Text),
    _needed("closes"),
    _needed("at"),
    _needed("day", Text),
)
Index("trades_id", trades.c.user_id, trades.c.trade_id, unique=True)
Index("trades_at", trades.c.at)

trade_days = _table(
    "trade_days",
    Column("day", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    _needed("used"),
    sqlite_with_rowid=False,
)

rate_seconds = _table(
    "rate_seconds",
    Column("second", Int, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),  # "" for the system's own window
    _needed("n"),
    sqlite_with_rowid=False,
)

rate_days = _table(
    "rate_days",  # what was taken of each rate on a trade day; "" is all of it, and what no user of a session took
    Column("day", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    _needed("n"),
    sqlite_with_rowid=False,
    info={"step": 11},
)

limits = _table(
    "limits",
    Column("name", Text, primary_key=True),
    Column("value", Real),
    _needed("source", Text),
    Column("configured", Real),
    _needed("configured_source", Text),
    Column("changed_at", Int),
    Column("changed_by", Text),
)

limit_versions = _table(
    "limit_versions",
    Column("version", Int, primary_key=True, autoincrement=False),
    _needed("at"),
    _needed("actor", Text),
    _needed("kind", Text),
    _needed("reason", Text),
    Column("user_id", Text),
    _needed("changed", Text),  # JSON: [[name, from, to], …]
    _needed("in_force", Text),  # JSON: {name: [value, source]}
)
Index("limit_versions_at", limit_versions.c.at)

overrides = _table(
    "overrides",
    Column("user_id", Text, primary_key=True),
    _needed("limits", Text),  # JSON: {name: value}
    _needed("reason", Text),
    Column("until", Int),
    _needed("changed_at"),
    _needed("changed_by", Text),
    _needed("reserve", server_default=text("0"), **_since(5)),  # whether reserved slots are for the user
)

tickets = _table(
    "tickets",
    Column("user_id", Text, primary_key=True),
    _needed("id", Text),
    _needed("number"),
    _needed("asked_at"),
    info={"step": 6},
)

snapshots = _table(
    "snapshots",
    Column("step", Int, primary_key=True, autoincrement=False),  # seconds: one of STEPS
    Column("at", Int, primary_key=True, autoincrement=False),  # where the step begins
    _needed("n"),
    _needed("bots_min"),
    _needed("bots_max"),
    _needed("bots_sum"),
    _needed("suspects_max"),
    _needed("limit_last"),
    _needed("cpu_n"),
    _needed("cpu_sum", Real),
    Column("cpu_max", Real),
    _needed("ram_n"),
    _needed("ram_sum", Real),
    Column("ram_max", Real),
    Column("p99_max", Real),
    _needed("tokens"),
    _needed("signals"),
    _needed("trades"),
    _needed("starts"),
    _needed("ended"),
    # Of the bots whose heartbeats say what they cost: how many say their memory, and its bytes; how many have a load,
    # and its percents of one core; each summed over the snapshots.
    _needed("bots_memory_n", server_default=text("0"), **_since(2)),
    _needed("bots_memory_sum", server_default=text("0"), **_since(2)),
    _needed("bots_cpu_n", server_default=text("0"), **_since(2)),
    _needed("bots_cpu_sum", Real, server_default=text("0"), **_since(2)),
    # How many milliseconds the fleet was LOW, HEALTHY, WARNING and FULL, and when last there were bots_max bots.
    _needed("low_ms", server_default=text("0"), **_since(8)),
    _needed("healthy_ms", server_default=text("0"), **_since(8)),
    _needed("warning_ms", server_default=text("0"), **_since(8)),
    _needed("full_ms", server_default=text("0"), **_since(8)),
    _needed("peak_at", server_default=text("0"), **_since(8)),
    sqlite_with_rowid=False,
)

refusal_counts = _table(
    "refusal_counts",
    Column("step", Int, primary_key=True, autoincrement=False),
    Column("at", Int, primary_key=True, autoincrement=False),
    Column("reason", Text, primary_key=True),
    _needed("n"),
    sqlite_with_rowid=False,
)

beat_gaps = _table(
    "beat_gaps",  # how long bots were silent between two beats: 12 rows a day at most, which nobody trims
    Column("day", Int, primary_key=True, autoincrement=False),  # days since 1970, UTC
    Column("exceeded", Int, primary_key=True, autoincrement=False),  # how many of rules.lease.LEASES_SECONDS
    _needed("n"),
    sqlite_with_rowid=False,
    info={"step": 10},
)


def _usage_columns() -> list[Column[Any]]:
    """Who used how much of a time that begins `at`."""
    return [
        Column("at", Int, primary_key=True, autoincrement=False),
        Column("user_id", Text, primary_key=True),
        *map(_needed, ("starts", "slot_ms", "trades", "refusals")),
    ]


usage_hours = _table("usage_hours", *_usage_columns(), sqlite_with_rowid=False)
# The sums of usage_hours by UTC day, the hours of the running one included.
usage_days = _table("usage_days", *_usage_columns(), sqlite_with_rowid=False, info={"step": 12})

incidents = _table(
    "incidents",
    Column("number", Int, primary_key=True, autoincrement=False),
    _needed("kind", Text),
    _needed("rank"),
    _needed("message", Text),  # of incidents from before step 3: as it was sent
    Column("facts", Text, **_since(3)),  # JSON: what fills the sentence of the last crossing's level
    _needed("opened_at"),
    Column("resolved_at", Int),
    _needed("peak"),
    _needed("peak_limit"),
    _needed("refusals", Text),  # JSON: {reason: n}
    _needed("crossings", Text),  # JSON: [[at, level, bots, limit], …]
    Column("acknowledged_at", Int),
    Column("acknowledged_by", Text),
    Column("acknowledged_reason", Text),
)
Index("incidents_resolved", incidents.c.resolved_at)

deliveries = _table(
    "deliveries",
    Column("number", Int, primary_key=True, autoincrement=False),
    Column("incident", Int),  # NULL: a test
    _needed("at"),
    _needed("level", Text),
    _needed("title", Text),
    _needed("body", Text),
    _needed("channel", Text),
    _needed("state", Text),
    _needed("tries"),
    Column("answer", Text),
    Column("tried_at", Int),
    Column("next_try_at", Int),
    Column("reached", Text, **_since(15)),  # JSON: which of several recipients have it; NULL: none, or there is but one
)
Index("deliveries_incident", deliveries.c.incident)
Index("deliveries_state", deliveries.c.state, deliveries.c.at)

plan_steps = _table(
    "plan_steps",
    Column("at", Int, primary_key=True, autoincrement=False),
    _needed("max_bots"),
    _needed("status", Text),
    Column("applied_at", Int),
    Column("held_by", Text),  # JSON: [[guard, value, threshold], …]
    Column("confirm_within", Int, **_since(9)),
)

keys = _table(
    "keys",
    Column("id", Text, primary_key=True),
    _needed("name", Text),
    _needed("scope", Text),
    _needed("digest", Text),
    _needed("created_at"),
    Column("revoked_at", Int),
)

audit = _table(
    "audit",
    Column("id", Int, primary_key=True, autoincrement=False),
    _needed("at"),
    _needed("actor", Text),
    _needed("action", Text),
    _needed("target", Text),
    _needed("reason", Text),
    _needed("detail", Text),
    _needed("hash", Text),  # SHA-256 over the row and the hash of the row before: one changed row breaks the chain
)
Index("audit_at", audit.c.at)
Index("audit_action", audit.c.action, audit.c.id, **_since(12))

notes = _table(
    "notes",
    Column("id", Text, primary_key=True),
    _needed("at"),
    _needed("text", Text),
    _needed("author", Text),
    _needed("created_at"),
)
Index("notes_at", notes.c.at)

migrations = _table(
    "migrations",
    Column("step", Int, primary_key=True, autoincrement=False),
    _needed("name", Text),
    _needed("at"),
)
