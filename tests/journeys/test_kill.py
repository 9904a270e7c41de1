"""SIGKILL under load: a limiter that dies at any moment loses no start, stop, trade or limit that it acknowledged,
gives no slot twice, and goes on with every session alive. What was on its way may or may not have happened."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.conftest import Limiter, granted, refused

THREADS = 4
KILLS = 3


@dataclass
class Told:
    """What one thread asked as a user of its own, and what it was told."""

    user: str
    live: dict[str, list[str]] = field(default_factory=dict)
    """The trades of each session that holds a slot for sure."""
    ended: dict[str, str] = field(default_factory=dict)
    """When each session ended that was told its end."""
    unsure: list[str] = field(default_factory=list)
    """Sessions whose stop was on its way."""
    trades: int = 0
    unsure_starts: int = 0
    unsure_trades: int = 0
    asked: int = 0


def drive(told: Told, url: str, over: threading.Event) -> None:
    """Starts, trades and stops until the limiter is gone."""
    with httpx.Client(base_url=url, timeout=10) as client:
        while not over.is_set():
            told.asked += 1
            name, before = f"{told.user}-{told.asked}", len(told.live)
            told.unsure_starts += 1
            answer = client.post("/api/bots/start", json={"user_id": told.user, "bot_id": name})
            told.unsure_starts -= 1
            if answer.status_code == 503:
                assert answer.json()["reason"] == "server_full", answer.text
                if before:
                    stop(told, client)
                continue
            session_id = granted(answer, 201)["session"]["session_id"]
            told.live[session_id] = []
            told.unsure_trades += 1
            granted(client.post("/api/bots/trades", json=trade(session_id, name)), 201)
            told.unsure_trades -= 1
            told.trades += 1
            told.live[session_id].append(name)
            if told.asked % 2:
                stop(told, client)


def stop(told: Told, client: httpx.Client) -> None:
    """Stops the oldest session, which is unsure until its end is told."""
    session_id = next(iter(told.live))
    del told.live[session_id]
    told.unsure.append(session_id)
    ended = granted(client.post("/api/bots/stop", json={"session_id": session_id}))["session"]["ended_at"]
    told.unsure.remove(session_id)
    told.ended[session_id] = ended


def trade(session_id: str, trade_id: str) -> dict[str, Any]:
    """A plain buy."""
    told = {"session_id": session_id, "trade_id": trade_id, "symbol": "BTC/USDT", "side": "buy"}
    return told | {"quantity": "1", "price": "100"}


def run_until_killed(limiter: Limiter, everyone: list[Told], starts: int) -> int:
    """Load from every thread, limits changed beside it, and SIGKILL after so many starts; the last version told."""
    over, version, faults = threading.Event(), 0, []
    enough = sum(told.asked for told in everyone) + starts

    def guarded(told: Told) -> None:
        try:
            drive(told, limiter.url, over)
        except httpx.TransportError:
            pass
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(told,)) for told in everyone]
    for thread in threads:
        thread.start()
    while sum(told.asked for told in everyone) < enough and not faults:
        version = limiter.set_limits(ALERT_THRESHOLD=50 + version % 40)["version"]
    assert limiter.process is not None
    limiter.process.kill()
    over.set()
    for thread in threads:
        thread.join()
    assert not faults, faults
    return version


def check(limiter: Limiter, told: Told) -> Counter[str]:
    """Everything that this user was told since the last kill still holds; his sessions, and how many are counted."""
    found: Counter[str] = Counter()
    for session_id, trades in told.live.items():
        granted(limiter.beat({"session_id": session_id}))
        found["live"] += 1
        while trades:
            granted(limiter.post("/api/bots/trades", trade(session_id, trades.pop())), 200)
    while told.ended:
        session_id, ended_at = told.ended.popitem()
        session = granted(limiter.end({"session_id": session_id}))["session"]
        assert (session["ended_at"], session["ended_reason"]) == (ended_at, "stopped")
        refused(limiter.beat({"session_id": session_id}), 410, "session_ended")
    for session_id in list(told.unsure):
        if limiter.beat({"session_id": session_id}).status_code == 200:
            told.live[session_id] = []
            found["live"] += 1
        told.unsure.remove(session_id)
    usage = granted(limiter.client.get(f"/api/users/{told.user}/usage"))
    assert told.trades <= usage["trades"]["used"] <= told.trades + told.unsure_trades
    assert found["live"] <= usage["bots"]["used"] <= found["live"] + told.unsure_starts
    found["counted"] = usage["bots"]["used"]
    return found


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("slots", [12, 5000])
def test_a_limiter_that_is_killed_keeps_its_word(limiter: Callable[..., Limiter], slots: int) -> None:
    running = limiter(MAX_CONCURRENT_BOTS=slots, MAX_BOTS_PER_USER=10_000, MAX_TRADES_PER_DAY=10_000_000)
    everyone = [Told(f"user-{n}") for n in range(THREADS)]
    moments = random.Random(slots)
    for _ in range(KILLS):
        version = run_until_killed(running, everyone, moments.randint(40, 120))
        running.restart(kill=True)
        found: Counter[str] = Counter()
        for told in everyone:
            found += check(running, told)
        capacity = running.capacity()
        assert capacity["current_bots"] == found["counted"] <= slots
        assert len(running.listed(status="active", limit=500)) == min(500, found["counted"])
        assert granted(running.admin("GET", "/api/admin/limits"))["version"] >= version > 0
        assert sum(told.trades for told in everyone) > 0
