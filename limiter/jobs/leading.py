"""What several limiters on one database share out: one of them leads, all of them know every key."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from limiter.rules.records import Key

PERIOD_SECONDS = 1.0


async def while_leading(leads: Callable[[], bool], run: Callable[[], Awaitable[None]]) -> None:
    """Run it for as long as this process leads; once more where it leads again."""
    while True:
        if leads():
            task = asyncio.ensure_future(run())
            try:
                while leads() and not task.done():
                    await asyncio.wait([task], timeout=PERIOD_SECONDS)
                if task.done():
                    task.result()  # what failed is for the supervisor to say
            finally:
                task.cancel()
                await asyncio.wait([task])  # it may have something to finish
        await asyncio.sleep(PERIOD_SECONDS)


async def follow_keys(read: Callable[[], list[Key]], load: Callable[[list[Key]], None]) -> None:
    """For ever, each second: keys that another process made or revoked. While the database is away, those of before."""
    while True:
        with contextlib.suppress(SQLAlchemyError):
            load(await asyncio.to_thread(read))
        await asyncio.sleep(PERIOD_SECONDS)
