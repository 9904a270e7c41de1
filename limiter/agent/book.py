"""The agent's book: one small file for each bot, so that the next agent takes over what this one looked after.

A file is there, whole, before `run` is told of its slot, and until the limiter has been told of the end. The files hold
session secrets and keys: mode 0600, in the folder of the socket.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from limiter.agent import processes


@dataclass(slots=True)
class Entry:
    """One bot, as far as another agent must know it."""

    again: str
    """The Idempotency-Key of its start, which names the entry too."""
    session_id: str
    public_id: str
    user_id: str
    bot_id: str
    url: str
    key: str
    network: dict[str, str]
    language: str
    lease_seconds: float
    heartbeat_seconds: float
    pid: int
    start: int
    command: str
    on_lost: str
    asked_at: float
    """When the request was sent that began or last renewed the lease: monotonic seconds of this boot."""
    started_at: float
    """Seconds since the epoch."""
    since: int
    """Ticks since the boot: what started before is none of the bot."""
    group: str | None = None
    known: list[list[int]] = field(default_factory=list)
    """Pid and start of each process that its control group does not hold."""
    gone: str = ""
    """Why the limiter has no such session any more; empty while it has."""
    notice_signal: int = 0
    """What the bot gets when its end is announced; 0: nothing."""
    notice: dict[str, Any] | None = None
    """The end that is announced, as the bot was told: `kind`, `at`, `reason`."""
    ending: bool = False
    """Whether its processes are being ended."""


FIELDS = frozenset(one.name for one in fields(Entry))


class Book:
    """The files of one folder."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.join(folder, "bots")
        self._boot = processes.boot()
        os.makedirs(self._folder, 0o700, exist_ok=True)

    def write(self, entry: Entry) -> None:
        """Put it down, in place of what was there. Raises OSError where that cannot be done."""
        self._put(self._path(entry.again), {"boot": self._boot, "entry": asdict(entry)})

    def remove(self, entry: Entry) -> None:
        """Nothing of it is left to do."""
        with suppress(FileNotFoundError):
            os.unlink(self._path(entry.again))

    def renewed(self, at: dict[str, float]) -> None:
        """Note when the lease of each entry was last renewed."""
        self._put(os.path.join(self._folder, "renewed"), {"boot": self._boot, "at": at})

    def read(self) -> list[Entry]:
        """Every entry, with its last renewal. What was of another boot has no process any more: pid 0."""
        renewed = self._get("renewed") or {}
        at: dict[str, float] = renewed.get("at", {}) if renewed.get("boot") == self._boot else {}
        found = list[Entry]()
        for name in sorted(os.listdir(self._folder)):
            if not name.endswith(".json") or (kept := self._get(name)) is None:
                continue
            try:
                entry = Entry(**{name: value for name, value in kept["entry"].items() if name in FIELDS})
            except (KeyError, TypeError):  # of a version that knew less
                continue
            if kept.get("boot") != self._boot:
                entry.pid, entry.known, entry.group, entry.asked_at = 0, [], None, 0.0
            entry.asked_at = max(entry.asked_at, at.get(entry.again, 0.0))
            found.append(entry)
        return found

    def _path(self, again: str) -> str:
        return os.path.join(self._folder, f"{again}.json")

    def _get(self, name: str) -> dict[str, Any] | None:
        try:
            with open(os.path.join(self._folder, name), encoding="utf-8") as file:
                kept = json.load(file)
        except (OSError, ValueError):
            return None
        return kept if isinstance(kept, dict) else None

    @staticmethod
    def _put(path: str, content: dict[str, Any]) -> None:
        new = f"{path}.new"
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file, separators=(",", ":"))
        os.replace(new, path)
