"""The port to the database: what the committer and those who decide one batch by themselves ask of a writer.

Two stand behind it: store/sqlite_writer.py, the only writer of a file, and store/postgres_writer.py, one of several.
A batch is: `begin` and `fetch` (in the order that the database needs: `prepare` knows it), the decisions, `save`,
`commit`, `committed`; or `rollback`. Raises SQLAlchemy's errors, and OSError.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from typing import Any, Protocol

from sqlalchemy import Connection

from limiter.onethread import OneThread
from limiter.rules.limits import Setting
from limiter.rules.records import KeptRefusal, RefusalRecord
from limiter.rules.state import State
from limiter.store.audit_head import AuditHead
from limiter.store.trimmer import Trimmer


class Writer(Protocol):
    """Owns a connection that writes. Not thread-safe: one call at a time, from whichever thread."""

    @property
    def alone(self) -> bool:
        """Whether no other process writes to the database: then memory is what it has, whether it answers or not."""

    @property
    def leads(self) -> bool:
        """Whether this one does what only one may do: tell operators, follow the launch plan."""

    head: AuditHead | None
    """Where the end of the audit is kept beside the database; None: nowhere."""

    @property
    def trimmer(self) -> Trimmer:
        """What deletes what is too old."""

    @property
    def connection(self) -> Connection:
        """Core's connection, for reads between two batches."""

    async def prepare(self, state: State, requests: list[Any], now: int, failing: bool, thread: OneThread) -> int:
        """Have the state know what the requests name and what others did; the instant of the batch (UTC ms).

        `now` is this process's clock, `failing` says that the batch before could not be written.
        """

    async def make_durable(self, state: State, failing: bool, thread: OneThread) -> None:
        """Write and commit what the batch changed. What waits for a disk or a network waits in the thread."""

    def begin(self) -> None:
        """Take the lock that every batch takes."""

    def fetch(self, state: State, requests: Iterable[Any], now: int) -> None:
        """Bring ended sessions, trades, trade days and versions that the requests name and the state has not."""

    def save(self, state: State) -> None:
        """Write what the batch changed, and the refusals that wait."""

    def waiting(self, refused: Sequence[RefusalRecord]) -> list[KeptRefusal]:
        """Refusals that no commit has written yet, as the rows that they will be."""

    def read_day(self, state: State, now: int) -> None:
        """Bring the trades of the day that holds `now`, where the clock was moved to another one."""

    def commit(self) -> None:
        """Make it durable."""

    def committed(self, state: State) -> None:
        """Move on what this object remembers of the database, now that the batch is durable."""

    def rollback(self) -> None:
        """Forget the batch."""

    def fold_log(self) -> bool:
        """Give back the room of the write-ahead log, where the database has one; whether none is left in it."""

    def restore(self, configured: Mapping[str, Setting], zone: tzinfo, now: int, channels: Iterable[str] = ()) -> State:
        """The state as the database has it, every lease renewed in full; what is configured now is saved."""

    def close(self) -> None:
        """Give the connection back."""
