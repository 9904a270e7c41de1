"""Every example runs as it is, against a real limiter, and leaves no slot taken."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, Limiter, granted, new_user
from tests.forgetful import forgetful


def example(server: Limiter, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=server.folder, env=server.env | env, capture_output=True, text=True, timeout=30, check=False
    )


def needs(program: str) -> pytest.MarkDecorator:
    missing = shutil.which(program) is None and "CI" not in os.environ
    return pytest.mark.skipif(missing, reason=f"{program} is not installed")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("sh", "curl.sh"), marks=needs("curl")),
        (sys.executable, "bot.py"),
        pytest.param(("node", "bot.mjs"), marks=needs("node")),
    ],
    ids=lambda command: command[1],
)
def test_a_bot_runs_trades_stops_and_is_refused_where_its_user_has_one(
    server: Limiter, command: tuple[str, str]
) -> None:
    program, script = command
    user = new_user()
    done = example(server, program, str(ROOT / "examples" / script), user, "1")
    assert done.returncode == 0, done.stderr
    assert "499" in done.stdout  # of the 500 trades a day
    (row,) = server.listed(user_id=user)
    assert row["ended_reason"] == "stopped"

    held = server.session(user)
    refused = example(server, program, str(ROOT / "examples" / script), user, "1")
    assert refused.returncode != 0
    assert "Limite atteinte : 1/1 bot actif pour cet utilisateur." in refused.stderr
    server.end(held)


def test_several_bots_run_in_one_asyncio_program(server: Limiter) -> None:
    done = example(server, sys.executable, str(ROOT / "examples" / "async_bot.py"), "3", "1")
    assert done.returncode == 0, done.stderr
    for number in range(3):
        assert f"user-{number} is done" in done.stdout


@needs("node")
def test_where_a_proxy_loses_answers_a_bot_in_another_language_counts_once(server: Limiter) -> None:
    user, paths = new_user(), [f"/api/bots/{what}" for what in ("start", "signals", "trades", "stop")]
    with forgetful(server.url, *paths, status=502) as proxy:
        done = example(server, "node", str(ROOT / "examples" / "bot.mjs"), user, "2", LIMITER_URL=proxy.url)
    assert done.returncode == 0, done.stderr
    (row,) = server.listed(user_id=user)
    assert row["ended_reason"] == "stopped"
    used = granted(server.client.get(f"/api/users/{user}/usage"))
    assert used["trades"]["used"] == done.stdout.count("traded, ") > 0
    assert used["signals"]["used"] == proxy.heard.count("/api/bots/signals") == done.stdout.count("\n") - 1
