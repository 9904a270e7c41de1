"""The driver's own connection and cursor beneath one of Core's: for the statements of every batch (statements.py)."""

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

Row = tuple[Any, ...]


class Driver:
    """One connection, for Core (`connection`) and for the driver. Core never begins a transaction on it.

    Raises what Core would: DBAPIError and its kinds.
    """

    def __init__(self, engine: Engine) -> None:
        self.connection = engine.connect().execution_options(begin="")
        self._errors: type[Exception] = engine.dialect.loaded_dbapi.Error
        raw: Any = self.connection.connection.dbapi_connection
        self.raw = raw
        self.cursor: Any = raw.cursor()

    def execute(self, sql: str, rows: list[Row]) -> None:
        """Run the statement for each row; for none that has no parameters: `[()]`."""
        try:
            if len(rows) > 1:
                self.cursor.executemany(sql, rows)
            else:
                self.cursor.execute(sql, rows[0])
        except self._errors as error:
            raise self._as_core(error, sql) from error

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """All rows that the statement finds."""
        self.execute(sql, [values])
        return list(self.cursor.fetchall())

    def commit(self) -> None:
        """Make durable what was written since `begin`."""
        if self.connection.in_transaction():
            self.connection.commit()
            return
        try:
            self.raw.commit()
        except self._errors as error:
            raise self._as_core(error, "COMMIT") from error

    def rollback(self) -> None:
        """Forget what was written since `begin`."""
        self.connection.rollback()
        try:
            self.raw.rollback()
        except self._errors as error:  # of a server that has just gone
            raise self._as_core(error, "ROLLBACK") from error

    def is_lost(self) -> bool:
        """Whether the server is gone from the other end."""
        return bool(getattr(self.raw, "closed", False) or getattr(self.raw, "broken", False))

    def _as_core(self, error: Exception, sql: str) -> BaseException:
        if self.is_lost():
            return OperationalError(sql, None, error)
        return DBAPIError.instance(sql, None, error, self._errors)

    def close(self) -> None:
        """Give the connection back. A statement that its cursor still held would keep SQLite's side of it open, and the
        -wal file unfolded."""
        self.cursor.close()
        self.connection.close()
