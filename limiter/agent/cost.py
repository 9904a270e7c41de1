"""What each bot costs: memory that its processes hold and nobody shares, and their CPU time.

Read for bots that have come up, every 15 s; more rarely where reading itself would take more than a fiftieth of a core,
for each read walks the page tables of a process and holds its memory map meanwhile.
"""

import asyncio
import time
from typing import TYPE_CHECKING

from limiter.agent.bot import Bot
from limiter.agent.options import Options

if TYPE_CHECKING:
    from limiter.agent.roster import Roster

MOST_OF_A_CORE = 0.02


async def measure(roster: "Roster", options: Options) -> None:
    """Keep each bot's figures fresh, for as long as the agent lives."""
    pause = options.measure_every
    while True:
        await asyncio.sleep(pause)
        now = time.time()
        taken = 0.0
        for bot in list(roster.bots.values()):
            if now - bot.entry.started_at >= options.measure_after:
                taken += await asyncio.to_thread(_read, bot)
        pause = max(options.measure_every, taken / MOST_OF_A_CORE)


def _read(bot: Bot) -> float:
    """Read one bot's figures; the CPU seconds that it took."""
    began = time.thread_time()
    bot.memory_bytes, bot.cpu_seconds = bot.members.memory_bytes(), bot.members.cpu_seconds()
    return time.thread_time() - began
