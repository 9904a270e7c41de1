"""A real limiter for tests that stand outside: a process of its own on a real database, spoken to over HTTP.

On PostgreSQL each has a database of its own, on the server that LIMITER_TEST_POSTGRES_URL names.

`limiter` starts one a call, with the limits and settings that the test names; `server` is one that a whole module
shares, for tests that only need users of their own. Both scrub the environment, watch every answer for what all
answers promise, and end with a SIGTERM that must give exit status 0. Nothing in here imports the program.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRUBBED = ("LIMITER_", "MAX_", "ALERT_THRESHOLD", "WEBSOCKET_RECONNECT", "BOT_LEASE_SECONDS")
IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/-]{0,63}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
START_SECONDS = 60
EXIT_SECONDS = 10
CAPACITY_FIELDS = {"current_bots", "max_bots", "percent_used", "available_slots", "status", "can_accept_new"}
_users = itertools.count(1)
POSTGRES = os.environ.get("LIMITER_TEST_POSTGRES_URL", "")
_databases: list[str] = []  # made on the PostgreSQL server, for the end to drop


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module that is marked `every_database` is run on PostgreSQL too, but for what is marked `once`."""
    marked = metafunc.definition.get_closest_marker
    if POSTGRES and "database" in metafunc.fixturenames and marked("every_database") and not marked("once"):
        postgres = pytest.param("postgres", marks=pytest.mark.postgres)
        metafunc.parametrize("database", ["sqlite", postgres], indirect=True, scope="module")


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """`limiter run` gives signals back their defaults before it becomes the command. Called in this process, that would
    have SIGPIPE end the whole run where a later test writes to who has gone."""
    before = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT)}
    yield
    for number, handler in before.items():
        if handler is not None:  # it was not set from Python
            signal.signal(number, handler)


@pytest.fixture(scope="module")
def database(request: pytest.FixtureRequest) -> str:
    """What limiters keep their rows in: `sqlite`, or `postgres`."""
    return str(getattr(request, "param", "sqlite"))


def pytest_unconfigure() -> None:
    if _databases:
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            for name in _databases:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
                (Path("data") / f"{name}.audit-head").unlink(missing_ok=True)  # of a writer in the tests' own process


def new_database() -> str:
    """A new and empty PostgreSQL database, its URL as the limiter takes it; skips the test where no server is named."""
    if not POSTGRES:
        pytest.skip("LIMITER_TEST_POSTGRES_URL names no PostgreSQL server")
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(POSTGRES, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    _databases.append(name)
    return f"{POSTGRES.replace('postgresql://', 'postgresql+psycopg://', 1).rpartition('/')[0]}/{name}"


def new_user() -> str:
    """A user id that no other test has."""
    return f"user-{next(_users)}"


def instant(text: str) -> datetime:
    """The instant that an answer's text names; the text must be UTC with milliseconds and `Z`."""
    assert INSTANT.fullmatch(text), f"not RFC 3339 with milliseconds and Z: {text!r}"
    return datetime.fromisoformat(text)


def from_now(seconds: float) -> str:
    """The instant so many seconds from now (before now where negative), as the API writes it."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def wait_until(is_so: Callable[[], Any], within: float, what: str = "") -> Any:
    """Asks until the answer is true and returns it; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while not (answer := is_so()):
        assert time.monotonic() < deadline, f"not within {within} s: {what or is_so}"
        time.sleep(0.05)
    return answer


def granted(response: httpx.Response, status: int = 200) -> Any:
    """The body of an answer that must have this 2xx status."""
    assert response.status_code == status, f"{response.status_code} for {status}: {response.text}"
    return response.json()


def refused(response: httpx.Response, status: int, reason: str) -> Any:
    """The body of an answer that must be a refusal with this status and reason."""
    assert response.status_code == status, f"{response.status_code} for {status} {reason}: {response.text}"
    body = response.json()
    assert body["reason"] == reason, body
    return body


def wrong_fields(response: httpx.Response, status: int) -> set[str]:
    """The fields that a refusal of the request itself names."""
    body = refused(response, status, "invalid_request")
    assert body["errors"], body
    assert all(error["message"] for error in body["errors"]), body
    return {error["field"] for error in body["errors"]}


def watch(response: httpx.Response) -> None:
    """What every answer of the limiter promises, whatever was asked."""
    response.read()
    seen = f"{response.request.method} {response.request.url} → {response.status_code} {response.text[:300]}"
    request_id = response.headers.get("X-Request-ID", "")
    assert IDENTIFIER.fullmatch(request_id), f"no X-Request-ID: {seen}"
    sent_id = response.request.headers.get("X-Request-ID")
    assert sent_id is None or not IDENTIFIER.fullmatch(sent_id) or sent_id == request_id, seen
    assert response.status_code < 500 or response.status_code == 503, seen
    content_type = response.headers.get("Content-Type", "").partition(";")[0]
    if response.request.method == "HEAD":
        assert response.content == b"", seen
    elif response.is_success and content_type == "application/json" and response.request.url.path != "/openapi.json":
        assert response.json()["success"] is True, seen
    elif response.is_error and response.request.url.path in ("/api/admin/health", "/readyz"):
        assert response.json()["success"] is False, seen
    elif response.is_error:
        assert content_type == "application/problem+json", seen
        body = response.json()
        assert {"type", "title", "status", "detail", "success", "error", "reason", "request_id"} <= body.keys(), seen
        assert body["status"] == response.status_code, seen
        assert body["success"] is False, seen
        assert body["error"] == body["detail"] != "", seen
        assert body["request_id"] == request_id, seen
    if "capacity" in (response.json() if content_type.endswith("json") and response.content else ()):
        assert response.json()["capacity"].keys() == CAPACITY_FIELDS, seen


class Limiter:
    """One limiter: its process, its database, its key, and the calls that tests make most."""

    def __init__(self, folder: Path, env: dict[str, Any], database: str = "sqlite") -> None:
        self.folder = folder
        self.on_postgres = database == "postgres"
        self.db_path = folder / "limiter.db"
        self.log_path = folder / "limiter.log"
        self.answers: list[httpx.Response] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(SCRUBBED)}
        self.env |= {
            "PYTHONPATH": str(ROOT),
            "LIMITER_DATABASE_URL": new_database() if self.on_postgres else f"sqlite:///{self.db_path}",
            "LIMITER_URL": self.url,
        }
        self.set_env(env)
        self.process: subprocess.Popen[bytes] | None = None
        self.client = self.new_client()

    # -- the process -------------------------------------------------------------------------------------------------
    def set_env(self, env: dict[str, Any]) -> None:
        """Names mapped to None are taken out."""
        self.env |= {name: str(value) for name, value in env.items() if value is not None}
        for name in (name for name, value in env.items() if value is None):
            self.env.pop(name, None)

    def new_client(self, **options: Any) -> httpx.Client:
        hooks = {"response": [watch, self.answers.append]}
        return httpx.Client(base_url=self.url, timeout=15, event_hooks=hooks, **options)

    def serve(self, *arguments: str) -> None:
        """Starts the process and waits until it can decide."""
        self.spawn(*arguments)
        wait_until(self.is_ready, START_SECONDS, "ready")

    def spawn(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "limiter", "serve", "--port", str(self.port), *arguments]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=log, stderr=log)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"exit status {self.process.returncode}:\n{self.log}"
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def exit_status(self, *arguments: str) -> int:
        """Starts a process that must end by itself; its exit status. What it said is in `log`."""
        self.spawn(*arguments)
        assert self.process is not None
        try:
            return self.process.wait(START_SECONDS)
        finally:
            self.kill()

    def stop(self) -> int:
        """SIGTERM; the exit status, which must come within 10 s."""
        assert self.process is not None
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        self.client.close()
        try:
            return process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """SIGKILL, where it still runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.client.close()

    def restart(self, kill: bool = False, **env: Any) -> None:
        if kill:
            self.kill()
        else:
            assert self.stop() == 0, self.log
        self.set_env(env)
        self.client = self.new_client()
        self.serve()

    def close(self) -> None:
        """The end of a test: one that still runs must end well."""
        if self.process is not None:
            assert self.process.poll() is None, f"died by itself with {self.process.returncode}:\n{self.log}"
            assert self.stop() == 0, self.log
        self.client.close()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def key_path(self) -> Path:
        """Where the first key is: beside a file, else in data/."""
        return (self.folder / "data" if self.on_postgres else self.folder) / "admin.key"

    @property
    def admin_key(self) -> str:
        return self.key_path.read_text().strip()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of `python -m limiter` in the same folder and environment."""
        command = [sys.executable, "-m", "limiter", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=30, check=False
        )

    def new_key(self, scope: str) -> str:
        made = self.run("keys", "create", "--scope", scope)
        assert made.returncode == 0, made.stderr
        key = made.stdout.strip()
        if self.on_postgres and self.process is not None:  # where the command asks no limiter, but writes itself
            bearer = {"Authorization": f"Bearer {key}"}
            while self.client.get("/api/limits", headers=bearer).status_code == 401:
                time.sleep(0.3)  # rarely: wrong keys are counted
        return key

    # -- bots --------------------------------------------------------------------------------------------------------
    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Header names are given with `_` for `-`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return self.client.post(path, json=body, headers=named)

    def send(self, path: str, content: bytes, content_type: str = "application/json") -> httpx.Response:
        """A body as it is, byte for byte."""
        return self.client.post(path, content=content, headers={"Content-Type": content_type})

    def start(self, user: str | None = None, bot: str | None = None, **headers: str) -> httpx.Response:
        body = {"user_id": user or new_user()} | ({} if bot is None else {"bot_id": bot})
        return self.post("/api/bots/start", body, **headers)

    def session(self, user: str | None = None, bot: str | None = None, **headers: str) -> Any:
        """A start that must be admitted; its `session`."""
        return granted(self.start(user, bot, **headers), 201)["session"]

    def fill(self, bots: int) -> list[Any]:
        """So many sessions, each of a user of its own."""
        return [self.session() for _ in range(bots)]

    def beat(self, session: Any) -> httpx.Response:
        return self.post("/api/bots/heartbeat", {"session_id": session["session_id"]})

    def end(self, session: Any) -> httpx.Response:
        return self.post("/api/bots/stop", {"session_id": session["session_id"]})

    def trade(self, session: Any, **fields: Any) -> httpx.Response:
        body = {"symbol": "BTC/USDT", "side": "buy", "quantity": "1", "price": "100"} | fields
        return self.post("/api/bots/trades", {"session_id": session["session_id"]} | body)

    def signal(self, session: Any, count: Any = None) -> httpx.Response:
        body = {"session_id": session["session_id"]} | ({} if count is None else {"count": count})
        return self.post("/api/bots/signals", body)

    def tokens(self, count: Any = None) -> httpx.Response:
        return self.post("/api/feed/tokens", {} if count is None else {"count": count})

    def limits(self, user: str | None = None) -> Any:
        """The limits in force, for that user where one is given."""
        return granted(self.client.get("/api/limits", params={} if user is None else {"user_id": user}))["limits"]

    # -- admin -------------------------------------------------------------------------------------------------------
    def admin(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """A call with the first key; `body` is sent as JSON where there is one."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.admin_key}"} | options.pop("headers", {})
        if body is not None:
            headers |= {"Content-Type": "application/json"}
        return self.client.request(method, path, content=content, headers=headers, **options)

    def patch(self, reason: str = "test", **changes: Any) -> httpx.Response:
        """A change of limits that the load of the machine which runs the tests cannot hold back."""
        body = {"changes": changes, "reason": reason, "override_guard": True}
        return self.admin("PATCH", "/api/admin/limits", body)

    def set_limits(self, **changes: Any) -> Any:
        return granted(self.patch(**changes))

    def limit(self, name: str) -> Any:
        """One row of the admin's list of limits."""
        rows = granted(self.admin("GET", "/api/admin/limits"))["limits"]
        return next(row for row in rows if row["name"] == name)

    def capacity(self) -> Any:
        return granted(self.client.get("/api/admin/capacity"))["capacity"]

    def stats(self) -> Any:
        return granted(self.client.get("/api/admin/stats"))

    def listed(self, **filters: Any) -> list[Any]:
        """Rows of the session list."""
        answer = granted(self.client.get("/api/admin/sessions", params=filters))
        items: list[Any] = answer["items"]
        return items


@contextmanager
def served(one: Limiter) -> Iterator[Limiter]:
    """It serves for the block, and has to end well with SIGTERM; SIGKILL where the test failed."""
    try:
        one.serve()
        yield one
        one.close()
    finally:
        one.kill()


@pytest.fixture
def limiter(tmp_path: Path, database: str) -> Iterator[Callable[..., Limiter]]:
    """`limiter(MAX_CONCURRENT_BOTS=3, …)`: a running limiter in a folder of its own (the first one in `tmp_path`)."""
    made: list[Limiter] = []

    def start(*arguments: str, serve: bool = True, **env: Any) -> Limiter:
        folder = tmp_path if not made else tmp_path / str(len(made))
        folder.mkdir(exist_ok=True)
        made.append(Limiter(folder, env, database))
        if serve:
            made[-1].serve(*arguments)
        return made[-1]

    yield start
    try:
        for one in made:
            one.close()
    finally:
        for one in made:
            one.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, database: str) -> Iterator[Limiter]:
    """A running limiter with the default limits, shared by a module: fill it with no more than some dozen bots."""
    with served(Limiter(tmp_path_factory.mktemp("shared"), {}, database)) as shared:
        yield shared
