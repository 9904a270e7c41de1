"""A start that the agent asks for, when who wanted it has left."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from limiter.agent.asking import taken, undone
from limiter.agent.limiter_api import Channel
from limiter.agent.line import Line
from limiter.agent.message import Fields
from limiter.calling import start
from tests.conftest import Limiter, served


def nothing(*_given: Any, **_named: Any) -> None:
    """Nobody listens."""


async def leave_the_queue(one: Limiter) -> None:
    line = Line(Channel(one.url, "", {}, "en"), nothing, nothing, nothing)
    question: Fields = {"user": "u1", "wait": "60", "again": "a" * 32, "language": "en"}
    asking = asyncio.create_task(taken(line, question, os.getpid()))
    try:
        while "told" not in question:
            await asyncio.sleep(0.05)
        await asyncio.wait_for(undone(line, asking, question), 5)
    finally:
        line.close()


def test_who_has_left_the_queue_is_not_asked_for_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "TURN_SECONDS", 0.2)
    with served(Limiter(tmp_path, {"MAX_CONCURRENT_BOTS": 0})) as one:
        asyncio.run(leave_the_queue(one))
