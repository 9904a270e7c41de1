"""Every example runs as it is, against a real limiter, and leaves no slot taken."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT, Limiter, new_user


def example(server: Limiter, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=server.folder, env=server.env, capture_output=True, text=True, timeout=30, check=False
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
