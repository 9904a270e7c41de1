"""Many bots in one agent: none is lost, none is forgotten, however often the agent is killed."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.agent.conftest import Bots, lives
from tests.conftest import new_user, wait_until

Own = Callable[..., Bots]
STARTS_AT_ONCE = 10


def sleepers(bots: Bots, count: int) -> list[subprocess.Popen[bytes]]:
    """So many bots, each of a user of its own, that have their slots."""
    runs = list[subprocess.Popen[bytes]]()
    for at in range(count):
        runs.append(subprocess.Popen([*bots.command(new_user()), "sleep", "1000"], env=bots.env))
        if at % STARTS_AT_ONCE == 0:
            wait_until(lambda: bots.limiter.capacity()["current_bots"] >= len(runs), 20)
    wait_until(lambda: bots.limiter.capacity()["current_bots"] == count, 20)
    return runs


def end(bots: Bots, runs: list[subprocess.Popen[bytes]]) -> None:
    """Kill them all; no slot may be left a moment later."""
    for run in runs:
        run.kill()
    for run in runs:
        run.wait()
    wait_until(lambda: bots.limiter.capacity()["current_bots"] == 0, 10, "no slot is left")


@pytest.mark.slow
def test_five_hundred_bots_in_one_agent(own_bots: Own) -> None:
    bots = own_bots(lease=15, MAX_CONCURRENT_BOTS=600)
    runs = sleepers(bots, 500)
    time.sleep(15.5)  # longer than a lease: only beats keep them
    assert bots.limiter.capacity()["current_bots"] == 500
    assert len(bots.status()["bots"]) == 500
    assert all(run.poll() is None for run in runs)
    end(bots, runs)


@pytest.mark.slow
def test_an_agent_killed_again_and_again_loses_no_bot_and_no_slot(own_bots: Own) -> None:
    kills, count = int(os.environ.get("LIMITER_TEST_KILLS", "15")), int(os.environ.get("LIMITER_TEST_BOTS", "30"))
    bots = own_bots(lease=15)
    runs, chance = sleepers(bots, count), random.Random(1)
    for _ in range(kills):
        status = wait_until(bots.status, 5, "the agent is back")
        os.kill(status["pid" if chance.random() < 0.8 else "guardian"], signal.SIGKILL)
        time.sleep(chance.random() * 0.4)
        assert bots.limiter.capacity()["current_bots"] == count
    status = wait_until(bots.status, 5)
    assert {row["pid"] for row in status["bots"]} == {run.pid for run in runs}
    assert all(lives(run.pid) for run in runs)
    time.sleep(16)
    assert bots.limiter.capacity()["current_bots"] == count
    end(bots, runs)
