"""Several bots in one asyncio program. Usage: python examples/async_bot.py [bots] [seconds]"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, so that `limiter` is found

from limiter.client import AsyncBotSession, Refused


async def trade(user: str, seconds: float) -> None:
    try:
        async with AsyncBotSession(user_id=user) as bot, asyncio.timeout(seconds):
            print(f"{user} runs as {bot.public_id}")
            await bot.trade(symbol="ETH/USDT", side="sell", quantity="0.5", price="3200", closes=True)
            await bot.lost.wait()  # a real bot works here, and ends when this is set
            print(f"{user} stopped: {bot.lost_because}")
    except TimeoutError:
        print(f"{user} is done")
    except Refused as refused:
        print(f"{user}: {refused}")


async def main() -> None:
    bots = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5
    await asyncio.gather(*(trade(f"user-{number}", seconds) for number in range(bots)))


asyncio.run(main())
