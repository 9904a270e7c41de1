"""Bots behind a real limiter and a real agent, in each of the ways that the agent knows their processes by."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limiter.agent import cgroups
from tests.conftest import Limiter, new_user, wait_until

LINUX = sys.platform.startswith("linux")
if not LINUX:
    collect_ignore_glob = ["test_*.py"]  # an agent needs Linux; elsewhere `run` is `--direct`


def groups_may_be_made() -> bool:
    """Whether this user may make a control group below that of this process."""
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        group = cgroups.made_for([sleeper.pid], "of-a-test")
    finally:
        sleeper.kill()
        sleeper.wait()
    return group is not None and wait_until(group.remove, 5)


def lives(pid: int) -> bool:
    """Whether that process still does anything: one that ended, but that nobody waited for yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Bots:
    """A limiter with the shortest lease, English sentences, and an agent of its own; `way`: group, tree or direct."""

    def __init__(
        self, folder: Path, way: str = "group", lease: int = 5, limiter: Limiter | None = None, **env: Any
    ) -> None:
        self.way = way
        self.limiter = limiter or Limiter(folder, {"BOT_LEASE_SECONDS": lease, "LIMITER_LANG": "en", **env})
        self.folder = folder
        self.shares_its_limiter = limiter is not None
        self.socket = folder / "agent" / "agent.sock"
        self.env = self.limiter.env | {"LIMITER_AGENT_SOCKET": str(self.socket)}
        self.foreground: subprocess.Popen[str] | None = None
        if limiter is None:
            self.limiter.serve()

    def agent(self, *options: str) -> None:
        """Start the agent in the foreground, with options for tests."""
        command = [sys.executable, "-m", "limiter", "agent", *options]
        self.foreground = subprocess.Popen(command, env=self.env, cwd=self.folder, stderr=subprocess.PIPE, text=True)
        wait_until(self.status, 10, "the agent answers")

    def close(self) -> None:
        """End the agent with all of its bots, and the limiter."""
        try:
            self.ask_agent("--stop", "--force")
            if self.foreground is not None:
                self.foreground.communicate(timeout=10)
            if not self.shares_its_limiter:
                self.limiter.close()
        finally:
            if not self.shares_its_limiter:
                self.limiter.kill()

    def ask_agent(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "limiter", "agent", *options]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=60, check=False)

    def status(self) -> Any:
        """What the agent tells; None where none runs."""
        done = self.ask_agent("--status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def command(self, user: str, *options: str) -> list[str]:
        direct = ["--direct"] if self.way == "direct" else []
        return [sys.executable, "-m", "limiter", "run", "--user", user, *direct, *options, "--"]

    def run(self, *command: str, user: str | None = None, text: str = "", **env: str) -> Any:
        """Run it to its end."""
        return subprocess.run(
            [*self.command(user or new_user()), *command],
            env=self.env | env, cwd=self.folder, input=text, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    def holds(self, user: str) -> bool:
        """Whether that user has a slot."""
        return bool(self.limiter.listed(user_id=user, status="active"))

    def stop_by_admin(self, user: str) -> None:
        (row,) = self.limiter.listed(user_id=user, status="active")
        self.limiter.admin("POST", f"/api/admin/sessions/{row['public_id']}/stop", {"reason": "test"})


def heeds_every_signal() -> None:
    """A shell starts what runs in its background deaf to these two, and a trap cannot undo that."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Bot:
    """A bot that runs: `script` in a shell, whose pid is `pid`. What it starts may write further pids with `note`."""

    def __init__(self, bots: Bots, script: str, *options: str, **popen: Any) -> None:
        self.bots, self.user = bots, new_user()
        self.folder = bots.folder / self.user
        self.folder.mkdir()
        begin = "note() { echo $1 > $2.new; mv $2.new $2; }; note $$ pid; "
        self.process = subprocess.Popen(
            [*bots.command(self.user, *options), "sh", "-c", begin + script],
            **{  # type: ignore[call-overload]
                "env": bots.env, "cwd": self.folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE, "text": True, "preexec_fn": heeds_every_signal,
            } | popen,
        )  # fmt: skip
        wait_until(lambda: (self.folder / "pid").exists() or self.process.poll() is not None, 20, "the bot runs")

    def noted(self, name: str = "pid") -> int:
        """A pid that the bot wrote."""
        path = self.folder / name
        wait_until(lambda: path.exists() and path.read_text(), 10, f"the bot writes {name}")
        return int(path.read_text())

    def end(self, within: float = 15) -> tuple[int, str, str]:
        """Exit status, output and errors."""
        out, err = self.process.communicate(timeout=within)
        return self.process.returncode, out, err

    @property
    def holds_a_slot(self) -> bool:
        return self.bots.holds(self.user)


WAYS = ["group", "tree", "direct"]


@pytest.fixture(scope="module", params=WAYS)
def bots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bots]:
    """Bots whose processes are known by a control group, by mark and tree, or to a small parent."""
    if request.param == "group" and not groups_may_be_made():
        pytest.skip("this user may not make control groups")
    shared = Bots(tmp_path_factory.mktemp(f"bots-{request.param}"), request.param)
    try:
        if request.param == "tree":
            shared.agent("--no-groups")
        yield shared
    finally:
        shared.close()


@pytest.fixture
def own_bots(tmp_path: Path) -> Iterator[Callable[..., Bots]]:
    """`own_bots(lease=5)`: a limiter and an agent for one test."""
    made = list[Bots]()

    def make(**options: Any) -> Bots:
        made.append(Bots(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def descriptors_of(pid: int) -> dict[str, str]:
    """What that process has open, by number."""
    folder = f"/proc/{pid}/fd"
    return {name: os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
