"""Looks each minute whether the audit still has the row that was its newest (store/audit_head.py), and has the file
follow where a kill, another process on PostgreSQL or a full disk left it behind."""

import asyncio
import logging

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from limiter.store.audit_head import AuditHead, Gap
from limiter.store.engine import reading

PERIOD_SECONDS = 60.0

log = logging.getLogger("limiter")


class AuditWatch:
    """`engine` reads. `gap`: what the audit lacks."""

    def __init__(self, head: AuditHead, engine: Engine) -> None:
        self.head, self.engine = head, engine
        self.gap: Gap | None = None

    async def run(self) -> None:
        """For ever, each minute."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(PERIOD_SECONDS)

    def look(self) -> None:
        """One look; what is found first is logged. While the database is away, what was known stays."""
        try:
            with reading(self.engine) as connection:
                found = self.head.follow(connection)
        except SQLAlchemyError as error:
            log.warning("audit_not_looked_at error=%s", getattr(error, "orig", None) or error)
            return
        if found is not None and found != self.gap:
            log.critical("audit_cut file=%s: %s", self.head.path, found.sentence.en)
        self.gap = found
