"""Submits the steps of the launch plan whose time has come, and again while a guard holds them."""

import asyncio

from limiter.committer import Committer
from limiter.jobs.sampler import Sampler
from limiter.rules.plan import ApplyPlan, due

PERIOD_SECONDS = 1.0


async def follow_plan(committer: Committer, sampler: Sampler, recommended: int) -> None:
    """For ever, each second; idle while nothing is due."""
    while True:
        if due(committer.state.plan, committer.clock.now()):
            await committer.submit(ApplyPlan(sampler.readings(), recommended))
        await asyncio.sleep(PERIOD_SECONDS)
