"""The database itself: how many rows and bytes, at which schema."""

from sqlalchemy import Connection, func, select, text

from limiter.store import schema


def tables(tx: Connection) -> list[tuple[str, int]]:
    """How many rows the tables that grow have; estimated from their keys, so that it costs nothing."""
    found = []
    for name, key in (("ended_sessions", "number"), ("refusals", "id"), ("trades", "id"), ("audit", "id")):
        last, first = (f"(SELECT {edge}({key}) FROM {name})" for edge in ("max", "min"))  # together they walk over all
        found.append((name, int(tx.execute(text(f"SELECT coalesce({last} - {first} + 1, 0)")).scalar_one())))
    return found


def size_bytes(tx: Connection) -> int:
    """What the database takes on its disk, without its write-ahead log."""
    if tx.dialect.name == "postgresql":
        return int(tx.execute(select(func.pg_database_size(func.current_database()))).scalar_one())
    pages, size = (int(tx.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("page_count", "page_size"))
    return pages * size


def schema_step(tx: Connection) -> int:
    """The migration that the database is at."""
    return int(tx.execute(select(func.coalesce(func.max(schema.migrations.c.step), 0))).scalar_one())
