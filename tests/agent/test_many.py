"""Many bots in one agent: none is lost, none is forgotten, however often the agent is killed.

The long form, a hundred kills under a hundred bots, is `python -m benchmarks wrapping`.
"""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import pytest

from tests.agent.conftest import Bots, lives
from tests.conftest import new_user, wait_until

pytestmark = pytest.mark.alone

Own = Callable[..., Bots]
KILLS, UNDER = 10, 30
STARTS_AT_ONCE = 10
# `run` as it is, but that Python does not come up anew for each: it forks, and every child becomes a bot.
MANY = f"""
import os, sys
from limiter.agent import run
for number, user in enumerate(sys.argv[1:], 1):
    if os.fork() == 0:
        os._exit(run.main(["--user", user, "sleep", "1000"]))
    if number % {STARTS_AT_ONCE} == 0:
        print(flush=True)
        sys.stdin.readline()
print(flush=True)
sys.stdin.read()
"""


class Sleepers:
    """So many bots, each of a user of its own, that have their slots."""

    def __init__(self, bots: Bots, count: int) -> None:
        self.bots, self.count = bots, count
        self.parent = subprocess.Popen(
            [sys.executable, "-c", MANY, *(new_user() for _ in range(count))],
            env=bots.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=0,
        )  # fmt: skip
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        for begun in range(STARTS_AT_ONCE, count + 1, STARTS_AT_ONCE):
            self.parent.stdout.readline()
            wait_until(partial(self.has, begun), 40, "their slots")
            self.parent.stdin.write("\n")
        self.parent.stdout.readline()

    def __enter__(self) -> "Sleepers":
        return self

    def __exit__(self, *_: object) -> None:
        if self.parent.poll() is not None:
            return
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        self.parent.kill()
        self.parent.communicate()

    def has(self, count: int) -> bool:
        return self.held() >= count

    def held(self) -> int:
        """Slots that are taken."""
        return int(self.bots.limiter.capacity()["current_bots"])

    def pids(self) -> set[int]:
        with open(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children") as file:
            return {pid for pid in map(int, file.read().split()) if lives(pid)}

    def end(self) -> None:
        """Kill them all; no slot may be left a moment later."""
        self.__exit__()
        wait_until(lambda: self.held() == 0, 10, "no slot is left")


def all_renewed(bots: Bots, count: int) -> None:
    """Returns when each has been beaten for once more, without which its slot would end with the lease."""

    def until() -> list[str]:
        return [row["lease_expires_at"] for row in bots.limiter.listed(status="active", limit=500)]

    last = max(until())
    wait_until(lambda: len(found := until()) == count and min(found) > last, 40, "all are beaten for")


@pytest.mark.slow
def test_five_hundred_bots_in_one_agent(own_bots: Own) -> None:
    bots = own_bots(lease=15, MAX_CONCURRENT_BOTS=600)
    with Sleepers(bots, 500) as sleepers:
        all_renewed(bots, 500)
        assert {row["pid"] for row in bots.status()["bots"]} == sleepers.pids()
        assert len(sleepers.pids()) == 500
        sleepers.end()


@pytest.mark.slow
def test_an_agent_killed_again_and_again_loses_no_bot_and_no_slot(own_bots: Own) -> None:
    bots = own_bots(lease=10)
    chance = random.Random(1)
    with Sleepers(bots, UNDER) as sleepers:
        for _ in range(KILLS):
            status = wait_until(bots.status, 5, "the agent is back")
            os.kill(status["pid" if chance.random() < 0.8 else "guardian"], signal.SIGKILL)
            assert sleepers.held() == UNDER
        status = wait_until(bots.status, 5)
        assert {row["pid"] for row in status["bots"]} == sleepers.pids()
        assert len(sleepers.pids()) == UNDER
        all_renewed(bots, UNDER)
        sleepers.end()
