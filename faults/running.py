"""What most faults share: a running limiter, time to an answer, and what a session list says."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import Limiter, served

ROOMY = {"MAX_CONCURRENT_BOTS": 100_000, "MAX_BOTS_PER_USER": 10_000, "MAX_TRADES_PER_DAY": 10_000_000}


@contextlib.contextmanager
def running(folder: Path, **env: Any) -> Iterator[Limiter]:
    """A limiter in that folder, which must end well with SIGTERM; SIGKILL where the fault fails."""
    folder.mkdir(exist_ok=True)
    with served(Limiter(folder, {"LIMITER_BACKUP_DIR": "none"} | env)) as one:
        yield one


def seconds(ask: Callable[[], httpx.Response]) -> tuple[float, httpx.Response]:
    """How long the answer took, and the answer."""
    began = time.monotonic()
    answer = ask()
    return time.monotonic() - began, answer


def seconds_until(is_so: Callable[[], bool], within: float) -> float:
    """How long it took to become true; `inf` where it did not in time."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() > began + within:
            return float("inf")
        time.sleep(0.02)
    return time.monotonic() - began


def answers_after_kill(one: Limiter) -> bool:
    """SIGKILL, and a start where nothing can be decided yet: whether it answers all the same."""
    one.kill()
    one.client = one.new_client()
    one.spawn()

    def is_alive() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return one.client.get("/livez").status_code == 200
        return False

    return seconds_until(is_alive, 20) < 20


def health(one: Limiter) -> int:
    """What the monitor sees."""
    return one.client.get("/api/admin/health").status_code


def percentile(values: list[float], share: float) -> float:
    """Of a list that is not empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
