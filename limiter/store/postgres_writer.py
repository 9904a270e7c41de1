"""The writer of one process among several on a PostgreSQL database: one cap for all of them.

Promises: a batch takes the row of `fleet` first, then learns what the others committed before it (store/journal.py),
and only then is decided, at an instant of the database's clock; so what is decided on is what is true, and no two
processes give the same slot away. Where the journal does not reach back far enough, after a failed batch, and where the
counts differ, everything is read anew, before the row is taken. A lease is written with the batch that renews it, so
that every process may end it.
"""

import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from limiter.onethread import OneThread
from limiter.rules import elsewhere
from limiter.rules.limits import Setting
from limiter.rules.records import KeptRefusal, RefusalRecord
from limiter.rules.state import State
from limiter.store import journal, limits, restore
from limiter.store.audit_head import AuditHead
from limiter.store.driver import Driver
from limiter.store.fetch import fetch, named
from limiter.store.journal_reader import JournalReader
from limiter.store.location import StoreError
from limiter.store.postgres import LOCK_MS
from limiter.store.retention import Retention
from limiter.store.save import Saver
from limiter.store.statements import TRADE, Statements
from limiter.store.trimmer import Trimmer

START_LOCK_MS = 10_000  # how long a start waits for its turn
LEADER_MS = 15_000  # a leader that took no snapshot for so long is followed by another
NAMED_TRADES = text(
    f"SELECT {', '.join(TRADE)} FROM json_array_elements(CAST(:named AS json)) AS named JOIN trades ON user_id ="
    " named ->> 0 AND trade_id = named ->> 1"
)

log = logging.getLogger("limiter")


class PostgresWriter:
    """Owns this process's connection. `begin`, `fetch`, `save` and `commit` wait for the network and for the others."""

    alone = False

    def __init__(self, engine: Engine, retention: Retention = Retention(), head: AuditHead | None = None) -> None:
        self.engine, self.head = engine, head
        self._driver = self._connect()
        self._sql = Statements(engine.dialect)
        self._saver = Saver(self._driver, self._sql, retention, head)
        self.name = secrets.token_hex(8)  # two containers may have the same host name and process id
        self.reader = JournalReader(self._sql)
        self._waited = False  # in vain for the row: nothing was done

    def _connect(self) -> Driver:
        driver = Driver(self.engine)
        driver.cursor = psycopg.Cursor(driver.raw)  # one that has the server prepare the statements of every batch
        return driver

    def _connect_anew(self) -> None:
        if self._driver.is_lost():
            self.reader.revision = None
            self._driver = self._saver.driver = self._connect()

    @property
    def leads(self) -> bool:
        """Whether this process does what only one may do."""
        return self.reader.news.leader == self.name

    @property
    def trimmer(self) -> Trimmer:
        """What deletes what is too old."""
        return self._saver.trimmer

    @property
    def connection(self) -> Connection:
        """Core's connection to the server."""
        return self._driver.connection

    def close(self) -> None:
        """Give leadership and the connection back."""
        try:
            self._connect_anew()
            self._driver.execute(self._sql.stop_leading, [(self.name,)])
            self._driver.commit()
        except DBAPIError as error:
            log.warning("leader_not_released error=%s", error.orig)
        self.connection.close()
        self.engine.dispose()

    # -- a batch

    async def prepare(self, state: State, requests: list[Any], now: int, failing: bool, thread: OneThread) -> int:
        """Take the row, have the state know what the others did and what the requests name; the database's instant."""
        await thread.run(self.begin)
        if not self.catch_up(state):
            await thread.run(self.read_anew)
            self.catch_up(state)
        await thread.run(partial(self.fetch, state, requests, self.now))
        return self.now

    async def make_durable(self, state: State, failing: bool, thread: OneThread) -> None:
        """Write and commit the batch with its row of the journal, or give the row of `fleet` back."""
        if not (state.changes or state.beaten or self.renews):
            await thread.run(self.release)
            return
        await thread.run(partial(self.save, state))
        await thread.run(self.commit)
        self.committed(state)

    def begin(self) -> None:
        """Take the row that every batch takes, and read what the others committed since this process's last one."""
        self._connect_anew()
        fresh = None
        try:
            while True:
                fresh = self.reader.read_all(self._driver) if self.reader.revision is None else None
                if self.reader.read_news(self._driver, fresh):
                    return
                self.release()
        except DBAPIError as error:
            # Where it only waited in vain, memory is as good as before, unless it was about to be read anew.
            self._waited = isinstance(error.orig, psycopg.errors.LockNotAvailable) and fresh is None
            raise

    def fetch(self, state: State, requests: Iterable[Any], now: int) -> None:
        """Bring what the requests name and memory has not, in the transaction that holds the row."""
        day = state.day(now).name
        found = named(state, requests, day)
        if any(found):
            fetch(self.connection, state, found, day, NAMED_TRADES)

    def catch_up(self, state: State) -> bool:
        """Have the state know what `begin` read; False where the counts differ then, and all has to be read anew."""
        return self.reader.catch_up(state)

    def read_anew(self) -> None:
        """All of the database, in a batch that begins once more."""
        self.reader.revision = None
        self.release()
        self.begin()

    @property
    def now(self) -> int:
        """The instant of the batch at hand, by the database's clock, in UTC milliseconds."""
        return self.reader.news.now

    @property
    def renews(self) -> bool:
        """Whether the batch at hand renews every lease, whatever else it does."""
        return self.reader.news.away

    def save(self, state: State) -> None:
        """Write what the batch changed, and what the others have to know of it."""
        self._saver.read_ends(audit=bool(state.changes.audit), refusals=bool(state.refused or state.changes.trim))
        beaten = [session for session in state.beaten.values() if session.number in state.sessions]
        if self.renews:
            self._driver.execute(self._sql.renew_all, [(self.now,)])
        self._saver.save(state, self.leads)
        self._saver.beats(state, self.now)
        self._write_journal(journal.entry(state, beaten, state.refused, renewed=self.renews))
        if state.changes.snapshots:
            self._lead()
            self._driver.execute(self._sql.delete_journal, [(self.now - journal.KEEP_MS,)])

    def waiting(self, refused: Sequence[RefusalRecord]) -> list[KeptRefusal]:
        """Refusals that no commit has written yet, as the rows that they will be."""
        return self._saver.waiting(refused)

    def read_day(self, state: State, now: int) -> None:
        """Bring the trades of the day that holds `now`, where the clock was moved to another one."""
        restore.read_day(self.connection, state, now)
        self.connection.rollback()

    def commit(self) -> None:
        """Make it durable, and write down outside of the database where the audit ends."""
        self._driver.commit()
        self._saver.chain.keep_head()

    def committed(self, state: State) -> None:
        """Move on what this object remembers of the database, now that the batch is durable."""
        self._saver.committed(state)

    def rollback(self) -> None:
        """Forget the batch, and what is known of the database: whether it was committed after all is not."""
        self._saver.forget()
        if self._waited and not self._driver.is_lost():
            self._waited = False
            self.release()
            return
        self.reader.revision = None
        # A connection that failed may lead to a server that is no longer the one to write to.
        if not self.connection.closed:
            self.connection.invalidate()
            self.connection.close()

    def release(self) -> None:
        """Let the others go on: the batch has changed nothing."""
        self._driver.rollback()

    def fold_log(self) -> bool:
        """The server's own affair."""
        return True

    def _write_journal(self, changes: str) -> None:
        revision, now = self.reader.next_revision(), self.now
        self._driver.execute(self._sql.inserts["journal"], [(revision, now, changes)])
        self._saver.after_commit(partial(self.reader.hold, revision, now))

    def _lead(self) -> None:
        """Be the leader, or remain it, where no other is."""
        self._driver.execute(self._sql.lead, [(self.name, self.now + LEADER_MS, self.name, self.now)])

    # -- the start

    def restore(self, configured: Mapping[str, Setting], zone: tzinfo, now: int, channels: Iterable[str] = ()) -> State:
        """The state as the database has it, every lease renewed in full: the bots of this process could not beat."""
        self.reader.zone, self.reader.channels = zone, tuple(channels)
        self._driver.execute(_WAIT_UP_TO.format(START_LOCK_MS), [()])
        self._driver.commit()
        self.reader.begin_start(self._driver)
        in_force, versions = limits.read_at_start(self.connection, configured, self.now)
        state = State(in_force, zone)
        self._saver.versions(state, versions, [])
        state.changes.versions.extend(versions)
        self._write_journal(journal.entry(state, (), ()))
        self._lead()
        self.commit()
        self.committed(state)
        state.begin()
        self.reader.revision = None  # memory holds nothing yet
        self.begin()
        if not self.catch_up(state):
            raise StoreError(
                fr="le compte des sessions en cours est faux dans la base : vois `python -m limiter check`",
                en="the database's count of live sessions is wrong: see `python -m limiter check`",
            )
        self.reader.news.away = True
        state.renew_leases(self.now)
        elsewhere.course(state, self.now)
        self.save(state)
        self._driver.execute(_WAIT_UP_TO.format(LOCK_MS), [()])
        self.commit()
        self.committed(state)
        return state


_WAIT_UP_TO = "SET lock_timeout = {}"
