"""Has the slots counted again each minute; what was wrong is repaired, logged, and told (rules/counts.py)."""

import asyncio
import logging

from limiter.committer import Committer
from limiter.rules.counts import Recount
from limiter.rules.refusals import Refusal

PERIOD_SECONDS = 60.0

log = logging.getLogger("limiter")


async def recount(committer: Committer) -> None:
    """For ever, each minute."""
    while True:
        drift = await committer.submit(Recount())
        if not isinstance(drift, Refusal) and drift:
            log.error("count_drift by=%d held=%d: repaired", drift, len(committer.state.sessions))
        await asyncio.sleep(PERIOD_SECONDS)
