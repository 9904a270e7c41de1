"""Which writer a database has: the only one of a SQLite file, or one of several on PostgreSQL, whose driver takes time
and memory that a file does not need."""

from limiter.store.audit_head import head_of
from limiter.store.backup import copy_before_migration
from limiter.store.engine import open_writer
from limiter.store.location import sqlite_path
from limiter.store.retention import Retention
from limiter.store.sqlite_writer import SqliteWriter
from limiter.store.writer import Writer


def writer_of(url: str, retention: Retention = Retention()) -> Writer:
    """The writer of the database behind the URL, brought to this schema. Raises StoreError where it cannot be used."""
    copy_before_migration(url)
    engine = open_writer(url)
    if sqlite_path(url) is not None:
        return SqliteWriter(engine, retention, head_of(url))
    from limiter.store.postgres_writer import PostgresWriter

    return PostgresWriter(engine, retention, head_of(url))
