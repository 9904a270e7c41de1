"""Continues the audit's chain: each row has the hash of the one before it, and its end goes into a file beside the
database (audit_head.py)."""

import json
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from limiter.rules.clock_step import WENT_BACK
from limiter.rules.records import AuditEntry
from limiter.store import schema
from limiter.store.audit_head import ACCEPTED, BEGUN, AuditHead, End, end_of
from limiter.store.driver import Driver
from limiter.store.rows import link
from limiter.store.statements import Statements


class AuditChain:
    """What one writer knows of the chain's end. `to_keep`: what the file is to say once the batch is durable."""

    def __init__(self, statements: Statements, head: AuditHead | None) -> None:
        self._statements, self._head = statements, head
        self._end = End(0, "")
        self._accepted = False  # with `to_keep`, by a person: that rows are gone
        self.to_keep: End | None = None

    def read_end(self, connection: Connection) -> None:
        """Read where the audit ends: at the start, and in a batch where others may have written."""
        self._end = end_of(connection)

    def of_start(self, connection: Connection, now: int) -> list[AuditEntry]:
        """What the audit has to keep of a start: that the clock went back since, and that there was no file of its end
        beside it, so that who removed one left a trace."""
        entries = []
        live = schema.active_sessions.c.started_at, schema.active_sessions.c.number
        over = schema.ended_sessions.c.started_at, schema.ended_sessions.c.number
        newest = [
            connection.execute(select(at).order_by(number.desc()).limit(1)).scalar() for at, number in (live, over)
        ]
        if (by := now - max((at for at in newest if at is not None), default=now)) < 0:
            entries.append(AuditEntry(now, "clock", WENT_BACK, f"{by / 1000:+.0f} s", "", {"by": by}))
        if self._head is not None and self._head.is_new() and self._end.row:
            last = {"row": self._end.row, "hash": self._end.hash}
            entries.append(AuditEntry(now, "start", BEGUN, self._head.path.name, "", last))
        return entries

    def add(self, driver: Driver, entries: Sequence[AuditEntry]) -> Callable[[], None]:
        """Write these in the caller's transaction; what is returned is to be called once that is durable."""
        self._accepted = any(entry.action == ACCEPTED for entry in entries)
        follows = self._head is not None and (self._accepted or self._head.gap(driver.connection) is None)
        number, hash_ = self._end.row, self._end.hash
        rows = []
        for entry in entries:
            number += 1
            detail = json.dumps(dict(entry.detail), separators=(",", ":"))
            row = (number, entry.at, entry.actor, entry.action, entry.target, entry.reason, detail)
            hash_ = link(hash_, row)
            rows.append((*row, hash_))
        driver.execute(self._statements.inserts["audit"], rows)
        end = End(number, hash_)
        self.to_keep = end if follows else None
        return lambda: setattr(self, "_end", end)

    def keep_head(self) -> None:
        """Write down outside of the database where the audit ends: the batch is durable, nobody was answered yet."""
        if self._head is not None and self.to_keep is not None:
            self._head.keep(self.to_keep, force=self._accepted)
        self.to_keep = None
