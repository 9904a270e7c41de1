"""The OpenAPI document: valid 3.1, complete, and in agreement with what the server really answers."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tests.conftest import Limiter, from_now, granted

OPERATIONS = """
POST /api/bots/start · POST /api/bots/heartbeat · POST /api/bots/heartbeats · POST /api/bots/stop
POST /api/bots/trades · POST /api/bots/signals · POST /api/feed/tokens · GET /api/limits
GET /api/users/{}/usage · GET /api/admin/capacity · GET /api/admin/stats
GET /api/admin/health · GET /livez · GET /readyz · GET /openapi.json · GET /metrics · GET /admin · GET /api/admin/advice
GET /api/admin/box · GET /api/admin/forecast · GET /api/admin/sizing · GET /api/admin/state · GET /api/admin/explain/{}
GET /api/admin/limits · PATCH /api/admin/limits · POST /api/admin/limits/preview · GET /api/admin/limits/history
POST /api/admin/limits/rollback · GET /api/admin/users/{}/limits · PUT /api/admin/users/{}/limits
DELETE /api/admin/users/{}/limits · GET /api/admin/sessions · POST /api/admin/sessions/{}/stop
POST /api/admin/sessions/reap · POST /api/admin/pause · POST /api/admin/resume · GET /api/admin/refusals
GET /api/admin/refusals/{} · GET /api/admin/history · GET /api/admin/notes · POST /api/admin/notes
GET /api/admin/audit
"""
LISTED = {tuple(row.split()) for row in re.split(r"[·\n]", OPERATIONS) if row.strip()}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


@pytest.fixture(scope="module")
def document(server: Limiter) -> Any:
    return server.client.get("/openapi.json").json()


def operations(document: Any) -> dict[tuple[str, str], Any]:
    """(method, path with `{}` for each parameter) → operation."""
    return {
        (method.upper(), re.sub(r"\{[^}]*\}", "{}", path)): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_the_document_lists_every_call_of_the_contract(document: Any) -> None:
    assert operations(document).keys() >= LISTED


def test_every_call_of_the_document_is_served(server: Limiter, document: Any) -> None:
    for path, item in document["paths"].items():
        for method in METHODS & item.keys():
            answer = server.client.request(method, re.sub(r"\{[^}]*\}", "x1", path))
            assert answer.status_code != 405, f"{method} {path}"
            if answer.status_code == 404 and method != "head":
                assert re.search(r"\{", path), f"{method} {path}"


def test_operation_ids_are_unique(document: Any) -> None:
    ids = [operation["operationId"] for operation in operations(document).values() if "operationId" in operation]
    assert len(ids) == len(set(ids))


def tour_of_a_bot(server: Limiter, session: Any) -> None:
    """Heartbeats, one and many, and bots without a slot: none."""
    server.beat(session)
    server.beat({"session_id": "s9.nobody"})
    beats = [{"session_id": session["session_id"], "memory_bytes": 1, "cpu_seconds": 0.5}, {"session_id": "s9.nobody"}]
    server.post("/api/bots/heartbeats", {"beats": beats})
    server.post("/api/bots/heartbeats", {"beats": []})
    server.post("/api/bots/strangers", {"host": "h", "agent": "a", "strangers": []})
    server.post("/api/bots/strangers", {"host": "h", "agent": "a"})


def tour(server: Limiter) -> None:
    """Every call of the contract once as it should be, and many as they should not."""
    session = server.session("tour", "b1")
    public_id = session["public_id"]
    server.start("tour", "b2")
    server.start("-bad")
    server.send("/api/bots/start", b"{")
    server.send("/api/bots/start", b"{}", "text/plain")
    server.send("/api/bots/start", b" " * 70_000)
    server.start(None, None, Authorization="Bearer lim_nobody_wrong")
    server.session("tour", "b1", Idempotency_Key="tour-1")
    session = server.start("tour", "b1", Idempotency_Key="tour-1").json()["session"]
    tour_of_a_bot(server, session)
    server.trade(session, trade_id="t1")
    server.trade(session, trade_id="t1")
    server.trade(session, trade_id="t1", price="5")
    server.trade(session, side="hold")
    server.signal(session)
    server.tokens(5)
    server.tokens(10**6)
    for path in ["limits", "limits?user_id=tour", "users/tour/usage"]:
        server.client.get(f"/api/{path}")
    for path in ["livez", "readyz", "metrics", "admin"]:
        server.client.get(f"/{path}")
    for path in [
        "capacity",
        "stats",
        "health",
        "health?fail_at=1",
        "health?fail_at=0",
        "advice",
        "box",
        "forecast",
        "forecast?days=0",
        "sizing",
        "sizing?users=0",
        "sizing?refused=1",
        "state",
        "state?at=never",
        "explain/nobody",
        "limits",
        "limits/history",
    ]:
        server.client.get(f"/api/admin/{path}")
    for path in [
        "sessions",
        "sessions?limit=0",
        "refusals",
        "refusals/x",
        "history",
        "history?format=csv",
        "notes",
        "audit",
    ]:
        server.client.get(f"/api/admin/{path}")
    server.client.get("/api/admin/capacity", headers={"Host": "evil.example"})
    server.client.patch("/api/admin/limits", json={})
    server.set_limits(MAX_BOTS_PER_USER=2)
    server.admin("PATCH", "/api/admin/limits", {"changes": {}, "reason": "stale", "version": 0})
    server.patch(MAX_BOTS_PER_USER=-1)
    version = granted(server.client.get("/api/admin/limits"))["version"]
    server.admin("POST", "/api/admin/limits/preview", {"changes": {"MAX_CONCURRENT_BOTS": 300}})
    server.admin("POST", "/api/admin/limits/rollback", {"version": version, "reason": "tour", "override_guard": True})
    override = {"limits": {"MAX_BOTS_PER_USER": 3}, "reason": "tour", "until": from_now(60)}
    server.admin("PUT", "/api/admin/users/tour/limits", override)
    server.admin("GET", "/api/admin/users/tour/limits")
    server.admin("DELETE", "/api/admin/users/tour/limits", {"reason": "tour"})
    server.admin("POST", "/api/admin/notes", {"text": "tour"})
    server.client.get("/api/admin/notes")
    server.admin("POST", "/api/admin/pause", {"reason": "tour"})
    refused_id = server.start("other").headers["X-Request-ID"]
    server.client.get(f"/api/admin/refusals/{refused_id}")
    server.client.get("/api/admin/refusals")
    server.admin("POST", "/api/admin/resume", {"reason": "tour"})
    server.admin("POST", "/api/admin/sessions/reap", {"reason": "tour"})
    server.end(session)
    tour_of_a_bot(server, session)
    server.admin("POST", f"/api/admin/sessions/{public_id}/stop", {"reason": "tour"})
    server.client.get("/api/admin/sessions?status=ended")


def operation_of(answer: httpx.Response, listed: dict[tuple[str, str], Any]) -> tuple[str, Any]:
    path = answer.request.url.raw_path.decode().partition("?")[0]
    for (method, template), operation in listed.items():
        pattern = re.escape(template).replace(r"\{\}", "[^/]+")
        if method == answer.request.method and re.fullmatch(pattern, path):
            return f"{method} {template}", operation
    raise AssertionError(f"not in the document: {answer.request.method} {path}")


def test_answers_agree_with_the_document(server: Limiter, document: Any) -> None:
    server.answers.clear()
    tour(server)
    listed = operations(document)
    disagreements: list[str] = []
    seen: set[str] = set()
    for answer in sorted(server.answers, key=lambda answer: "{}" in answer.request.url.path):
        name, operation = operation_of(answer, listed)
        seen.add(name)
        where = f"{name} → {answer.status_code}"
        described = operation["responses"].get(str(answer.status_code), operation["responses"].get("default"))
        while described is not None and "$ref" in described:
            described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
        if described is None:
            disagreements.append(f"{where}: status not described")
            continue
        content_type = answer.headers.get("Content-Type", "").partition(";")[0]
        content = {kind.partition(";")[0]: media for kind, media in described.get("content", {}).items()}
        if not answer.content:
            continue
        if content_type not in content:
            disagreements.append(f"{where}: {content_type} not described")
        elif content_type.endswith("json") and "schema" in content[content_type]:
            schema = {"components": document["components"]} | content[content_type]["schema"]
            errors = Draft202012Validator(schema).iter_errors(answer.json())
            disagreements += [f"{where}: {error.json_path} {error.message[:200]}" for error in errors]
    assert not disagreements, "\n".join(sorted(set(disagreements)))
    called = {f"{method} {path}" for method, path in LISTED - {("GET", "/openapi.json")}}
    assert called <= seen, "the tour sees every call"
