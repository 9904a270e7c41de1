"""`run --adopt PID`: a slot for a process that runs already."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.agent.conftest import Bots, in_that_way, lives
from tests.conftest import new_user, wait_until

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module", params=["group", "tree"])
def bots(request: pytest.FixtureRequest, ways: dict[str, Bots]) -> Bots:
    return in_that_way(ways, request.param)


@pytest.fixture
def bot() -> Iterator[subprocess.Popen[bytes]]:
    """A shell and its child, which nobody has given a slot."""
    one = subprocess.Popen(["sh", "-c", "sleep 1000; true"])
    child = child_of(one.pid)
    yield one
    one.kill()
    one.wait()
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def adopt(bots: Bots, pid: int, user: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "limiter", "run", "--user", user, "--adopt", str(pid)]
    return subprocess.run(command, env=bots.env | env, capture_output=True, text=True, timeout=30, check=False)


def child_of(pid: int) -> int:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return int(wait_until(path.read_text, 5, "it has a child").split()[0])


def test_its_slot_is_held_until_the_last_of_it_has_ended(bots: Bots, bot: subprocess.Popen[bytes]) -> None:
    user, child = new_user(), child_of(bot.pid)
    done = adopt(bots, bot.pid, user)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert bots.holds(user)
    bot.kill()
    bot.wait()
    wait_until(lambda: not any(row["pid"] == bot.pid and row["processes"] != 1 for row in bots.status()["bots"]), 5)
    assert bots.holds(user)
    os.kill(child, 9)
    wait_until(lambda: not bots.holds(user), 2)
    assert bots.limiter.listed(user_id=user)[0]["ended_reason"] == "stopped"


def test_a_stop_ends_all_of_it(bots: Bots, bot: subprocess.Popen[bytes]) -> None:
    user, child = new_user(), child_of(bot.pid)
    assert adopt(bots, bot.pid, user).returncode == 0
    bots.stop_by_admin(user)
    assert bot.wait(10) == -15
    wait_until(lambda: not lives(child), 5)


def refused(bots: Bots, pid: int, en: str, fr: str) -> None:
    """Both sentences; no slot is taken."""
    for language, told in (("en", en), ("fr", fr)):
        user = new_user()
        done = adopt(bots, pid, user, LIMITER_LANG=language)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", f"limiter: {told}\n")
        assert not bots.limiter.listed(user_id=user)


def test_one_that_has_a_slot_is_given_no_second(bots: Bots, bot: subprocess.Popen[bytes]) -> None:
    assert adopt(bots, bot.pid, new_user()).returncode == 0
    for pid in (bot.pid, child_of(bot.pid)):
        refused(bots, pid, f"Process {pid} has a slot already.", f"Le processus {pid} a déjà une place.")


def test_one_that_does_not_exist(bots: Bots, bot: subprocess.Popen[bytes]) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    for pid in (gone.pid, 2**22 + 1, 0):
        refused(bots, pid, f"There is no process {pid}.", f"Aucun processus {pid}.")


def test_what_the_agent_itself_descends_from(bots: Bots) -> None:
    status = bots.status()
    for pid in (status["pid"], status["guardian"]):
        told = f"The agent itself descends from process {pid}: it is no bot."
        refused(bots, pid, told, f"Du processus {pid} descend l'agent lui-même : ce n'est pas un bot.")


def test_the_first_process_of_the_machine(bots: Bots) -> None:
    """Its end would be everybody's, and in a container that was entered from outside the agent does not descend from
    it.
    """
    told = "Process 1 is the first of its machine or container: it could not be ended."
    fr = "Le processus 1 est le premier de sa machine ou de son conteneur : il ne pourrait pas être arrêté."
    refused(bots, 1, told, fr)


@AS_ROOT
def test_one_of_somebody_else(bots: Bots) -> None:
    """Seen by an agent that may not signal it, which is that of another user."""
    folder = Path(f"/tmp/limiter-test-{secrets.token_hex(4)}")  # pytest's own is for root alone
    folder.mkdir(0o700)
    os.chown(folder, 65534, 65534)
    sleeper = subprocess.Popen(["sleep", "1000"])
    env = bots.env | {"LIMITER_AGENT_SOCKET": f"{folder}/agent.sock", "PYTHONDONTWRITEBYTECODE": "1"}
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-m", "limiter"]
    try:
        if subprocess.run([*command, "run", "--help"], env=env, capture_output=True, check=False).returncode:
            pytest.skip("another user may not read this checkout, or has no Python for it")
        adopting = [*command, "run", "--user", new_user(), "--adopt", str(sleeper.pid)]
        done = subprocess.run(adopting, env=env, capture_output=True, text=True, check=False)
        told = f"limiter: Process {sleeper.pid} is somebody else's: it could not be ended.\n"
        assert (done.returncode, done.stderr) == (2, told)
        subprocess.run([*command, "agent", "--stop"], env=env, check=True, stdout=subprocess.DEVNULL)
    finally:
        sleeper.kill()
        sleeper.wait()
        subprocess.run(["rm", "-r", folder], check=True)
