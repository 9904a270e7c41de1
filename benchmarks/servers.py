"""Every server that is measured: a process of its own on a free port and an empty database, ended with its block.

Promises: nothing is left running or on the disk. Scratch files are put beside the checkout's own data, for a temporary
folder may be memory, where an fsync costs nothing.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "benchmarks"
PEERS_PYTHON = HERE / ".venv" / "bin" / "python"
START_SECONDS = 30.0
EXIT_SECONDS = 15.0
NO_CAP = {"MAX_CONCURRENT_BOTS": "1000000"}


class Missing(Exception):
    """A tool that this measurement needs is not installed; the text says which and how to get it."""


def tool(name: str, package: str) -> str:
    """The path of a program, or Missing with the package that brings it."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not installed (Debian, Ubuntu: apt-get install {package})")
    return found


def first_tool(names: tuple[str, ...], package: str) -> str:
    """The path of the first of these programs that is there, or Missing."""
    return next(filter(None, map(shutil.which, names)), None) or tool(names[0], package)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it is, its folder, the key it wants, its process."""

    url: str
    folder: Path
    key: str
    pid: int


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk that the limiter would use."""
    (ROOT / "data").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-", dir=ROOT / "data") as folder:
        yield Path(folder)


@contextlib.contextmanager
def process(command: list[str], folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with this environment on top of a scrubbed one; SIGTERM at the end, SIGKILL where that does not do."""
    scrubbed = ("LIMITER_", "MAX_", "ALERT_THRESHOLD", "WEBSOCKET_RECONNECT", "BOT_LEASE_SECONDS", "LD_PRELOAD")
    env = {name: text for name, text in os.environ.items() if not name.startswith(scrubbed)}
    env |= {"PYTHONPATH": str(ROOT)} | environment
    with (folder / "log").open("ab") as log:
        running = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def wait_for(url: str, running: subprocess.Popen[bytes], folder: Path) -> None:
    """Until it answers, whatever it answers."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and running.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(url, timeout=2)
            return
        time.sleep(0.02)
    raise RuntimeError(f"does not answer: {url}\n{(folder / 'log').read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def limiter(folder: Path, root: Path = ROOT, **environment: str) -> Iterator[Server]:
    """The whole product of this checkout with keys on: `key` is one of scope `bots`; one of `admin:read` is in the file
    reader.key."""
    port, database = free_port(), f"sqlite:///{folder / 'limiter.db'}"
    env = NO_CAP | {"LIMITER_DATABASE_URL": database, "PYTHONPATH": str(root)} | environment
    bots, reads = (make_key(scope, folder, database, root) for scope in ("bots", "admin:read"))
    (folder / "reader.key").write_text(reads)
    command = [sys.executable, "-m", "limiter", "serve", "--port", str(port)]
    with process(command, folder, **env) as running:
        wait_for(f"http://127.0.0.1:{port}/readyz", running, folder)
        yield Server(f"http://127.0.0.1:{port}", folder, bots, running.pid)


def start_bots(server: Server, bots: int) -> Path:
    """A file with the session ids of so many running bots; started once, and found again."""
    names = server.folder / "sessions"
    if not names.exists():
        with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}) as client:
            answers = [client.post("/api/bots/start", json={"user_id": f"beat{number}"}) for number in range(bots)]
        names.write_text("".join(f"{answer.json()['session']['session_id']}\n" for answer in answers))
    return names


@contextlib.contextmanager
def console(folder: Path, server: Server, root: Path = ROOT) -> Iterator[tuple[int, str]]:
    """This checkout's console on that limiter: its process, and the link that signs in."""
    log, port = folder / "console", free_port()
    log.mkdir()
    env = {
        "LIMITER_DATABASE_URL": f"sqlite:///{folder / 'limiter.db'}",
        "LIMITER_URL": server.url,
        "LIMITER_CONSOLE_PORT": str(port),
        "LIMITER_CONSOLE_STARTS": "no",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(root),
    }
    command = ["env", f"--chdir={root}", sys.executable, "console.py"]  # Streamlit's configuration is found from there
    with process(command, log, **env) as running:
        wait_for(f"http://127.0.0.1:{port}/admin/sign-in", running, log)
        words = (log / "log").read_text().split()
        yield running.pid, next(word for word in words if "link=" in word)


def make_key(scope: str, folder: Path, database: str, root: Path = ROOT) -> str:
    """A key in a database that no limiter has open."""
    command = [sys.executable, "-m", "limiter", "keys", "create", "--scope", scope]
    env = os.environ | {"PYTHONPATH": str(root), "LIMITER_DATABASE_URL": database}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True).stdout.strip()


def uvicorn(python: str, app: str, port: int) -> list[str]:
    """One process, as fast as uvicorn goes."""
    return [
        python, "-m", "uvicorn", app, "--port", str(port), "--loop", "uvloop", "--http", "httptools",
        "--no-access-log", "--log-level", "warning", "--backlog", "2048",
    ]  # fmt: skip


@contextlib.contextmanager
def noop(folder: Path, **environment: str) -> Iterator[Server]:
    """The yardstick."""
    port = free_port()
    with process(uvicorn(sys.executable, "benchmarks.noop:app", port), folder, **environment) as running:
        wait_for(f"http://127.0.0.1:{port}/", running, folder)
        yield Server(f"http://127.0.0.1:{port}", folder, "lim_00000000_" + "x" * 43, running.pid)


@contextlib.contextmanager
def redis(folder: Path, **environment: str) -> Iterator[str]:
    """A Redis that fsyncs its file before it answers; its URL."""
    port = free_port()
    command = [
        tool("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
        "--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder),
    ]  # fmt: skip
    with process(command, folder, **environment) as running:
        end = time.monotonic() + START_SECONDS
        while running.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"


def peers_python() -> str:
    """The Python of the peers' own environment."""
    if not PEERS_PYTHON.exists():
        raise Missing(
            "the peers are not installed: python3 -m venv benchmarks/.venv"
            " && benchmarks/.venv/bin/pip install -r benchmarks/requirements.txt"
        )
    return str(PEERS_PYTHON)


@contextlib.contextmanager
def fastapi_redis(folder: Path, **environment: str) -> Iterator[Server]:
    """FastAPI with redis.asyncio, Redis with appendfsync always."""
    port = free_port()
    command = uvicorn(peers_python(), "benchmarks.peers.fastapi_redis:app", port)
    with (
        redis(folder, **environment) as url,
        process(command, folder, **(NO_CAP | {"REDIS_URL": url} | environment)) as running,
    ):
        wait_for(f"http://127.0.0.1:{port}/", running, folder)
        yield Server(f"http://127.0.0.1:{port}", folder, "", running.pid)


def gunicorn(app: str, port: int) -> list[str]:
    """One process with 16 threads."""
    return [
        peers_python(), "-m", "gunicorn", app, "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread",
        "--threads", "16", "--keep-alive", "15", "--log-level", "warning",
    ]  # fmt: skip


@contextlib.contextmanager
def flask_redis(folder: Path, **environment: str) -> Iterator[Server]:
    """Flask on gunicorn threads, Redis with appendfsync always."""
    port = free_port()
    command = gunicorn("benchmarks.peers.flask_redis:app", port)
    with (
        redis(folder, **environment) as url,
        process(command, folder, **(NO_CAP | {"REDIS_URL": url} | environment)) as running,
    ):
        wait_for(f"http://127.0.0.1:{port}/", running, folder)
        yield Server(f"http://127.0.0.1:{port}", folder, "", running.pid)


@contextlib.contextmanager
def flask_sqlite(folder: Path, **environment: str) -> Iterator[Server]:
    """Flask-SQLAlchemy on SQLite."""
    port = free_port()
    command = gunicorn("benchmarks.peers.flask_sqlite:app", port)
    database = f"sqlite:///{folder / 'naive.db'}"
    with process(command, folder, **(NO_CAP | {"DATABASE_URL": database} | environment)) as running:
        wait_for(f"http://127.0.0.1:{port}/", running, folder)
        yield Server(f"http://127.0.0.1:{port}", folder, "", running.pid)
