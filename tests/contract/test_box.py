"""What the box carries, over HTTP: figures of bots that said what they cost, and bots without a slot."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx
import pytest

from tests.conftest import ROOT, Limiter, granted, instant, wait_until, wrong_fields

Start = Callable[..., Limiter]
MIB = 1024**2
BOT = """
import sys
from limiter.client import BotSession
with BotSession(sys.argv[1], user_id="bot"):
    print("started", flush=True)
    sys.stdin.readline()
print("ended", flush=True)
sys.stdin.readline()
"""


def box(of: Limiter, **headers: str) -> Any:
    return granted(of.client.get("/api/admin/box", headers=headers))


def test_where_nothing_was_measured_it_says_what_is_needed(limiter: Start) -> None:
    one = limiter(LIMITER_RAM_GB="4")
    one.fill(2)
    answer = box(one)
    assert answer["success"] is True
    assert [answer[name] for name in ("memory_mb", "cpu_percent", "carries", "rest_mb")] == [None] * 4
    assert (answer["ram_mb"], answer["measured_bots"], answer["running_bots"]) == (4096, 0, 2)
    assert answer["table"] == {"ram_gb": 4, "bots": 150, "price_usd_month": 40}
    assert answer["next"] == {"ram_gb": 8, "bots": None, "price_usd_month": 80}
    assert "`python -m limiter run`" in answer["needs"] and answer["needs"].startswith("Aucun bot")
    assert box(one, **{"Accept-Language": "en"})["needs"].startswith("No bot")
    assert answer["strangers"] == [] and "LIMITER_BOT_PATTERN" in answer["strangers_needs"]


def test_what_bots_said_that_they_hold_becomes_what_the_box_carries(limiter: Start) -> None:
    one = limiter(LIMITER_RAM_GB="4096")  # so much that what the machine of the test holds does not matter
    sizes = [55, 57, 59, 61, 63]
    sessions = one.fill(6)
    for size, session in zip(sizes, sessions, strict=False):
        beat = {"session_id": session["session_id"], "memory_bytes": size * MIB}
        granted(one.post("/api/bots/heartbeat", beat))
    answer = box(one)
    assert answer["memory_mb"] == {"median": 59, "mean": 59, "p90": 62.2}
    assert (answer["measured_bots"], answer["running_bots"], answer["needs"]) == (5, 6, None)
    carries = answer["carries"]
    expected = (4096 * 1024 * 0.9 - answer["rest_mb"]) / fmean(sizes)
    assert carries["bots"] == pytest.approx(expected, rel=1e-4) and carries["by"] == "ram"
    assert carries["low"] == pytest.approx(expected / 1.05, rel=1e-3)
    assert carries["high"] == pytest.approx(expected * 1.05, rel=1e-3)
    assert answer["next"] is None and answer["table"]["bots"] == 500

    one.end(sessions[0])
    assert box(one)["measured_bots"] == 4


def test_the_next_size_is_told_with_what_it_would_carry(limiter: Start) -> None:
    one = limiter(LIMITER_RAM_GB="2")
    (session,) = one.fill(1)
    granted(one.post("/api/bots/heartbeat", {"session_id": session["session_id"], "memory_bytes": MIB}))
    answer = box(one)
    assert (answer["next"]["ram_gb"], answer["next"]["price_usd_month"]) == (4, 40)
    assert answer["next"]["bots"] == pytest.approx(4096 * 0.9 - answer["rest_mb"], abs=200)
    assert answer["next"]["bots"] >= answer["carries"]["bots"]


# -- strangers


@pytest.fixture
def bot(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`bot(name, url)`: the program of that name, which holds a slot until it reads a line."""
    made: list[subprocess.Popen[str]] = []

    def start(name: str, url: str) -> subprocess.Popen[str]:
        program = tmp_path / f"{name}.py"
        program.write_text(BOT)
        made.append(
            subprocess.Popen(
                [sys.executable, program.name, url, "--api-key", "hush"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": str(ROOT), "LIMITER_KEY": ""},
            )
        )
        return made[-1]

    yield start
    for one in made:
        one.kill()
        one.communicate()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_bot_is_a_stranger_exactly_while_it_holds_no_slot(
    limiter: Start, bot: Callable[..., subprocess.Popen[str]]
) -> None:
    name = f"bot-{secrets.token_hex(4)}"
    one = limiter(LIMITER_BOT_PATTERN=rf"\b{name}\.py\b")
    process = bot(name, one.url)
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "started\n"
    wait_until(lambda: box(one)["strangers_needs"] is None, 10)
    assert box(one)["strangers"] == []

    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ended\n"
    (stranger,) = wait_until(lambda: box(one)["strangers"], 10)
    assert stranger["pid"] == process.pid
    assert stranger["command"].endswith(f"{name}.py {one.url} --api-key …")
    assert stranger["memory_mb"] > 1
    instant(stranger["since"])
    metric = wait_until(lambda: re.search(r"^limiter_strangers (\S+)$", one.client.get("/metrics").text, re.M), 5)
    assert float(metric[1]) == 1


def test_who_may_not_read_sees_none(limiter: Start) -> None:
    one = limiter(LIMITER_BOT_PATTERN="bot")
    key = granted(one.admin("POST", "/api/admin/keys", {"scope": "bots"}), 201)["key"]
    answer = httpx.get(f"{one.url}/api/admin/box", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 403


@pytest.mark.parametrize("pattern", ["(", "*bot", "a|", ".*"])
def test_a_pattern_that_is_none_or_matches_everything_stops_the_start(limiter: Start, pattern: str) -> None:
    one = limiter(serve=False, LIMITER_BOT_PATTERN=pattern)
    assert one.exit_status() == 2
    assert "LIMITER_BOT_PATTERN" in one.log and "Traceback" not in one.log


def test_what_an_agent_of_another_host_tells_is_listed_counted_and_alerted(limiter: Start) -> None:
    one = limiter()
    assert "limiter_strangers " not in one.client.get("/metrics").text
    bot = {"user_id": "u1", "bot_id": "b1", "pid": 7, "name": "python3", "age_seconds": 90, "memory_bytes": 3 * 2**20}
    body = {"host": "bots-2", "agent": "1000", "strangers": [bot]}
    assert granted(one.post("/api/bots/strangers", body))["tell_again_seconds"] == 30
    (stranger,) = box(one)["strangers"]
    assert (stranger["host"], stranger["pid"], stranger["command"], stranger["memory_mb"]) == ("bots-2", 7, "u1/b1", 3)
    assert "limiter_strangers 1.0" in one.client.get("/metrics").text

    def alerts() -> list[str]:
        items = granted(one.admin("GET", "/api/admin/alerts?state=open", headers={"Accept-Language": "en"}))["items"]
        return [row["message"] for row in items]

    wait_until(lambda: any("process 7 (python3, bots-2)" in message for message in alerts()), 20)
    granted(one.post("/api/bots/strangers", body | {"strangers": []}))
    assert box(one)["strangers"] == []
    assert wrong_fields(one.post("/api/bots/strangers", body | {"host": "a b"}), 422) == {"host"}
    for name in ("a\0b", "a\nb", "\x1b[31mbot", "b" * 65):
        bad = body | {"strangers": [bot | {"name": name}]}
        assert wrong_fields(one.post("/api/bots/strangers", bad), 422) == {"strangers[0].name"}
