"""Tells each limiter which bots of this host run on without a slot: those that were to be kept when it was lost, and
those that may not be ended. Told again and again while it lasts, and once when none is left.
"""

import asyncio
import hashlib
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from limiter import processes as shared
from limiter.agent import processes
from limiter.agent.bot import Bot
from limiter.agent.limiter_api import Refused
from limiter.agent.line import Line
from limiter.agent.options import Options

if TYPE_CHECKING:
    from limiter.agent.roster import Roster

MOST = 150  # in one request: of the longest names they fill its 64 KiB


async def tell(roster: "Roster", options: Options) -> None:
    """For as long as the agent lives. A bot that is being ended has until the next time."""
    before, told = set[Bot](), set[Line]()
    while True:
        await asyncio.sleep(options.tell_every)
        gone = {bot for bot in roster.bots.values() if bot.entry.gone and not bot.released and bot.members.alive()}
        lasting, before = gone & before, gone
        for name, line in tuple(roster.lines.items()):  # a `run` may bring another one meanwhile
            mine = sorted(lasting & line.bots, key=lambda bot: bot.entry.started_at)[:MOST]
            if not mine and line not in told:
                continue
            try:
                body = {"host": shared.host(), "agent": who(name), "strangers": [_shown(bot) for bot in mine]}
                await line.call("/api/bots/strangers", body)
            except Refused as refused:  # out of reach, or a limiter that is older than this agent: the next time
                if refused.reason != "out_of_reach":
                    roster.log("strangers_not_told", url=line.channel.url, why=str(refused))
                continue
            (told.add if mine else told.discard)(line)


def who(line: tuple[Any, ...]) -> str:
    """Which agent tells, and which of its limiters: the same after a restart, and no other's. Machines that were made
    from one image have one name, containers of a host one kernel, and two keys may lead to one limiter."""
    inside = ""
    with suppress(OSError):  # a kernel without pid namespaces
        inside = os.readlink("/proc/self/ns/pid")
    name = (processes.boot(), inside, os.geteuid(), *line)
    return hashlib.sha256(repr(name).encode()).hexdigest()[:32]


def _shown(bot: Bot) -> dict[str, Any]:
    entry, pids = bot.entry, bot.members.pids()
    pid = entry.pid if entry.pid in pids else min(pids, default=entry.pid)
    process, memory = processes.read(pid), bot.members.memory_bytes()
    shown: dict[str, Any] = {
        "user_id": entry.user_id, "bot_id": entry.bot_id, "pid": pid, "name": _plain(process.name) if process else "?",
        "age_seconds": round(max(0.0, time.time() - entry.started_at), 1),
    }  # fmt: skip
    return shown if memory is None else shown | {"memory_bytes": memory}


def _plain(name: str) -> str:
    """A process may call itself anything; the limiter takes what can be shown."""
    return "".join(one if one.isprintable() else "?" for one in name)
