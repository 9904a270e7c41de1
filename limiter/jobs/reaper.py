"""Submits what has come due: leases that ran out, and refusals that wait to be written.

A slot whose lease ended is free for the next start in any case: every batch begins with the same rule. This loop is for
the hours when no request comes.
"""

import asyncio

from limiter.committer import Committer
from limiter.rules.sessions import Reap

PERIOD_SECONDS = 0.5


async def reap(committer: Committer) -> None:
    """For ever, twice a second."""
    while True:
        await committer.submit(Reap())
        await asyncio.sleep(PERIOD_SECONDS)
