"""The only SQL that writes. `restore` fills the state at start, `fetch` brings what a batch names and memory has not,
`save` writes what a batch changed, each list as one statement over a set; `commit` makes it durable.

Statements are Core's, compiled once. Those of every batch go to the driver's own cursor: by `exec_driver_sql` a batch
of one start took 145 µs of CPU instead of 60, by the ORM 8 to 17 times as much at 100 rows. Its errors are Core's.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from sqlalchemy import Engine, Table, func, select
from sqlalchemy.exc import DBAPIError

from limiter.rules.changes import Rollback
from limiter.rules.incidents import Acknowledge
from limiter.rules.limits import Setting
from limiter.rules.quotas import LookAtUser, RecordTrade, Take
from limiter.rules.records import AuditEntry, Ended, Refused, Snapshot, Trade, Version
from limiter.rules.sessions import Heartbeat, Heartbeats, Start, Stop, StopByAdmin
from limiter.rules.state import State
from limiter.store import incidents, limits, restore, schema, usage
from limiter.store.flood import Flood
from limiter.store.retention import HOUR_MS, Retention
from limiter.store.rows import as_session, limit_value, link, session_row, trade_row
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, RAW_STEP

TRADE_COLUMNS = ("trade_id", "user_id", "number", "symbol", "side", "quantity", "price", "closes", "at", "day")

log = logging.getLogger("limiter")


class Writer:
    """Owns the one connection that writes. Not thread-safe: one call at a time, from whichever thread."""

    shared = False  # whether other processes write to the database too (store/shared.py)
    named_trades = (  # a join: for `(user_id, trade_id) IN (…)` SQLite reads the whole table
        f"SELECT {', '.join(TRADE_COLUMNS)} FROM json_each(?) AS named JOIN trades ON user_id ="
        " json_extract(named.value, '$[0]') AND trade_id = json_extract(named.value, '$[1]')"
    )
    leads = True  # whether this one does what only one may do: tell operators, follow the launch plan

    def __init__(self, engine: Engine, retention: Retention = Retention()) -> None:
        self.engine = engine
        self._connect()
        self._driver_errors: type[Exception] = engine.dialect.loaded_dbapi.Error
        self.retention = retention
        self._audit: tuple[int, str] = (0, "")
        self._flood = Flood()
        self._trims = 0
        self._rolled = 0  # hours before this one are in usage_hours
        self._after: list[Callable[[], object]] = []
        self._saved_refusals = 0

    def _connect(self) -> None:
        # Core takes part in transactions that `begin` began, and never begins one.
        self.connection = self.engine.connect().execution_options(begin="")
        driver = self.connection.connection.dbapi_connection
        assert driver is not None
        self._driver, self._cursor = driver, driver.cursor()

    def close(self) -> None:
        """Give the connection back; SQLite then checkpoints and removes the -wal file."""
        self.connection.close()
        self.engine.dispose()

    # -- a batch

    def begin(self) -> None:
        """Take the write lock, or raise OperationalError at once where another process has it."""
        self._execute("BEGIN IMMEDIATE", [()])

    def save(self, state: State) -> None:
        """Write what the batch changed, and the refusals that wait."""
        self._after.clear()
        changes = state.changes
        if changes.ended:  # first: a session that replaces another has the same user_id and bot_id
            self._execute(_DELETE_ACTIVE, [(ended.session.number,) for ended in changes.ended])
            rows = [(*session_row(ended.session), ended.at, ended.reason) for ended in changes.ended]
            self._many("ended_sessions", rows)
        started = [session for session in changes.started if session.number in state.sessions]
        self._many("active_sessions", [session_row(session) for session in started])
        if changes.started or changes.ended or changes.pause or changes.probe:
            self._execute(_UPDATE_FLEET, [(len(state.sessions), state.next_number, int(state.paused))])
        if changes.trades:
            self._execute(_INSERT_TRADE, [trade_row(trade) for trade in changes.trades])
            self._execute(_UPSERT_DAY, [(day, user, used) for (user, day), used in changes.trade_days.items()])
        if changes.seconds:
            rows = [(second, kind, user, n) for (kind, user, second), n in changes.seconds.items()]
            self._execute(_UPSERT_SECOND, rows)
        if changes.versions:
            self._save_versions(state, changes.versions, changes.overrides)
        if changes.plan:
            self.connection.execute(schema.plan_steps.delete())
            steps = [(step.at, step.max_bots, step.status, step.applied_at, step.held_by) for step in state.plan]
            self._many("plan_steps", steps)
        incidents.save(self._put, changes)
        for table, row in changes.rows:
            self._put(schema.metadata.tables[table], row)
        for snapshot in changes.snapshots:
            self._save_snapshot(snapshot)
            self._save_beats(state)
            self._trim(snapshot.at)
        if changes.snapshots:
            self._roll_usage(changes.snapshots[-1].at)
        if changes.audit:
            self._save_audit(changes.audit)
        self._save_refusals(state.refused)

    def commit(self) -> None:
        """Make it durable."""
        if self.connection.in_transaction():
            self.connection.commit()
            return
        try:
            self._driver.commit()
        except self._driver_errors as error:
            raise self._as_core(error, "COMMIT") from error

    def rollback(self) -> None:
        """Forget the batch."""
        self.connection.rollback()
        self._driver.rollback()
        self._after.clear()

    def fold_log(self) -> None:
        """Move the write-ahead log into the database and give its room back, as far as readers and the disk let it."""
        try:
            self._execute("PRAGMA wal_checkpoint(TRUNCATE)", [()])
            self._cursor.fetchall()
        except DBAPIError as error:
            log.warning("log_not_folded error=%s", error.orig)

    def committed(self, state: State) -> None:
        """Move on what this object remembers of the database, now that the batch is durable."""
        for step in self._after:
            step()
        self._after.clear()
        del state.refused[: self._saved_refusals]
        self._saved_refusals = 0

    def _execute(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        try:
            if len(rows) > 1:
                self._cursor.executemany(sql, rows)
            else:
                self._cursor.execute(sql, rows[0])
        except self._driver_errors as error:
            raise self._as_core(error, sql) from error

    def _as_core(self, error: BaseException, sql: str) -> BaseException:
        return DBAPIError.instance(sql, None, error, self._driver_errors)

    def _many(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._execute(_INSERTS[table], list(rows))

    def _put(self, table: Table, row: Mapping[str, Any]) -> None:
        """Insert the row, or update what it names of the row that has its primary key."""
        (key,) = table.primary_key.columns
        if self.connection.execute(table.update().where(key == row[key.name]), dict(row)).rowcount == 0:
            self.connection.execute(table.insert(), dict(row))

    def _save_beats(self, state: State) -> None:
        beaten, state.beaten = state.beaten, {}
        if beaten:
            rows = [
                (
                    one.last_heartbeat_at, one.expires_at, one.lease_ms, one.memory_bytes, one.memory_peak,
                    one.cpu_seconds, one.cpu_percent, one.number,
                )
                for one in beaten.values()
            ]  # fmt: skip
            self._execute(_UPDATE_BEAT, rows)

    def _save_versions(self, state: State, versions: Sequence[Version], users: Sequence[str]) -> None:
        rows: list[tuple[Any, ...]] = [
            (v.version, v.at, v.actor, v.kind, v.reason, v.user_id, json.dumps(v.changed), json.dumps(dict(v.in_force)))
            for v in versions
        ]
        self._many("limit_versions", rows)
        self.connection.execute(schema.limits.delete())
        settings, configured = state.limits.settings, state.limits.configured
        values = [
            (
                name, setting.value, setting.source, configured[name].value, configured[name].source,
                setting.changed_at, setting.changed_by,
            )
            for name, setting in settings.items()
        ]  # fmt: skip
        self._many("limits", values)
        for user in dict.fromkeys(users):
            self.connection.execute(schema.overrides.delete().where(schema.overrides.c.user_id == user))
            if (own := state.limits.overrides.get(user)) is not None:
                limits = json.dumps(dict(own.limits))
                self._many("overrides", [(user, limits, own.reason, own.until, own.changed_at, own.changed_by)])

    def _save_audit(self, entries: Sequence[AuditEntry]) -> None:
        number, head = self._audit
        rows = []
        for entry in entries:
            number += 1
            detail = json.dumps(dict(entry.detail), separators=(",", ":"))
            row = (number, entry.at, entry.actor, entry.action, entry.target, entry.reason, detail)
            head = link(head, row)
            rows.append((*row, head))
        self._many("audit", rows)
        self._after.append(lambda: setattr(self, "_audit", (number, head)))

    def _save_refusals(self, refused: list[Refused]) -> None:
        self._saved_refusals = len(refused)
        if refused:
            after, inserts, updates = self._flood.place(refused)
            self._many("refusals", inserts)
            if updates:
                self._execute(_UPDATE_REFUSAL, updates)
            self._after.append(lambda: setattr(self, "_flood", after))

    def _save_snapshot(self, s: Snapshot) -> None:
        cpu, ram = s.cpu_percent, s.ram_percent
        figures = (
            1, s.bots, s.bots, s.bots, s.suspects, s.limit, int(cpu is not None), cpu or 0.0, cpu,
            int(ram is not None), ram or 0.0, ram, s.p99_ms, s.tokens, s.signals, s.trades, s.starts, s.ended,
            *s.costs,
        )  # fmt: skip
        steps = [(step, s.at - s.at % (step * 1000)) for step in (RAW_STEP, MINUTE_STEP, HOUR_STEP)]
        self._execute(_UPSERT_SNAPSHOT, [(*step, *figures) for step in steps])
        counts = [(*step, reason, n) for step in steps for reason, n in s.refusals.items()]
        if counts:
            self._execute(_UPSERT_REFUSAL_COUNT, counts)

    def _roll_usage(self, now: int) -> None:
        """One finished hour a snapshot, until none is due in this hour."""
        current = now - now % HOUR_MS
        if self._rolled >= current:
            return
        hours = [hour for hour in usage.due(self.connection, now) if hour >= self._rolled]
        for hour in hours[:1]:
            usage.roll(self.connection, hour)
        rolled = hours[0] + HOUR_MS if hours else current
        self._after.append(lambda: setattr(self, "_rolled", rolled))

    def _trim(self, now: int) -> None:
        """One slice of one table a snapshot."""
        slices = self.retention.slices(now, self._flood.next_id)
        sql, values = slices[self._trims % len(slices)]
        self._execute(sql, [values])
        self._trims += 1

    # -- what a batch names

    def fetch(self, state: State, requests: Iterable[Any], now: int) -> None:
        """Bring ended sessions, trades, trade days and versions that the requests name and the state has not."""
        named = _named(state, requests, state.day(now).name)
        if not any(named):
            return
        try:
            self._fetch(state, *named, state.day(now).name)
        finally:
            self._end_read()

    def _end_read(self) -> None:
        """The batch is decided outside of a transaction: what was only read must not hold one open."""
        self.connection.rollback()

    def _fetch(
        self,
        state: State,
        numbers: set[int],
        trades: set[tuple[str, str]],
        unknown: set[str],
        past: list[Rollback | Acknowledge],
        day: str,
    ) -> None:
        for request in past:
            self._fetch_past(state, request)
        if numbers:
            table = schema.ended_sessions
            for row in self.connection.execute(select(table).where(table.c.number.in_(sorted(numbers)))):
                ended = Ended(as_session(row), row.ended_at, row.ended_reason)
                state.ended[ended.session.number] = ended
        if trades:
            for row in self.connection.exec_driver_sql(self.named_trades, (json.dumps(sorted(trades)),)):
                columns: list[Any] = list(row)
                columns[7] = bool(row.closes)
                trade = Trade(*columns)
                state.trades[trade.user_id, trade.trade_id] = trade
        if unknown:
            days = schema.trade_days.c
            used = select(days.user_id, days.used).where(days.user_id.in_(sorted(unknown)), days.day == day)
            found = {row.user_id: row.used for row in self.connection.execute(used)}
            state.trade_days.update({(user, day): found.get(user, 0) for user in unknown})

    def _fetch_past(self, state: State, request: Rollback | Acknowledge) -> None:
        if isinstance(request, Rollback):
            self._fetch_version(state, request.version)
        else:
            incidents.fetch(self.connection, state, request.number)

    def _fetch_version(self, state: State, version: int) -> None:
        row = self.connection.execute(
            select(schema.limit_versions).where(schema.limit_versions.c.version == version)
        ).one_or_none()
        if row is not None:
            in_force = {
                name: (limit_value(name, value), source) for name, (value, source) in json.loads(row.in_force).items()
            }
            changed = tuple((str(name), before, after) for name, before, after in json.loads(row.changed))
            state.versions[version] = Version(
                row.version, row.at, row.actor, row.kind, row.reason, row.user_id, changed, in_force
            )

    # -- the start

    def restore(self, configured: Mapping[str, Setting], zone: tzinfo, now: int, channels: Iterable[str] = ()) -> State:
        """The state as the database has it (see store/restore.py), every lease renewed in full.

        Saves what environment and defaults say now, as a version of its own where values in force changed by it.
        """
        in_force, versions = limits.read_at_start(self.connection, configured, now)
        self.connection.rollback()
        self.begin()
        self._save_versions(State(in_force), versions, [])
        self.commit()
        state = restore.read_state(self.connection, in_force, zone, now, channels)
        state.renew_all(now)  # nobody could beat while this process was away
        self._flood, self._audit = Flood(self._next_refusal()), self._audit_head()
        self.connection.rollback()
        return state

    def _next_refusal(self) -> int:
        return int(self.connection.execute(select(func.coalesce(func.max(schema.refusals.c.id), 0))).scalar_one()) + 1

    def _audit_head(self) -> tuple[int, str]:
        """The last row of the chain: its id and its hash."""
        audit = schema.audit.c
        last = self.connection.execute(select(audit.id, audit.hash).order_by(audit.id.desc()).limit(1)).first()
        return (last.id, last.hash) if last else (0, "")


def _named(
    state: State, requests: Iterable[Any], day: str
) -> tuple[set[int], set[tuple[str, str]], set[str], list[Rollback | Acknowledge]]:
    """Sessions, trades, users and the rest that a batch asks about and memory does not answer; nothing, mostly."""
    numbers, trades, users, past = set(), set(), set(), []
    for request in requests:
        match request:
            case Start():
                continue
            case Heartbeat() | Stop() | StopByAdmin() | Take() | RecordTrade():
                session = state.sessions.get(request.number)
                if session is None and request.number:
                    numbers.add(request.number)
                elif session is not None and isinstance(request, RecordTrade):
                    trades.add((session.user_id, request.trade_id))
                    users.add(session.user_id)
            case Heartbeats():
                numbers.update(one.number for one in request.beats if one.number not in state.sessions and one.number)
            case LookAtUser():
                users.add(request.user_id)
            case Rollback() | Acknowledge():
                past.append(request)
    return numbers, trades, {user for user in users if (user, day) not in state.trade_days}, past


_INSERTS = {
    name: f"INSERT INTO {name} ({', '.join(table.c.keys())}) VALUES ({', '.join('?' for _ in table.c)})"
    for name, table in schema.metadata.tables.items()
}
_DELETE_ACTIVE = "DELETE FROM active_sessions WHERE number = ?"
_UPDATE_FLEET = "UPDATE fleet SET active = ?, next_number = ?, paused = ? WHERE id = 1"
_UPDATE_BEAT = (
    "UPDATE active_sessions SET last_heartbeat_at = ?, expires_at = ?, lease_ms = ?,"
    " memory_bytes = ?, memory_peak = ?, cpu_seconds = ?, cpu_percent = ? WHERE number = ?"
)
_INSERT_TRADE = f"INSERT INTO trades ({', '.join(TRADE_COLUMNS)}) VALUES ({', '.join('?' for _ in TRADE_COLUMNS)})"
_UPSERT_DAY = (
    "INSERT INTO trade_days (day, user_id, used) VALUES (?, ?, ?)"
    " ON CONFLICT (day, user_id) DO UPDATE SET used = excluded.used"
)
_UPSERT_SECOND = (
    "INSERT INTO rate_seconds (second, kind, user_id, n) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (second, kind, user_id) DO UPDATE SET n = rate_seconds.n + excluded.n"
)
_UPDATE_REFUSAL = (
    "UPDATE refusals SET request_id = ?, at = ?, user_id = ?, bot_id = ?, reason = ?, limit_name = ?, value = ?,"
    " count = ?, version = ?, active = ?, max_bots = ?, user_active = ?, user_max = ?,"
    " repeats = repeats + ? WHERE id = ?"
)
_SUMS = (
    "n", "bots_sum", "cpu_n", "cpu_sum", "ram_n", "ram_sum", "tokens", "signals", "trades", "starts", "ended",
    "bots_memory_n", "bots_memory_sum", "bots_cpu_n", "bots_cpu_sum",
)  # fmt: skip
_MAXIMA = ("bots_max", "suspects_max", "cpu_max", "ram_max", "p99_max")
_UPSERT_SNAPSHOT = (
    _INSERTS["snapshots"]
    + " ON CONFLICT (step, at) DO UPDATE SET limit_last = excluded.limit_last, bots_min ="
    + " CASE WHEN excluded.bots_min < snapshots.bots_min THEN excluded.bots_min ELSE snapshots.bots_min END"
    + "".join(f", {name} = snapshots.{name} + excluded.{name}" for name in _SUMS)
    + "".join(
        f", {name} = CASE WHEN snapshots.{name} IS NULL OR excluded.{name} > snapshots.{name}"
        f" THEN excluded.{name} ELSE snapshots.{name} END"
        for name in _MAXIMA
    )
)
_UPSERT_REFUSAL_COUNT = (
    "INSERT INTO refusal_counts (step, at, reason, n) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (step, at, reason) DO UPDATE SET n = refusal_counts.n + excluded.n"
)
