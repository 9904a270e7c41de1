"""The load generator: wrk, one thread, so many connections, one Lua script (load.lua)."""

import contextlib
import itertools
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import HERE, Server, tool

START = '{"user_id":"u@","bot_id":"b1"}'
REPLACE = '{"user_id":"#","bot_id":"b1"}'  # a start that ends the same bot's stay: as many bots as there are names
BEAT = '{"session_id":"#"}'
_first = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk saw. `refused`: answered, but not 2xx. `p99_ms` is of time rather than of requests: a pause
    weighs as much as it lasts, with however few requests under way (findings/wrk_p99_counts_time.sh)."""

    requests: int
    seconds: float
    refused: int
    broken: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def admitted(self) -> int:
        """Answers of 2xx."""
        return self.requests - self.refused


def drive(
    server: Server, clients: int, seconds: float, body: str = START, path: str = "/api/bots/start",
    names: Path | None = None,
) -> Load:  # fmt: skip
    """Load for whole seconds. `@` in the body is a new number each time, `#` a line of the file `names`."""
    command = [
        tool("wrk", "wrk"), "--threads", "1", "--connections", str(clients), "--duration", f"{max(1, round(seconds))}s",
        "--timeout", "10s", "--script", str(HERE / "load.lua"),
    ]  # fmt: skip
    if server.key:
        command += ["--header", f"Authorization: Bearer {server.key}"]
    first = next(_first) * 100_000_000
    command += [server.url + path, "--", body, str(first), "POST", *([str(names)] if names else [])]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    with contextlib.suppress(IndexError, ValueError):
        return Load(**json.loads(run.stdout.strip().splitlines()[-1]))
    raise RuntimeError(f"wrk failed: {run.stdout}\n{run.stderr}")
