"""What the limiter listens on, and the addresses that it makes of that."""

import json
import socket
from collections.abc import Callable

import httpx
import pytest

from tests.conftest import Limiter, granted, refused, wait_until

Start = Callable[..., Limiter]
IPV6 = socket.has_ipv6
try:
    with socket.create_server(("::1", 0), family=socket.AF_INET6):
        pass
except OSError:
    IPV6 = False
pytestmark = [pytest.mark.once, pytest.mark.skipif(not IPV6, reason="this machine has no IPv6 loopback")]


def answers(one: Limiter, host: str) -> bool:
    try:
        return httpx.get(f"http://{host}:{one.port}/readyz").is_success
    except httpx.TransportError:
        return False


def spawned(limiter: Start, host: str, at: str, **env: str) -> Limiter:
    """A limiter that listens on `host`, once it answers at `at`."""
    one = limiter(serve=False, LIMITER_HOST=host, **env)
    one.spawn()
    wait_until(lambda: answers(one, at), 20, f"an answer at {at}: {one.log}")
    return one


@pytest.mark.parametrize(
    ("host", "heard", "deaf"),
    [
        ("::1", ["[::1]"], ["127.0.0.1"]),
        ("[::1]", ["[::1]"], ["127.0.0.1"]),
        ("0:0:0:0:0:0:0:1", ["[::1]"], ["127.0.0.1"]),
        ("localhost", ["[::1]", "127.0.0.1", "localhost"], []),
        ("LOCALHOST", ["[::1]", "127.0.0.1", "localhost"], []),
        ("127.0.0.1", ["127.0.0.1"], ["[::1]"]),
    ],
)
def test_a_loopback_address_is_open_in_any_spelling(
    limiter: Start, host: str, heard: list[str], deaf: list[str]
) -> None:
    one = spawned(limiter, host, heard[0])
    assert [at for at in heard if not answers(one, at)] == []
    assert [at for at in deaf if answers(one, at)] == []
    granted(httpx.get(f"http://{heard[0]}:{one.port}/api/admin/capacity"))
    assert f"serving url=http://{'127.0.0.1' if 'local' in host.lower() else heard[0]}:{one.port} " in one.log
    one.new_key("bots")  # by the address in the lock file
    refused(httpx.get(f"http://{heard[0]}:{one.port}/api/admin/capacity"), 401, "unauthorized")


def test_every_address_is_every_address_of_both_kinds(limiter: Start) -> None:
    one = limiter(serve=False, LIMITER_HOST="::", LIMITER_LANG="en")
    assert one.exit_status() == 2, "not without a bots key"
    assert "make one with" in one.log
    one.new_key("bots")
    one.client = one.new_client()
    one.spawn()
    wait_until(lambda: answers(one, "[::1]"), 20, "an answer")
    assert answers(one, "127.0.0.1")
    owner = json.loads((one.folder / "limiter.db.lock").read_text())
    assert owner["url"] == f"http://[::1]:{one.port}"
    granted(one.admin("GET", "/api/admin/whoami"))


def test_both_kinds_of_localhost_are_on_one_port(limiter: Start) -> None:
    one = limiter(serve=False, LIMITER_HOST="localhost", LIMITER_LANG="en")
    with socket.create_server(("::1", one.port), family=socket.AF_INET6):
        assert one.exit_status() == 2
    assert "LIMITER_HOST, LIMITER_PORT: cannot listen on" in one.log


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIMITER_HOST", "*"), ("LIMITER_HOST", "127.0.0.1:5001"), ("LIMITER_HOST", "http://127.0.0.1"),
        ("LIMITER_HOST", "no-such-host.invalid"), ("LIMITER_URL", "127.0.0.1:5001"), ("LIMITER_URL", "http://::1:5001"),
        ("LIMITER_CONSOLE_URL", "bots.example.com/admin"), ("LIMITER_CONSOLE_URL", "https://bots.example.com/console"),
        ("LIMITER_ALLOWED_HOSTS", "https://bots.example.com"), ("LIMITER_ALLOWED_HOSTS", "*"),
        ("LIMITER_ALLOWED_HOSTS", "bots.example.com other.example.com"),
    ],
)  # fmt: skip
def test_what_is_no_address_stops_the_start_with_a_sentence(limiter: Start, name: str, value: str) -> None:
    one = limiter(serve=False, **{name: value})
    assert one.exit_status() == 2
    assert f"Erreur : {name} : " in one.log, one.log
    assert "Traceback" not in one.log


def test_hosts_can_be_allowed_with_a_port_and_by_their_ending(limiter: Start) -> None:
    one = limiter(LIMITER_ALLOWED_HOSTS="bots.example:8443, *.wild.example")
    for host in ("bots.example:8443", "a.wild.example", "B.Wild.example:1"):
        granted(one.client.get("/api/admin/capacity", headers={"Host": host}))
    for host in ("bots.example", "bots.example:8444", "wild.example"):
        refused(one.client.get("/api/admin/capacity", headers={"Host": host}), 400, "invalid_request")


@pytest.mark.parametrize("written", ["https://bots.example", "https://bots.example/", "https://bots.example/admin/"])
def test_the_way_to_the_console_is_under_admin(limiter: Start, written: str) -> None:
    one = limiter(LIMITER_CONSOLE_URL=written)
    assert one.client.get("/admin").headers["Location"] == "https://bots.example/admin/"
