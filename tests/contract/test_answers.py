"""What every answer promises: request ids, UTC instants, JSON in UTF-8, unknown fields ignored."""

from __future__ import annotations

import pytest

from tests.conftest import IDENTIFIER, Limiter, granted, instant, new_user, refused


@pytest.mark.parametrize("request_id", ["a", "Order-7", "a.b:c@d/e_f-g", "9" * 64])
def test_a_request_id_that_fits_the_grammar_comes_back(server: Limiter, request_id: str) -> None:
    answer = server.client.get("/api/admin/capacity", headers={"X-Request-ID": request_id})
    assert answer.headers["X-Request-ID"] == request_id


@pytest.mark.parametrize("request_id", ["", "-a", "a b", "a" * 65, "<script>", "a;b", "a\tb"])
def test_a_request_id_outside_the_grammar_is_replaced(server: Limiter, request_id: str) -> None:
    answer = server.client.get("/api/admin/capacity", headers={"X-Request-ID": request_id})
    assert answer.headers["X-Request-ID"] != request_id
    assert IDENTIFIER.fullmatch(answer.headers["X-Request-ID"])


def test_a_refusal_names_the_request_id_of_the_caller(server: Limiter) -> None:
    answer = server.client.get("/nowhere", headers={"X-Request-ID": "mine-1"})
    assert refused(answer, 404, "not_found")["request_id"] == "mine-1"


def test_request_ids_of_the_server_differ(server: Limiter) -> None:
    ids = {server.client.get("/livez").headers["X-Request-ID"] for _ in range(20)}
    assert len(ids) == 20


def test_unknown_fields_are_ignored(server: Limiter) -> None:
    body = {"user_id": new_user(), "colour": "red", "nested": {"a": [1, None, {}]}, "session": 1}
    session = granted(server.post("/api/bots/start", body), 201)["session"]
    assert "colour" not in session
    answer = server.post("/api/bots/heartbeat", {"session_id": session["session_id"], "user_id": 5})
    assert granted(answer)["session"]["user_id"] == session["user_id"]


def test_instants_are_utc_with_milliseconds(server: Limiter) -> None:
    session = server.session()
    lease = instant(session["lease_expires_at"]) - instant(session["started_at"])
    assert lease.total_seconds() == 60
    instant(server.stats()["at"])
    instant(granted(server.end(session))["session"]["ended_at"])


def test_answers_are_json_in_utf8(server: Limiter) -> None:
    for path in ("/api/admin/capacity", "/api/limits", "/livez", "/readyz", "/api/admin/health"):
        assert server.client.get(path).headers["Content-Type"].partition(";")[0] == "application/json", path


def test_no_cors_header_lets_a_foreign_page_read(server: Limiter) -> None:
    answer = server.client.get("/api/admin/capacity", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
