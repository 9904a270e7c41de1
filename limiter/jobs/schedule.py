"""Follows what the clock says of the limits: probation, windows, launch plan; again while a guard holds them."""

import asyncio

from limiter.committer import Committer
from limiter.jobs.sampler import Sampler
from limiter.rules.peaks import FollowSchedule, is_due

PERIOD_SECONDS = 1.0


async def follow_schedule(committer: Committer, sampler: Sampler, recommended: int) -> None:
    """For ever, each second; idle while nothing is due."""
    while True:
        if is_due(committer.state, committer.clock.now()):
            await committer.submit(FollowSchedule(sampler.readings(), sampler.readings(newest=True), recommended))
        await asyncio.sleep(PERIOD_SECONDS)
