"""The only SQL that writes. `restore` fills the state at start, `fetch` brings what a batch names and memory has not,
`save` writes what a batch changed, each list as one statement over a set; `commit` makes it durable.

Statements are Core's, compiled once. Those of every batch go to the driver's own cursor: by `exec_driver_sql` a batch
of one start took 145 µs of CPU instead of 60, by the ORM 8 to 17 times as much at 100 rows. Its errors are Core's.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import chain
from typing import Any

from sqlalchemy import Engine, Row, Table, func, select
from sqlalchemy.exc import DBAPIError

from limiter.rules.changes import Rollback
from limiter.rules.incidents import Acknowledge
from limiter.rules.limits import Limits, Override, Setting
from limiter.rules.quotas import LookAtUser, RecordTrade, Take
from limiter.rules.records import AuditEntry, Ended, Facts, Refused, Session, Snapshot, Step, Trade, Version
from limiter.rules.sessions import Heartbeat, Start, Stop, StopByAdmin
from limiter.rules.state import GAPS, State
from limiter.rules.windows import HOUR_SECONDS, MINUTE_SECONDS, Window
from limiter.store import incidents, schema, usage
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, RAW_STEP
from limiter.system_limits import LIMITS, Value

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SINGLE_REFUSALS_PER_USER = 100  # a minute and reason; later ones share a row that counts them
SINGLE_REFUSALS = 2_000  # a minute, all users
TRIM_ROWS = 500  # a slice, so that no deletion holds the writer up


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept: hours of raw snapshots, days of the rest, rows of refusals."""

    raw_hours: int = 48
    minutes_days: int = 90
    refusals_days: int = 90
    refusals_rows: int = 200_000
    sessions_days: int = 400
    trades_days: int = 400


def session_row(session: Session) -> tuple[Any, ...]:
    """The row of a live session, in the order of its table."""
    return (
        session.number, session.secret, session.user_id, session.bot_id, session.asked_bot, session.idempotency_key,
        session.started_at, session.lease_ms, session.last_heartbeat_at, session.expires_at,
        *astuple_facts(session.facts),
    )  # fmt: skip


def astuple_facts(facts: Facts) -> tuple[int, int, int, int, int]:
    """Its columns; dataclasses.astuple copies deeply and costs 10 times as much."""
    return facts.active, facts.max_bots, facts.user_active, facts.user_max, facts.version


def as_session(row: Row[Any]) -> Session:
    """A session from its row."""
    columns: list[Any] = list(row)
    columns[10:] = [Facts(*columns[10:15])]
    return Session(*columns)


class Writer:
    """Owns the one connection that writes. Not thread-safe: one call at a time, from whichever thread."""

    def __init__(self, engine: Engine, retention: Retention = Retention()) -> None:
        # Core takes part in transactions that `begin` began, and never begins one.
        self.connection = engine.connect().execution_options(begin="")
        driver = self.connection.connection.dbapi_connection
        assert driver is not None
        self._driver, self._cursor = driver, driver.cursor()
        self.dialect = engine.dialect
        self._driver_errors: type[Exception] = engine.dialect.loaded_dbapi.Error
        self.retention = retention
        self._inserts = {name: str(table.insert().compile(dialect=self.dialect)) for name, table in self._tables()}
        self._next_refusal = 1
        self._audit: tuple[int, str] = (0, "")
        self._singles: dict[tuple[int, str | None, str], int] = {}
        self._shared: dict[tuple[int, str | None, str], int] = {}
        self._trims = 0
        self._rolled = 0  # hours before this one are in usage_hours
        self._after: list[Callable[[], object]] = []
        self._saved_refusals = 0

    @staticmethod
    def _tables() -> Iterable[tuple[str, Table]]:
        return schema.metadata.tables.items()

    def close(self) -> None:
        """Give the connection back; SQLite then checkpoints and removes the -wal file."""
        self.connection.close()
        self.connection.engine.dispose()

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
            self._execute(_INSERT_TRADE, [_trade_row(trade) for trade in changes.trades])
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
            self._execute(self._inserts[table], list(rows))

    def _put(self, table: Table, row: Mapping[str, Any]) -> None:
        """Insert the row, or update what it names of the row that has its primary key."""
        (key,) = table.primary_key.columns
        if self.connection.execute(table.update().where(key == row[key.name]), dict(row)).rowcount == 0:
            self.connection.execute(table.insert(), dict(row))

    def _save_beats(self, state: State) -> None:
        beaten, state.beaten = state.beaten, {}
        if beaten:
            rows = [(s.last_heartbeat_at, s.expires_at, s.lease_ms, s.number) for s in beaten.values()]
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
        """Each with its facts, as long as no user floods; from then on a minute's rest shares a row that counts it."""
        self._saved_refusals = len(refused)
        if not refused:
            return
        minute = refused[-1].at // MINUTE_MS
        singles = {key: n for key, n in self._singles.items() if key[0] >= minute}
        shared = {key: number for key, number in self._shared.items() if key[0] >= minute}
        inserts: dict[int, list[Any]] = {}
        updates: dict[int, list[Any]] = {}
        number = self._next_refusal
        for one in refused:
            everyone = (one.at // MINUTE_MS, None, "")
            key = (one.at // MINUTE_MS, one.user_id, one.reason)
            if singles.get(everyone, 0) >= SINGLE_REFUSALS:
                key = (key[0], None, one.reason)
                flooded = True
            else:
                flooded = singles.get(key, 0) >= SINGLE_REFUSALS_PER_USER
            if flooded and key in shared:
                row = inserts.get(shared[key]) or updates.setdefault(shared[key], [shared[key], 0])
                row[1:] = _refusal_row(one, row[-1] + 1)
                continue
            if flooded:
                shared[key] = number
            else:
                singles[key] = singles.get(key, 0) + 1
                singles[everyone] = singles.get(everyone, 0) + 1
            inserts[number] = [number, *_refusal_row(one, 1)]
            number += 1
        self._many("refusals", [tuple(row) for row in inserts.values()])
        if updates:
            self._execute(_UPDATE_REFUSAL, [(*row[1:], row[0]) for row in updates.values()])

        def after() -> None:
            self._next_refusal, self._singles, self._shared = number, singles, shared

        self._after.append(after)

    def _save_snapshot(self, s: Snapshot) -> None:
        cpu, ram = s.cpu_percent, s.ram_percent
        figures = (
            1, s.bots, s.bots, s.bots, s.suspects, s.limit, int(cpu is not None), cpu or 0.0, cpu,
            int(ram is not None), ram or 0.0, ram, s.p99_ms, s.tokens, s.signals, s.trades, s.starts, s.ended,
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
        keep = self.retention
        slices: tuple[tuple[str, tuple[int, ...]], ...] = (
            (_TRIM_SNAPSHOTS, (RAW_STEP, now - keep.raw_hours * HOUR_MS)),
            (_TRIM_SNAPSHOTS, (MINUTE_STEP, now - keep.minutes_days * DAY_MS)),
            (_TRIM_COUNTS, (RAW_STEP, now - keep.raw_hours * HOUR_MS)),
            (_TRIM_COUNTS, (MINUTE_STEP, now - keep.minutes_days * DAY_MS)),
            (_TRIM_REFUSALS, (now - keep.refusals_days * DAY_MS,)),
            (_TRIM_REFUSAL_ROWS, (self._next_refusal - keep.refusals_rows,)),
            (_TRIM_ENDED, (now - keep.sessions_days * DAY_MS,)),
            (_TRIM_TRADES, (now - keep.trades_days * DAY_MS,)),
            (_TRIM_SECONDS, (now // 1000 - 2 * MINUTE_SECONDS,)),
            (_TRIM_DELIVERIES, (now - keep.refusals_days * DAY_MS,)),
        )
        self._execute(*_one(slices[self._trims % len(slices)]))
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
            for row in self._rows(_SELECT_ENDED, sorted(numbers)):
                ended = Ended(as_session(row), row.ended_at, row.ended_reason)
                state.ended[ended.session.number] = ended
        if trades:
            for row in self._rows(_SELECT_TRADES, sorted(trades)):
                columns: list[Any] = list(row)
                columns[7] = bool(row.closes)
                trade = Trade(*columns)
                state.trades[trade.user_id, trade.trade_id] = trade
        if unknown:
            found = {row.user_id: row.used for row in self._rows(_SELECT_DAYS, sorted(unknown), day)}
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
                name: (_value(name, value), source) for name, (value, source) in json.loads(row.in_force).items()
            }
            changed = tuple((str(name), before, after) for name, before, after in json.loads(row.changed))
            state.versions[version] = Version(
                row.version, row.at, row.actor, row.kind, row.reason, row.user_id, changed, in_force
            )

    def _rows(self, sql: str, names: list[Any], *more: Any) -> Sequence[Row[Any]]:
        return self.connection.exec_driver_sql(sql, (json.dumps(names), *more)).all()

    # -- the start

    def restore(self, configured: Mapping[str, Setting], zone: tzinfo, now: int, channels: Iterable[str] = ()) -> State:
        """The state as the database has it, every lease renewed in full, rates and counts of the last hour kept.

        Saves what environment and defaults say now, as a version of its own where values in force changed by it.
        """
        state = State(self._restore_limits(configured, now), zone)
        connection = self.connection
        fleet = connection.execute(select(schema.fleet)).one()
        state.next_number, state.paused = fleet.next_number, bool(fleet.paused)
        for row in connection.execute(select(schema.active_sessions)):
            state.restore(as_session(row))
        state.renew_all(now)
        incidents.restore(connection, state, channels)
        plan = select(schema.plan_steps).order_by(schema.plan_steps.c.at)
        state.plan = tuple(Step(*row) for row in connection.execute(plan))
        ended = schema.ended_sessions.c
        freed = (
            select(ended.ended_at)
            .where(ended.ended_reason != "replaced")
            .order_by(ended.ended_at.desc())
            .limit(GAPS + 1)
        )
        state.freed.extend(reversed(connection.execute(freed).scalars().all()))
        days, today = schema.trade_days.c, state.day(now).name
        for row in connection.execute(select(days.user_id, days.used).where(days.day == today)):
            state.trade_days[row.user_id, today] = row.used
        self._restore_windows(state, now)
        tokens = select(func.max(schema.snapshots.c.at)).where(
            schema.snapshots.c.step == MINUTE_STEP, schema.snapshots.c.tokens > 0
        )
        state.last_token_at = connection.execute(tokens).scalar()
        self._next_refusal = (
            connection.execute(select(func.coalesce(func.max(schema.refusals.c.id), 0))).scalar_one() + 1
        )
        last = connection.execute(
            select(schema.audit.c.id, schema.audit.c.hash).order_by(schema.audit.c.id.desc()).limit(1)
        ).first()
        self._audit = (last.id, last.hash) if last else (0, "")
        connection.rollback()
        return state

    def _restore_limits(self, configured: Mapping[str, Setting], now: int) -> Limits:
        settings, stored = dict(configured), {}
        for row in self.connection.execute(select(schema.limits)):
            if row.name not in LIMITS:
                continue
            stored[row.name] = (_value(row.name, row.value), row.source)
            changed = (row.changed_at, row.changed_by)
            if row.source == "live":
                settings[row.name] = Setting(_value(row.name, row.value), "live", *changed)
            elif (configured[row.name].value, configured[row.name].source) == stored[row.name]:
                settings[row.name] = Setting(configured[row.name].value, configured[row.name].source, *changed)
        overrides = {
            row.user_id: Override(json.loads(row.limits), row.reason, row.until, row.changed_at, row.changed_by)
            for row in self.connection.execute(select(schema.overrides))
        }
        version = self.connection.execute(
            select(func.coalesce(func.max(schema.limit_versions.c.version), 0))
        ).scalar_one()
        self.connection.rollback()
        moved = [n for n, setting in settings.items() if stored.get(n) != (setting.value, setting.source)]
        versions = []
        if moved:
            moves: tuple[tuple[str, Value, Value], ...] = tuple(
                (n, stored[n][0] if n in stored else None, settings[n].value) for n in moved
            )
            in_force = {n: (setting.value, setting.source) for n, setting in settings.items()}
            reason = "configuration" if version else "first start"
            version += 1
            versions = [Version(version, now, "start", "start", reason, None, moves, in_force)]
        limits = Limits(version, settings, configured, overrides)
        self.begin()
        self._save_versions(State(limits), versions, [])
        self.commit()
        return limits

    def _restore_windows(self, state: State, now: int) -> None:
        """The last minute of rates, and the last hour of counts. What a clock that went back left in the future of
        `now` is moved to it: it holds for a minute, as promised, and not until that future comes."""
        second = now // 1000
        seconds = schema.rate_seconds
        rows = self.connection.execute(
            select(seconds).where(seconds.c.second >= second - MINUTE_SECONDS).order_by(seconds.c.second)
        ).all()
        for row in rows:
            state.window(row.kind, row.user_id).add(min(row.second, second), row.n)
        shots = schema.snapshots
        since = (second - HOUR_SECONDS) * 1000
        recent = select(shots).where(shots.c.step == RAW_STEP, shots.c.at >= since).order_by(shots.c.at)
        counts = schema.refusal_counts
        refused = select(counts).where(counts.c.step == RAW_STEP, counts.c.at >= since).order_by(counts.c.at)
        figures = chain(
            (
                (name, row.at, getattr(row, name))
                for row in self.connection.execute(recent)
                for name in ("starts", "trades")
            ),
            ((f"refused:{row.reason}", row.at, row.n) for row in self.connection.execute(refused)),
        )
        for figure, at, n in figures:
            if n:
                state.windows.setdefault(("hour", figure), Window(HOUR_SECONDS)).add(min(at // 1000, second), n)
        ended = schema.ended_sessions.c
        expired = (
            select(ended.ended_at)
            .where(ended.ended_at >= since, ended.ended_reason == "lease_expired")
            .order_by(ended.ended_at)
        )
        for at in self.connection.execute(expired).scalars():
            state.windows.setdefault(("hour", "ended:lease_expired"), Window(HOUR_SECONDS)).add(
                min(at // 1000, second), 1
            )


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
            case LookAtUser():
                users.add(request.user_id)
            case Rollback() | Acknowledge():
                past.append(request)
    return numbers, trades, {user for user in users if (user, day) not in state.trade_days}, past


def link(head: str, row: tuple[Any, ...]) -> str:
    """The hash of an audit row, chained to the one before it."""
    return hashlib.sha256((head + json.dumps(row, separators=(",", ":"))).encode()).hexdigest()


def _value(name: str, value: float | None) -> Value:
    return None if value is None else LIMITS[name].accept(value)


def _one(slice_: tuple[str, tuple[int, ...]]) -> tuple[str, list[tuple[Any, ...]]]:
    return slice_[0], [slice_[1]]


def _trade_row(trade: Trade) -> tuple[Any, ...]:
    return (
        trade.trade_id, trade.user_id, trade.number, trade.symbol, trade.side, trade.quantity, trade.price,
        int(trade.closes), trade.at, trade.day,
    )  # fmt: skip


def _refusal_row(one: Refused, repeats: int) -> tuple[Any, ...]:
    facts = one.facts
    return (
        one.request_id, one.at, one.user_id, one.bot_id, one.reason, one.limit, one.value, one.count, one.version,
        *((facts.active, facts.max_bots, facts.user_active, facts.user_max) if facts else (None,) * 4), repeats,
    )  # fmt: skip


_AMONG = "IN (SELECT value FROM json_each(?))"
_DELETE_ACTIVE = "DELETE FROM active_sessions WHERE number = ?"
_UPDATE_FLEET = "UPDATE fleet SET active = ?, next_number = ?, paused = ? WHERE id = 1"
_UPDATE_BEAT = "UPDATE active_sessions SET last_heartbeat_at = ?, expires_at = ?, lease_ms = ? WHERE number = ?"
_INSERT_TRADE = (
    "INSERT INTO trades (trade_id, user_id, number, symbol, side, quantity, price, closes, at, day)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPSERT_DAY = (
    "INSERT INTO trade_days (day, user_id, used) VALUES (?, ?, ?)"
    " ON CONFLICT (day, user_id) DO UPDATE SET used = excluded.used"
)
_UPSERT_SECOND = (
    "INSERT INTO rate_seconds (second, kind, user_id, n) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (second, kind, user_id) DO UPDATE SET n = n + excluded.n"
)
_UPDATE_REFUSAL = (
    "UPDATE refusals SET request_id = ?, at = ?, user_id = ?, bot_id = ?, reason = ?, limit_name = ?, value = ?,"
    " count = ?, version = ?, active = ?, max_bots = ?, user_active = ?, user_max = ?,"
    " repeats = repeats + ? WHERE id = ?"
)
_SUMS = ("n", "bots_sum", "cpu_n", "cpu_sum", "ram_n", "ram_sum", "tokens", "signals", "trades", "starts", "ended")
_MAXIMA = ("bots_max", "suspects_max", "cpu_max", "ram_max", "p99_max")
_UPSERT_SNAPSHOT = (
    f"INSERT INTO snapshots ({', '.join(c.name for c in schema.snapshots.c)})"
    f" VALUES ({', '.join('?' for _ in schema.snapshots.c)}) ON CONFLICT (step, at) DO UPDATE SET"
    f" {', '.join(f'{name} = {name} + excluded.{name}' for name in _SUMS)},"
    f" {', '.join(f'{n} = max(coalesce({n}, excluded.{n}), coalesce(excluded.{n}, {n}))' for n in _MAXIMA)},"
    " bots_min = min(bots_min, excluded.bots_min), limit_last = excluded.limit_last"
)
_UPSERT_REFUSAL_COUNT = (
    "INSERT INTO refusal_counts (step, at, reason, n) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (step, at, reason) DO UPDATE SET n = n + excluded.n"
)
_TRIM_SNAPSHOTS = (
    "DELETE FROM snapshots WHERE (step, at) IN"
    f" (SELECT step, at FROM snapshots WHERE step = ? AND at < ? ORDER BY at LIMIT {TRIM_ROWS})"
)
_TRIM_COUNTS = _TRIM_SNAPSHOTS.replace("snapshots", "refusal_counts")
_TRIM_REFUSALS = (
    f"DELETE FROM refusals WHERE id IN (SELECT id FROM refusals WHERE at < ? ORDER BY at LIMIT {TRIM_ROWS})"
)
_TRIM_REFUSAL_ROWS = (
    f"DELETE FROM refusals WHERE id IN (SELECT id FROM refusals WHERE id < ? ORDER BY id LIMIT {TRIM_ROWS * 10})"
)
_TRIM_ENDED = (
    "DELETE FROM ended_sessions WHERE number IN"
    f" (SELECT number FROM ended_sessions WHERE ended_at < ? ORDER BY ended_at LIMIT {TRIM_ROWS})"
)
_TRIM_TRADES = f"DELETE FROM trades WHERE id IN (SELECT id FROM trades WHERE at < ? ORDER BY at LIMIT {TRIM_ROWS})"
_TRIM_DELIVERIES = (
    "DELETE FROM deliveries WHERE number IN (SELECT number FROM deliveries"
    f" WHERE state IN ('sent', 'failed') AND at < ? LIMIT {TRIM_ROWS})"
)
_TRIM_SECONDS = "DELETE FROM rate_seconds WHERE second < ?"
_SELECT_ENDED = f"SELECT * FROM ended_sessions WHERE number {_AMONG}"
_SELECT_TRADES = (
    "SELECT t.trade_id, t.user_id, t.number, t.symbol, t.side, t.quantity, t.price, t.closes, t.at, t.day"
    " FROM json_each(?) AS j JOIN trades AS t"
    " ON t.user_id = json_extract(j.value, '$[0]') AND t.trade_id = json_extract(j.value, '$[1]')"
)
_SELECT_DAYS = f"SELECT user_id, used FROM trade_days WHERE user_id {_AMONG} AND day = ?"
