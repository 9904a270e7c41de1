"""A bot's stay, driven: BotSession beats from a thread, AsyncBotSession from a task. stay.py says what both promise."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import httpx

from limiter.client.stay import STOP_PATIENCE_SECONDS, Flow, Number, Pause, Side, Stay
from limiter.client.wire import Answer, Refused, Reply


class _Closed(Exception):
    """The session is given back while its thread waits for the next beat."""


class BotSession(Stay):
    """`with BotSession(url, user_id="u1", bot_id="b1") as bot:` holds a slot for the block, beating from a thread.

    Entering raises Refused where there is no slot. `lost` is a threading.Event; `lost_because` says why.
    """

    def _open(self) -> None:
        self.lost = threading.Event()
        self._closing = threading.Event()
        self._http = httpx.Client(**self.connection.options())
        self._thread = threading.Thread(target=self._beat, name="limiter-heartbeat", daemon=True)

    def start(self) -> None:
        """Take a slot. Nothing beats yet, so `keep()` is due within a third of the lease. Raises Refused."""
        try:
            self._drive(self._starting())
        except BaseException:
            self.stop()
            raise

    def keep(self) -> None:
        """Beat from here on, from a thread."""
        self._thread.start()

    def stop(self) -> Answer | None:
        """Give the slot back and beat no more: the session with its end, or None where that could not be had."""
        self._closing.set()
        if self._http.is_closed:
            return None
        ended: Answer | None = self._drive(self._stopping())
        if self._thread.ident is not None:
            self._thread.join(STOP_PATIENCE_SECONDS)
        self._http.close()
        return ended

    def trade(
        self,
        *,
        symbol: str,
        side: Side,
        quantity: Number,
        price: Number,
        trade_id: str | None = None,
        closes: bool = False,
    ) -> Answer:
        """Report a trade, before it is made: `trade`, `trades_today`, `trades_left`, … Raises Refused."""
        answer: Answer = self._drive(self._trading(symbol, side, quantity, price, trade_id, closes))
        return answer

    def signal(self, count: int = 1) -> Answer:
        """Take so many of this minute's signals: `used`, `limit`, `left`. Raises Refused."""
        answer: Answer = self._drive(self._signalling(count))
        return answer

    def tokens(self, count: int = 1) -> Answer:
        """Take so many of this minute's tokens of the feed: `used`, `limit`, `left`. Raises Refused."""
        answer: Answer = self._drive(self._feeding(count))
        return answer

    def __enter__(self) -> Self:
        self.start()
        self.keep()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _beat(self) -> None:
        with suppress(_Closed):
            refused: Refused = self._drive(self._beating(), self._pause_between_beats)
            if not self._closing.is_set():
                self.lost_because = refused
                self.lost.set()

    def _pause_between_beats(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise _Closed

    def _drive(self, flow: Flow, pause: Callable[[float], object] = time.sleep) -> Any:
        reply: Reply | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                return end.value
            if isinstance(step, Pause):
                pause(step.seconds)
                reply = None
                continue
            try:
                reply = self._http.post(step.path, json=step.body, headers=step.headers, timeout=step.timeout)
            except httpx.RequestError as error:
                reply = error


class AsyncBotSession(Stay):
    """`async with AsyncBotSession(url, user_id="u1") as bot:` the same for asyncio, beating from a task.

    `lost` is an asyncio.Event; `lost_because` says why.
    """

    def _open(self) -> None:
        self.lost = asyncio.Event()
        self._http = httpx.AsyncClient(**self.connection.options())
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take a slot. Nothing beats yet, so `keep()` is due within a third of the lease. Raises Refused."""
        try:
            await self._drive(self._starting())
        except BaseException:
            await self.stop()
            raise

    def keep(self) -> None:
        """Beat from here on, from a task."""
        self._task = asyncio.create_task(self._beat(), name="limiter-heartbeat")

    async def stop(self) -> Answer | None:
        """Give the slot back and beat no more: the session with its end, or None where that could not be had."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._http.is_closed:
            return None
        ended: Answer | None = await self._drive(self._stopping())
        await self._http.aclose()
        return ended

    async def trade(
        self,
        *,
        symbol: str,
        side: Side,
        quantity: Number,
        price: Number,
        trade_id: str | None = None,
        closes: bool = False,
    ) -> Answer:
        """Report a trade, before it is made: `trade`, `trades_today`, `trades_left`, … Raises Refused."""
        answer: Answer = await self._drive(self._trading(symbol, side, quantity, price, trade_id, closes))
        return answer

    async def signal(self, count: int = 1) -> Answer:
        """Take so many of this minute's signals: `used`, `limit`, `left`. Raises Refused."""
        answer: Answer = await self._drive(self._signalling(count))
        return answer

    async def tokens(self, count: int = 1) -> Answer:
        """Take so many of this minute's tokens of the feed: `used`, `limit`, `left`. Raises Refused."""
        answer: Answer = await self._drive(self._feeding(count))
        return answer

    async def __aenter__(self) -> Self:
        await self.start()
        self.keep()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _beat(self) -> None:
        self.lost_because = await self._drive(self._beating())
        self.lost.set()

    async def _drive(self, flow: Flow) -> Any:
        reply: Reply | None = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                return end.value
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                reply = None
                continue
            try:
                reply = await self._http.post(step.path, json=step.body, headers=step.headers, timeout=step.timeout)
            except httpx.RequestError as error:
                reply = error
