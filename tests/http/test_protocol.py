"""One connection over a real socket: what of the bytes becomes a request, and in which bytes the answers go out."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from limiter.http import protocol
from limiter.http.protocol import MAX_BODY, MAX_HEAD, HttpConnection, HttpRequest, Reply
from limiter.http.wire import Answer, problem
from limiter.rules.refusals import Refusal

GET = b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%b\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """Answers with the request itself; what is under /later when `let_go` is called, /large with a megabyte."""

    def __init__(self) -> None:
        self.seen: list[HttpRequest] = []
        self.held: list[Callable[[], None]] = []
        self.state = ServerState()
        self.address = ("", 0)

    def __call__(self, request: HttpRequest, reply: Reply) -> None:
        self.seen.append(request)
        body = b"none" if request.body is None else request.body
        text = b"%b %b %b %b" % (request.method.encode(), request.path.encode(), request.query, body)
        answer = Answer(200, b"x" * 2**20 if request.path == "/large" else text, b"text/plain", ((b"x-a", b"1"),))
        if request.path.startswith("/later"):
            self.held.append(lambda: reply(answer, "late"))
        else:
            reply(answer, f"id{len(self.seen)}")

    def refuse(self, refusal: Refusal, reply: Reply) -> None:
        reply(problem(refusal, "refused", "en"), "refused")

    def let_go(self) -> None:
        self.held.pop(0)()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not is_so():
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def connect(self, *parts: bytes) -> AsyncIterator[Streams]:
        reader, writer = await asyncio.open_connection(*self.address)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01 if len(parts) > 1 else 0)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def talk(self, *parts: bytes) -> bytes:
        """All that is answered until the end of the connection, which has to come."""
        async with self.connect(*parts) as (reader, _), asyncio.timeout(5):
            return await reader.read()


Test = Callable[[Callable[[Echo], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run() -> Test:
    """Runs a test's coroutine with an application that listens; at the end no connection may be left."""

    async def whole(test: Callable[[Echo], Coroutine[Any, Any, None]]) -> None:
        echo, loop = Echo(), asyncio.get_running_loop()
        config = uvicorn.Config(echo)
        server = await loop.create_server(lambda: HttpConnection(config, echo.state, {}), "127.0.0.1", 0)
        echo.address = server.sockets[0].getsockname()
        try:
            await test(echo)
            await echo.until(lambda: not echo.state.connections)
        finally:
            server.close()
            for left in [*echo.state.connections]:
                left.transport.abort()
            await asyncio.sleep(0.01)

    def run_one(test: Callable[[Echo], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(whole(test))

    return run_one


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """One answer: status, headers, body."""
    async with asyncio.timeout(5):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:-2])
        return int(lines[0].split(" ")[1]), headers, await reader.readexactly(int(headers["content-length"]))


def test_requests_follow_each_other_on_one_connection(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect() as (reader, writer):
            writer.write(GET % b"/a%20b?q=%201")
            status, headers, body = await answer(reader)
            assert (status, body) == (200, b"GET /a b q=%201 ")
            assert headers["x-request-id"] == "id1"
            assert (headers["x-a"], headers["content-type"]) == ("1", "text/plain")
            assert (headers["connection"], headers["keep-alive"]) == ("keep-alive", "timeout=75")
            assert headers["cache-control"] == "no-store"
            writer.write(POST % (3, b"X-Name: Value\r\n") + b"abc")
            assert (await answer(reader))[2] == b"POST /p  abc"
            assert echo.seen[1].headers[b"x-name"] == b"Value"
            assert echo.seen[1].address == "127.0.0.1"

    run(test)


def test_what_comes_in_pieces_is_one_request(run: Test) -> None:
    async def test(echo: Echo) -> None:
        whole = POST % (5, b"Connection: close\r\n") + b"hello"
        pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
        assert (await echo.talk(*pieces)).endswith(b"\r\nconnection: close\r\n\r\nPOST /p  hello")

    run(test)


def test_pipelined_requests_are_answered_in_their_order(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(b"".join(GET % path for path in (b"/later1", b"/b", b"/later2", b"/c"))) as (reader, _):
            await echo.until(lambda: len(echo.held) == 1)
            assert [request.path for request in echo.seen] == ["/later1"], "one at a time"
            echo.let_go()
            assert [(await answer(reader))[2] for _ in range(2)] == [b"GET /later1  ", b"GET /b  "]
            await echo.until(lambda: len(echo.held) == 1)
            echo.let_go()
            assert [(await answer(reader))[2] for _ in range(2)] == [b"GET /later2  ", b"GET /c  "]

    run(test)


def test_a_great_many_pipelined_requests_are_answered(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(GET % b"/later" + 5000 * (GET % b"/x")) as (reader, writer):
            await echo.until(lambda: len(echo.held) == 1)
            echo.let_go()
            for _ in range(5001):
                assert (await answer(reader))[0] == 200
            writer.write(GET % b"/y")
            assert (await answer(reader))[2] == b"GET /y  "

    run(test)


def test_the_last_request_ends_the_connection(run: Test) -> None:
    async def test(echo: Echo) -> None:
        last = b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        told = await echo.talk(GET % b"/first" + last + GET % b"/never")
        assert [request.path for request in echo.seen] == ["/first", "/last"]
        assert told.count(b"connection: close") == 1

    run(test)


def test_http_1_0_is_answered_and_closed_or_kept_where_it_asks_for_that(run: Test) -> None:
    async def test(echo: Echo) -> None:
        asked = b"GET /old HTTP/1.0\r\n%b\r\n"
        assert b"connection: close\r\n" in await echo.talk(asked % b"")
        async with echo.connect() as (reader, writer):
            for _ in range(2):
                writer.write(asked % b"Connection: Keep-Alive\r\n")
                _, headers, body = await answer(reader)
                assert (headers["connection"], headers["keep-alive"], body) == (
                    "keep-alive", "timeout=75", b"GET /old  ",
                )  # fmt: skip
        assert [request.old for request in echo.seen] == [True, True, True]

    run(test)


def test_head_is_get_without_its_body(run: Test) -> None:
    async def test(echo: Echo) -> None:
        told = await echo.talk(b"HEAD /h HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"content-length: 9\r\n" in told
        assert told.endswith(b"\r\n\r\n")

    run(test)


def test_a_client_that_expects_to_be_told_to_go_on_is_told(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(POST % (2, b"Expect: 100-continue\r\n")) as (reader, writer):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ok")
            assert (await answer(reader))[2] == b"POST /p  ok"
        async with echo.connect(POST % (MAX_BODY + 1, b"Expect: 100-continue\r\n")) as (reader, _):
            assert (await answer(reader))[2] == b"POST /p  none"

    run(test)


def test_chunks_become_one_body_and_trailers_no_headers(run: Test) -> None:
    async def test(echo: Echo) -> None:
        head = b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        told = await echo.talk(head + b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\nX-Late: 1\r\n\r\n")
        assert told.endswith(b"POST /p  abcde")
        assert b"x-late" not in echo.seen[0].headers

    run(test)


def test_a_body_over_the_cap_is_told_at_once_and_passed_over(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(POST % (3 * MAX_BODY, b"")) as (reader, writer):
            assert (await answer(reader))[2] == b"POST /p  none"
            writer.write(b"x" * 3 * MAX_BODY + GET % b"/next")
            assert (await answer(reader))[2] == b"GET /next  "
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        async with echo.connect(b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n") as (
            reader,
            writer,
        ):
            writer.write(3 * chunk)
            assert (await answer(reader))[2] == b"POST /p  none"
            writer.write(3 * chunk + b"0\r\n\r\n" + GET % b"/next")
            assert (await answer(reader))[2] == b"GET /next  "

    run(test)


def test_a_whole_address_is_a_path_and_what_is_no_path_is_none_of_ours(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(GET % b"http://x/p?q=1" + GET % b"http://x" + GET % b"/%ff/\xc3") as (reader, _):
            assert [(await answer(reader))[2] for _ in range(2)] == [b"GET /p q=1 ", b"GET /  "]
            assert (await answer(reader))[0] in (200, 400)
        async with echo.connect(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n") as (reader, _):
            assert (await answer(reader))[2] == b"OPTIONS *  "

    run(test)


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"


@pytest.mark.parametrize("size", [7, 10**6])
def test_an_offer_to_upgrade_is_passed_over_and_its_request_answered(run: Test, size: int) -> None:
    async def test(echo: Echo) -> None:
        chunked = b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n%b\r\n2\r\nde\r\n0\r\n\r\n" % OFFER
        websocket = b"GET /u HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: 1\r\nX: 2\r\n\r\n"
        whole = POST % (3, OFFER) + b"abc" + chunked + websocket + GET % b"/next"
        async with echo.connect(*[whole[at : at + size] for at in range(0, len(whole), size)]) as (reader, _):
            told = [(await answer(reader)) for _ in range(4)]
        assert [body for _, _, body in told] == [b"POST /p  abc", b"POST /p  de", b"GET /u  ", b"GET /next  "]
        assert all(headers["connection"] == "keep-alive" for _, headers, _ in told)
        assert echo.seen[2].headers[b"x"] == b"1, 2"

    run(test)


def test_a_great_many_offers_to_upgrade_are_passed_over(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(2000 * (POST % (1, OFFER) + b"x")) as (reader, _):
            for _ in range(2000):
                assert (await answer(reader))[2] == b"POST /p  x"

    run(test)


def test_no_tunnel_is_dug(run: Test) -> None:
    async def test(echo: Echo) -> None:
        told = await echo.talk(b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n\x00\x01")
        assert b"connection: close\r\n" in told and echo.seen[0].method == "CONNECT"

    run(test)


@pytest.mark.parametrize(
    ("sent", "host"),
    [
        (b"GET http://a:1/p HTTP/1.1\r\nHost: x\r\n", b"a:1"),
        (b"GET HTTP://a HTTP/1.1\r\nHost: x\r\n", b"a"),
        (b"GET http://u@a?q HTTP/1.1\r\nHost: x\r\n", b"u@a"),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n", b"a, a"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n", b"x, y"),
        (b"GET / HTTP/1.1\r\nHost:\r\n", b""),
    ],
)
def test_the_host_is_the_one_that_was_asked_for(run: Test, sent: bytes, host: bytes) -> None:
    async def test(echo: Echo) -> None:
        await echo.talk(sent + b"Connection: close\r\n\r\n")
        assert echo.seen[0].headers[b"host"] == host

    run(test)


IN_TWO_WAYS = [
    b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"Content-Length: 3, 3\r\n\r\nabc",
    b"Content-Length: +3\r\n\r\nabc",
    b"Content-Length: 99999999999999999999\r\n\r\nabc",
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip\r\n\r\n",
    b"Transfer-Encoding: identity\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    b"X: a\r\n b\r\n\r\n",
    b" X: a\r\n\r\n",
    b"X: a\nY: b\r\n\r\n",
    b"X: a\rY: b\r\n\r\n",
    b"X: a\x00b\r\n\r\n",
    b"X: a\r\n\n",
    b": a\r\n\r\n",
]


@pytest.mark.parametrize("rest", IN_TWO_WAYS)
def test_what_two_programs_could_read_in_two_ways_is_400_and_closed(run: Test, rest: bytes) -> None:
    """A proxy in front and this server would take different bytes for the next request (RFC 9112, 11.2)."""

    async def test(echo: Echo) -> None:
        told = await echo.talk(b"POST /p HTTP/1.1\r\nHost: x\r\n" + rest + GET % b"/smuggled")
        assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n") and b"connection: close\r\n" in told
        assert not echo.seen and told.count(b"HTTP/1.1 ") == 1

    run(test)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHo st: x\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_400_and_closed(run: Test, garbage: bytes) -> None:
    async def test(echo: Echo) -> None:
        told = await echo.talk(garbage)
        assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"connection: close\r\n" in told
        assert not echo.seen

    run(test)


def test_garbage_behind_a_request_costs_it_nothing(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(GET % b"/later" + b"garbage\r\n\r\n") as (reader, _):
            await echo.until(lambda: len(echo.held) == 1)
            echo.let_go()
            status, headers, body = await answer(reader)
            assert (status, headers["connection"], body) == (200, "close", b"GET /later  ")
            assert await reader.read() == b"", "nothing may follow it"

    run(test)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"y" * 1000) for n in range(20)) + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 2 * MAX_HEAD,
        b"GET /" + b"y" * 2 * MAX_HEAD,
    ],
)
@pytest.mark.parametrize("size", [1000, 10**6])
def test_a_head_that_is_too_large_is_431_and_closed(run: Test, head: bytes, size: int) -> None:
    async def test(echo: Echo) -> None:
        pieces = [head[at : at + size] for at in range(0, len(head), size)][: MAX_HEAD // size + 3]
        if size > len(head) and not head.endswith(b"\r\n\r\n"):
            pieces.append(b"y" * 2 * MAX_HEAD)
        async with echo.connect() as (reader, writer):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.001)
            assert (await answer(reader))[0] == 431
        assert not echo.seen

    run(test)


def test_a_head_that_fits_is_taken_whatever_comes_with_it(run: Test) -> None:
    async def test(echo: Echo) -> None:
        head = b"X: " + b"y" * (MAX_HEAD - 1000) + b"\r\n"
        async with echo.connect(2 * (POST % (MAX_BODY, head) + b"z" * MAX_BODY)) as (reader, _):
            assert [(await answer(reader))[0] for _ in range(2)] == [200, 200]

    run(test)


# -- time


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines of tenths of a second."""
    for name, seconds in (("HEAD_SECONDS", 0.1), ("BODY_SECONDS", 0.15), ("LOOK_SECONDS", 0.02)):
        monkeypatch.setattr(protocol, name, seconds)


@pytest.mark.usefixtures("hasty")
def test_who_is_too_slow_is_told_so_once_and_closed(run: Test) -> None:
    async def test(echo: Echo) -> None:
        half = {
            b"": 0, b"GET / HT": 1, b"GET / HTTP/1.1\r\nHost: x\r\n": 1, POST % (9, b""): 1,
            POST % (9, b"") + b"half": 1, POST % (MAX_BODY + 1, b"") + b"half": 0,
        }  # fmt: skip
        for sent, refusals in half.items():
            assert (await echo.talk(sent) if sent else await echo.talk()).count(b" 408 ") == refusals, sent

    run(test)


@pytest.mark.usefixtures("hasty")
def test_dripping_wins_no_time(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(b"GET / HTTP/1.1\r\n") as (reader, writer), asyncio.timeout(2):
            told = asyncio.create_task(reader.read())
            while not told.done():
                if not writer.is_closing():
                    writer.write(b"X: y\r\n")
                await asyncio.sleep(0.02)
            assert told.exception() or b" 408 " in told.result()  # what it still sends may cost it the answer

    run(test)


@pytest.mark.usefixtures("hasty")
def test_an_answer_may_take_its_time(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(GET % b"/later" + b"GET /half") as (reader, _):
            await asyncio.sleep(0.3)
            echo.let_go()
            assert (await answer(reader))[2] == b"GET /later  "
            assert (await answer(reader))[0] == 408

    run(test)


@pytest.mark.usefixtures("hasty")
def test_who_says_no_more_or_does_not_read_is_closed(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(GET % b"/x") as (reader, _):
            await answer(reader)
            (connection,) = echo.state.connections
            connection._deadline = 0.0  # type: ignore[union-attr]
            assert await reader.read() == b""
        async with echo.connect(20 * (GET % b"/large")) as (reader, _):
            await echo.until(lambda: len(echo.seen) > 1)
            count = -1
            while count != len(echo.seen):  # until it waits for the client to read
                count = len(echo.seen)
                await asyncio.sleep(0.05)
            assert count < 21
            (connection,) = echo.state.connections
            connection._deadline = 0.0  # type: ignore[union-attr]
            await echo.until(lambda: not echo.state.connections)

    run(test)


def test_who_reads_late_gets_all(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(20 * (GET % b"/large")) as (reader, _):
            await asyncio.sleep(0.1)
            for _ in range(20):
                assert len((await answer(reader))[2]) == 2**20

    run(test)


# -- ends


def test_a_drain_answers_what_was_taken_and_closes_the_rest(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with (
            echo.connect(GET % b"/later") as (reader, writer),
            echo.connect(GET % b"/later" + GET % b"/x") as (two, _),
            echo.connect(GET % b"/x") as (idle, _),
            echo.connect(POST % (9, b"") + b"half") as (half, _),
            echo.connect() as (silent, _),
        ):
            await echo.until(lambda: len(echo.held) == 2 and len(echo.state.connections) == 5)
            await answer(idle)
            for connection in [*echo.state.connections]:
                connection.shutdown()
            for each in (idle, half, silent):
                assert await each.read() == b""
            writer.write(GET % b"/new")
            await asyncio.sleep(0.02)
            echo.let_go()
            echo.let_go()
            assert (await answer(reader))[1]["connection"] == "close"
            assert await reader.read() == b"", "nothing new is taken"
            assert (await answer(two))[1]["connection"] == "keep-alive"
            assert (await answer(two))[1]["connection"] == "close"
            assert await two.read() == b""

    run(test)


def test_an_answer_to_nobody_hurts_nobody(run: Test) -> None:
    async def test(echo: Echo) -> None:
        async with echo.connect(GET % b"/later"):
            await echo.until(lambda: len(echo.held) == 1)
        await echo.until(lambda: not echo.state.connections)
        echo.let_go()
        assert len(echo.seen) == 1
        assert re.match(rb"HTTP/1.1 200 OK", await echo.talk(POST % (0, b"Connection: close\r\n")))

    run(test)
