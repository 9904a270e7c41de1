"""A bot's stay, driven: BotSession for threads, AsyncBotSession for asyncio. Both beat from a thread, so that a bot
that computes for longer than a lease, or keeps its event loop busy, keeps its slot. stay.py says what both promise.
"""

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, Self

import httpx

from limiter.calling import STOP_PATIENCE_SECONDS
from limiter.client.stay import Flow, Number, Pause, Side, Stay
from limiter.client.threads import native_start
from limiter.client.wire import Answer, Reply


class _Closed(Exception):
    """The session is given back while its thread waits for the next beat."""


class _ThreadBeats(Stay):
    """What the twins share: the thread that beats, with a client of httpx that threads may use."""

    def _open(self) -> None:
        super()._open()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="limiter-heartbeat", daemon=True)
        self._connect()
        self._connected_in = os.getpid()

    def _connect(self) -> None:
        self._http = self.connection.open(httpx.Client)

    def _part_from_parent(self) -> None:
        """In a forked child: on its parent's connections the two would read each other's answers, and by one
        Idempotency-Key they would be one bot."""
        if self._connected_in != os.getpid():
            self._idempotency_key = uuid.uuid4().hex
            self._connect()
            self._connected_in = os.getpid()

    def keep(self) -> None:
        """Beat from here on, from a thread."""
        self._cost.begin(time.monotonic())
        if (start_native := native_start()) is None:
            self._thread.start()
        else:
            start_native(self._beat_beside_greenlets, ())

    def _beat(self, http: httpx.Client | None = None) -> None:
        try:
            refused = self._drive_here(self._beating(), self._pause_between_beats, http)
            if not self._closing.is_set():
                self._lose(refused)
        except _Closed:
            pass
        finally:
            self._cost.end()

    def _beat_beside_greenlets(self) -> None:
        """With connections of its own: a green socket works in the thread alone that opened it."""
        with self.connection.open(httpx.Client) as http:
            self._beat(http)

    def _pause_between_beats(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise _Closed

    def _drive_here(
        self, flow: Flow, pause: Callable[[float], object] = time.sleep, http: httpx.Client | None = None
    ) -> Any:
        reply: Reply | None = None
        self._part_from_parent()
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
                by = http or self._http
                reply = by.post(step.path, json=step.body, headers=step.headers, timeout=step.timeout)
            except httpx.RequestError as error:
                reply = error

    def _close(self) -> None:
        if self._thread.ident is not None:
            self._thread.join(STOP_PATIENCE_SECONDS)
        self._http.close()


class BotSession(_ThreadBeats):
    """`with BotSession(url, user_id="u1", bot_id="b1") as bot:` holds a slot for the block.

    Entering raises Refused where there is no slot. `lost` is a threading.Event; `lost_because` says why.
    """

    lost: threading.Event

    def start(self) -> None:
        """Take a slot. Nothing beats yet, so `keep()` is due within a third of the lease. Raises Refused."""
        try:
            self._drive_here(self._starting())
        except BaseException:
            self.stop()
            raise

    def stop(self) -> Answer | None:
        """Give the slot back and beat no more: the session with its end, or None where that could not be had."""
        self._closing.set()
        if self._http.is_closed or self._is_anothers:
            return None
        ended: Answer | None = self._drive_here(self._stopping())
        self._close()
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
        answer: Answer = self._drive_here(self._trading(symbol, side, quantity, price, trade_id, closes))
        return answer

    def signal(self, count: int = 1) -> Answer:
        """Take so many of this minute's signals: `used`, `limit`, `left`. Raises Refused."""
        answer: Answer = self._drive_here(self._signalling(count))
        return answer

    def tokens(self, count: int = 1) -> Answer:
        """Take so many of this minute's tokens of the feed: `used`, `limit`, `left`. Raises Refused."""
        answer: Answer = self._drive_here(self._feeding(count))
        return answer

    def __enter__(self) -> Self:
        self.start()
        self.keep()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _LoopEvent(asyncio.Event):
    """An asyncio.Event that any thread may set, for good: `is_set` is true at once, its loop then wakes who waits."""

    def __init__(self) -> None:
        super().__init__()
        self._seen = False
        self._waited_in: asyncio.AbstractEventLoop | None = None

    def is_set(self) -> bool:
        return self._seen

    def set(self) -> None:
        self._seen = True
        if self._waited_in is not None:
            with suppress(RuntimeError):  # that loop is closed: nobody waits
                self._waited_in.call_soon_threadsafe(super().set)

    async def wait(self) -> Literal[True]:
        self._waited_in = asyncio.get_running_loop()  # before the look: either that sees it set, or `set` sees the loop
        return True if self._seen else await super().wait()


class AsyncBotSession(_ThreadBeats):
    """`async with AsyncBotSession(url, user_id="u1") as bot:` the same for asyncio.

    `lost` is an asyncio.Event, set at once by the thread that beats: `is_set()` tells the truth in a busy loop too.
    """

    lost: asyncio.Event

    def _open(self) -> None:
        super()._open()
        self.lost = _LoopEvent()

    def _connect(self) -> None:
        super()._connect()
        self._async_http = self.connection.open(httpx.AsyncClient)

    async def start(self) -> None:
        """Take a slot. Nothing beats yet, so `keep()` is due within a third of the lease. Raises Refused."""
        self._loop = asyncio.get_running_loop()
        try:
            await self._drive(self._starting())
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> Answer | None:
        """Give the slot back and beat no more: the session with its end, or None where that could not be had."""
        self._closing.set()
        if self._async_http.is_closed or self._is_anothers:
            return None
        ended: Answer | None = await self._drive(self._stopping())
        await self._async_http.aclose()
        await asyncio.to_thread(self._close)
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

    def _pause_between_beats(self, seconds: float) -> None:
        super()._pause_between_beats(seconds)
        if self._loop.is_closed():  # the bot has ended without a stop, its process has not
            raise _Closed

    async def _drive(self, flow: Flow) -> Any:
        reply: Reply | None = None
        self._part_from_parent()
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
                reply = await self._async_http.post(
                    step.path, json=step.body, headers=step.headers, timeout=step.timeout
                )
            except httpx.RequestError as error:
                reply = error
