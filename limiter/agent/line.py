"""One limiter as the agent holds it: calls in threads, and one request that beats for every bot of that limiter."""

import asyncio
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from limiter.agent.bot import Bot
from limiter.agent.limiter_api import Answer, Channel, Refused
from limiter.calling import GONE, delays, pause, spread

CALLS_AT_ONCE = 8
BEATS_A_REQUEST, BYTES_A_REQUEST = 500, 64_000  # the limiter takes 64 KiB
CALL_SECONDS = 10.0


class Line:
    """Calls to one limiter, and the beats of its bots. `lost` is told of each bot whose session has ended there."""

    def __init__(
        self,
        channel: Channel,
        lost: Callable[[Bot, str], None],
        renewed: Callable[[Sequence[Bot]], None],
        log: Callable[..., None],
    ) -> None:
        self.channel = channel
        self.bots = set[Bot]()
        self.reached: bool | None = None
        """Whether the last call came through; None before the first."""
        self.trouble = ""
        """Why it did not, or what the limiter refused; in no language, for it is shown in that of whoever asks."""
        self._lost, self._renewed, self._log = lost, renewed, log
        self._calls = ThreadPoolExecutor(CALLS_AT_ONCE, "limiter-call")
        self._beats = ThreadPoolExecutor(1, "limiter-beat")  # beats wait for no start
        self._due = asyncio.Event()
        self._at_once = False
        self._beating: asyncio.Task[None] | None = None

    async def call(self, path: str, body: Answer, **options: Any) -> Answer:
        """POST. Raises Refused."""
        return await self._through(self._calls, path, body, **{"timeout": CALL_SECONDS} | options)

    async def _through(self, threads: ThreadPoolExecutor, path: str, body: Answer, **options: Any) -> Answer:
        try:
            answer = await asyncio.get_running_loop().run_in_executor(
                threads, partial(self.channel.post, path, body, **options)
            )
        except Refused as refused:
            self._note(refused.reason != "out_of_reach", str(refused.facts.get("why") or refused.reason))
            raise
        self._note(True, "")
        return answer

    def _note(self, reached: bool, trouble: str) -> None:
        if reached != self.reached and not (reached and self.reached is None):
            self._log("limiter_reached" if reached else "limiter_out_of_reach", url=self.channel.url, why=trouble)
        self.reached, self.trouble = reached, trouble

    def add(self, bot: Bot, *, at_once: bool = False) -> None:
        """Beat for it from here on."""
        self.bots.add(bot)
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat())
        self._at_once |= at_once
        self._due.set()

    def remove(self, bot: Bot) -> None:
        self.bots.discard(bot)

    def close(self) -> None:
        """No more beats; calls that are on their way are not waited for."""
        if self._beating is not None:
            self._beating.cancel()
        for threads in (self._calls, self._beats):
            threads.shutdown(wait=False, cancel_futures=True)
        self.channel.close()

    # Beats

    async def _beat(self) -> None:
        """For all at once, when the first of them is due; again and again where no answer comes, as late as the limiter
        asks for where the leases last so long."""
        pauses, again_at = delays(), None
        while True:
            with suppress(TimeoutError):
                seconds = self._pause()
                if again_at is not None:  # unless one came meanwhile whose lease does not last that long
                    seconds = max(0.0, min(again_at - time.monotonic(), self._left() / 2))
                await asyncio.wait_for(self._due.wait(), seconds)
                self._due.clear()
                if not self._at_once:
                    continue
            self._at_once = False
            refusals = list[Refused]()
            for some in _batches([bot for bot in self.bots if not bot.entry.gone]):
                try:
                    await self._beat_for(some)
                except Refused as refused:
                    refusals.append(refused)
                    if refused.reason != "out_of_reach":  # a key that was taken back, a limiter that is overloaded
                        self._log("beats_refused", url=self.channel.url, why=str(refused))
            if refusals:
                asked_for = max(refused.retry_after or 0.0 for refused in refusals)
                again_at = time.monotonic() + pause(next(pauses), asked_for, self._left())
            else:
                pauses, again_at = delays(), None

    def _left(self) -> float:
        """Seconds until the first lease is not sure any more. Where none is, those bots are only kept, and a limiter
        that comes back renews their leases: two beats, so that each beat is tried."""
        now = time.monotonic()
        sure = [bot.hold_until - now for bot in self.bots if bot.hold_until > now]
        beats = (bot.entry.heartbeat_seconds for bot in self.bots if not bot.entry.gone)
        return min(sure) if sure else 2 * min(beats, default=math.inf)

    def _pause(self) -> float | None:
        """Seconds until the next beat is due, None where there is no bot."""
        due = [bot.entry.asked_at + bot.entry.heartbeat_seconds for bot in self.bots if not bot.entry.gone]
        return max(0.05, spread(min(due) - time.monotonic(), 0.9)) if due else None

    async def _beat_for(self, bots: Sequence[Bot]) -> None:
        """One request. Raises Refused."""
        asked_at = time.monotonic()
        left = min(bot.hold_until for bot in bots) - asked_at
        timeout = min(CALL_SECONDS, max(1.0, left / 2)) if left > 0 else CALL_SECONDS
        beats = [bot.beat() for bot in bots]
        try:
            answer = await self._through(self._beats, "/api/bots/heartbeats", {"beats": beats}, timeout=timeout)
            return self._take(bots, answer["results"], answer, asked_at)
        except Refused as refused:
            if refused.http_status not in (404, 405):
                raise
        # A limiter that is older than this agent; asked for all at once again each time, for it may be updated.
        found = await asyncio.gather(*(self._single(beat, timeout) for beat in beats))
        self._take(bots, [result for result, _ in found], found[-1][1], asked_at)

    async def _single(self, beat: Answer, timeout: float) -> tuple[Answer, Answer]:
        try:
            answer = await self._through(self._calls, "/api/bots/heartbeat", beat, timeout=timeout)
        except Refused as refused:
            if refused.reason in GONE:  # and not what a proxy in front of it does not find
                return {"ok": False, "reason": refused.reason, "ended_reason": str(refused)}, {}
            raise
        renewed = {"ok": True, "lease_expires_at": answer["session"]["lease_expires_at"]}
        return renewed | {"notice": answer.get("notice")}, answer

    def _take(self, bots: Sequence[Bot], results: Sequence[Answer], answer: Answer, asked_at: float) -> None:
        lease = answer.get("limits", {}).get("BOT_LEASE_SECONDS")
        renewed = list[Bot]()
        for bot, result in zip(bots, results, strict=True):
            if result["ok"]:
                bot.renewed(asked_at, lease, result)
                renewed.append(bot)
            elif bot in self.bots:
                self._lost(bot, str(result.get("ended_reason") or result.get("reason")))
        self._renewed(renewed)


def _batches(bots: Sequence[Bot]) -> Iterator[Sequence[Bot]]:
    """As many a request as the limiter takes: by number, and by the size of the body."""
    batch, size = list[Bot](), 0
    for bot in bots:
        bytes_of_one = len(json.dumps(bot.beat(), separators=(",", ":"))) + 1
        if batch and (len(batch) == BEATS_A_REQUEST or size + bytes_of_one > BYTES_A_REQUEST):
            yield batch
            batch, size = [], 0
        batch.append(bot)
        size += bytes_of_one
    if batch:
        yield batch
