"""Callers that do harm: thousands of slow or silent connections, and whatever can be made from the OpenAPI document."""

import asyncio
import re
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil

from faults.figures import Figure, Missing
from faults.running import ROOMY, percentile, running
from tests.conftest import Limiter

HEAD = b"POST /api/bots/start HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
SLOW = (HEAD + b"X-Slow: ", HEAD + b"Content-Length: 99\r\n\r\n{", b"G")
BRIEF = 10  # examples a call: with so few, what the document says is not tried one by one
HONEST = 300  # starts that are timed meanwhile
CLOSED_SECONDS = 16.0
CHECKS = (
    "status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance,"
    "ignored_auth,unsupported_method"
)


async def connect(port: int, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that says this and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    return reader, writer


async def besiege(one: Limiter, said: list[bytes]) -> tuple[list[float], int, int]:
    """Honest starts while all these connections are open: their durations, failures, and connections closed."""
    loop = asyncio.get_running_loop()
    opened = []
    for batch in range(0, len(said), 200):
        opened += await asyncio.gather(*(connect(one.port, sent) for sent in said[batch : batch + 200]))
    took, failed = [], 0
    for _ in range(HONEST):
        began = time.monotonic()
        answer = await loop.run_in_executor(None, one.start)
        took.append(time.monotonic() - began)
        failed += answer.status_code != 201
    ends = [asyncio.create_task(reader.read()) for reader, _ in opened]
    done, waiting = await asyncio.wait(ends, timeout=CLOSED_SECONDS)
    for task in waiting:
        task.cancel()
    for _, writer in opened:
        writer.close()
    return took, failed, len(done)


def siege(folder: Path, slow: int) -> Iterator[Figure]:
    """So many slow clients, and five times as many that say nothing."""
    idle = 5 * slow
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if room < idle + 500:
        raise Missing(f"only {room} files may be open here (ulimit -Hn): {idle + 500} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, room))
    with running(folder, **ROOMY) as one:
        assert one.process is not None
        memory = psutil.Process(one.process.pid)
        one.fill(20)
        before = memory.memory_info().rss
        said = [SLOW[n % len(SLOW)] for n in range(slow)] + [b""] * idle
        took, failed, closed = asyncio.run(besiege(one, said))
        grown = memory.memory_info().rss - before
    yield Figure("slow connections", slow)
    yield Figure("silent connections", idle)
    yield Figure(f"of them not closed within {CLOSED_SECONDS:.0f} s", len(said) - closed, 0)
    yield Figure("starts of others that failed", failed, 0)
    yield Figure("p99 of the others' starts", 1000 * percentile(took, 0.99), 250, "ms")
    yield Figure("memory that they cost", max(0.0, grown / 1024**2), 100, "MiB")


def made_from_the_document(folder: Path, examples: int) -> Iterator[Figure]:
    """schemathesis makes requests, valid and not, from /openapi.json, and holds the answers against it."""
    if find_spec("schemathesis") is None:
        raise Missing("schemathesis is not installed: make test installs requirements-dev.txt")
    with running(folder, **ROOMY) as one:
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{one.url}/openapi.json", "--checks", CHECKS,
            "--header", f"Authorization: Bearer {one.admin_key}", "--max-examples", str(examples), "--seed", "1",
            "--phases", "coverage,fuzzing,stateful" if examples > BRIEF else "fuzzing",
            "--request-timeout", "10", "--continue-on-failure", "--no-color", "--suppress-health-check", "all",
        ]  # fmt: skip
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        cases = re.search(r"(\d+) generated", ran.stdout)
        assert cases is not None, ran.stdout[-4000:] + ran.stderr[-4000:]
        failures = Counter(dict(re.findall(r"❌ ST\d+ (.+): (\d+)$", ran.stdout, re.MULTILINE)))
        (folder / "schemathesis.txt").write_text(ran.stdout)
        faults = re.findall(r"(?:request|decision|watch|job)_failed .*", one.log)
        if failures or faults:
            print(ran.stdout, one.log, file=sys.stderr)  # which ones: the page only counts them
        alive = one.client.get("/livez").status_code
    yield Figure("requests made", int(cases[1]))
    yield Figure("answers that the document does not allow", sum(map(int, failures.values())), 0)
    yield Figure("faults of ours that they met", len(faults), 0)
    yield Figure("limiter not alive afterwards", int(alive != 200), 0)
