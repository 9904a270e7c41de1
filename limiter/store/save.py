"""What a batch changed, as rows: each list is one statement over a set, in the caller's transaction."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import Table, func, select

from limiter.rules.records import KeptRefusal, RefusalRecord, Snapshot, Version
from limiter.rules.snapshots import FIGURES
from limiter.rules.state import State
from limiter.store import incidents, schema, usage
from limiter.store.audit_chain import AuditChain
from limiter.store.audit_head import AuditHead
from limiter.store.driver import Driver
from limiter.store.flood import Flood
from limiter.store.retention import Retention
from limiter.store.rows import (
    as_refusal,
    costs_row,
    held_by_text,
    notice_row,
    schedule_text,
    session_row,
    started_row,
    trade_row,
)
from limiter.store.schema import STEPS
from limiter.store.statements import Statements
from limiter.store.trimmer import Trimmer
from limiter.units import DAY_MS, HOUR_MS

REFUSED = "refused:"


def _steps(at: int) -> list[tuple[int, int]]:
    """The rows of each width that hold this instant."""
    return [(step, at - at % (step * 1000)) for step in STEPS]


class Saver:
    """Writes batches, and remembers what it needs of the rows before: ids, the flood, the audit's end (`chain`)."""

    def __init__(self, driver: Driver, statements: Statements, retention: Retention, head: AuditHead | None) -> None:
        self.driver, self.statements = driver, statements
        self.chain = AuditChain(statements, head)
        self._flood = Flood()
        self.trimmer = Trimmer(statements, retention)
        self._rolled = 0  # hours before this one are in usage_hours
        self._after: list[Callable[[], object]] = []
        self._saved_refusals = 0

    # -- what it remembers

    def read_ends(self, *, audit: bool = True, refusals: bool = True) -> None:
        """Read where the audit and the refusals end: at the start, and in a batch where others may have written."""
        if audit:
            self.chain.read_end(self.driver.connection)
        if refusals:
            highest = select(func.coalesce(func.max(schema.refusals.c.id), 0))
            self._flood.next_id = int(self.driver.connection.execute(highest).scalar_one()) + 1

    def after_commit(self, step: Callable[[], object]) -> None:
        """Have this done once the batch is durable."""
        self._after.append(step)

    def note_start(self, now: int) -> None:
        """Write what the audit has to keep of a start."""
        if entries := self.chain.of_start(self.driver.connection, now):
            self.chain.add(self.driver, entries)

    def committed(self, state: State) -> None:
        """Move on: the batch is durable."""
        for step in self._after:
            step()
        self._after.clear()
        del state.refused[: self._saved_refusals]
        self._saved_refusals = 0

    def forget(self) -> None:
        """The batch is not written: what is remembered is what was."""
        self._after.clear()
        self.chain.to_keep = None

    # -- a batch

    def save(self, state: State, leads: bool = True) -> None:
        """Write what the batch changed, and the refusals that wait. Of several processes, only the one that leads
        writes how long the fleet was in each status: all of them saw the same."""
        self._after.clear()
        self.chain.to_keep = None
        changes, run, sql = state.changes, self.driver.execute, self.statements
        self._sessions(state)
        if changes.trades:
            run(sql.insert_trade, [trade_row(trade) for trade in changes.trades])
            run(sql.upsert_day, [(day, user, used) for (user, day), used in changes.trade_days.items()])
        if changes.seconds:
            self._rates(state)
        if changes.tickets:
            run(sql.delete_ticket, [(user,) for user in changes.tickets])
            held = [state.tickets[user] for user in changes.tickets if user in state.tickets]
            self._insert("tickets", [(one.user_id, one.id, one.number, one.asked_at) for one in held])
        if changes.versions:
            self.versions(state, changes.versions, changes.overrides)
        if changes.drain:
            run(sql.update_drain, [state.drain or (None, None, None)])
        if changes.schedule:
            run(sql.update_schedule, [(schedule_text(state.schedule),)])
        if changes.plan:
            self._plan(state)
        incidents.save(self._put, changes)
        for table, row in changes.rows:
            self._put(schema.metadata.tables[table], row)
        for snapshot in changes.snapshots:
            self._snapshot(snapshot, leads)
            self.beats(state, snapshot.at)
            self._roll_usage(snapshot.at)
        if changes.trim:
            self.trimmer.slice(self.driver, changes.trim, self._flood.next_id)
            self.after_commit(self.trimmer.committed)
        if changes.audit:
            self.after_commit(self.chain.add(self.driver, changes.audit))
        self._refusals(state.refused)

    def _recount(self, state: State) -> None:
        """Make the live rows those of memory again: what memory lacks has ended, what it has is written."""
        live, ended, connection = schema.active_sessions, schema.ended_sessions, self.driver.connection
        rows = {row.number: row for row in connection.execute(select(live))}
        for number in rows.keys() - state.sessions.keys():
            connection.execute(live.delete().where(live.c.number == number))
            if connection.execute(select(ended.c.number).where(ended.c.number == number)).first() is None:
                over = {**rows[number]._mapping, "ended_at": rows[number].last_heartbeat_at, "ended_reason": "reaped"}
                connection.execute(ended.insert(), over)
        names = [column.name for column in live.c]
        for one in state.sessions.values():
            if one.number not in rows:
                connection.execute(live.insert(), dict(zip(names, session_row(one), strict=True)))

    def _sessions(self, state: State) -> None:
        changes, run, sql = state.changes, self.driver.execute, self.statements
        if changes.ended:  # first: a session that replaces another has the same user_id and bot_id
            run(sql.delete_active, [(ended.session.number,) for ended in changes.ended])
            run(
                sql.inserts["ended_sessions"],
                [(*session_row(ended.session), ended.at, ended.reason) for ended in changes.ended],
            )
        if started := [started_row(one) for one in changes.started if one.number in state.sessions]:
            run(sql.insert_started, started)
        if changes.restamped:
            run(sql.update_start, [(one.started_at, one.number) for one in changes.restamped.values()])
        if told := [one for one in changes.notices.values() if one.number in state.sessions]:
            run(sql.update_notice, [(*notice_row(one), one.number) for one in told])
        if changes.recount:
            self._recount(state)
        if changes.probe:  # SQLite writes no page that an UPDATE leaves as it is: a disk that takes nothing looks well
            run(sql.update_fleet, [(len(state.sessions), state.next_number + 1, int(state.paused))])
        if changes.started or changes.ended or changes.pause or changes.probe or changes.recount:
            run(sql.update_fleet, [(len(state.sessions), state.next_number, int(state.paused))])

    def _rates(self, state: State) -> None:
        seconds, days = state.changes.seconds, Counter[tuple[str, str, str]]()
        for (kind, user, second), n in seconds.items():
            days[state.day(second * 1000).name, kind, user] += n
        rows = [(second, kind, user, n) for (kind, user, second), n in seconds.items()]
        self.driver.execute(self.statements.upsert_second, rows)
        self.driver.execute(self.statements.upsert_rate_day, [(*key, n) for key, n in days.items()])

    def _plan(self, state: State) -> None:
        self.driver.connection.execute(schema.plan_steps.delete())
        steps = [
            (step.at, step.max_bots, step.status, step.applied_at, held_by_text(step), step.confirm_within)
            for step in state.plan
        ]
        self._insert("plan_steps", steps)

    def beats(self, state: State, now: int) -> None:
        """Write the leases that were renewed since the last time, and how long bots were silent before.

        Of a batch that fails the silences are forgotten: after an outage every lease is new, and they say nothing.
        """
        if gaps := [(now // DAY_MS, exceeded, n) for exceeded, n in enumerate(state.gaps) if n]:
            state.gaps = [0] * len(state.gaps)
            self.driver.execute(self.statements.upsert_gap, gaps)
        beaten, state.beaten = state.beaten, {}
        if beaten:
            beats = [
                (one.lease_ms, one.last_heartbeat_at, one.expires_at, *costs_row(one), one.used_at, one.number)
                for one in beaten.values()
            ]
            self.driver.execute(self.statements.update_beat, beats)

    def versions(self, state: State, versions: Sequence[Version], users: Sequence[str]) -> None:
        """Write these versions of the limits, the limits in force now, and the own limits of these users."""
        rows: list[tuple[Any, ...]] = [
            (v.version, v.at, v.actor, v.kind, v.reason, v.user_id, json.dumps(v.changed), json.dumps(dict(v.in_force)))
            for v in versions
        ]
        self._insert("limit_versions", rows)
        self.driver.connection.execute(schema.limits.delete())
        settings, configured = state.limits.settings, state.limits.configured
        values = [
            (
                name, setting.value, setting.source, configured[name].value, configured[name].source,
                setting.changed_at, setting.changed_by,
            )
            for name, setting in settings.items()
        ]  # fmt: skip
        self._insert("limits", values)
        self.driver.execute(self.statements.update_room, [(state.limits.room_since,)])
        for user in dict.fromkeys(users):
            self.driver.connection.execute(schema.overrides.delete().where(schema.overrides.c.user_id == user))
            if (own := state.limits.overrides.get(user)) is not None:
                limits = json.dumps(dict(own.limits))
                row = (user, limits, own.reason, own.until, own.changed_at, own.changed_by, int(own.reserve))
                self._insert("overrides", [row])

    def _insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if rows:
            self.driver.execute(self.statements.inserts[table], rows)

    def _put(self, table: Table, row: Mapping[str, Any]) -> None:
        """Insert the row, or update what it names of the row that has its primary key."""
        (key,) = table.primary_key.columns
        connection = self.driver.connection
        if connection.execute(table.update().where(key == row[key.name]), dict(row)).rowcount == 0:
            connection.execute(table.insert(), dict(row))

    def _refusals(self, refused: list[RefusalRecord]) -> None:
        self._saved_refusals = len(refused)
        if refused:
            after, inserts, updates = self._flood.place(refused)
            self._insert("refusals", inserts)
            if updates:
                self.driver.execute(self.statements.update_refusal, updates)
            self.after_commit(lambda: setattr(self, "_flood", after))

    def waiting(self, refused: Sequence[RefusalRecord]) -> list[KeptRefusal]:
        """Refusals that no commit has written yet, as the rows that they will be."""
        if not refused:
            return []
        _, inserts, updates = self._flood.place(list(refused))
        more = [(number, *row) for *row, number in updates]
        return [*map(as_refusal, inserts), *(structs.replace(as_refusal(row), more=True) for row in more)]

    def _snapshot(self, s: Snapshot, leads: bool) -> None:
        """What happened before its instant in the seconds in which it did, then what was seen at it."""
        cpu, ram = s.cpu_percent, s.ram_percent
        rows, refused = [], []
        for one in s.slices:
            counted = [one.counts.get(name, 0) for name in FIGURES]
            figures = (
                0, one.low, one.high, 0, 0, one.limit, 0, 0.0, None, 0, 0.0, None, None, *counted, 0, 0, 0, 0.0,
                *(one.status_ms if leads else (0, 0, 0, 0)), one.peak_at,
            )  # fmt: skip
            rows += [(*step, *figures) for step in _steps(one.at)]
            reasons = [(name.removeprefix(REFUSED), n) for name, n in one.counts.items() if name.startswith(REFUSED)]
            refused += [(*step, reason, n) for step in _steps(one.at) for reason, n in reasons]
        sample = (
            1, s.bots, s.bots, s.bots, s.suspects, s.limit, int(cpu is not None), cpu or 0.0, cpu,
            int(ram is not None), ram or 0.0, ram, s.p99_ms, 0, 0, 0, 0, 0, *s.costs, 0, 0, 0, 0, s.at,
        )  # fmt: skip
        rows += [(*step, *sample) for step in _steps(s.at)]
        self.driver.execute(self.statements.upsert_snapshot, rows)
        if refused:
            self.driver.execute(self.statements.upsert_refusal_count, refused)

    def _roll_usage(self, now: int) -> None:
        """One finished hour a snapshot, until none is due in this hour. The one before this is rolled in any case:
        where the clock went back, it was rolled before it came again."""
        current = now - now % HOUR_MS
        if self._rolled == current:
            return
        begun = min(self._rolled, current - HOUR_MS)
        hours = [hour for hour in usage.due(self.driver.connection, now) if hour >= begun] or [current - HOUR_MS]
        usage.roll(self.driver.connection, hours[0])
        rolled = hours[0] + HOUR_MS
        self.after_commit(lambda: setattr(self, "_rolled", rolled))
