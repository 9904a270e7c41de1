"""Keys and scopes: what is open, what needs which key, and what a wrong one costs."""

from __future__ import annotations

import re
import socket
import stat
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.conftest import Limiter, granted, refused, served, wait_until

pytestmark = pytest.mark.every_database

Start = Callable[..., Limiter]
BOTS = [
    ("POST", "/api/bots/start"),
    ("POST", "/api/bots/heartbeat"),
    ("POST", "/api/bots/heartbeats"),
    ("POST", "/api/bots/stop"),
    ("POST", "/api/bots/trades"),
    ("POST", "/api/bots/signals"),
    ("POST", "/api/feed/tokens"),
]
EITHER = [("GET", "/api/limits"), ("GET", "/api/users/u1/usage")]
READS = [
    ("GET", "/api/admin/capacity"),
    ("GET", "/api/admin/stats"),
    ("GET", "/api/admin/limits"),
    ("GET", "/api/admin/limits/history"),
    ("POST", "/api/admin/limits/preview"),
    ("GET", "/api/admin/users/u1/limits"),
    ("GET", "/api/admin/sessions"),
    ("GET", "/api/admin/refusals"),
    ("GET", "/api/admin/refusals/nothing"),
    ("GET", "/api/admin/history"),
    ("GET", "/api/admin/notes"),
    ("GET", "/api/admin/audit"),
    ("GET", "/api/admin/advice"),
    ("GET", "/api/admin/box"),
    ("GET", "/api/admin/forecast"),
    ("GET", "/api/admin/state"),
    ("GET", "/api/admin/sizing"),
    ("GET", "/metrics"),
]
WRITES = [
    ("PATCH", "/api/admin/limits"),
    ("POST", "/api/admin/limits/rollback"),
    ("PUT", "/api/admin/users/u1/limits"),
    ("DELETE", "/api/admin/users/u1/limits"),
    ("POST", "/api/admin/sessions/s1/stop"),
    ("POST", "/api/admin/sessions/reap"),
    ("POST", "/api/admin/pause"),
    ("POST", "/api/admin/resume"),
    ("POST", "/api/admin/notes"),
]
OPEN = [
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/api/admin/health"),
    ("GET", "/openapi.json"),
    ("GET", "/admin"),
]
GROUPS = {"bots": BOTS, "either": EITHER, "read": READS, "write": WRITES, "open": OPEN}
ALLOWED = {
    "bots": {"bots", "either", "open"},
    "admin:read": {"either", "read", "open"},
    "admin:write": {"bots", "either", "read", "write", "open"},
}
WRONG = "lim_nobody_" + "A" * 43


def ask(server: Limiter, method: str, path: str, key: str | None, scheme: str = "Bearer ") -> httpx.Response:
    """An empty object as body, so that nothing is changed where the key is taken."""
    headers = {} if key is None else {"Authorization": scheme + key}
    if method == "GET":
        return server.client.get(path, headers=headers)
    return server.client.request(method, path, json={}, headers=headers)


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Limiter, dict[str, str]]]:
    """A limiter with one key of each scope, made before its start."""
    one = Limiter(tmp_path_factory.mktemp("keyed"), {})
    keys = {scope: one.new_key(scope) for scope in ALLOWED}
    with served(one):
        yield one, keys


@pytest.mark.parametrize("scope", ALLOWED)
@pytest.mark.parametrize("group", GROUPS)
def test_a_scope_opens_its_calls_and_no_others(keyed: tuple[Limiter, dict[str, str]], scope: str, group: str) -> None:
    server, keys = keyed
    for method, path in GROUPS[group]:
        answer = ask(server, method, path, keys[scope])
        if group in ALLOWED[scope]:
            assert answer.status_code not in (401, 403, 405, 429), f"{scope} {method} {path}: {answer.text}"
        else:
            refused(answer, 403, "forbidden")


@pytest.mark.parametrize("group", GROUPS)
def test_with_a_bots_key_made_nothing_but_the_open_calls_goes_without_a_key(
    keyed: tuple[Limiter, dict[str, str]], group: str
) -> None:
    server, _ = keyed
    for method, path in GROUPS[group]:
        answer = ask(server, method, path, None)
        if group == "open":
            assert answer.status_code in (200, 302, 303, 307, 308), path
        else:
            refused(answer, 401, "unauthorized")


@pytest.mark.parametrize("group", GROUPS)
def test_on_loopback_without_a_bots_key_all_but_admin_writes_are_open(server: Limiter, group: str) -> None:
    for method, path in GROUPS[group]:
        answer = ask(server, method, path, None)
        if group == "write":
            refused(answer, 401, "unauthorized")
        else:
            assert answer.status_code not in (401, 403, 405), f"{method} {path}: {answer.text}"


def test_a_key_that_is_sent_is_checked_also_where_none_is_needed(server: Limiter) -> None:
    for method, path in [
        ("GET", "/api/admin/capacity"),
        ("POST", "/api/bots/start"),
        ("GET", "/api/limits"),
        ("GET", "/metrics"),
    ]:
        refused(ask(server, method, path, WRONG), 401, "unauthorized")
    for method, path in OPEN:
        assert ask(server, method, path, WRONG).status_code in (200, 302, 303, 307, 308), "no key is looked at here"


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "Bearer x y", "lim_a_b", "Bearer lim_", "Bearer lim__"])
def test_what_is_no_key_is_401(server: Limiter, header: str) -> None:
    answer = server.client.patch("/api/admin/limits", json={}, headers={"Authorization": header})
    refused(answer, 401, "unauthorized")


def test_the_first_start_makes_one_admin_key_beside_the_database(limiter: Start) -> None:
    one = limiter()
    path = one.key_path
    assert re.fullmatch(r"lim_[^_]+_\S{22,}", one.admin_key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    granted(one.patch(MAX_BOTS_PER_USER=2))
    first = one.admin_key
    one.restart()
    assert one.admin_key == first
    granted(one.patch(MAX_BOTS_PER_USER=3))
    assert first not in one.log, "the log names no key"


def test_the_admin_key_alone_does_not_close_bot_calls(limiter: Start) -> None:
    one = limiter()
    one.session()
    granted(one.client.get("/api/admin/capacity"))


def test_keys_are_made_listed_and_revoked_while_the_limiter_runs(limiter: Start) -> None:
    one = limiter()
    made = one.run("keys", "create", "--scope", "bots", "--name", "farm-1")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert re.fullmatch(r"lim_[^_]+_\S{22,}", key), "the key alone on stdout"
    bearer = {"Authorization": f"Bearer {key}"}
    wait_until(lambda: one.start().status_code == 401, 5, "a bots key made closes bot calls within 5 s")
    wait_until(lambda: one.start(**bearer).status_code == 201, 5)

    listed = one.run("keys", "list")
    key_id = key.split("_")[1]
    assert listed.returncode == 0, listed.stderr
    assert key_id in listed.stdout
    assert "farm-1" in listed.stdout
    assert key.split("_", 2)[2] not in listed.stdout, "the secret is shown once"

    revoked = one.run("keys", "revoke", key_id)
    assert revoked.returncode == 0, revoked.stderr
    wait_until(lambda: one.start(**bearer).status_code == 401, 5, "a revoked key is refused within 5 s")


@pytest.mark.once
def test_a_key_holds_over_a_restart_and_its_secret_is_not_in_the_file(limiter: Start) -> None:
    one = limiter()
    key = one.new_key("bots")
    one.restart(kill=True)
    granted(one.start(Authorization=f"Bearer {key}"), 201)
    refused(one.start(), 401, "unauthorized")
    assert one.stop() == 0
    assert key.split("_", 2)[2].encode() not in one.db_path.read_bytes()


@pytest.mark.parametrize("arguments", [("--scope", "root"), ()])
def test_a_key_of_no_scope_is_not_made(limiter: Start, arguments: tuple[str, ...]) -> None:
    one = limiter(serve=False)
    made = one.run("keys", "create", *arguments)
    assert made.returncode == 2
    assert "lim_" not in made.stdout


def test_a_forged_secret_under_a_real_id_is_401(keyed: tuple[Limiter, dict[str, str]]) -> None:
    server, keys = keyed
    key = keys["admin:write"]
    forged = key[:-4] + ("AAAA" if not key.endswith("AAAA") else "BBBB")
    refused(ask(server, "GET", "/api/admin/capacity", forged), 401, "unauthorized")
    refused(ask(server, "GET", "/api/admin/capacity", key + "x"), 401, "unauthorized")


def test_after_twenty_wrong_keys_the_next_wrong_one_waits(limiter: Start) -> None:
    one = limiter()
    for _ in range(20):
        refused(ask(one, "GET", "/api/admin/capacity", WRONG), 401, "unauthorized")
    answer = ask(one, "GET", "/api/admin/capacity", WRONG)
    refused(answer, 429, "too_many_attempts")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    refused(ask(one, "PATCH", "/api/admin/limits", WRONG), 429, "too_many_attempts")
    granted(one.patch(MAX_BOTS_PER_USER=2))
    granted(ask(one, "GET", "/api/admin/capacity", None))
    refused(ask(one, "PATCH", "/api/admin/limits", None), 401, "unauthorized")
    one.session()


# -- addresses -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("arguments", [("--host", "0.0.0.0"), ("--host", "::")])
def test_a_bind_to_the_world_without_a_bots_key_is_refused(limiter: Start, arguments: tuple[str, ...]) -> None:
    one = limiter(serve=False)
    assert one.exit_status(*arguments) == 2, one.log


def test_a_bind_to_the_world_by_the_environment_is_refused_too(limiter: Start) -> None:
    one = limiter(serve=False, LIMITER_HOST="0.0.0.0")
    assert one.exit_status() == 2, one.log


@pytest.mark.once
def test_a_bind_to_the_world_with_a_bots_key_needs_it_everywhere(limiter: Start) -> None:
    one = limiter(serve=False)
    key = one.new_key("bots")
    one.serve("--host", "0.0.0.0")
    refused(one.start(), 401, "unauthorized")
    refused(one.client.get("/api/admin/capacity"), 401, "unauthorized")
    granted(one.start(Authorization=f"Bearer {key}"), 201)
    refused(one.client.get("/api/admin/capacity", headers={"Authorization": f"Bearer {key}"}), 403, "forbidden")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST", "127.0.0.1:{port}", "localhost:{port}"]
)
def test_a_loopback_host_is_served(server: Limiter, host: str) -> None:
    granted(server.client.get("/api/admin/capacity", headers={"Host": host.format(port=server.port)}))


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "a b", ""]
)
def test_any_other_host_is_refused(server: Limiter, host: str) -> None:
    refused(server.client.get("/api/admin/capacity", headers={"Host": host}), 400, "invalid_request")
    refused(server.client.get("/api/admin/health/x", headers={"Host": host}), 400, "invalid_request")


def test_hosts_can_be_allowed(limiter: Start) -> None:
    one = limiter(LIMITER_ALLOWED_HOSTS="bots.example, other.example")
    for host in ("bots.example", "other.example", "BOTS.example:5001"):
        granted(one.client.get("/api/admin/capacity", headers={"Host": host}))
    for host in ("example", "evil.example", "x.bots.example"):
        refused(one.client.get("/api/admin/capacity", headers={"Host": host}), 400, "invalid_request")


def test_a_request_without_a_host_is_refused(server: Limiter) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(b"GET /api/admin/capacity HTTP/1.1\r\n\r\n")
        answer: Any = raw.recv(65536)
    assert b" 400 " in answer.split(b"\r\n")[0]
