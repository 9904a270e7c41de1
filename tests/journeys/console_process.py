"""A console for tests that stand outside: `python console.py` and the limiter that it starts, on a real SQLite file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[2]
SCRUBBED = ("LIMITER_", "MAX_", "ALERT_THRESHOLD", "WEBSOCKET_RECONNECT", "BOT_LEASE_SECONDS")
START_SECONDS = 60
CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Console:
    """The process, its addresses, its link, and its first key."""

    def __init__(self, folder: Path, **env: object) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}/admin"
        self.limiter_url = f"http://127.0.0.1:{free_port()}"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(SCRUBBED)}
        self.env |= {
            "LIMITER_DATABASE_URL": f"sqlite:///{folder / 'limiter.db'}",
            "LIMITER_URL": self.limiter_url,
            "LIMITER_CONSOLE_PORT": self.url.split(":")[2].split("/")[0],
            "LIMITER_RAM_GB": "4",
            "PYTHONUNBUFFERED": "1",
        }
        self.env |= {name: str(value) for name, value in env.items()}
        self.log = folder / "console.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.limiter_url, timeout=10)

    def start(self) -> None:
        """Start it and wait for the link."""
        with self.log.open("wb") as out:
            command = [sys.executable, str(ROOT / "console.py")]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=out, stderr=subprocess.STDOUT)
        end = time.monotonic() + START_SECONDS
        while "link=" not in self.output:
            assert self.process.poll() is None and time.monotonic() < end, self.output
            time.sleep(0.05)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    @property
    def output(self) -> str:
        """All it has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def link(self) -> str:
        """The one-time sign-in link."""
        return next(word for word in self.output.split() if "link=" in word)

    @property
    def key(self) -> str:
        """The key that the first start made."""
        return (self.folder / "admin.key").read_text().strip()

    def start_bots(self, n: int, prefix: str = "u") -> None:
        """So many users start a bot each."""
        for number in range(n):
            answer = self.http.post("/api/bots/start", json={"user_id": f"{prefix}{number}", "bot_id": "b"})
            assert answer.status_code == 201, answer.text

    def admin(self, method: str, path: str, key: str | None = None, **body: Any) -> httpx.Response:
        """A call of the admin's half of the API."""
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return self.http.request(method, f"/api/admin/{path}", json=body or None, headers=headers)


@contextmanager
def running(folder: Path, **env: object) -> Iterator[Console]:
    """A console for as long as the block runs."""
    console = Console(folder, **env)
    console.start()
    try:
        yield console
    finally:
        console.http.close()
        if console.process is not None and console.process.poll() is None:
            console.stop()
