"""The demo's bots, going on: those of the history beat, trade and leave at a running limiter over HTTP, others come.

Promises: as long as `alive` says so, about as many bots as at first, moving a little. Does not promise to be the same
twice: from here on it is real time and a real limiter.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

import httpx

from limiter.client.wire import Connection
from limiter.demo.box import costs

BEAT_SECONDS = 20.0
STAY_SECONDS = 1500.0  # median of a stay that begins here
VANISHES = 0.08  # of the stays end without a stop: suspects for a while
TURNED_AWAY = 0.04  # of the moments in which somebody tries a second bot


@dataclass(frozen=True, slots=True)
class Left:
    """A bot that runs: its secret, whose, for how many seconds more, trades an hour, for how many seconds already."""

    session_id: str
    user_id: str
    seconds: float
    trades_per_hour: float
    age_seconds: float = 0.0


@dataclass(slots=True)
class Crowd:
    """The bots that run, and those who may come."""

    http: httpx.AsyncClient
    users: list[str]
    alive: Callable[[], bool]
    chance: Random = field(default_factory=Random)
    stays: dict[asyncio.Task[None], str] = field(default_factory=dict)

    async def run(self, left: list[Left]) -> None:
        """Until `alive` says no more."""
        bots = len(left)
        for bot in left:
            self._join(bot)
        began, ticks = time.monotonic(), 0
        while self.alive():
            await asyncio.sleep(1)
            ticks += 1
            if ticks % 5 == 0:
                await self._post("/api/feed/tokens", {"count": self.chance.randint(25, 40)})
            wish = bots + 8 * math.sin((time.monotonic() - began) / 240)
            if self.chance.random() < (wish - len(self.stays)) / 20:
                await self._arrive()
            elif self.stays and self.chance.random() < TURNED_AWAY:
                await self._post("/api/bots/start", {"user_id": self.chance.choice(list(self.stays.values()))})
        for task in self.stays:
            task.cancel()

    async def _arrive(self) -> None:
        here = set(self.stays.values())
        away = [user for user in self.users if user not in here]
        if not away:
            return
        user = self.chance.choice(away)
        reply = await self._post("/api/bots/start", {"user_id": user, "bot_id": "bot-1"})
        if reply is not None and reply.is_success:
            seconds = self.chance.lognormvariate(math.log(STAY_SECONDS), 0.9)
            self._join(Left(reply.json()["session"]["session_id"], user, seconds, 4.0))

    def _join(self, bot: Left) -> None:
        task = asyncio.create_task(self._stay(bot))
        self.stays[task] = bot.user_id
        task.add_done_callback(lambda done: self.stays.pop(done, None))

    async def _stay(self, bot: Left) -> None:
        began = time.monotonic() - bot.age_seconds
        ends = began + bot.age_seconds + bot.seconds
        number = int(bot.session_id.partition(".")[0].removeprefix("s"))
        named: dict[str, object] = {"session_id": bot.session_id}
        await asyncio.sleep(self.chance.uniform(0, min(BEAT_SECONDS, bot.seconds)))
        while (left := ends - time.monotonic()) > 0:
            memory_bytes, cpu_seconds = costs(number, time.monotonic() - began)
            measured = {"memory_bytes": memory_bytes, "cpu_seconds": cpu_seconds}
            reply = await self._post("/api/bots/heartbeat", named | measured)
            if reply is not None and reply.status_code in (404, 410):
                return
            if self.chance.random() < bot.trades_per_hour * BEAT_SECONDS / 3600:
                trade = {
                    "symbol": "BTC/USDT",
                    "side": "buy",
                    "quantity": "0.0042",
                    "price": f"{self.chance.gauss(91_400, 90):.2f}",
                }
                await self._post("/api/bots/trades", named | trade)
            if self.chance.random() < 0.1:
                await self._post("/api/bots/signals", named)
            await asyncio.sleep(min(BEAT_SECONDS, left))
        if self.chance.random() > VANISHES:
            await self._post("/api/bots/stop", named)

    async def _post(self, path: str, body: Mapping[str, object]) -> httpx.Response | None:
        """The reply; None where there is no limiter, now."""
        try:
            return await self.http.post(path, json=body)
        except httpx.RequestError:
            return None


async def go_on(url: str, left: list[Left], users: list[str], alive: Callable[[], bool]) -> None:
    """Wait for the limiter at `url`, then be its bots. No key is sent: the demo's limiter asks bots for none."""
    async with Connection(url, key="").open(httpx.AsyncClient) as http:
        while alive():
            try:
                if (await http.get("/livez")).is_success:
                    break
            except httpx.RequestError:
                pass
            await asyncio.sleep(0.2)
        await Crowd(http, users, alive).run(left)
