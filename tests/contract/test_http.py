"""How the API travels, over a real socket: hosts, HTTP/1.0, codings, caches, idle connections."""

import gzip
import json
import socket
from collections.abc import Iterator

import pytest

from limiter.api.routes import ROUTES
from tests.conftest import Limiter, granted, new_user, refused

CHECKED = ("/livez", "/readyz", "/api/admin/health")
STOPPED = b"HTTP/1.1 400 Bad Request\r\n"


def told(server: Limiter, sent: bytes) -> bytes:
    """All that is answered to bytes as they are, until the end of the connection."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture
def line(server: Limiter) -> Iterator[socket.socket]:
    """A connection that stays."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as connection:
        yield connection


@pytest.mark.parametrize("path", CHECKED)
@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_a_check_by_http_1_0_needs_no_host(server: Limiter, path: str, method: bytes) -> None:
    """HAProxy's `option httpchk PATH` sends OPTIONS, Nagios' check_http GET, neither with a Host."""
    answer = told(server, b"%b %b HTTP/1.0\r\n\r\n" % (method, path.encode()))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize("path", [b"/api/limits", b"/api/admin/capacity", b"/admin", b"/openapi.json", b"/x"])
def test_everything_else_needs_a_host_by_http_1_0_too(server: Limiter, path: bytes) -> None:
    answer = told(server, b"GET %b HTTP/1.0\r\n\r\n" % path)
    assert answer.startswith(STOPPED) and b"LIMITER_ALLOWED_HOSTS" in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\n",
        b"GET /livez HTTP/1.1\r\nHost:\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        b"GET /livez HTTP/1.0\r\nHost: evil.example\r\n",
        b"GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n",
        b"GET http://localhost@evil.example/livez HTTP/1.1\r\nHost: localhost\r\n",
        b"GET http://localhost/livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
    ],
)
def test_one_host_of_this_server_has_to_be_named(server: Limiter, head: bytes) -> None:
    assert told(server, head + b"Connection: close\r\n\r\n").startswith(STOPPED)


def test_the_host_of_a_whole_address_goes_over_the_header(server: Limiter) -> None:
    head = b"GET http://localhost:%d/livez HTTP/1.1\r\nHost: a.proxy.example\r\nConnection: close\r\n\r\n"
    assert told(server, head % server.port).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_a_compressed_body_is_415(server: Limiter, coding: str) -> None:
    body = gzip.compress(json.dumps({"user_id": new_user()}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = server.client.post("/api/bots/start", content=body, headers=headers)
    refused(answer, 415, "invalid_request")
    assert answer.headers["Accept-Encoding"] == "identity"


def test_a_body_that_is_said_to_be_as_it_is_is_taken(server: Limiter) -> None:
    granted(server.start(Content_Encoding="Identity"), 201)


@pytest.mark.parametrize("path", [route.path for route in ROUTES if route.method == "GET" and "{" not in route.path])
def test_no_get_is_for_caches(server: Limiter, path: str) -> None:
    for answer in (server.admin("GET", path), server.client.get(path, headers={"Host": "evil.example"})):
        assert answer.headers.get_list("Cache-Control") == ["no-store"]


def test_a_connection_outlasts_the_beat_and_is_told_so(server: Limiter) -> None:
    answer = server.client.get("/livez")
    assert answer.headers["Connection"] == "keep-alive"
    seconds = int(answer.headers["Keep-Alive"].removeprefix("timeout="))
    assert seconds > server.session()["heartbeat_seconds"]


def test_a_start_that_offers_http_2_is_answered_with_its_body_and_the_connection_kept(
    server: Limiter, line: socket.socket
) -> None:
    head = (
        b"POST /api/bots/start HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n"
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n\r\n"
    )  # fmt: skip
    for _ in range(2):
        body = json.dumps({"user_id": new_user()}).encode()
        line.sendall(head % len(body) + body)
        assert line.recv(65536).startswith(b"HTTP/1.1 201 Created\r\n")
