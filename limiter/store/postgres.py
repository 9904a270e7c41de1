"""Opens a PostgreSQL database, which several limiters on several hosts may write to.

Promises: every connection is in READ COMMITTED for writers (a count read after a row lock is the count now; under
REPEATABLE READ 17 bots were admitted for a cap of 10) and in one snapshot for readers; nothing waits for ever, neither
for a host that is gone nor for a limiter that was stopped in the middle of a batch.
"""

from typing import Any

import psycopg
from psycopg.adapt import Loader
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, literal_column, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool, QueuePool

from limiter.store import schema
from limiter.store.schema import APPLICATION_ID

CONNECT_SECONDS = 2
LOCK_MS = 1_500  # how long a batch waits for another process's
STATEMENT_MS = 5_000
POOLER_TURNS = 3  # of each of two connections
SILENT_MS = 7_000  # a process that committed nothing for so long has ended, or hangs
IDLE_MS = 5_000  # a limiter that stops in the middle of its batch is thrown out, so that the others go on

_NOW: Any = literal_column("(extract(epoch FROM clock_timestamp()) * 1000)::bigint", schema.Int)


class Whole(Loader):
    """A numeric as Python counts: PostgreSQL's sum of integers is one, and is whole."""

    def load(self, data: Any) -> int | float:
        """The number."""
        text = bytes(data).decode()
        return float(text) if "." in text or "N" in text else int(text)


def driver_url(url: str) -> URL:
    """The URL with the driver that this program brings."""
    return make_url(url).set(drivername="postgresql+psycopg")


def open_writer(url: str) -> Engine:
    """The engine of a writer: commits wait for the disk, and the batch of another process for a moment."""
    return _engine(
        url,
        {
            "synchronous_commit": "on",
            "lock_timeout": LOCK_MS,
            "statement_timeout": STATEMENT_MS,
            "idle_in_transaction_session_timeout": IDLE_MS,
            "tcp_keepalives_idle": 5,
            "tcp_keepalives_interval": 2,
            "tcp_keepalives_count": 3,
        },
        isolation_level="READ COMMITTED",
        poolclass=NullPool,
    )


def open_reader(url: str) -> Engine:
    """An engine that can only read, each time one snapshot."""
    options = {"default_transaction_read_only": "on", "statement_timeout": STATEMENT_MS}
    return _engine(
        url,
        options,
        isolation_level="REPEATABLE READ",
        poolclass=QueuePool,
        pool_size=4,
        max_overflow=0,
        pool_timeout=2,
        pool_pre_ping=True,
    )


def _engine(url: str, options: dict[str, Any], **more: Any) -> Engine:
    said = {
        "connect_timeout": CONNECT_SECONDS,
        # Values are put in by the client: PostgreSQL does not see that two parameters of a GROUP BY are the same.
        "cursor_factory": psycopg.ClientCursor,
        "application_name": "limiter",
    }
    engine = create_engine(driver_url(url), connect_args=said, **more)

    @event.listens_for(engine, "connect")
    def connect(connection: psycopg.Connection[Any], _record: object) -> None:
        connection.adapters.register_loader("numeric", Whole)
        # Not as startup options: PgBouncer refuses those that it does not know.
        settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in options.items())
        connection.execute(f"SELECT {settings}".encode())
        connection.commit()

    return engine


def shares_sessions(engine: Engine) -> bool:
    """Whether a pooler is between that gives a session to whoever begins a transaction: then two connections, in turn,
    get the same one. What is set for a session, and prepared in it, would be lost or be another's."""
    asked = text("SELECT pg_backend_pid()")
    with engine.connect() as one, engine.connect() as other:
        found: dict[Connection, set[int]] = {one: set(), other: set()}
        for connection in (one, other) * POOLER_TURNS:
            found[connection].add(connection.execute(asked).scalar_one())
            connection.rollback()
        return bool(found[one] & found[other]) or any(len(sessions) > 1 for sessions in found.values())


def migrate_alone(tx: Connection) -> None:
    """Until the end of the transaction no other process migrates. A step takes as long as it takes: an index over years
    of sessions more than a statement of a batch may. Only for a lock of others it waits no longer than a batch."""
    for setting in ("statement_timeout", "lock_timeout"):
        tx.exec_driver_sql(f"SET LOCAL {setting} = 0")
    tx.execute(select(func.pg_advisory_xact_lock(APPLICATION_ID)))
    tx.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS}")


def is_in_use(tx: Connection) -> bool:
    """Whether a limiter leads, or has just committed: each does every 5 s."""
    fleet, journal = schema.fleet.c, schema.journal.c
    leads = select(fleet.id).where(fleet.leader.is_not(None), fleet.leader_until > _NOW)
    committed = select(journal.revision).where(journal.at > _NOW - SILENT_MS)
    return any(tx.execute(query.limit(1)).first() is not None for query in (leads, committed))


def is_ours(tx: Connection) -> bool:
    """Whether the schema that tables go to is empty, or has the limiter's own."""
    names = set(inspect(tx).get_table_names())
    return not names or "fleet" in names
