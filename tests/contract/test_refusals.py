"""Refusals: problem+json, the sentences in both languages, Retry-After, and which refusal comes first."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.conftest import CAPACITY_FIELDS, Limiter, granted, instant, new_user, refused, served, wait_until

Start = Callable[..., Limiter]
FULL_FR = "Serveur complet (1/1 bots actifs). Réessaie dans quelques minutes."
FULL_EN = "Server full (1/1 active bots). Try again in a few minutes."


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A limiter of one slot, taken by `holder` with bot `b1`."""
    with served(
        Limiter(tmp_path_factory.mktemp("full"), {"MAX_CONCURRENT_BOTS": "1", "BOT_LEASE_SECONDS": "3600"})
    ) as one:
        one.session("holder", "b1")
        yield one


# -- the sentences ---------------------------------------------------------------------------------------------------
def test_server_full(full: Limiter) -> None:
    answer = full.start()
    assert answer.headers["Content-Type"].partition(";")[0] == "application/problem+json"
    body = refused(answer, 503, "server_full")
    assert body["error"] == body["detail"] == FULL_FR
    assert (body["status"], body["success"]) == (503, False)
    assert isinstance(body["type"], str)
    assert body["title"]
    assert body["capacity"].keys() == CAPACITY_FIELDS
    assert (body["capacity"]["current_bots"], body["capacity"]["max_bots"]) == (1, 1)
    assert answer.headers["Retry-After"] == "30", "fewer than 2 gaps between freed slots"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", FULL_EN),
        ("fr", FULL_FR),
        ("en-GB,en;q=0.9", FULL_EN),
        ("fr-CA", FULL_FR),
        ("fr;q=0.2, en;q=0.9", FULL_EN),
        ("en;q=0.2, fr;q=0.9", FULL_FR),
        ("de, en;q=0.5", FULL_EN),
        ("en;q=0, fr", FULL_FR),
        ("EN", FULL_EN),
        ("de", FULL_FR),
        ("*", FULL_FR),
        ("", FULL_FR),
        (";;q=x,,=", FULL_FR),
        ("en;q=nan", None),
    ],
)
def test_the_language_of_the_caller(full: Limiter, language: str, sentence: str | None) -> None:
    body = refused(full.start(Accept_Language=language), 503, "server_full")
    assert body["error"] in ((FULL_FR, FULL_EN) if sentence is None else (sentence,))


def test_limiter_lang_speaks_where_the_caller_does_not_say(limiter: Start) -> None:
    one = limiter(LIMITER_LANG="en", MAX_CONCURRENT_BOTS="1")
    one.session("u1")
    assert refused(one.start("u2"), 503, "server_full")["error"] == FULL_EN
    assert refused(one.start("u2", Accept_Language="fr"), 503, "server_full")["error"] == FULL_FR
    assert refused(one.start("u1"), 429, "user_limit")["error"] == "Limit reached: 1/1 active bot for this user."


@pytest.mark.parametrize(
    ("limit", "french", "english"),
    [
        (1, "Limite atteinte : 1/1 bot actif pour cet utilisateur.", "Limit reached: 1/1 active bot for this user."),
        (2, "Limite atteinte : 2/2 bots actifs pour cet utilisateur.", "Limit reached: 2/2 active bots for this user."),
    ],
)
def test_user_limit(server: Limiter, limit: int, french: str, english: str) -> None:
    user = new_user()
    body = {"limits": {"MAX_BOTS_PER_USER": limit}, "reason": "test"}
    granted(server.admin("PUT", f"/api/admin/users/{user}/limits", body))
    for _ in range(limit):
        server.session(user)
    answer = server.start(user)
    body = refused(answer, 429, "user_limit")
    assert body["error"] == french
    assert (body["active"], body["limit"]) == (limit, limit)
    assert int(answer.headers["Retry-After"]) >= 1
    assert refused(server.start(user, Accept_Language="en"), 429, "user_limit")["error"] == english


def test_every_refusal_speaks_both_languages(server: Limiter) -> None:
    def sentences(path: str, body: Any) -> tuple[str, ...]:
        answers = [server.post(path, body, Accept_Language=language).json() for language in ("fr", "en")]
        assert answers[0]["reason"] == answers[1]["reason"]
        return tuple(answer["error"] for answer in answers)

    stopped = server.session()
    server.end(stopped)
    for path, body in [
        ("/api/bots/heartbeat", {"session_id": "s9.nobody"}),
        ("/api/bots/heartbeat", {"session_id": stopped["session_id"]}),
        ("/api/nowhere", {}),
        ("/api/admin/capacity", {}),
        ("/api/bots/start", {}),
    ]:
        french, english = sentences(path, body)
        assert french != english, path


def test_a_refused_start_takes_nothing(full: Limiter) -> None:
    for _ in range(5):
        refused(full.start("nobody"), 503, "server_full")
    assert full.capacity()["current_bots"] == 1
    assert granted(full.client.get("/api/users/nobody/usage"))["bots"]["used"] == 0


def test_retry_after_stays_between_30_and_600(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="3", BOT_LEASE_SECONDS="3600")
    for _ in range(2):
        for session in one.fill(3):
            granted(one.end(session))
    one.fill(3)
    answer = one.start()
    refused(answer, 503, "server_full")
    assert answer.headers["Retry-After"] == "30", "gaps of milliseconds are raised to 30 s"


# -- which comes first -----------------------------------------------------------------------------------------------
def test_paused_comes_before_user_limit_and_user_limit_before_server_full(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="1")
    one.session("u1", "b1")
    refused(one.start("u1", "b2"), 429, "user_limit")
    refused(one.start("u2"), 503, "server_full")
    granted(one.admin("POST", "/api/admin/pause", {"reason": "test"}))
    for user, bot in (("u1", "b2"), ("u2", "b1"), ("u1", "b1")):
        answer = one.start(user, bot)
        refused(answer, 503, "paused")
        assert int(answer.headers["Retry-After"]) >= 1


def test_a_busy_box_refuses_new_starts_but_no_replacement(limiter: Start) -> None:
    one = limiter()
    one.session("u1", "b1", Idempotency_Key="k")
    one.set_limits(MAX_RAM_PERCENT=1, MAX_CPU_PERCENT="none")
    answer = wait_until(lambda: (a := one.start("u2")).status_code == 503 and a, 15, "a reading of RAM")
    body = refused(answer, 503, "box_busy")
    assert body["error"] == f"Serveur trop chargé (RAM {round(body['value'])} %). Réessaie dans quelques minutes."
    assert body["value"] > body["threshold"] == 1
    assert answer.headers["Retry-After"] == "60"
    assert "Server too busy (RAM " in refused(one.start("u2", Accept_Language="en"), 503, "box_busy")["error"]
    assert not one.capacity()["can_accept_new"]
    refused(one.start("u1", "b2"), 429, "user_limit")
    granted(one.start("u1", "b1", Idempotency_Key="k"), 200)
    one.session("u1", "b1")
    one.set_limits(MAX_RAM_PERCENT="none")
    one.session("u3")


def test_who_waits_in_turn_is_the_next_over_a_kill_and_in_a_race(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="1", BOT_LEASE_SECONDS="600")

    def ask(user: str, ticket: str | None = None) -> httpx.Response:
        return one.post("/api/bots/start", {"user_id": user, "queue": True} | ({"ticket": ticket} if ticket else {}))

    def place(user: str, ticket: str | None = None) -> Any:
        return refused(ask(user, ticket), 503, "server_full")["ticket"]

    holder = one.session("holder")
    tickets = {f"u{n}": place(f"u{n}") for n in range(12)}
    assert [(one["position"], one["of"]) for one in tickets.values()] == [(n + 1, n + 1) for n in range(12)]
    assert tickets["u0"].keys() == {"id", "position", "of", "expires_at"}
    assert 290 < (instant(tickets["u0"]["expires_at"]) - datetime.now(UTC)).total_seconds() <= 300
    assert granted(one.admin("GET", "/api/admin/stats"))["queue"] == {"waiting": 12}
    one.restart(kill=True)
    assert place("u3", tickets["u3"]["id"])["position"] == 4
    granted(one.end(holder))
    assert not one.capacity()["can_accept_new"]
    assert "ticket" not in refused(one.start("stranger"), 503, "server_full")
    with ThreadPoolExecutor(12) as pool:
        answers = dict(zip(tickets, pool.map(ask, tickets, [t["id"] for t in tickets.values()]), strict=True))
    assert [user for user, answer in answers.items() if answer.status_code == 201] == ["u0"]
    assert one.capacity()["current_bots"] == 1


BAD_HOST = {"Host": "evil.example"}
WRONG_KEY = {"Authorization": "Bearer lim_nobody_wrong"}
TEXT = {"Content-Type": "text/plain"}
HUGE = b'{"user_id": "' + b"x" * 70_000 + b'"}'


def ask(server: Limiter, method: str, path: str, *parts: dict[str, str], content: bytes = b"") -> httpx.Response:
    headers: dict[str, str] = {"Content-Type": "application/json"} if content else {}
    for part in parts:
        headers |= part
    return server.client.request(method, path, headers=headers, content=content)


def test_host_comes_before_the_path(server: Limiter) -> None:
    refused(ask(server, "GET", "/nowhere", BAD_HOST), 400, "invalid_request")


def test_the_path_comes_before_everything_after_it(server: Limiter) -> None:
    refused(ask(server, "POST", "/nowhere", WRONG_KEY, TEXT, content=HUGE), 404, "not_found")


def test_the_method_comes_before_the_key(server: Limiter) -> None:
    refused(ask(server, "DELETE", "/api/bots/start", WRONG_KEY, TEXT, content=HUGE), 405, "method_not_allowed")


def test_the_key_comes_before_the_body(server: Limiter) -> None:
    refused(ask(server, "POST", "/api/bots/start", WRONG_KEY, TEXT, content=HUGE), 401, "unauthorized")
    refused(ask(server, "PATCH", "/api/admin/limits", TEXT, content=HUGE), 401, "unauthorized")


def test_the_scope_comes_before_the_body(limiter: Start) -> None:
    one = limiter()
    bots = {"Authorization": f"Bearer {one.new_key('bots')}"}
    refused(ask(one, "PATCH", "/api/admin/limits", bots, TEXT, content=HUGE), 403, "forbidden")


def test_the_content_type_comes_before_the_size(server: Limiter) -> None:
    refused(ask(server, "POST", "/api/bots/start", TEXT, content=HUGE), 415, "invalid_request")


def test_the_size_comes_before_the_content(server: Limiter) -> None:
    refused(ask(server, "POST", "/api/bots/start", content=HUGE[:-2] + b"\xff"), 413, "invalid_request")


def test_a_missing_field_or_wrong_type_comes_before_the_grammar(server: Limiter) -> None:
    refused(server.post("/api/bots/start", {"user_id": "-bad", "bot_id": 1.5}), 400, "invalid_request")
    body = {"session_id": "s9.nobody", "symbol": "bad symbol", "side": "buy", "quantity": 1}
    refused(server.post("/api/bots/trades", body), 400, "invalid_request")


def test_the_grammar_comes_before_the_state(server: Limiter) -> None:
    refused(server.trade({"session_id": "s9.nobody"}, symbol="bad symbol"), 422, "invalid_request")
    body = {"changes": {"MAX_CONCURRENT_BOTS": -1}, "reason": "test", "version": 0}
    answer = server.admin("PATCH", "/api/admin/limits", body)
    refused(answer, 422, "invalid_request")
    granted(server.admin("POST", "/api/admin/pause", {"reason": "test"}))
    refused(server.start("-bad"), 422, "invalid_request")
    granted(server.admin("POST", "/api/admin/resume", {"reason": "test"}))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/bots/start"),
        ("PUT", "/api/bots/start"),
        ("POST", "/api/limits"),
        ("DELETE", "/api/admin/capacity"),
        ("POST", "/api/admin/stats"),
        ("POST", "/api/admin/health"),
        ("PUT", "/api/admin/limits"),
        ("GET", "/api/admin/limits/preview"),
        ("GET", "/api/admin/pause"),
        ("POST", "/api/users/u1/usage"),
        ("POST", "/livez"),
    ],
)
def test_a_method_that_is_not_there_is_405(server: Limiter, method: str, path: str) -> None:
    refused(server.client.request(method, path), 405, "method_not_allowed")


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/bots", "/api/nowhere", "/api/bots/start/", "/api/users/u1", "/docs"]
)
def test_a_path_that_is_not_there_is_404(server: Limiter, path: str) -> None:
    refused(server.client.get(path), 404, "not_found")


def test_several_wrong_fields_are_named_at_once(server: Limiter) -> None:
    body = {"session_id": "s9.nobody", "symbol": "a b", "side": "hold", "quantity": "-1", "price": "0"}
    errors = refused(server.post("/api/bots/trades", body), 422, "invalid_request")["errors"]
    assert errors
    assert all(error.keys() >= {"field", "message"} for error in errors)
    assert {error["field"] for error in errors} <= {"symbol", "side", "quantity", "price"}


def test_the_sentence_of_an_invalid_request_names_the_field(server: Limiter) -> None:
    body = refused(server.post("/api/bots/start", {"user_id": "a b"}), 422, "invalid_request")
    assert "user_id" in body["error"]


def test_a_refusal_never_echoes_what_was_sent(server: Limiter) -> None:
    answer = server.post("/api/bots/start", {"user_id": "<script>alert(1)</script>"})
    refused(answer, 422, "invalid_request")
    assert "<script>" not in answer.text
    assert "<script>" not in server.client.get("/%3Cscript%3E").text
    assert json.loads(answer.text)["success"] is False
