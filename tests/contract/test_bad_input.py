"""Bad input: a 4xx with a reason, never a 5xx, and never a neighbour's failure."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import Limiter, granted, new_user, refused, wrong_fields

BODY_LIMIT = 64 * 1024
CALLS = ("start", "heartbeat", "heartbeats", "stop", "trades", "signals")
POSTS = [*(f"/api/bots/{call}" for call in CALLS), "/api/feed/tokens"]
NOT_JSON = {
    "empty": b"",
    "text": b"hello",
    "bad UTF-8": b'{"user_id": "\xff\xfe"}',
    "overlong UTF-8": b'{"user_id": "\xc0\xaf"}',
    "UTF-16": '{"user_id": "u1"}'.encode("utf-16"),
    "cut": b'{"user_id": "u1"',
    "two values": b'{"user_id": "u1"}{"user_id": "u2"}',
    "NaN": b'{"user_id": "u1", "count": NaN, "session_id": NaN}',
    "Infinity": b'{"user_id": "u1", "count": -Infinity, "session_id": Infinity}',
    "single quotes": b"{'user_id': 'u1'}",
    "trailing comma": b'{"user_id": "u1",}',
    "control character": b'{"user_id": "u\x001"}',
    "comment": b'{"user_id": "u1"} // hello',
    "deep lists": b"[" * 30_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep in a field": b'{"user_id":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
}
NOT_AN_OBJECT = {
    "list": b"[]",
    "text": b'"u1"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
    "list of one": b'[{"user_id":"u1"}]',
}
HOSTILE_VALUES = {
    "lone surrogate": b'"\\ud800"',
    "reversed surrogates": b'"\\udc00\\ud800"',
    "NUL": b'"a\\u0000b"',
    "integer of 5000 digits": b"9" * 5000,
    "float of 5000 digits": b"0." + b"3" * 5000,
    "exponent": b"1e999999999",
    "minus zero": b"-0.0",
    "true": b"true",
    "false": b"false",
    "null": b"null",
    "list": b"[]",
    "object": b"{}",
    "long text": b'"' + b"x" * 60_000 + b'"',
    "formula": b'"=cmd()"',
    "path": b'"../../etc/passwd"',
    "percent": b'"%s%n%x"',
    "bidi": '"\u202eadmin"'.encode(),
    "SQL": b'"x\'); DROP TABLE sessions;--"',
}


def refused_politely(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["reason"] in ("invalid_request", "session_unknown"), answer.text


@pytest.fixture(autouse=True)
def unharmed(server: Limiter) -> Iterator[None]:
    """After each hostile request the next honest one is served."""
    yield
    session = server.session()
    granted(server.end(session))


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("name", NOT_JSON)
def test_a_body_that_is_not_json_is_400(server: Limiter, path: str, name: str) -> None:
    refused(server.send(path, NOT_JSON[name]), 400, "invalid_request")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("name", NOT_AN_OBJECT)
def test_a_body_that_is_no_object_is_400(server: Limiter, path: str, name: str) -> None:
    refused(server.send(path, NOT_AN_OBJECT[name]), 400, "invalid_request")


@pytest.mark.parametrize("field", ["user_id", "bot_id"])
@pytest.mark.parametrize("name", HOSTILE_VALUES)
def test_a_hostile_value_in_a_start_is_refused(server: Limiter, field: str, name: str) -> None:
    if (field, name) == ("bot_id", "null"):
        pytest.skip("a bot_id of null may count as left out")
    other = b"" if field == "user_id" else b'"user_id": "%s", ' % new_user().encode()
    answer = server.send("/api/bots/start", b'{%s"%s": %s}' % (other, field.encode(), HOSTILE_VALUES[name]))
    assert wrong_fields(answer, answer.status_code) == {field} or answer.status_code == 400
    refused_politely(answer)


@pytest.mark.parametrize("field", ["session_id", "symbol", "side", "quantity", "price", "trade_id", "closes"])
@pytest.mark.parametrize("name", HOSTILE_VALUES)
def test_a_hostile_value_in_a_trade_is_refused(server: Limiter, field: str, name: str) -> None:
    harmless = {"trade_id": ("null",), "closes": ("null", "true", "false")}
    if name in harmless.get(field, ()):
        pytest.skip("harmless in this field")
    session = server.session()
    body = {"session_id": session["session_id"], "symbol": "X", "side": "buy", "quantity": 1, "price": 1}
    del_body = {key: value for key, value in body.items() if key != field}
    text = json.dumps(del_body).encode()[:-1] + b', "%s": %s}' % (field.encode(), HOSTILE_VALUES[name])
    refused_politely(server.send("/api/bots/trades", text))
    usage = granted(server.client.get(f"/api/users/{session['user_id']}/usage"))
    assert usage["trades"]["used"] == 0
    granted(server.end(session))


@pytest.mark.parametrize("name", HOSTILE_VALUES)
def test_a_hostile_count_is_refused(server: Limiter, name: str) -> None:
    if name == "null":
        pytest.skip("a count of null may count as left out")
    refused_politely(server.send("/api/feed/tokens", b'{"count": %s}' % HOSTILE_VALUES[name]))


@pytest.mark.parametrize("name", HOSTILE_VALUES)
def test_a_hostile_limit_is_refused(server: Limiter, name: str) -> None:
    if name in ("null", "minus zero"):
        pytest.skip("null takes a live change back, and zero is zero however it is written")
    before = server.limits()
    headers = {"Authorization": f"Bearer {server.admin_key}", "Content-Type": "application/json"}
    text = b'{"changes": {"MAX_BOTS_PER_USER": %s}, "reason": "test"}' % HOSTILE_VALUES[name]
    refused_politely(server.client.patch("/api/admin/limits", content=text, headers=headers))
    assert server.limits() == before


# -- size and type ---------------------------------------------------------------------------------------------------
def padded(size: int, user: str) -> bytes:
    head = b'{"user_id": "%s", "padding": "' % user.encode()
    return head + b"x" * (size - len(head) - 2) + b'"}'


def test_a_body_of_64_kib_is_taken(server: Limiter) -> None:
    granted(server.send("/api/bots/start", padded(BODY_LIMIT, new_user())), 201)


@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 10 * BODY_LIMIT])
def test_a_body_over_64_kib_is_413(server: Limiter, size: int) -> None:
    refused(server.send("/api/bots/start", padded(size, new_user())), 413, "invalid_request")


def test_a_body_over_64_kib_in_chunks_is_413(server: Limiter) -> None:
    def chunks() -> Iterator[bytes]:
        body = padded(4 * BODY_LIMIT, new_user())
        for at in range(0, len(body), 8192):
            yield body[at : at + 8192]

    answer = server.client.post("/api/bots/start", content=chunks(), headers={"Content-Type": "application/json"})
    refused(answer, 413, "invalid_request")


def test_a_small_body_in_chunks_is_taken(server: Limiter) -> None:
    body = padded(200, new_user())
    answer = server.client.post(
        "/api/bots/start", content=iter([body[:50], body[50:]]), headers={"Content-Type": "application/json"}
    )
    granted(answer, 201)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", "json"],
)
def test_another_content_type_is_415(server: Limiter, content_type: str) -> None:
    refused(server.send("/api/bots/start", b'{"user_id": "u1"}', content_type), 415, "invalid_request")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"]
)
def test_json_with_parameters_is_taken(server: Limiter, content_type: str) -> None:
    granted(server.send("/api/bots/start", padded(100, new_user()), content_type), 201)


# -- queries ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query",
    [
        "/api/admin/sessions?status=zombie",
        "/api/admin/sessions?limit=0",
        "/api/admin/sessions?limit=501",
        "/api/admin/sessions?limit=-1",
        "/api/admin/sessions?limit=many",
        "/api/admin/sessions?cursor=garbage",
        "/api/admin/sessions?user_id=-a",
        "/api/admin/refusals?reason=bad_mood",
        "/api/admin/refusals?since=yesterday",
        "/api/admin/refusals?cursor=%00",
        "/api/admin/history?format=xml",
        "/api/admin/history?step=0",
        "/api/admin/history?step=-5",
        "/api/admin/history?step=nan",
        "/api/admin/history?from=noon",
        "/api/admin/history?from=2026-01-02T00:00:00.000Z&to=2026-01-01T00:00:00.000Z",
        "/api/admin/health?fail_at=0",
        "/api/admin/health?fail_at=101",
        "/api/admin/health?fail_at=high",
        "/api/limits?user_id=a%20b",
    ],
)
def test_an_unknown_query_value_is_422(server: Limiter, query: str) -> None:
    answer = server.client.get(query)
    if query.startswith("/api/admin/health"):
        assert answer.status_code == 422
    else:
        refused(answer, 422, "invalid_request")


def test_odd_bytes_in_the_address_are_no_failure(server: Limiter) -> None:
    for path in ("/%00", "/%ff%fe", "/api/%2e%2e/%2e%2e/etc/passwd", "/api/users/%F0%9F%A4%96/usage", "/" + "a" * 5000):
        assert 400 <= server.client.get(path).status_code < 500, path


def test_a_line_break_in_an_identifier_of_the_address_is_422(server: Limiter) -> None:
    assert wrong_fields(server.client.get("/api/users/a%0Ab/usage"), 422) == {"user_id"}
    refused(server.client.get("/api/users/a/usage%0A"), 404, "not_found")


def test_numbers_and_instants_that_nothing_can_hold_are_refused(server: Limiter) -> None:
    body = {"version": 2**63, "reason": "t"}
    assert wrong_fields(server.admin("POST", "/api/admin/limits/rollback", body), 422) == {"version"}
    too_early = {"text": "t", "at": "0001-01-01T00:00:00+23:59"}
    assert wrong_fields(server.admin("POST", "/api/admin/notes", too_early), 422) == {"at"}
    no_limit = {"steps": [{"at": "2099-01-01T00:00:00Z", "MAX_CONCURRENT_BOTS": None}], "reason": "t"}
    assert wrong_fields(server.admin("PUT", "/api/admin/plan", no_limit), 400) == {"steps[0].MAX_CONCURRENT_BOTS"}


def test_the_last_instant_is_one(server: Limiter) -> None:
    last = granted(server.admin("POST", "/api/admin/notes", {"text": "t", "at": "9999-12-31T23:59:59.999999Z"}), 201)
    assert last["note"]["at"].startswith("9999-12-31T23:59:59.")


# -- neighbours ------------------------------------------------------------------------------------------------------
def test_poison_in_a_batch_hurts_no_neighbour(server: Limiter) -> None:
    def one(number: int) -> tuple[bool, Any]:
        if number % 2:
            name = list(HOSTILE_VALUES)[number // 2 % len(HOSTILE_VALUES)]
            return False, server.send("/api/bots/start", b'{"user_id": %s}' % HOSTILE_VALUES[name])
        return True, server.start()

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(120)))
    for is_good, answer in answers:
        if is_good:
            granted(server.end(granted(answer, 201)["session"]))
        else:
            refused_politely(answer)


def test_a_body_that_arrives_together_with_its_headers_is_no_header(server: Limiter) -> None:
    """All in one write: what is read at once may hold far more than headers."""
    body = padded(3 * BODY_LIMIT, new_user())
    head = b"POST /api/bots/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Content-Length: %d\r\n\r\n" % len(body)
    for _ in range(20):
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw,
            contextlib.suppress(ConnectionError),
        ):
            raw.sendall(head + body)
            assert raw.recv(4096).split(b"\r\n")[0].split(b" ")[1] == b"413"
