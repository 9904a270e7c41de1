"""Many starts within seconds: ten at once, then as many as leave the cores to those before them."""

import asyncio
import itertools
from typing import Any

import pytest

from limiter.agent.pacing import BUSY_SHARE, FREE, LONGEST_SECONDS, WITHIN_SECONDS, Pacing


class Clocked(asyncio.SelectorEventLoop):
    """A loop whose clock goes on by itself: a wait takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self.now = max(self.now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def went(*, bots: int, cpu_share: float, for_seconds: float, every: float = 0.0, at_once: int = 4) -> list[float]:
    """When each of so many bots went, asked for one after the other, each at work for so long from its turn on."""
    loop, pacing = Clocked(), Pacing(at_once)
    at = list[float]()

    async def one(asked: float) -> None:
        await asyncio.sleep(asked)
        began = list[float]()

        def cpu_seconds() -> float:
            return cpu_share * min(for_seconds, loop.now - began[0]) if began else 0.0

        await pacing.turn(cpu_seconds)
        began.append(loop.now)
        at.append(loop.now)

    async def everyone() -> Any:
        return await asyncio.gather(*(one(number * every) for number in range(bots)))

    try:
        loop.run_until_complete(everyone())
    finally:
        loop.close()
    assert pacing.waiting == 0
    return at


def test_ten_go_at_once() -> None:
    assert went(bots=FREE, cpu_share=1.0, for_seconds=3) == [0.0] * FREE


def test_after_them_no_more_than_so_many_are_at_work() -> None:
    at = went(bots=40, cpu_share=1.0, for_seconds=3)
    assert max(at[:FREE]) == 0.0
    assert at[FREE] >= 3.0
    for number, instant in enumerate(at[FREE:], FREE):
        assert sum(instant - 3 < other <= instant for other in at[:number]) <= 4 or instant < 3.1
    assert at[-1] <= 3 * 40 / 4 + 3


def test_what_needs_no_cpu_passes_as_fast_as_it_comes_up() -> None:
    assert went(bots=200, cpu_share=BUSY_SHARE / 2, for_seconds=60)[-1] < 6.0


def test_starts_that_are_far_apart_wait_for_nobody() -> None:
    every = WITHIN_SECONDS / FREE + 0.1
    at = went(bots=40, cpu_share=1.0, for_seconds=600, every=every)
    assert at == pytest.approx([number * every for number in range(40)])


def test_a_bot_that_goes_on_working_holds_nobody_up_for_longer_than_half_a_minute() -> None:
    at = went(bots=FREE + 8, cpu_share=1.0, for_seconds=3600)
    assert all(LONGEST_SECONDS <= later - earlier < LONGEST_SECONDS + 1 for earlier, later in
               itertools.pairwise([0.0, at[FREE], at[FREE + 4]]))  # fmt: skip
