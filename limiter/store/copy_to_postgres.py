"""From a SQLite file to PostgreSQL: every row of every table, in one transaction, counted on both sides.

Promises: the target is whole or as empty as before; the source is only read. The caller keeps the source's writer out.
"""

from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, Table, func, select

from limiter.store import schema
from limiter.store.engine import reading
from limiter.store.location import StoreError
from limiter.store.migrations import MIGRATIONS

OWN = (schema.migrations, schema.journal)  # each database has its own
READ_SECONDS = 3600.0
ROWS = 10_000  # read at a time


def move(source: Engine, target: Engine) -> dict[str, int]:
    """Copy; the rows of each table. Raises StoreError where the source is of an older
    program, the target has been used, or a count differs after it."""
    tables = [table for table in schema.metadata.sorted_tables if table not in OWN]
    with reading(source, READ_SECONDS) as origin, target.begin() as tx:
        for timeout in ("statement_timeout", "idle_in_transaction_session_timeout"):
            tx.exec_driver_sql(f"SET LOCAL {timeout} = 0")
        _refuse_old(origin)
        _refuse_used(tx)
        tx.execute(schema.fleet.delete())
        moved = {table.name: _move_table(origin, tx, table) for table in tables}
        tx.exec_driver_sql(
            "SELECT setval(pg_get_serial_sequence('trades', 'id'), coalesce(max(id), 0) + 1, false) FROM trades"
        )
        for table in tables:
            if (found := _count(tx, table)) != moved[table.name] or found != _count(origin, table):
                read = moved[table.name]
                raise StoreError(
                    fr=f"{table.name} : lignes lues {read}, écrites {found} : rien n'est gardé",
                    en=f"{table.name}: {read} rows were read and {found} written: nothing is kept",
                )
    return moved


def _refuse_old(origin: Connection) -> None:
    step = origin.execute(select(func.max(schema.migrations.c.step))).scalar_one()
    if step != len(MIGRATIONS):
        own = len(MIGRATIONS)
        raise StoreError(
            fr=f"la source a le schéma {step}, ce programme le {own} : lance d'abord `python -m limiter migrate`",
            en=f"the source has schema {step}, this program's is {own}: run `python -m limiter migrate` first",
        )


def _refuse_used(tx: Connection) -> None:
    used = [table.name for table in (schema.limits, schema.keys, schema.active_sessions) if _count(tx, table)]
    if used:
        names = ", ".join(used)
        raise StoreError(
            fr=f"la cible a des lignes dans {names} : nomme une base vide",
            en=f"the target has rows in {names}: name an empty database",
        )


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _move_table(origin: Connection, tx: Connection, table: Table) -> int:
    driver: Any = tx.connection.driver_connection
    moved = 0
    # COPY on a cursor of the driver's own, inside the transaction: 1 M sessions row by row would take an hour.
    with psycopg.Cursor(driver).copy(f"COPY {table.name} ({', '.join(table.c.keys())}) FROM STDIN".encode()) as copy:
        for row in origin.execution_options(yield_per=ROWS).execute(select(table).order_by(*table.primary_key)):
            copy.write_row(row)
            moved += 1
    return moved
