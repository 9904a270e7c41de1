"""The moment that a commit waits: until enough have come, not beyond its end, and rarely where nobody comes."""

import asyncio
import time

import pytest

from limiter.committer import MAX_BATCH
from limiter.gathering import MOST_SECONDS, Gathering

LONG = 60.0  # what a batch took: the moment is as long as it may be


async def waits(gathering: Gathering, answered: int, waiting: int, took: float = 0.0) -> bool:
    """Whether the next batch would wait; it is let go at once."""
    waiting_for = asyncio.ensure_future(gathering.wait(answered, waiting, took))
    await asyncio.sleep(0)
    held = not waiting_for.done()
    gathering.enough()
    await waiting_for
    assert gathering.wanted == 0
    return held


def test_who_comes_alone_waits_for_nobody() -> None:
    assert not asyncio.run(waits(Gathering(MAX_BATCH), answered=1, waiting=0))
    assert not asyncio.run(waits(Gathering(MAX_BATCH), answered=1, waiting=1))


def test_nobody_waits_where_enough_are_there() -> None:
    assert not asyncio.run(waits(Gathering(MAX_BATCH), answered=2, waiting=30))
    assert asyncio.run(waits(Gathering(MAX_BATCH), answered=20, waiting=10))


@pytest.mark.parametrize("waiting", [MAX_BATCH * 9 // 10, MAX_BATCH, 2_500])
def test_a_batch_that_is_nearly_full_waits_for_nobody(waiting: int) -> None:
    """More could not come into it: all of them would wait for nothing."""
    assert not asyncio.run(waits(Gathering(MAX_BATCH), MAX_BATCH, waiting, LONG))


def test_the_next_commit_waits_for_nine_of_ten_who_were_answered_or_waited() -> None:
    async def count() -> int:
        gathering = Gathering(MAX_BATCH)
        waiting_for = asyncio.ensure_future(gathering.wait(30, 10, LONG))
        await asyncio.sleep(0)
        wanted = gathering.wanted
        gathering.enough()
        await waiting_for
        return wanted

    assert asyncio.run(count()) == 36


def test_the_moment_ends() -> None:
    began = time.monotonic()
    asyncio.run(Gathering(MAX_BATCH).wait(30, 10, LONG))
    assert MOST_SECONDS * 0.8 < time.monotonic() - began < 1.0


def test_where_nobody_asks_again_fewer_and_fewer_batches_wait() -> None:
    async def held(rounds: int, come: bool) -> list[int]:
        gathering, found = Gathering(MAX_BATCH), []
        for number in range(rounds):
            waiting_for = asyncio.ensure_future(gathering.wait(30, 10, 0.0))
            await asyncio.sleep(0)
            if not waiting_for.done():
                found.append(number)
                if come:
                    gathering.enough()
            await waiting_for
        return found

    assert asyncio.run(held(300, come=False)) == [0, 2, 6, 14, 30, 62, 126, 190, 254]
    assert asyncio.run(held(50, come=True)) == list(range(50))


@pytest.mark.parametrize("misses", [1, 6])
def test_one_moment_in_which_they_come_makes_every_batch_wait_again(misses: int) -> None:
    async def rounds() -> list[bool]:
        gathering = Gathering(MAX_BATCH)
        for _ in range(misses):
            while gathering._hasty:
                await gathering.wait(30, 10, 0.0)
            await gathering.wait(30, 10, 0.0)
        while gathering._hasty:
            await gathering.wait(30, 10, 0.0)
        return [await waits(gathering, 30, 10) for _ in range(5)]

    assert asyncio.run(rounds()) == [True] * 5
