"""Looks every 30 s for bots without a slot: processes of this box whose command line matches LIMITER_BOT_PATTERN.

A process holds a slot where its session told its identity (limiter.client and `run` do), it is in a control group that
the agent made for a live session, it carries one in its environment (LIMITER_SESSION_ID, which the user of the limiter
or root may read), or it came from such a process. Who asks for a slot and waits is no stranger either.
Promises: a look is made in a thread, and takes some 0.15 ms of CPU a process. Not promised: that a process is seen
which the limiter's user may not see, or lives for less than a look; that who sets out to hide is found.
"""

import asyncio
import logging
import math
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from limiter import processes
from limiter.committer import Committer
from limiter.layout import CONSOLE
from limiter.rules import strangers as rules
from limiter.rules.strangers import Process, Stranger

PERIOD_SECONDS = 30.0
ASKING_SECONDS = 90.0  # a client that waits for a slot asks every 30 s
MATCHED_CHARACTERS = 8192  # of a command line
MARK = "LIMITER_SESSION_ID"
GROUP = re.compile(r"/limiter-bot-(s\d+)-")  # of the agent, where it may make control groups (agent/cgroups.py)

log = logging.getLogger("limiter")


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds a slot: session ids and their public names, identities that they told (limiter/processes.py)."""

    session_ids: frozenset[str] = frozenset()
    identities: frozenset[str] = frozenset()
    public_ids: frozenset[str] = frozenset()


def look(pattern: re.Pattern[str], holders: Holders, own: int) -> list[Stranger]:
    """The strangers of this instant; `own` is the limiter's pid."""
    seen = {one.pid: one for one in psutil.process_iter(["ppid", "create_time", "cmdline", "name"])}
    table = [_process(one, pattern, holders, own) for one in seen.values()]
    return [_stranger(seen, table, one) for one in rules.strangers(table)]


def _process(one: psutil.Process, pattern: re.Pattern[str], holders: Holders, own: int) -> Process:
    command: list[str] = one.info["cmdline"] or []
    looks = bool(command) and pattern.search(" ".join(command)[:MATCHED_CHARACTERS]) is not None
    return Process(
        pid=one.pid,
        parent=one.info["ppid"] or 0,
        started=one.info["create_time"] or 0.0,
        looks=looks,
        holds=bool(command) and _holds(one, holders),
        ours=one.pid == own or rules.is_ours(command) or (looks and _is_console(one, command)),
    )


def _holds(one: psutil.Process, holders: Holders) -> bool:
    try:
        group = GROUP.search(processes.text(f"{one.pid}/cgroup"))
        known = processes.identity(one.pid) in holders.identities or (group and group[1] in holders.public_ids)
        return bool(known) or one.environ().get(MARK) in holders.session_ids
    except (psutil.Error, OSError):
        return False


def _is_console(one: psutil.Process, command: Sequence[str]) -> bool:
    for word in command[1:]:
        if word.endswith(CONSOLE.name):
            try:
                return Path(one.cwd(), word).resolve() == CONSOLE
            except (psutil.Error, OSError):
                return False
    return False


def _stranger(seen: dict[int, psutil.Process], table: Sequence[Process], of: Process) -> Stranger:
    found = seen[of.pid]
    memory = sum(_memory_bytes(seen[one.pid]) for one in rules.below(table, of))
    return Stranger(
        of.pid,
        rules.printable(found.info["name"] or "?"),
        rules.shown(found.info["cmdline"]),
        memory,
        int(of.started * 1000),
    )


def _memory_bytes(one: psutil.Process) -> int:
    """What is of no file, in RAM or swapped out: near what its end frees, and all may read it. RSS where not told."""
    try:
        held = [processes.line(one.pid, name).removesuffix(" kB") for name in ("RssAnon:", "VmSwap:")]
        return 1024 * sum(map(int, held)) if all(held) else int(one.memory_info().rss)
    except (psutil.Error, OSError):
        return 0


class StrangerWatch:
    """Looks for as long as the limiter runs. `seen`: the strangers of the last look, None before there was one."""

    def __init__(
        self,
        committer: Committer,
        pattern: re.Pattern[str],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.committer = committer
        self.pattern = pattern
        self.monotonic = monotonic
        self.seen: tuple[Stranger, ...] | None = None
        self._before: tuple[Stranger, ...] | None = None
        self._lasting: tuple[Stranger, ...] = ()
        self._asking: dict[str, float] = {}
        self._seen_at = -math.inf
        leases = (session.lease_ms for session in committer.state.sessions.values())
        # What sessions told of their processes is not kept over a restart: each tells it again with its next beat.
        self._quiet_until = monotonic() + max(leases, default=0) / 2000

    async def run(self) -> None:
        """For ever, every 30 s."""
        if processes.hidden():
            log.warning("processes_hidden LIMITER_BOT_PATTERN sees those of this user only (ProtectProc, hidepid)")
        while True:
            await self.look()
            await asyncio.sleep(PERIOD_SECONDS)

    def asks(self, identity: str) -> None:
        """A process asked for a slot: while it asks it waits, and trades no more than one that holds a slot."""
        self._asking[identity] = self.monotonic()

    def admitted(self, identity: str) -> None:
        """It asks no longer."""
        self._asking.pop(identity, None)

    async def look(self) -> None:
        """One look of the job."""
        await self.refresh(0.0)
        if self.seen is not None:
            before = {(one.pid, one.since) for one in self._before or ()}
            self._lasting = tuple(one for one in self.seen if (one.pid, one.since) in before)
            self._before = self.seen

    async def refresh(self, older_than: float) -> None:
        """Look again where the last look is so many seconds old."""
        now = self.monotonic()
        if now < self._quiet_until or now - self._seen_at < older_than:
            return
        self._asking = {one: at for one, at in self._asking.items() if now - at < ASKING_SECONDS}
        sessions = self.committer.state.sessions.values()
        told = {session.process for session in sessions if session.process is not None}
        holders = Holders(
            frozenset(session.session_id for session in sessions),
            frozenset(told | self._asking.keys()),
            frozenset(session.public_id for session in sessions),
        )
        self._seen_at = now
        self.seen = tuple(await asyncio.to_thread(look, self.pattern, holders, os.getpid()))

    @property
    def lasting(self) -> tuple[Stranger, ...] | None:
        """Those of the last two looks; None where it cannot be said yet: before a look, and after a first sight."""
        return self._lasting if self._lasting or self._before == () else None
