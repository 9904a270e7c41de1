"""The one writer of a SQLite file. Deciding and writing run in the event loop, the commit (an fsync) in the thread."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from limiter.onethread import OneThread
from limiter.rules import elsewhere
from limiter.rules.limits import Setting
from limiter.rules.records import KeptRefusal, RefusalRecord
from limiter.rules.state import State
from limiter.store import limits, restore
from limiter.store.audit_head import AuditHead
from limiter.store.driver import Driver
from limiter.store.engine import is_busy
from limiter.store.fetch import fetch, named
from limiter.store.retention import Retention
from limiter.store.save import Saver
from limiter.store.statements import TRADE, Statements
from limiter.store.trimmer import Trimmer

LOCK_SECONDS = 1.5  # how long a batch tries for the write lock
LOCK_SECONDS_FAILING = 0.1  # and while it was refused before: what waits behind must have its answer in time too
NAMED_TRADES = text(  # a join: for `(user_id, trade_id) IN (…)` SQLite reads the whole table
    f"SELECT {', '.join(TRADE)} FROM json_each(:named) AS named JOIN trades ON user_id ="
    " json_extract(named.value, '$[0]') AND trade_id = json_extract(named.value, '$[1]')"
)

log = logging.getLogger("limiter")


class SqliteWriter:
    """Owns the one connection that writes. Not thread-safe: one call at a time, from whichever thread."""

    alone = True
    leads = True

    def __init__(self, engine: Engine, retention: Retention = Retention(), head: AuditHead | None = None) -> None:
        self.engine, self.head = engine, head
        self.lost: str | None = None
        """Why nothing may be written: no later process would find it (store/watched_file.py)."""
        self.written_over: Callable[[], str | None] = lambda: None
        """Asked after each commit: what is wrong where others wrote into the file."""
        self.others_wrote = False
        """Whether another program committed by SQLite: memory may not be what the file holds."""
        self._version: int | None = None
        self._driver = Driver(engine)
        self._saver = Saver(self._driver, Statements(engine.dialect), retention, head)

    @property
    def trimmer(self) -> Trimmer:
        """What deletes what is too old."""
        return self._saver.trimmer

    @property
    def connection(self) -> Connection:
        """Core's connection to the file."""
        return self._driver.connection

    def close(self) -> None:
        """Give the connection back; SQLite then checkpoints and removes the -wal file."""
        self._driver.close()
        self.engine.dispose()

    # -- a batch

    async def prepare(self, state: State, requests: list[Any], now: int, failing: bool, thread: OneThread) -> int:
        """Have the state know what the requests name. No lease ends in an outage, for no end can be recorded.

        Raises OSError where nothing may be written any more: then nothing is answered that rests on it either.
        """
        if self.lost is not None:
            raise OSError(self.lost)
        if failing:
            state.renew_all(now)
        self.fetch(state, requests, now)
        return now

    async def make_durable(self, state: State, failing: bool, thread: OneThread) -> None:
        """Write and commit what the batch changed; nothing where it changed nothing. Raises OSError where others wrote
        into the file, so that nobody may find it again."""
        if not state.changes:
            return
        try:
            self.begin()
        except OperationalError as error:
            if not is_busy(error):
                raise
            await thread.run(partial(self._wait_for_lock, LOCK_SECONDS_FAILING if failing else LOCK_SECONDS))
        if state.changes.snapshots and self._others_committed():
            state.changes.recount = True  # the sessions at least are those of memory again
        try:
            self.save(state)
            await thread.run(self.commit)
        except OperationalError:
            self._version = None  # a batch larger than the cache, which meets a full disk, counts as another's write
            raise
        # Not in that thread: it would hand the interpreter over once more a batch, for a look that waits for no disk.
        if (others := self.written_over()) is not None:
            self.lost = others
            raise OSError(others)
        self.committed(state)

    def _others_committed(self) -> bool:
        """Whether another connection committed since it was asked last: all others of this process only read."""
        ((version,),) = self._driver.rows("PRAGMA data_version")
        before, self._version = self._version, version
        if before in (None, version):
            return False
        log.critical("database_written_by_others: another program wrote into it by SQLite; restart the limiter")
        self.others_wrote = True
        return True

    def begin(self) -> None:
        """Take the write lock, or raise OperationalError at once where another process has it; OSError where nothing
        may be written any more."""
        if self.lost is not None:
            raise OSError(self.lost)
        self._driver.execute("BEGIN IMMEDIATE", [()])

    def _wait_for_lock(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                return self.begin()
            except OperationalError as error:
                if not is_busy(error) or time.monotonic() > end:
                    raise
                time.sleep(0.005)

    def fetch(self, state: State, requests: Iterable[Any], now: int) -> None:
        """Bring what the requests name and memory has not. The batch is decided outside of a transaction."""
        day = state.day(now).name
        found = named(state, requests, day)
        if any(found):
            try:
                fetch(self.connection, state, found, day, NAMED_TRADES)
            finally:
                self.connection.rollback()  # what was only read must not hold a transaction open

    def save(self, state: State) -> None:
        """Write what the batch changed, and the refusals that wait."""
        self._saver.save(state)

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
        """Forget the batch."""
        self._driver.rollback()
        self._saver.forget()

    def fold_log(self) -> bool:
        """Move the write-ahead log into the database and give its room back, as far as readers and the disk let it;
        whether all of it is in the database now."""
        try:  # a cursor of its own: it may be asked for beside a batch
            _, frames, moved = self._driver.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            log.warning("log_not_folded error=%s", error)
            return False
        return bool(frames == moved)

    # -- the start

    def restore(self, configured: Mapping[str, Setting], zone: tzinfo, now: int, channels: Iterable[str] = ()) -> State:
        """The state as the database has it (see store/restore.py), every lease renewed in full.

        Saves what environment and defaults say now, as a version of its own where values in force changed by it.
        """
        in_force, versions = limits.read_at_start(self.connection, configured, now)
        self.connection.rollback()
        self.begin()
        self._saver.versions(State(in_force), versions, [])
        self._saver.read_ends()
        self._saver.note_start(now)
        self.commit()
        state = restore.read_state(self.connection, in_force, zone, now, channels)
        restore.book_the_rest(self.connection, state, now)
        elsewhere.course(state, now)
        state.renew_all(now)  # nobody could beat while this process was away
        self._saver.read_ends()
        self.connection.rollback()
        self._others_committed()
        return state
