"""A thread beside the event loop, for what waits for the disk.

Promises: one function at a time, in the order given; what it returns or raises arrives in the loop that asked. Not
promised: that a function which never ends keeps the process alive. An executor does the same for twice the CPU, which a
batch of one start feels: 22 µs instead of 10.
"""

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")
LOOP_CLOSED = contextlib.suppress(RuntimeError)  # nobody waits


class OneThread:
    """Runs functions one by one."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def run(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """What the function returns or raises. Called in the event loop."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work.put((function, future))
        return future

    def close(self) -> None:
        """Finish what was given, then end the thread."""
        self._work.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (job := self._work.get()) is not None:
            function, future = job
            result, failure = None, None
            try:
                result = function()
            except BaseException as error:
                failure = error
            with LOOP_CLOSED:
                future.get_loop().call_soon_threadsafe(_settle, future, result, failure)
            del job, function, future, result, failure  # what was raised holds frames, and the thread waits for long


def _settle(future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if future.done():
        return
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)
