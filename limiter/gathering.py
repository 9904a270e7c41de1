"""The moment that a commit waits for those who were just answered, for most of them ask again at once.

Without it callers part into two halves, each of which waits for the commit of the other, and there are twice as many
commits, each for half as many. PostgreSQL has `commit_delay` for the same. Promises: where callers come one by one
nobody waits; after a batch of several nobody waits longer than that batch took, a millisecond where it was shorter, 5
in all (and a tick of the loop's clock); a batch nearly full waits for nobody; where those who were answered do not ask
again, fewer and fewer batches wait for them, in the end one of 64.
"""

import asyncio

LEAST_SECONDS, MOST_SECONDS = 0.001, 0.005  # a loop's timers know no less than a millisecond
MOST_MISSES = 6


class Gathering:
    """Owned by one committer. All methods are called in the event loop."""

    def __init__(self, most: int) -> None:
        """`most`: requests in a batch."""
        self._most = most
        self.wanted = 0
        """So many requests are waited for; 0 while nothing is."""
        self._came: asyncio.Future[bool] | None = None
        self._misses = 0
        self._hasty = 0  # so many batches do not wait

    async def wait(self, answered: int, waiting: int, took: float) -> None:
        """Return when about as many wait as were answered or waited then, or the moment is over; `took`: seconds that
        the batch of those who were answered took."""
        wanted = min(self._most, answered + waiting) * 9 // 10  # a few who are late are not worth the moment
        if wanted < 2 or waiting >= wanted:
            return
        if self._hasty:
            self._hasty -= 1
            return
        loop = asyncio.get_running_loop()
        self.wanted, self._came = wanted, loop.create_future()
        timer = loop.call_later(min(MOST_SECONDS, max(LEAST_SECONDS, took)), self._end, False)
        try:
            came = await self._came
        finally:
            timer.cancel()
            self.wanted, self._came = 0, None
        self._misses = 0 if came else min(self._misses + 1, MOST_MISSES)
        self._hasty = 2**self._misses - 1

    def enough(self) -> None:
        """As many as were wanted wait now."""
        self._end(True)

    def _end(self, came: bool) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(came)
