"""One bot as the agent holds it: what is in the book, its processes, and until when its slot is sure."""

import asyncio
import time
from datetime import datetime
from typing import Any

from limiter.agent.book import Entry
from limiter.agent.members import Members
from limiter.processes import identity

GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL
MARGIN_SECONDS = 12.0  # what is ended shall be gone before the lease is: the grace, and two seconds


class Bot:
    """A bot that holds a slot, or did and still has processes."""

    def __init__(self, entry: Entry, members: Members) -> None:
        self.entry, self.members = entry, members
        self.ending: asyncio.Task[None] | None = None
        self.released = False
        self.told_to_go_on = False
        self.beaten_at: float | None = None
        """Seconds since the epoch of the last renewal by this agent."""
        self.memory_bytes: int | None = None
        self.cpu_seconds: float | None = None
        self.ends_at: float | None = None
        """When the end that is announced comes, in monotonic seconds."""
        self.news = False
        """Whether an end was announced that the bot has not been told of."""
        self._process_pid = 0
        self._process: str | None = None

    @property
    def hold_until(self) -> float:
        """Until when the slot is surely this bot's, in monotonic seconds, less what ending it takes."""
        lease = self.entry.lease_seconds
        return self.entry.asked_at + lease - min(MARGIN_SECONDS, lease / 5)

    @property
    def name(self) -> str:
        """How it is called in the log."""
        return f"{self.entry.user_id}/{self.entry.bot_id}"

    def beat(self) -> dict[str, Any]:
        """What is sent for it."""
        pids = self.members.pids()
        if self._process_pid not in pids:  # its first process, or where that has ended another one
            self._process_pid = self.entry.pid if self.entry.pid in pids else min(pids, default=0)
            self._process = identity(self._process_pid) if self._process_pid else None
        cpu_seconds = None if self.cpu_seconds is None else round(self.cpu_seconds, 2)
        # The process each time: a limiter that was started again has forgotten it.
        figures = {"memory_bytes": self.memory_bytes, "cpu_seconds": cpu_seconds, "process": self._process}
        return {"session_id": self.entry.session_id} | {
            name: value for name, value in figures.items() if value is not None
        }

    def renewed(self, asked_at: float, lease_seconds: float | None, result: dict[str, Any]) -> None:
        """The lease runs from an instant after `asked_at`."""
        self.entry.asked_at, self.beaten_at = asked_at, time.time()
        self.told_to_go_on = False
        if lease_seconds:
            self.entry.lease_seconds, self.entry.heartbeat_seconds = float(lease_seconds), lease_seconds / 3
        notice = result.get("notice")
        self.news = notice is not None and notice != self.entry.notice
        self.entry.notice = notice
        self.ends_at = None
        if notice is not None and notice["at"] is not None:
            # By the limiter's clock alone, which may not be this host's.
            after_the_lease = _instant(notice["at"]) - _instant(result["lease_expires_at"])
            self.ends_at = asked_at + self.entry.lease_seconds + after_the_lease


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
