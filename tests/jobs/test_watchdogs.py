"""Signs of life: what systemd and a monitor of silence get to see, and when they see nothing."""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from limiter.clock import Clock
from limiter.committer import Committer
from limiter.jobs.watchdogs import feed_watchdog, ping, tell_systemd, watchdog_seconds
from limiter.rules.limits import defaults
from limiter.store.engine import open_writer
from limiter.store.sqlite_writer import SqliteWriter
from tests.conftest import Limiter, served, wait_until


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket that systemd would listen on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


@pytest.fixture
def committer(tmp_path: Path) -> Iterator[Committer]:
    """One on a real file; nothing is submitted."""
    writer, clock = SqliteWriter(open_writer(f"sqlite:///{tmp_path / 'limiter.db'}")), Clock()
    made = Committer(writer.restore(defaults(), UTC, clock.now()), writer, clock)
    yield made
    asyncio.run(made.close())


class Monitor:
    """Takes pings; `status` is what it answers."""

    def __init__(self) -> None:
        self.status, self.pings = 200, 0
        monitor = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                monitor.pings += 1
                self.send_response(monitor.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/a-secret-token"


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    """A monitor of silence on this machine."""
    made = Monitor()
    thread = Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def for_seconds(seconds: float, *jobs: object) -> None:
    """Let the jobs run so long."""

    async def run() -> None:
        tasks = [asyncio.ensure_future(job) for job in jobs]  # type: ignore[call-overload]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()

    asyncio.run(run())


def test_a_limiter_under_systemd_is_ready_fed_and_says_that_it_stops(tmp_path: Path, systemd: socket.socket) -> None:
    one = Limiter(tmp_path, {"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "200000"})
    try:
        one.spawn()
        assert systemd.recv(100) == b"READY=1"
        one.client.get("/readyz").raise_for_status()
        assert [systemd.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        one.close()
        said = b""
        while said != b"STOPPING=1":
            said = systemd.recv(100)
            assert said in (b"WATCHDOG=1", b"STOPPING=1")
    finally:
        one.kill()


def test_systemd_is_told_by_an_abstract_socket_too_and_nobody_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0limiter-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@limiter-test-{os.getpid()}")
        tell_systemd("READY=1")
        assert listening.recv(100) == b"READY=1"
    tell_systemd("nobody listens any more")
    monkeypatch.delenv("NOTIFY_SOCKET")
    tell_systemd("nobody listens")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], seconds: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert watchdog_seconds() == seconds


def test_a_stuck_batch_starves_the_watchdog_and_the_monitor(
    committer: Committer, systemd: socket.socket, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.getsockname())
    systemd.setblocking(False)
    committer.busy_since = float("-inf")
    for_seconds(0.5, feed_watchdog(committer, 0.05), ping(committer, monitor.url, 0.05))
    with pytest.raises(BlockingIOError):
        systemd.recv(100)
    assert monitor.pings == 0
    committer.busy_since = None


def test_while_the_database_is_away_the_monitor_hears_nothing_and_systemd_does(
    committer: Committer, systemd: socket.socket, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.getsockname())
    committer.failing_since = 0.0
    for_seconds(0.5, feed_watchdog(committer, 0.05), ping(committer, monitor.url, 0.05))
    assert systemd.recv(100) == b"WATCHDOG=1"
    assert monitor.pings == 0


def test_a_ping_that_fails_is_told_without_its_address_and_goes_on(
    committer: Committer, monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.status = 404
    with caplog.at_level(logging.WARNING):
        for_seconds(1.0, ping(committer, monitor.url, 0.1), ping(committer, "http://127.0.0.1:1/a-secret-token", 0.1))
    assert monitor.pings >= 2
    assert {"ping_failed answer=404", "ping_failed error=ConnectError"} <= {
        record.getMessage() for record in caplog.records
    }
    assert "a-secret-token" not in caplog.text


def test_a_running_limiter_pings(tmp_path: Path, monitor: Monitor) -> None:
    with served(Limiter(tmp_path, {"LIMITER_PING_URL": monitor.url})) as one:
        wait_until(lambda: monitor.pings, 10, "a ping")
    assert "a-secret-token" not in one.log


@pytest.mark.parametrize("address", ["example.com/x", "ftp://example.com", "https://"])
def test_an_address_that_is_none_stops_the_start(tmp_path: Path, address: str) -> None:
    one = Limiter(tmp_path, {"LIMITER_PING_URL": address})
    assert one.exit_status() == 2
    assert "LIMITER_PING_URL" in one.log
