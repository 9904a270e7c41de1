"""What the other processes on a PostgreSQL database committed: read under the row of `fleet`, and followed in memory.

Where the journal does not reach back far enough, everything is read anew, before the row is taken.
"""

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, tzinfo

from limiter.rules.state import SHARED, State
from limiter.store import incidents, journal, limits, restore
from limiter.store.driver import Driver
from limiter.store.statements import Statements

AWAY_MS = 15_000  # every process commits a snapshot each 5 s: after so long a silence none could, and no bot could beat

log = logging.getLogger("limiter")


@dataclass(slots=True)
class News:
    """What is true at a batch's instant, and how memory gets there: all or parts of it read anew, then the entries of
    the others."""

    now: int
    active: int = 0
    next_number: int = 1
    paused: bool = False
    leader: str | None = None
    away: bool = False  # nobody committed for so long that no lease ended
    entries: Iterable[tuple[int, journal.Entry]] = ()
    fresh: State | None = None
    parts: tuple[str, ...] = ()


class JournalReader:
    """Where in the journal the memory of this process is. Not thread-safe, as the writer that owns it.

    Raises SQLAlchemy's errors.
    """

    def __init__(self, sql: Statements) -> None:
        self._sql = sql
        self.clock: Callable[[Driver], int] = database_clock
        self.zone: tzinfo = UTC
        self.channels: tuple[str, ...] = ()
        self.revision: int | None = None
        """The journal's, that memory holds; None: it holds nothing."""
        self._at = 0  # of that revision
        self.news = News(0)

    def read_all(self, driver: Driver) -> State:
        """Everything as of one snapshot, without the row: who has it goes on. The entries after it are read later."""
        for statement in _IN_ONE_SNAPSHOT:
            driver.execute(statement, [()])
        rows = driver.rows(self._sql.latest_revision)
        in_force = limits.read(driver.connection)
        assert in_force is not None, "the start of every process saves them"
        fresh = restore.read_state(driver.connection, in_force, self.zone, self.clock(driver), self.channels)
        self.revision, self._at = rows[0] if rows else (0, 0)
        driver.rollback()
        return fresh

    def read_news(self, driver: Driver, fresh: State | None) -> bool:
        """Take the row and look around; False where the journal does not reach back to what is known."""
        ((active, next_number, paused, leader, leader_until),) = driver.rows(self._sql.lock_fleet)
        now = self.clock(driver)  # not with the row: it would be the time before the wait
        rows = driver.rows(self._sql.newer_revisions, self.revision)
        if rows and rows[0][0] != (self.revision or 0) + 1:
            self.revision = None
            return False
        if rows:
            self.revision, self._at = rows[-1][:2]
        now = max(now, self._at)
        entries = [(at, json.loads(changes)) for _, at, changes in rows]
        self.news = News(
            now,
            active,
            next_number,
            bool(paused),
            leader=leader if leader is not None and leader_until > now else None,
            away=0 < self._at < now - AWAY_MS,
            entries=entries,
            fresh=fresh,
            parts=SHARED if fresh else (),
        )
        named = {name for _, entry in entries for name in entry.get("parts", ())}
        if named:
            self._read_parts(driver, [part for name in named for part in journal.PARTS[name]])
        return True

    def _read_parts(self, driver: Driver, parts: list[str]) -> None:
        connection, news = driver.connection, self.news
        in_force = limits.read(connection)
        assert in_force is not None
        read = State(in_force, self.zone)
        read.plan, read.drain = restore.read_plan(connection), restore.read_drain(connection)
        read.schedule = restore.read_schedule(connection)
        incidents.restore(connection, read, self.channels)
        if news.fresh is None:
            news.fresh, news.parts = read, tuple(parts)
        else:
            news.fresh.adopt(read, parts)

    def catch_up(self, state: State) -> bool:
        """Have the state know it; False where the counts differ after that, and all has to be read anew."""
        news = self.news
        if news.fresh is not None:
            state.adopt(news.fresh, news.parts)
        for at, entry in news.entries:
            journal.follow(state, at, entry)
        state.next_number, state.paused = news.next_number, news.paused
        if news.away:
            state.renew_leases(news.now)
        if len(state.sessions) == news.active:
            return True
        log.error("counts_differ memory=%d database=%d", len(state.sessions), news.active)
        return False

    def begin_start(self, driver: Driver) -> None:
        """Take the row, and go on where the journal is."""
        driver.rows(self._sql.lock_fleet)
        rows = driver.rows(self._sql.latest_revision)
        self.revision, self._at = rows[0] if rows else (0, 0)
        self.news.now = max(self.clock(driver), self._at)

    def next_revision(self) -> int:
        """The one that this process writes now."""
        return (self.revision or 0) + 1

    def hold(self, revision: int, at: int) -> None:
        """Memory has that entry: this process wrote it."""
        self.revision, self._at = revision, at


def database_clock(driver: Driver) -> int:
    """Now, in UTC milliseconds: the database's clock, for those of several hosts differ."""
    ((now,),) = driver.rows(_NOW)
    return int(now)


_NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_IN_ONE_SNAPSHOT = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
