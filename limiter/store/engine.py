"""Opens the database: one writer, which brings it to this program's schema, and read-only readers.

A file is opened here, once file_checks.py has nothing against it; store/postgres.py opens what is on a server.

On SQLite a single process writes and checkpoints: SQLite before 3.51.3 can corrupt a WAL when one connection
checkpoints while another commits (sqlite.org/wal.html#walresetbug). store/lock.py keeps a second writer out.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, inspect, select
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import QueuePool, StaticPool

from limiter.store import file_checks
from limiter.store.location import StoreError, is_there, refuse_folder, sqlite_path
from limiter.store.migrations import MIGRATIONS
from limiter.store.schema import APPLICATION_ID, migrations

READ_SECONDS = 5.0  # a read that takes longer is cut off


def _sqlite_engine(path: Path, mode: str, pragmas: tuple[str, ...], begin: str, **pool: Any) -> Engine:
    url = URL.create("sqlite", database=path.resolve().as_uri(), query={"mode": mode, "uri": "true"})
    engine = create_engine(url, connect_args={"timeout": 0.0, "check_same_thread": False}, **pool)

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the hooks below begin; sqlite3 sends nothing by itself
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        if statement := connection.get_execution_options().get("begin", begin):
            connection.exec_driver_sql(statement)

    return engine


def open_writer(url: str) -> Engine:
    """The engine of the one writer, its database made where there is none, checked, and brought to this schema.

    Raises StoreError with a sentence: not ours, damaged, newer than this program, on a network file system.
    """
    path = sqlite_path(url)
    if path is None:
        return _open_server(url)
    refuse_folder(path)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file_checks.refuse_network(path)
    file_checks.refuse_spoiled(path)
    file_checks.refuse_empty(path)
    pragmas = (
        "auto_vacuum=INCREMENTAL",  # of a new file; one that has tables keeps what it has until it is made anew
        "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "wal_autocheckpoint=1000",
        "journal_size_limit=67108864", "trusted_schema=OFF", "cache_size=-8192",
    )  # fmt: skip
    old_mask = os.umask(0o077)
    try:
        file_checks.refuse_foreign(path)
        engine = _sqlite_engine(path, "rwc", pragmas, "BEGIN IMMEDIATE", poolclass=StaticPool)
        with engine.connect() as connection:
            _refuse_newer(connection, path)
            file_checks.check_file(connection, path)
        migrate(engine)
    except (DatabaseError, sqlite3.DatabaseError) as error:
        raise file_checks.what_is_wrong(error, path) from error
    finally:
        os.umask(old_mask)
    return engine


def _open_server(url: str) -> Engine:
    from limiter.store import postgres  # its driver is not for those who have a file

    engine = postgres.open_writer(url)
    try:
        with engine.connect() as connection:
            if not postgres.is_ours(connection):
                raise StoreError(
                    fr=f"{engine.url!r} a les tables d'un autre programme : nomme une autre base",
                    en=f"{engine.url!r} has tables of another program: name another database",
                )
        if postgres.shares_sessions(engine):
            raise StoreError(
                fr=f"la base {engine.url!r} est derrière un pooler qui partage les sessions entre transactions, et un"
                " limiteur veut la sienne : mets pool_mode = session (PgBouncer), ou nomme le serveur lui-même",
                en=f"the database at {engine.url!r} is behind a pooler that shares sessions among transactions, and a"
                " limiter needs its own: set pool_mode = session (PgBouncer), or name the server itself",
            )
        migrate(engine)
    except DatabaseError as error:
        text = str(error.orig).strip().partition("\n")[0]
        raise StoreError(
            fr=f"la base {engine.url!r} est inutilisable : {text}",
            en=f"the database at {engine.url!r} cannot be used: {text}",
        ) from error
    return engine


def open_reader(url: str) -> Engine:
    """An engine that can only read; each read is cut off after 5 s. Raises StoreError where there is no database."""
    path = sqlite_path(url)
    if path is None:
        from limiter.store import postgres

        return postgres.open_reader(url)
    if not is_there(path):
        raise StoreError(
            fr=f"{path.absolute()} n'existe pas : est-ce le bon dossier ? sinon, démarre d'abord le limiteur",
            en=f"{path.absolute()} does not exist: is it the right folder? If so, start the limiter first",
        )
    refuse_folder(path)
    pragmas = ("query_only=ON", "wal_autocheckpoint=0", "busy_timeout=2000", "cache_size=-4096")
    return _sqlite_engine(
        path, "ro", pragmas, "BEGIN", poolclass=QueuePool, pool_size=4, max_overflow=0, pool_timeout=2
    )


@contextlib.contextmanager
def reading(engine: Engine, seconds: float = READ_SECONDS) -> Iterator[Connection]:
    """One short read transaction, interrupted after `seconds`. Fetch all rows inside."""
    with engine.begin() as connection:
        raw = connection.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
            yield connection
            return
        end = time.monotonic() + seconds
        raw.set_progress_handler(lambda: time.monotonic() > end, 20_000)
        try:
            yield connection
        finally:
            raw.set_progress_handler(None, 0)


def _too_new(schema: int, path: Path | None = None) -> StoreError:
    own = len(MIGRATIONS)
    fr, en = (f"{path} : ", f"{path}: ") if path else ("", "")
    return StoreError(
        fr=f"{fr}le schéma {schema} est plus récent que celui de ce programme, {own} : mets le programme à jour",
        en=f"{en}schema {schema} is newer than this program's {own}: upgrade the program",
    )


def _in_use(schema: int) -> StoreError:
    """An older program would go on, and leave out of every row what it does not know."""
    own = len(MIGRATIONS)
    return StoreError(
        fr=f"un limiteur plus ancien (schéma {schema}, celui-ci : {own}) tourne sur cette base : arrête-les tous avant"
        " d'en démarrer un nouveau (un qui a été tué compte encore 15 s)",
        en=f"a limiter of an older program (schema {schema}, this one's is {own}) runs on this database: stop all of"
        " them before a new one starts (one that was killed counts for 15 s)",
    )


def _refuse_newer(connection: Connection, path: Path) -> None:
    if (version := connection.exec_driver_sql("PRAGMA user_version").scalar_one()) > len(MIGRATIONS):
        raise _too_new(version, path)


def migrate(engine: Engine) -> int:
    """Bring the database to this program's schema, each step in one transaction with its record; the steps taken."""
    taken, shared = 0, engine.dialect.name == "postgresql"
    if shared:
        from limiter.store import postgres
    while True:
        with engine.begin() as tx:
            if shared:
                postgres.migrate_alone(tx)
            done = 0
            if inspect(tx).has_table(migrations.name):
                done = tx.execute(select(func.coalesce(func.max(migrations.c.step), 0))).scalar_one()
            if done > len(MIGRATIONS):
                raise _too_new(done)
            if done == len(MIGRATIONS):
                return taken
            if done and shared and postgres.is_in_use(tx):
                raise _in_use(done)
            name, run = MIGRATIONS[done]
            run(tx, done + 1)
            tx.execute(migrations.insert().values(step=done + 1, name=name, at=int(time.time() * 1000)))
            if tx.dialect.name == "sqlite":
                tx.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
                tx.exec_driver_sql(f"PRAGMA user_version = {done + 1}")
            taken += 1


def is_busy(error: OperationalError) -> bool:
    """Whether another process holds the write lock."""
    return _code(error) == sqlite3.SQLITE_BUSY


def is_full(error: Exception) -> bool:
    """Whether the disk had no room for the batch."""
    return _code(error) == sqlite3.SQLITE_FULL


def _code(error: Exception) -> int | None:
    return getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
