"""What runs behind `run`, or was adopted, is no bot without a slot: the agent tells which process it is."""

import secrets
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.agent.conftest import WAYS, Bot, Bots, groups_may_be_made
from tests.conftest import granted, new_user, wait_until


def strangers(bots: Bots) -> list[int]:
    """Pids of the bots without a slot that the limiter sees now."""
    answer: Any = granted(bots.limiter.client.get("/api/admin/box"))
    assert answer["strangers_needs"] is None
    return [one["pid"] for one in answer["strangers"]]


@pytest.mark.parametrize("way", WAYS)
def test_bots_behind_run_are_none_and_a_plain_one_is_until_it_is_adopted(
    own_bots: Callable[..., Bots], way: str
) -> None:
    if way == "group" and not groups_may_be_made():
        pytest.skip("this user may not make control groups")
    mark = f"bot-{secrets.token_hex(4)}"
    bots = own_bots(way=way, LIMITER_BOT_PATTERN=mark)
    if way == "tree":
        bots.agent("--no-groups")
    # One that stays, and one whose first process ends before what it left behind, which has cleared its environment.
    stays = Bot(bots, f"sleep 60 & wait # {mark}")
    leaves = Bot(bots, f"(setsid env -i sh -c 'sleep 60; : {mark}' & sleep 3)")
    plain = subprocess.Popen(["sh", "-c", f"sleep 60; : {mark}"])
    try:
        if way != "direct":
            assert leaves.process.wait(10) == 0
        wait_until(lambda: strangers(bots) == [plain.pid], 20, "the plain one alone is seen")
        command = [sys.executable, "-m", "limiter", "run", "--user", new_user(), "--adopt", str(plain.pid)]
        done = subprocess.run(command, env=bots.env, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        wait_until(lambda: strangers(bots) == [], 20, "it holds a slot")
    finally:
        plain.kill()
        plain.wait()
        for bot in (stays, leaves):
            bots.stop_by_admin(bot.user)
            bot.end(30)
