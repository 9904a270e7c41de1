"""The operator's half: every endpoint has its method, and every method its endpoint, against a real limiter."""

from collections.abc import Iterator

import httpx
import pytest

from limiter.client import Admin, Refused
from limiter.client.admin import segment
from tests.conftest import Limiter, from_now, new_user


@pytest.fixture
def asked(server: Limiter) -> Iterator[tuple[Admin, set[tuple[str, str]]]]:
    """An Admin with the first key, and what it has asked for: method and path."""
    seen: set[tuple[str, str]] = set()
    with Admin(server.url, server.admin_key, language="en") as admin:
        admin._http.event_hooks["response"] = [lambda reply: seen.add((reply.request.method, path_of(reply)))]
        yield admin, seen


def path_of(reply: httpx.Response) -> str:
    return reply.request.url.raw_path.decode().partition("?")[0]


def test_every_admin_endpoint_has_its_method(server: Limiter, asked: tuple[Admin, set[tuple[str, str]]]) -> None:
    admin, seen = asked
    user = f"{new_user()}/@x"  # what must be escaped in a path
    session = server.session(user)
    request_id = server.start(user).json()["request_id"]

    assert admin.capacity()["capacity"]["max_bots"] == 200
    assert admin.stats()["sessions"]["active"] >= 1
    assert admin.health()["status"] == "ok"
    assert admin.advice()["recommended_max_bots"] > 0
    assert admin.usage(user)["bots"]["used"] == 1

    version = admin.limits()["version"]
    assert admin.change_limits({"MAX_TRADES_PER_DAY": 400}, "less", version=version)["version"] == version + 1
    with pytest.raises(Refused) as caught:
        admin.change_limits({"MAX_TRADES_PER_DAY": 300}, "less", version=version)
    assert (caught.value.reason, caught.value.extra["version"]) == ("version_conflict", version + 1)
    assert admin.preview({"MAX_CONCURRENT_BOTS": 0})["over_by"] >= 1
    assert admin.rollback(version, "back")["version"] == version + 2
    assert admin.limits_history(limit=1)["versions"][0]["reason"] == "back"
    assert admin.set_user_limits(user, {"MAX_BOTS_PER_USER": 2}, "good", until=from_now(3600))["success"]
    assert admin.user_limits(user)["limits"] == {"MAX_BOTS_PER_USER": 2}
    assert admin.clear_user_limits(user, "over")["limits"] == {}

    assert admin.sessions(user_id=user, status="active", cursor=None)["items"][0]["public_id"] == session["public_id"]
    assert admin.stop_session(session["public_id"], "test")["session"]["ended_reason"] == "admin_stop"
    assert admin.reap("test")["success"]
    assert admin.pause("test")["success"]
    assert admin.resume("test")["success"]

    assert admin.refusals(user_id=user)["items"][0]["request_id"] == request_id
    assert admin.explain(request_id)["refusal"]["reason"] == "user_limit"
    assert isinstance(admin.history(start=from_now(-600), end=from_now(0), step=60)["buckets"], list)
    assert admin.history_csv().startswith('"at",')
    assert admin.add_note("launch", at=from_now(-60))["note"]["text"] == "launch"
    assert admin.notes(start=from_now(-600))["notes"][0]["text"] == "launch"
    assert admin.audit(limit=5)["items"]

    assert admin.set_plan([{"at": from_now(3600), "MAX_CONCURRENT_BOTS": 100}], "launch")["steps"]
    assert admin.plan()["steps"][0]["status"] == "planned"
    assert admin.clear_plan("later")["steps"] == []
    assert admin.alerts()["success"]
    with pytest.raises(Refused) as caught:
        admin.acknowledge(999_999)
    assert caught.value.reason == "not_found"
    assert admin.test_alert()["success"]

    made = admin.create_key("admin:read", "monitor")
    assert made["key"].startswith("lim_")
    assert admin.whoami()["key"]["scope"] == "admin:write"
    assert made["id"] in [key["id"] for key in admin.keys()["keys"]]
    assert admin.revoke_key(made["id"])["success"]

    declared = {
        (method.upper(), template)
        for template, methods in server.client.get("/openapi.json").json()["paths"].items()
        for method in methods
        if template.startswith("/api/admin/") and method in ("get", "post", "put", "patch", "delete")
    }
    parts = {"{user_id}": segment(user), "{public_id}": session["public_id"], "{request_id}": request_id}
    for method, template in declared:
        path = template.replace("{id}", made["id"] if "keys" in template else "999999")
        for name, text in parts.items():
            path = path.replace(name, text)
        assert (method, path) in seen, f"Admin has no method for {method} {template}"


def test_a_wrong_key_is_refused(server: Limiter) -> None:
    with Admin(server.url, "lim_0_wrong", language="en") as admin, pytest.raises(Refused) as caught:
        admin.pause("test")
    assert (caught.value.reason, caught.value.status) == ("unauthorized", 401)


def test_no_limiter_is_no_health() -> None:
    with Admin("http://127.0.0.1:1") as admin, pytest.raises(Refused) as caught:
        admin.health()
    assert caught.value.reason == "out_of_reach"
