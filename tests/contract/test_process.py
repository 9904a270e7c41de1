"""The process: how it ends, what it keeps, whom it closes the door on, and that it is the only writer of its file."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import EXIT_SECONDS, Limiter, granted, refused, wait_until

Start = Callable[..., Limiter]
HEAD = b"POST /api/bots/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"


def connect(one: Limiter, *parts: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", one.port), timeout=20)
    for part in parts:
        connection.sendall(part)
    return connection


def ends(connection: socket.socket) -> float:
    """When the other side closed."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return time.monotonic()


# -- SIGTERM ---------------------------------------------------------------------------------------------------------
def test_an_idle_limiter_ends_well_and_soon(limiter: Start) -> None:
    one = limiter()
    one.session()
    began = time.monotonic()
    assert one.stop() == 0, one.log
    assert time.monotonic() - began < 5


def test_half_sent_requests_do_not_hold_the_end_up(limiter: Start) -> None:
    one = limiter()
    waiting = [connect(one, HEAD, b'\r\n{"user_id": "u') for _ in range(3)]
    waiting += [connect(one, HEAD), connect(one, b"GET /api"), connect(one)]
    one.session()
    began = time.monotonic()
    assert one.stop() == 0, one.log
    assert time.monotonic() - began <= EXIT_SECONDS
    for connection in waiting:
        connection.close()


@pytest.mark.once
def test_what_is_in_flight_at_sigterm_is_answered_or_never_was(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="600", MAX_CONCURRENT_BOTS="100000")
    acknowledged: list[Any] = []
    other: list[int] = []

    def hammer(number: int) -> None:
        with httpx.Client(base_url=one.url, timeout=10) as client, contextlib.suppress(httpx.TransportError):
            for turn in range(100_000):
                answer = client.post("/api/bots/start", json={"user_id": f"u{number}.{turn}"})
                if answer.status_code == 201:
                    acknowledged.append(answer.json()["session"])
                else:
                    other.append(answer.status_code)
                    assert answer.json()["reason"] == "draining", answer.text
                    assert int(answer.headers["Retry-After"]) >= 1
                    return

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(hammer, number) for number in range(8)]
        time.sleep(1)
        assert one.stop() == 0, one.log
        for each in running:
            each.result()
    assert set(other) <= {503}
    assert acknowledged
    one.client = one.new_client()
    one.serve()
    assert one.capacity()["current_bots"] >= len(acknowledged)
    for session in acknowledged[:: max(1, len(acknowledged) // 200)] + acknowledged[-20:]:
        granted(one.beat(session))


# -- kill -9 ---------------------------------------------------------------------------------------------------------
def test_a_kill_under_load_loses_nothing_that_was_acknowledged(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="600", MAX_CONCURRENT_BOTS="100000", MAX_TRADES_PER_DAY="1000000")
    lock = threading.Lock()
    running: dict[str, Any] = {}
    trades: dict[str, int] = {}
    stopped: list[Any] = []
    limits: list[int] = []

    def bots(number: int) -> None:
        with httpx.Client(base_url=one.url, timeout=10) as client, contextlib.suppress(httpx.TransportError):
            for turn in range(100_000):
                user = f"u{number}.{turn}"
                session = client.post("/api/bots/start", json={"user_id": user}).json()["session"]
                with lock:
                    running[user] = session
                trade = {"session_id": session["session_id"], "symbol": "X", "side": "buy", "quantity": 1, "price": 1}
                assert client.post("/api/bots/trades", json=trade).status_code == 201
                with lock:
                    trades[user] = 1
                if turn % 2:
                    with lock:
                        del running[user]  # from here on its end may or may not have been recorded
                    assert client.post("/api/bots/stop", json={"session_id": session["session_id"]}).status_code == 200
                    with lock:
                        stopped.append(session)

    def admin() -> None:
        headers = {"Authorization": f"Bearer {one.admin_key}"}
        with (
            httpx.Client(base_url=one.url, timeout=10, headers=headers) as client,
            contextlib.suppress(httpx.TransportError),
        ):
            for trades_a_day in range(1_000_000, 2_000_000):
                body = {"changes": {"MAX_TRADES_PER_DAY": trades_a_day}, "reason": "load"}
                assert client.patch("/api/admin/limits", json=body).status_code == 200
                limits.append(trades_a_day)

    with ThreadPoolExecutor(7) as pool:
        load = [pool.submit(bots, number) for number in range(6)] + [pool.submit(admin)]
        time.sleep(1.5)
        assert one.process is not None
        one.process.kill()
        for each in load:
            each.result()
    one.restart(kill=True)

    assert running
    assert stopped
    for session in running.values():
        granted(one.beat(session))
    for session in stopped:
        assert refused(one.beat(session), 410, "session_ended")["ended_reason"] == "stopped"
    for user in trades:
        assert granted(one.client.get(f"/api/users/{user}/usage"))["trades"]["used"] == 1
    assert one.limits()["MAX_TRADES_PER_DAY"] in (limits[-1], limits[-1] + 1)
    unsure = 7
    assert len(running) <= one.capacity()["current_bots"] <= len(running) + unsure


def test_the_cap_holds_under_many_starts_at_once(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="25", MAX_BOTS_PER_USER="3")

    def start(number: int) -> int:
        return one.start(f"u{number % 20}").status_code

    with ThreadPoolExecutor(32) as pool:
        statuses = list(pool.map(start, range(200)))
    assert statuses.count(201) == 25
    assert set(statuses) == {201, 503, 429} or set(statuses) == {201, 503}
    assert one.capacity()["current_bots"] == 25
    assert max(granted(one.client.get(f"/api/users/u{n}/usage"))["bots"]["used"] for n in range(20)) <= 3


def test_one_user_at_once_gets_what_the_limit_says(limiter: Start) -> None:
    one = limiter(MAX_BOTS_PER_USER="2")
    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(lambda _: one.start("u1").status_code, range(40)))
    assert (statuses.count(201), statuses.count(429)) == (2, 38)


def test_one_key_at_once_gives_one_session(limiter: Start) -> None:
    one = limiter(MAX_BOTS_PER_USER="9")
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: one.start("u1", Idempotency_Key="k"), range(40)))
    assert sorted({answer.status_code for answer in answers}) == [200, 201]
    assert len({answer.json()["session"]["session_id"] for answer in answers}) == 1
    assert one.capacity()["current_bots"] == 1


# -- slow clients ----------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_slow_clients_are_closed_within_15_seconds_and_hurt_nobody(limiter: Start) -> None:
    one = limiter()
    began = time.monotonic()
    slow = {
        "silent": connect(one),
        "half a line": connect(one, b"POST /api/bo"),
        "half headers": connect(one, HEAD),
        "no body": connect(one, HEAD, b"\r\n"),
        "half a body": connect(one, HEAD, b'\r\n{"user_id": "u1"'),
        "drips headers": connect(one, HEAD),
        "drips a body": connect(one, HEAD, b"\r\n"),
    }
    over = threading.Event()

    def drip() -> None:
        while not over.wait(1):
            for name, drop in (("drips headers", b"X-A: b\r\n"), ("drips a body", b" ")):
                with contextlib.suppress(OSError):
                    slow[name].sendall(drop)

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        with ThreadPoolExecutor(len(slow)) as pool:
            closed = {name: pool.submit(ends, connection) for name, connection in slow.items()}
            while not all(each.done() for each in closed.values()) and time.monotonic() - began < 16:
                granted(one.client.get("/api/admin/capacity"))
                time.sleep(0.2)
            open_for = {name: each.result() - began for name, each in closed.items()}
    finally:
        over.set()
        dripping.join()
        for connection in slow.values():
            connection.close()
    assert {name: seconds for name, seconds in open_for.items() if seconds > 15} == {}
    assert one.capacity()["current_bots"] == 0


def test_idle_connections_hold_nobody_up(limiter: Start) -> None:
    one = limiter()
    idle = [connect(one) for _ in range(200)]
    for _ in range(20):
        began = time.monotonic()
        one.session()
        assert time.monotonic() - began < 1
    for connection in idle:
        connection.close()


# -- one writer ------------------------------------------------------------------------------------------------------
@pytest.mark.once
def test_a_second_limiter_on_the_same_file_is_refused(limiter: Start) -> None:
    one = limiter()
    session = one.session()
    other = limiter(serve=False, LIMITER_DATABASE_URL=f"sqlite:///{one.db_path}")
    assert other.exit_status() != 0, other.log
    assert "Traceback" not in other.log, "a sentence, not a stack trace"
    assert other.log.strip()
    granted(one.beat(session))
    one.session()


def test_the_file_is_free_after_a_kill(limiter: Start) -> None:
    one = limiter()
    one.session()
    one.restart(kill=True)
    one.restart()
    assert one.capacity()["current_bots"] == 1


def test_a_port_that_is_taken_is_said_in_a_sentence(limiter: Start) -> None:
    one = limiter()
    other = limiter(serve=False)
    other.port = one.port
    assert other.exit_status() != 0
    assert "Traceback" not in other.log


def test_the_port_and_host_can_come_from_the_environment(limiter: Start) -> None:
    one = limiter(serve=False)
    one.set_env({"LIMITER_PORT": one.port, "LIMITER_HOST": "127.0.0.1"})
    one.serve()
    assert json.loads(one.client.get("/livez").text)["success"] is True


# -- storage --------------------------------------------------------------------------------------------------------
@pytest.mark.once
def test_a_file_that_cannot_be_written_is_said_within_2_seconds_and_ends_no_session(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="5", MAX_BOTS_PER_USER="2")
    session = one.session("u1", "b1", Idempotency_Key="k1")
    with contextlib.closing(sqlite3.connect(one.db_path, isolation_level=None)) as outsider:
        outsider.execute("BEGIN IMMEDIATE")
        locked = time.monotonic()
        for user, bot in (("u2", None), ("u1", "b1")):
            began = time.monotonic()
            answer = one.start(user, bot, Idempotency_Key="k1")
            refused(answer, 503, "storage_unavailable")
            assert time.monotonic() - began < 3
            assert int(answer.headers["Retry-After"]) >= 1
        down = wait_until(lambda: one.client.get("/api/admin/health").status_code == 503, 15, "health says 503")
        health = one.client.get("/api/admin/health").json()
        assert (down, health["success"], health["status"]) == (True, False, "down")
        assert one.client.get("/readyz").status_code == 503
        assert not any(each["can_accept_new"] for each in (health["capacity"], one.capacity(), one.stats()["capacity"]))
        assert one.stats()["storage_available"] is False
        granted(one.client.get("/livez"))
        time.sleep(max(0.0, locked + 6 - time.monotonic()))
        outsider.execute("ROLLBACK")
    wait_until(lambda: one.start("u3").status_code == 201, 5, "starts are admitted again")
    wait_until(lambda: one.client.get("/api/admin/health").status_code == 200, 15, "health recovers")
    assert one.capacity()["can_accept_new"] and one.stats()["storage_available"]
    granted(one.beat(session))


@pytest.mark.once
def test_a_disk_that_takes_nothing_is_said_until_it_takes_something_again(limiter: Start) -> None:
    one = limiter()
    assert one.process is not None
    pid = one.process.pid

    def write_at_most(size: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def status() -> int:
        return one.client.get("/api/admin/health").status_code

    write_at_most(0)
    refused(one.start("u1"), 503, "storage_unavailable")
    until = time.monotonic() + 2.5  # in which what needs no row is decided too, as each second
    while time.monotonic() < until:
        assert status() == 503
        time.sleep(0.1)
    write_at_most(resource.RLIM_INFINITY)
    wait_until(lambda: one.start("u1").status_code == 201, 5, "starts are admitted again")
    assert status() == 200


@pytest.mark.once
def test_what_another_program_commits_is_said_and_takes_no_session(limiter: Start) -> None:
    one = limiter()
    backup = one.folder / "old.db"
    assert one.run("backup", str(backup)).returncode == 0
    one.session("u1")
    with contextlib.closing(sqlite3.connect(backup)) as old, contextlib.closing(sqlite3.connect(one.db_path)) as live:
        old.backup(live)

    def said() -> str:
        return str(one.client.get("/api/admin/health").json()["checks"]["file"]["detail"])

    wait_until(lambda: said() == "another program wrote to it: restart the limiter", 10)
    assert "database_written_by_others" in one.log
    one.restart(kill=True)
    assert one.capacity()["current_bots"] == 1
    assert said() == "in its place"
