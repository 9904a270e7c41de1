"""What runs behind `run`, or was adopted, is no bot without a slot: the agent tells which process it is."""

import secrets
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.agent.conftest import WAYS, Bot, Bots, groups_may_be_made
from tests.conftest import Limiter, granted, new_user, wait_until


def test_bots_behind_run_are_none_and_a_plain_one_is_until_it_is_adopted(tmp_path: Path) -> None:
    """In each of the ways at once, with one limiter that looks."""
    mark = f"bot-{secrets.token_hex(4)}"
    limiter = Limiter(tmp_path, {"BOT_LEASE_SECONDS": 5, "LIMITER_LANG": "en", "LIMITER_BOT_PATTERN": mark})
    limiter.serve()

    def strangers() -> set[int]:
        answer: Any = granted(limiter.client.get("/api/admin/box"))
        assert answer["strangers_needs"] is None
        return {one["pid"] for one in answer["strangers"]}

    made = dict[str, Bots]()
    for way in WAYS:
        (tmp_path / way).mkdir()
        made[way] = Bots(tmp_path / way, way, limiter=limiter)
    plain = {way: subprocess.Popen(["sh", "-c", f"sleep 60; : {mark}"]) for way in WAYS}
    behind = list[Bot]()
    try:
        made["tree"].agent("--no-groups")
        for bots in made.values():
            # One stays; of the other the first process ends before what it left behind with a cleared environment.
            behind.append(Bot(bots, f"sleep 60 & wait # {mark}"))
            behind.append(Bot(bots, f"(setsid env -i sh -c 'sleep 60; : {mark}' & sleep 1)"))
            assert bots.way == "direct" or behind[-1].process.wait(10) == 0
        wait_until(lambda: strangers() == {one.pid for one in plain.values()}, 20, "the plain ones alone are seen")
        for way, bots in made.items():
            command = [sys.executable, "-m", "limiter", "run", "--user", new_user(), "--adopt", str(plain[way].pid)]
            done = subprocess.run(command, env=bots.env, capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode == 0, done.stderr
        wait_until(lambda: not strangers(), 20, "each holds a slot")
        assert all(bot.holds_a_slot for bot in behind)
    finally:
        for one in plain.values():
            one.kill()
            one.wait()
        for bot in behind:
            bot.bots.stop_by_admin(bot.user)
            bot.end()
        for bots in made.values():
            bots.close()
        limiter.close()
        limiter.kill()


def test_a_bot_that_runs_on_without_its_slot_is_told_to_the_limiter(tmp_path: Path) -> None:
    """As from another host: this limiter looks for none itself."""
    bots = Bots(tmp_path)

    def told() -> list[dict[str, Any]]:
        return list(granted(bots.limiter.client.get("/api/admin/box"))["strangers"])

    try:
        bots.agent("--tell-every", "0.3")
        bot = Bot(bots, "exec sleep 60", "--on-lost", "keep")
        bots.stop_by_admin(bot.user)
        (one,) = wait_until(told, 15, "it is told")
        assert (one["pid"], one["host"]) == (bot.process.pid, socket.gethostname())
        assert one["command"].startswith(f"{bot.user}/") and one["name"] == "sleep"
        bot.process.kill()
        bot.process.communicate()
        wait_until(lambda: not told(), 15, "none is left")
    finally:
        bots.close()


@pytest.mark.skipif(not groups_may_be_made(), reason="this user may not make control groups")
def test_of_these_one_was_known_by_its_group(tmp_path: Path) -> None:
    """So that the test above is of three ways and not of two."""
    bots = Bots(tmp_path)
    try:
        bot = Bot(bots, "exec sleep 60")
        assert [row["known_by"] for row in bots.status()["bots"]] == ["group"]
        bot.process.kill()
        bot.end()
    finally:
        bots.close()
