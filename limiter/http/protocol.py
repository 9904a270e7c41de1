"""HTTP/1.1 and 1.0 on a connection: bytes to whole requests, whole answers to bytes, under deadlines.

Promises: requests are answered one at a time, in their order, each in one write; a body over MAX_BODY is not kept; a
head or a body that comes too slowly is answered 408, a head over MAX_HEAD 431, what is not HTTP (or could be read in
two ways) 400, and the connection closed; who says nothing, or does not read, is closed; an offer to upgrade is passed
over, and its request answered like any other. Not promised: streaming, TLS, WebSockets, HTTP/2.

uvicorn listens and drains. Its own protocol lacks these deadlines, and for each request makes a task, an ASGI scope,
two messages that it takes apart again, and two timers: a third of what a start cost.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

import httptools
from msgspec import Struct
from uvicorn import Config
from uvicorn.server import ServerState

from limiter.http.wire import Answer
from limiter.rules.refusals import Refusal, invalid

HEAD_SECONDS = 5.0  # from the first byte (or the connection) to the end of the headers
BODY_SECONDS = 8.0  # from there to the end of the body
LOOK_SECONDS = 1.0  # how often a connection looks at its deadline: with all three, under 15 s
# How long a connection may idle between requests, as clients are told: longer than a bot's 20 s between beats and than
# nginx keeps its upstream connections (60 s). It is kept for a little longer, for what is sent at the last moment.
KEEP_ALIVE_SECONDS = 75
GRACE_SECONDS = 5
MAX_HEAD = 16 * 1024
MAX_BODY = 64 * 1024  # five digits

_STATUS = {int(status): b"%d %b" % (status, status.phrase.encode()) for status in HTTPStatus}
_HEAD = (
    b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
    b"x-content-type-options: nosniff\r\ncache-control: no-store\r\n%b%b"
)
_KEPT = b"connection: keep-alive\r\nkeep-alive: timeout=%d\r\n\r\n" % KEEP_ALIVE_SECONDS
_CLOSED = b"connection: close\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_TOO_SLOW = invalid("request", "came too slowly", "arrivée trop lentement", 408)
_HEAD_TOO_LARGE = invalid("request", "has headers over 16 KiB", "en-têtes de plus de 16 Kio", 431)
_NOT_HTTP = invalid("request", "is not HTTP/1.1", "n'est pas du HTTP/1.1", 400)
# 400 and not the 501 of RFC 9112: behind a proxy that counts a server's errors, a caller must not be able to cause any.
_CODED = invalid("Transfer-Encoding", "must be chunked, or left out", "doit être chunked, ou absent", 400)
_WHOLE_ADDRESS = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)

log = logging.getLogger("limiter")


class HttpRequest(Struct):
    """A whole request. Header names are in lower case; one that came more than once has its values joined by commas.

    `body` is None where it is over MAX_BODY. `old` is HTTP/1.0, where Host may be left out.
    """

    method: str
    path: str
    query: bytes
    headers: dict[bytes, bytes]
    body: bytes | None
    address: str
    keeps_alive: bool
    old: bool


Reply = Callable[[Answer, str], None]  # the answer, and the request's id


class Application(Protocol):
    """What answers requests."""

    def __call__(self, request: HttpRequest, reply: Reply) -> None:
        """Call `reply` once, now or later, whatever goes wrong."""

    def refuse(self, refusal: Refusal, reply: Reply) -> None:
        """The answer to what never became a request, at once."""


class HttpConnection(asyncio.Protocol):
    """One connection. httptools calls the `on_…` methods from within `data_received`."""

    transport: asyncio.Transport
    _timer: asyncio.TimerHandle

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.app: Application = config.app  # type: ignore[assignment]
        self.server = server_state
        self.loop = _loop or asyncio.get_running_loop()
        self.parser = self._new_parser()
        self._address = ""
        self._deadline = 0.0
        self._ending = self._write_paused = False
        self._answering: HttpRequest | None = None
        self._pipelined: deque[HttpRequest] = deque()
        # Of the request that is coming in:
        self._in_head = self._in_body = self._taken = self._upgrades = self._offered = self._old = False
        self._chunk = self._head_bytes = self._body_bytes = 0
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)  # it is dropped here, not an error
        return parser

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        self.server.connections.add(self)  # type: ignore[arg-type]
        self._deadline = self.loop.time() + HEAD_SECONDS
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        del self.parser  # which refers to this object
        self._pipelined.clear()
        self._ending = True
        self.server.connections.discard(self)

    def shutdown(self) -> None:
        """The server drains."""
        self._end()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._next()

    def _look(self) -> None:
        self._timer = self.loop.call_later(LOOK_SECONDS, self._look)
        if self._answering is not None or self.loop.time() <= self._deadline:
            return
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # who does not read would hold it open
        elif self._in_head or self._in_body:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()

    def _end(self) -> None:
        """Take no more requests; close when those that were taken are answered."""
        self._ending = True
        if self._pipelined:
            self._pipelined[-1].keeps_alive = False
        elif self._answering is not None:
            self._answering.keeps_alive = False
        else:
            self.transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, where no answer is due before it, and close: what follows cannot be understood."""
        if self._ending:
            return
        answered = self._in_body and self._taken
        if self._answering is None and not self._pipelined and not answered:
            self.app.refuse(refusal, lambda answer, request_id: self._write(answer, request_id, keeps_alive=False))
        self._end()

    # -- a request comes in

    def data_received(self, data: bytes) -> None:
        while data and not self._ending:
            self._chunk, rest = len(data), b""
            if self._in_head:
                self._head_bytes += self._chunk
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                if self._offered:
                    rest = self._head_without_offer() + data[stop.args[0] :]
                # CONNECT: the request was taken all the same, and its answer closes the connection
            except httptools.HttpParserError as error:
                if isinstance(error, httptools.HttpParserCallbackError):
                    log.exception("connection_failed")
                self._refuse(_NOT_HTTP)
            if self._in_head and self._head_bytes > MAX_HEAD:  # a header so long that it is not over yet
                self._refuse(_HEAD_TOO_LARGE)
            data = rest

    def _head_without_offer(self) -> bytes:
        """The same head, for a new parser: the old one takes what follows for another protocol, the body too.

        Java's HttpClient and `curl --http2` offer `Upgrade: h2c` with the first request to a host.
        """
        line = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self._url, self.parser.get_http_version().encode())
        self.parser, self._in_head = self._new_parser(), False
        kept = (header for header in self._headers.items() if header[0] != b"upgrade")
        return line + b"".join(b"%b: %b\r\n" % header for header in kept) + b"\r\n"

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes, self._url, self._headers = True, 0, b"", {}
        self._offered = False
        self._deadline = self.loop.time() + HEAD_SECONDS

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # and is no trailer
            name, headers = name.lower(), self._headers
            headers[name] = b"%b, %b" % (headers[name], value) if name in headers else value

    def on_headers_complete(self) -> None:
        parser, headers = self.parser, self._headers
        self._upgrades = parser.should_upgrade()
        if self._upgrades and parser.get_method() != b"CONNECT":
            self._offered = True
            return
        self._in_head, self._in_body, self._taken = False, True, False
        self._parts, self._body_bytes = [], 0
        self._deadline = self.loop.time() + BODY_SECONDS
        if self._head_bytes + self._chunk > MAX_HEAD and self._head_size() > MAX_HEAD:
            self._refuse(_HEAD_TOO_LARGE)
        version = parser.get_http_version()  # which the parser writes out anew for each that asks
        self._old = version == "1.0"
        if version != "1.1" and not self._old:
            self._refuse(_NOT_HTTP)
        elif b"transfer-encoding" in headers and (self._old or not _is_chunked(headers)):
            self._refuse(_CODED)
        length = headers.get(b"content-length")
        if length is not None and len(length) > 4 and length.isdigit() and int(length) > MAX_BODY:
            self._take(None)
        elif b"expect" in headers and self._answering is None and not self._ending:
            self.transport.write(_CONTINUE)

    def _head_size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) for name, value in self._headers.items())

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes <= MAX_BODY:
            self._parts.append(body)
        elif not self._taken:
            self._take(None)

    def on_message_complete(self) -> None:
        if self._offered:
            return
        self._in_body = False
        if not self._taken:
            self._take(b"".join(self._parts))
        elif self._answering is None:
            self._deadline = self.loop.time() + KEEP_ALIVE_SECONDS + GRACE_SECONDS

    def _take(self, body: bytes | None) -> None:
        """Nothing that still comes of this request can change its answer."""
        self._taken = True
        if self._ending:
            return
        target = self._url if self._url[:1] == b"/" else self._target_of_address()
        raw, _, query = target.partition(b"?")
        path = raw.decode("latin-1")
        keeps_alive = self.parser.should_keep_alive() and not self._upgrades
        request = HttpRequest(
            self.parser.get_method().decode(), unquote(path) if "%" in path else path, query,
            self._headers, body, self._address, keeps_alive, self._old,
        )  # fmt: skip
        if self._answering is None and not self._pipelined and not self._write_paused:
            self._answer(request)
        else:
            self._pipelined.append(request)
            if self.transport.is_reading():
                self.transport.pause_reading()

    def _target_of_address(self) -> bytes:
        """Path and query of a whole address, as proxies are sent, whose host goes over the header."""
        whole = _WHOLE_ADDRESS.fullmatch(self._url)
        if whole is None:
            return self._url  # which is no path of ours
        if b"," not in self._headers.get(b"host", b","):  # one Host, as has to come all the same
            self._headers[b"host"] = whole[1]
        return whole[2] if whole[2].startswith(b"/") else b"/" + whole[2]

    # -- an answer goes out

    def _answer(self, request: HttpRequest) -> None:
        self._answering = request
        self.app(request, self._reply)

    def _reply(self, answer: Answer, request_id: str) -> None:
        request, self._answering = self._answering, None
        assert request is not None
        if self.transport.is_closing():
            return
        self._write(answer, request_id, request.keeps_alive, request.method == "HEAD")
        if not (self._in_head or self._in_body):
            self._deadline = self.loop.time() + KEEP_ALIVE_SECONDS + GRACE_SECONDS
        if not request.keeps_alive:
            self._pipelined.clear()
            self._end()
        elif self._pipelined:
            self.loop.call_soon(self._next)

    def _next(self) -> None:
        if self._pipelined and self._answering is None and not self._write_paused:
            self._answer(self._pipelined.popleft())
        if not self._pipelined and not self.transport.is_closing() and not self.transport.is_reading():
            self.transport.resume_reading()

    def _write(self, answer: Answer, request_id: str, keeps_alive: bool, head_only: bool = False) -> None:
        head = _HEAD % (
            _STATUS[answer.status], answer.content_type, len(answer.body), request_id.encode(),
            _lines((*self.server.default_headers, *answer.headers)), _KEPT if keeps_alive else _CLOSED,
        )  # fmt: skip
        self.transport.write(head if head_only else head + answer.body)


def _is_chunked(headers: dict[bytes, bytes]) -> bool:
    return headers[b"transfer-encoding"].strip().lower() == b"chunked"


@lru_cache(maxsize=64)  # most answers of one second, which the date is of, have the same
def _lines(headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
