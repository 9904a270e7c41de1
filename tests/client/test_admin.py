"""The operator's half: every endpoint has its method, and every method its endpoint, against a real limiter."""

import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from limiter.client import Admin, Refused
from limiter.client.admin import segment
from tests.conftest import ROOT, Limiter, from_now, new_user


@pytest.fixture
def asked(server: Limiter) -> Iterator[tuple[Admin, set[tuple[str, str]]]]:
    """An Admin with the first key, and what it has asked for: method and path."""
    seen: set[tuple[str, str]] = set()
    with Admin(server.url, server.admin_key, language="en") as admin:
        admin._http.event_hooks["response"] = [lambda reply: seen.add((reply.request.method, path_of(reply)))]
        yield admin, seen


def path_of(reply: httpx.Response) -> str:
    return reply.request.url.raw_path.decode().partition("?")[0]


def announce_take_back_and_stop(admin: Admin, user: str, public_id: str) -> None:
    drain = admin.start_drain("test", stop_in_seconds=600).drain
    assert drain is not None and drain.left >= 1
    assert admin.drain().drain == drain
    assert admin.cancel_drain("test").drain is None
    assert admin.stop_session(public_id, "test", in_seconds=600).session.notice is not None
    assert admin.keep_session(public_id, "test").session.notice is None
    assert admin.stop_sessions([public_id], "test", in_seconds=600).items[0].notice is not None
    assert admin.keep_sessions([public_id], "test").items[0].notice is None
    assert admin.stop_user(user, "test", in_seconds=600).items[0].notice is not None
    assert admin.keep_user(user, "test").items[0].notice is None
    assert admin.stop_session(public_id, "test").session.ended_reason == "admin_stop"


def plan_ahead(admin: Admin) -> None:
    assert admin.set_plan([{"at": from_now(3600), "MAX_CONCURRENT_BOTS": 100}], "launch").steps
    assert admin.plan().steps[0].status == "planned"
    assert admin.clear_plan("later").steps == []
    window = {"days": ["mon"], "from": "18:00", "to": "22:00", "MAX_CONCURRENT_BOTS": 200}
    assert admin.set_windows([window], "peak").windows == admin.windows().windows
    assert admin.clear_windows("no peak").windows == []
    tried = admin.change_limits({"MAX_TRADES_PER_DAY": 77}, "try", confirm_within=60)
    assert admin.confirm_limits(tried.version, "fine").probation is None


def test_every_admin_endpoint_has_its_method(server: Limiter, asked: tuple[Admin, set[tuple[str, str]]]) -> None:
    admin, seen = asked
    user = f"{new_user()}/@x"  # what must be escaped in a path
    session = server.session(user)
    request_id = server.start(user).json()["request_id"]

    assert admin.capacity().capacity.max_bots == 200
    assert 1 <= len(admin.state().sessions) == admin.stats().sessions.active
    assert (admin.health().status, admin.forecast(7).days, admin.sizing(0.02).refused) == ("ok", 7, 0.02)
    assert admin.lease_evidence().rows
    assert admin.who(7, idle_seconds=60).days == 7
    assert (admin.advice().recommended_max_bots > 0, admin.box().running_bots >= 1) == (True, True)
    assert admin.usage(user).bots.used == 1

    version = admin.limits().version
    assert admin.change_limits({"MAX_TRADES_PER_DAY": 400}, "less", version=version).version == version + 1
    with pytest.raises(Refused) as caught:
        admin.change_limits({"MAX_TRADES_PER_DAY": 300}, "less", version=version)
    assert (caught.value.reason, caught.value.extra["version"]) == ("version_conflict", version + 1)
    assert admin.preview({"MAX_CONCURRENT_BOTS": 0}).over_by >= 1
    assert admin.rollback(version, "back").version == version + 2
    assert admin.limits_history(limit=1).versions[0].reason == "back"
    assert admin.set_user_limits(user, {"MAX_BOTS_PER_USER": 2}, "good", until=from_now(3600)).reason == "good"
    assert admin.user_limits(user).limits == {"MAX_BOTS_PER_USER": 2}
    assert admin.clear_user_limits(user, "over").limits == {}

    assert admin.sessions(user_id=user, status="active", cursor=None).items[0].public_id == session["public_id"]
    announce_take_back_and_stop(admin, user, session["public_id"])
    assert admin.reap("test").ended == []
    assert admin.pause("test").paused
    assert not admin.resume("test").paused

    assert admin.refusals(user_id=user).items[0].request_id == request_id
    assert (admin.refusal(request_id).refusal.reason, admin.explain(request_id).decided_again) == ("user_limit", True)
    assert isinstance(admin.history(start=from_now(-600), end=from_now(0), step=60).buckets, list)
    assert admin.history_csv().startswith('"at",')
    assert admin.add_note("launch", at=from_now(-60)).note.text == "launch"
    assert admin.notes(start=from_now(-600)).notes[0].text == "launch"
    assert admin.audit(limit=5).items

    plan_ahead(admin)
    assert admin.alerts().channels == []
    with pytest.raises(Refused) as caught:
        admin.acknowledge(999_999)
    assert caught.value.reason == "not_found"
    assert admin.test_alert().deliveries == []

    made = admin.create_key("admin:read", "monitor")
    assert made.key.startswith("lim_")
    assert (mine := admin.whoami().key) and mine.scope == "admin:write"
    assert made.id in [key.id for key in admin.keys().keys]
    assert (revoked := admin.revoke_key(made.id).key) and revoked.revoked_at

    declared = {
        (method.upper(), template)
        for template, methods in server.client.get("/openapi.json").json()["paths"].items()
        for method in methods
        if template.startswith("/api/admin/") and method in ("get", "post", "put", "patch", "delete")
    }
    parts = {"{user_id}": segment(user), "{public_id}": session["public_id"], "{request_id}": request_id}
    for method, template in declared:
        path = template.replace("{id}", made.id if "keys" in template else "999999")
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


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, dict[str, object]]]:
    """The address of a server that gives the same JSON to every call, and that JSON, for the test to fill."""
    answer: dict[str, object] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", answer
        server.shutdown()
        thread.join()


def test_fields_of_a_newer_limiter_are_passed_over_and_their_json_is_kept(
    server: Limiter, elsewhere: tuple[str, dict[str, object]]
) -> None:
    url, answer = elsewhere
    real = server.client.get("/api/admin/capacity").json()
    answer |= real | {"mood": "fine", "capacity": real["capacity"] | {"queue": {"waiting": 3}}}
    texts: list[bytes] = []
    with Admin(url, heard=texts.append) as admin, Admin(server.url) as own:
        assert admin.capacity() == own.capacity()
    assert json.loads(texts[0]) == answer


@pytest.mark.parametrize("wrong", [{}, {"capacity": {"current_bots": 1}}, {"capacity": [1]}])
def test_an_answer_that_is_none_is_told_as_such(
    elsewhere: tuple[str, dict[str, object]], wrong: dict[str, object]
) -> None:
    url, answer = elsewhere
    answer |= wrong
    with Admin(url, language="en") as admin, pytest.raises(Refused) as caught:
        admin.capacity()
    assert caught.value.reason == "not_a_limiter" and url in str(caught.value)


def test_a_bot_needs_no_package_but_httpx() -> None:
    """Admin decodes with msgspec; what bots import does not."""
    code = "import sys; sys.modules['msgspec'] = None; import limiter.client; print(limiter.client.BotSession.__name__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "BotSession\n", done.stderr
