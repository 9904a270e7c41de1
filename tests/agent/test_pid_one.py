"""`run` as the first process of a container: exit status, signals, and whoever is left behind is reaped."""

import os
import subprocess

import pytest

from tests.agent.conftest import Bots
from tests.conftest import new_user, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
INSIDE = ["unshare", "--pid", "--fork", "--mount-proc"]


@pytest.fixture(scope="module")
def bots(ways: dict[str, Bots]) -> Bots:
    return ways["tree"]


@pytest.mark.parametrize(
    ("script", "status"), [("exit 9", 9), ("kill -KILL $$", 128 + 9), ("kill -TERM 1; sleep 2", 128 + 15)]
)
def test_the_exit_status_is_the_commands(bots: Bots, script: str, status: int) -> None:
    user = new_user()
    done = subprocess.run([*INSIDE, *bots.command(user), "sh", "-c", script], env=bots.env, timeout=30, check=False)
    assert done.returncode == status
    wait_until(lambda: not bots.holds(user), 1)


def test_who_is_left_behind_is_reaped(bots: Bots) -> None:
    script = "(sh -c 'sleep 0.1' &); sleep 1; ps -o stat= --ppid 1"
    command = [*INSIDE, *bots.command(new_user()), "sh", "-c", script]
    done = subprocess.run(command, env=bots.env, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.split()
    assert not [state for state in done.stdout.split() if state.startswith("Z")]
