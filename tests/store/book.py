"""A writer with its state on a real database, driven batch by batch at instants that a test names; and its requests."""

from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Table, select

from limiter.rules.changes import ChangeLimits
from limiter.rules.limits import Setting, defaults
from limiter.rules.quotas import RecordTrade
from limiter.rules.records import Session
from limiter.rules.sessions import Heartbeat, Stop, reap
from limiter.rules.snapshots import TakeSnapshot
from limiter.store.open import writer_of
from limiter.store.postgres_writer import PostgresWriter
from limiter.store.retention import Retention
from tests.rules.world import CALM, HOUR, NOW, asked

UTC = ZoneInfo("UTC")
DAY = 24 * HOUR
SAMPLE = TakeSnapshot(10.0, 20.0, 1.5)


class Book:
    """A writer with its state on a real file, asked batch by batch, and killed and restored as often as liked."""

    def __init__(self, url: str, **limits: int) -> None:
        self.url = url
        self.configured = {**defaults(), **{name: Setting(value, "environment") for name, value in limits.items()}}
        self.retention = Retention()
        self.zone: tzinfo = UTC
        self.open(NOW)

    def open(self, now: int) -> None:
        self.now = now
        self.writer = writer_of(self.url, self.retention)
        if isinstance(self.writer, PostgresWriter):
            self.writer.reader.clock = lambda _: self.now  # the server's, which no test can set
        self.state = self.writer.restore(self.configured, self.zone, now)

    def close(self) -> None:
        self.writer.close()

    def restart(self, now: int) -> None:
        """What was not committed is gone; so is whatever only the memory had."""
        self.close()
        self.open(now)

    def decide(self, now: int, *requests: Any) -> list[Any]:
        """A batch, decided and not yet written."""
        self.now = now
        self.state.begin()
        if isinstance(self.writer, PostgresWriter):
            self.writer.begin()
            assert self.writer.catch_up(self.state)
        self.writer.fetch(self.state, requests, now)
        reap(self.state, now)
        return [request.decide(self.state, now) for request in requests]

    def ask(self, now: int, *requests: Any) -> list[Any]:
        """A batch, decided and committed."""
        answers = self.decide(now, *requests)
        self.write()
        return answers

    def write(self) -> None:
        """Commit what was decided."""
        if self.writer.alone:
            self.writer.begin()
        self.writer.save(self.state)
        self.writer.commit()
        self.writer.committed(self.state)

    def start(self, user: str, bot: str | None = None, key: str | None = None, now: int = NOW) -> Session:
        session: Session = self.ask(now, asked(user, bot, key))[0].session
        return session

    def rows(self, table: Table, *where: Any) -> list[Row[Any]]:
        rows = self.writer.connection.execute(select(table).where(*where)).all()
        self.writer.connection.rollback()
        return list(rows)

    def count(self, table: Table) -> int:
        return len(self.rows(table))


def trade(session: Session, trade_id: str, **fields: Any) -> RecordTrade:
    """A plain buy; `fields` go over it."""
    told: dict[str, Any] = {
        "symbol": "BTC/USDT",
        "side": "buy",
        "quantity": "1.50",
        "price": "100",
        "closes": False,
    } | fields
    return RecordTrade("request", session.number, session.secret, trade_id, **told)


def change(**changes: Any) -> ChangeLimits:
    """A change of limits that no guard holds."""
    return ChangeLimits(changes, "tests", None, True, "key-1", CALM, 150)


def beat(session: Session) -> Heartbeat:
    """Its heartbeat."""
    return Heartbeat(session.number, session.secret)


def stop(session: Session) -> Stop:
    """Its stop."""
    return Stop(session.number, session.secret)
