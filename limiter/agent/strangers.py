"""Tells each limiter which bots of this host run on without a slot: those that were to be kept when it was lost, and
those that may not be ended. Told again and again while it lasts, and once when none is left.
"""

import asyncio
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from limiter.agent import processes
from limiter.agent.bot import Bot
from limiter.agent.limiter_api import Refused
from limiter.agent.line import Line
from limiter.agent.options import Options

if TYPE_CHECKING:
    from limiter.agent.roster import Roster

MOST = 500  # in one request


async def tell(roster: "Roster", options: Options) -> None:
    """For as long as the agent lives. A bot that is being ended has until the next time."""
    before, told = set[Bot](), set[Line]()
    while True:
        await asyncio.sleep(options.tell_every)
        gone = {bot for bot in roster.bots.values() if bot.entry.gone and not bot.released and bot.members.alive()}
        lasting, before = gone & before, gone
        for line in tuple(roster.lines.values()):  # a `run` may bring another one meanwhile
            mine = sorted(lasting & line.bots, key=lambda bot: bot.entry.started_at)[:MOST]
            if not mine and line not in told:
                continue
            try:
                await line.call("/api/bots/strangers", _body(mine))
            except Refused:  # out of reach, or a limiter that is older than this agent: the next time
                continue
            (told.add if mine else told.discard)(line)


def _body(bots: list[Bot]) -> dict[str, Any]:
    host = socket.gethostname()[:64] or "localhost"
    return {"host": host, "agent": str(os.geteuid()), "strangers": [_shown(bot) for bot in bots]}


def _shown(bot: Bot) -> dict[str, Any]:
    entry, pids = bot.entry, bot.members.pids()
    pid = entry.pid if entry.pid in pids else min(pids, default=entry.pid)
    process, memory = processes.read(pid), bot.members.memory_bytes()
    shown: dict[str, Any] = {
        "user_id": entry.user_id, "bot_id": entry.bot_id, "pid": pid, "name": process.name if process else "?",
        "age_seconds": round(max(0.0, time.time() - entry.started_at), 1),
    }  # fmt: skip
    return shown if memory is None else shown | {"memory_bytes": memory}
