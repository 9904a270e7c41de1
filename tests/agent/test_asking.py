"""What the agent asks its limiter, and when again: one who wanted a slot has left, a proxy says when to come back."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from limiter.agent import processes
from limiter.agent.asking import given_back, taken, undone
from limiter.agent.book import Entry
from limiter.agent.bot import Bot
from limiter.agent.limiter_api import Channel, Refused
from limiter.agent.line import Line
from limiter.agent.members import Members, Watcher
from limiter.agent.message import Fields
from limiter.agent.slot import Slot
from limiter.calling import pause, start
from limiter.processes import identity
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


class Busy(BaseHTTPRequestHandler):
    """A proxy that lets a caller in once a second."""

    asked: ClassVar[list[float]]
    asks_for = "1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        early = bool(self.asked) and time.monotonic() < self.asked[-1] + 1
        first = not self.asked
        self.asked.append(time.monotonic())
        self.send_response_only(429 if first or early else 200)
        body = b"Too Many Requests" if first or early else json.dumps({"results": [{"ok": True}]}).encode()
        self.send_header("Retry-After", self.asks_for)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def busy() -> Iterator[tuple[str, list[float]]]:
    """The address of such a proxy, and when it was asked."""

    class Fresh(Busy):
        asked: ClassVar = list[float]()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fresh)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Fresh.asked
    server.shutdown()
    thread.join()
    server.server_close()


def held(url: str, lease_seconds: float = 60) -> Bot:
    """A bot whose lease has just begun."""
    entry = Entry(
        again="a" * 32, session_id="s1.x", public_id="s1", user_id="u1", bot_id="b1", url=url, key="", network={},
        language="en", lease_seconds=lease_seconds, heartbeat_seconds=lease_seconds / 3, pid=1, start=1, command="",
        on_lost="stop", asked_at=time.monotonic(), started_at=0, since=0,
    )  # fmt: skip
    return Bot(entry, Members("s1", None, Watcher(), nothing, 0))


def test_each_beat_says_which_process_it_is() -> None:
    """Also after one that was answered: the limiter keeps it in memory alone, and may have been started again."""
    one, own = held("http://127.0.0.1:1"), processes.read(os.getpid())
    assert own is not None
    one.members.add(own.pid, own.start)
    try:
        first = one.beat()
        assert first["process"] == identity(own.pid)
        one.renewed(time.monotonic(), 60, {"ok": True})
        assert one.beat() == first
    finally:
        one.members.close()


async def beaten_for(url: str) -> None:
    line, renewed = Line(Channel(url, "", {}, "en"), nothing, lambda bots: done.set(), nothing), held(url)
    done = asyncio.Event()
    try:
        line.add(renewed, at_once=True)
        for _ in range(8):  # what else is added meanwhile changes nothing of when it is tried again
            await asyncio.sleep(0.1)
            line.add(renewed)
        await asyncio.wait_for(done.wait(), 5)
    finally:
        line.close()


async def stopped(url: str) -> None:
    line = Line(Channel(url, "", {}, "en"), nothing, nothing, nothing)
    try:
        await given_back(line, "s1.x", time.monotonic() + 60)
    finally:
        line.close()


def direct(url: str) -> None:
    slot = Slot(Channel(url, "", {}, "en"), "en")
    slot._session = {"session_id": "s1.x"}
    slot.give_back()


@pytest.mark.parametrize("by", [beaten_for, stopped, direct])
def test_what_is_refused_is_asked_again_when_the_answer_says(busy: tuple[str, list[float]], by: Any) -> None:
    url, asked = busy
    if by is direct:
        by(url)
    else:
        asyncio.run(by(url))
    first, second = asked
    assert second - first >= 1


async def with_a_short_lease_added(url: str, asked: list[float]) -> None:
    line = Line(Channel(url, "", {}, "en"), nothing, nothing, nothing)
    try:
        line.add(held(url, 600), at_once=True)
        while not asked:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # its answer, which asks for a minute, is there
        line.add(held(url, 3))
        async with asyncio.timeout(2.4):  # its lease, less the margin
            while len(asked) < 2:
                await asyncio.sleep(0.01)
    finally:
        line.close()


def test_a_pause_that_was_asked_for_ends_before_a_lease_that_begins_in_it(
    busy: tuple[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Busy, "asks_for", "60")
    asyncio.run(with_a_short_lease_added(*busy))


def test_an_answer_of_a_proxy_says_when_to_come_back(busy: tuple[str, list[float]]) -> None:
    with pytest.raises(Refused) as refused:
        Channel(busy[0], "", {}, "en").post("/api/bots/start", {}, timeout=5)
    assert (refused.value.reason, refused.value.retry_after, refused.value.exit_status) == ("out_of_reach", 1.0, 75)


def test_a_slot_that_cannot_be_kept_is_given_up_while_its_bot_can_still_be_ended() -> None:
    slot = Slot(Channel("http://127.0.0.1:9", "", {}, "en"), "en")  # where nobody listens
    slot._session = {"session_id": "s1.x", "lease_seconds": 3, "heartbeat_seconds": 0.1}
    began = slot._asked_at = time.monotonic()
    slot.keep(dict)
    while not slot.lost:
        time.sleep(0.01)
        assert time.monotonic() < began + 30
    assert slot._hold_until <= time.monotonic() <= slot._hold_until + 1


def test_a_lease_that_is_not_sure_is_beaten_for_as_often_as_ever() -> None:
    line, lost = Line(Channel("http://127.0.0.1:9", "", {}, "en"), nothing, nothing, nothing), held("", 60)
    lost.entry.asked_at -= 60
    line.bots.add(lost)
    try:
        assert pause(0.5, 300.0, line._left()) == 20
    finally:
        line.close()
