"""Has the writer delete what is older than it is kept: one slice at a time, a share of the time while bots ask.

Promises: while much is decided, a twentieth of the time is spent on it at most, so that the p99 of a start stays what
it was; with little to decide, half. What the file shrank by goes to the disk when that is done, on a full disk with
each slice; while much is decided the checkpoints of the commits see to it, for a fold holds up whoever would begin one.
"""

import asyncio
import time

from limiter.committer import Committer
from limiter.rules.refusals import Refusal
from limiter.rules.snapshots import Trim
from limiter.store.trimmer import Trimmer

PERIOD_SECONDS = 5.0  # between slices where nothing is left over
BUSY_DECISIONS = 50  # a second
BUSY_PAUSES, IDLE_PAUSES = 19, 1  # pauses, in durations of the slice before


async def trim(committer: Committer, trimmer: Trimmer) -> None:
    """For ever."""
    busy, decided, counted_at, mine = True, committer.latency.count, time.monotonic(), 0
    while True:
        began = time.monotonic()
        refused = isinstance(await committer.submit(Trim()), Refusal)
        if committer.full_since is not None or (trimmer.shrank and not trimmer.behind and not busy):
            trimmer.shrank = not await asyncio.to_thread(committer.writer.fold_log)
        now, mine = time.monotonic(), mine + 1
        if now - counted_at >= 1:
            busy = committer.latency.count - decided - mine > BUSY_DECISIONS * (now - counted_at)
            decided, counted_at, mine = committer.latency.count, now, 0
        pause = (now - began) * (BUSY_PAUSES if busy else IDLE_PAUSES)
        await asyncio.sleep(pause if trimmer.behind and not refused else PERIOD_SECONDS)
