"""Bots behind a real limiter and a real agent, in each of the ways that the agent knows their processes by.

Most of what is seen here takes seconds in which nothing is done: a lease, ten seconds of grace. `meanwhile` and
`at_once` let such seconds pass for several tests together.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from limiter.agent import cgroups
from tests.conftest import Limiter, new_user, served, wait_until

LINUX = sys.platform.startswith("linux")
if not LINUX:
    collect_ignore_glob = ["test_*.py"]  # an agent needs Linux; elsewhere `run` is `--direct`


@cache
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

    def renewed(self, user: str) -> None:
        """Returns after the next beat for that user's bot: without it the slot would end with the lease."""

        def until() -> str:
            (row,) = self.limiter.listed(user_id=user, status="active")
            return str(row["lease_expires_at"])

        before = until()
        wait_until(lambda: until() > before, 10, "a beat")

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


HEEDS_EVERY_SIGNAL = ("env", "--default-signal=INT,QUIT")
"""A shell starts what runs in its background deaf to these two, and a trap cannot undo that."""


class Bot:
    """A bot that runs: `script` in a shell, whose pid is `pid`. What it starts may write further pids with `note`."""

    def __init__(self, bots: Bots, script: str, *options: str, **popen: Any) -> None:
        self.bots, self.user = bots, new_user()
        self.folder = bots.folder / self.user
        self.folder.mkdir()
        begin = "note() { echo $1 > $2.new; mv $2.new $2; }; note $$ pid; "
        self.process = subprocess.Popen(
            [*HEEDS_EVERY_SIGNAL, *bots.command(self.user, *options), "sh", "-c", begin + script],
            **{  # type: ignore[call-overload]
                "env": bots.env, "cwd": self.folder, "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE, "text": True,
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


def all_of(bot: Bot) -> set[int]:
    """Every process with the bot's folder as its working folder."""
    found = set[int]()
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdecimal() and os.readlink(f"/proc/{name}/cwd") == str(bot.folder) and lives(int(name)):
                found.add(int(name))
    return found


WAYS = ["group", "tree", "direct"]
SHORT_GRACE = 2
CHECKS_AT_ONCE = 12  # two cores that come up with more of them would keep an agent from beating within a lease


@pytest.fixture(scope="package")
def shared_limiter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """One for all tests that leave it alone: to start one takes longer than most of them."""
    with served(Limiter(tmp_path_factory.mktemp("limiter"), {"BOT_LEASE_SECONDS": 5, "LIMITER_LANG": "en"})) as one:
        yield one


@pytest.fixture(scope="module")
def ways(shared_limiter: Limiter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Bots]]:
    """Bots whose processes are known by a control group, by mark and tree, or to a small parent."""
    made = {way: Bots(tmp_path_factory.mktemp(f"bots-{way}"), way, limiter=shared_limiter) for way in WAYS}
    try:
        made["group"].agent("--grace", str(SHORT_GRACE))
        made["tree"].agent("--no-groups", "--grace", str(SHORT_GRACE))
        yield made
    finally:
        for one in made.values():
            one.close()


def in_that_way(ways: dict[str, Bots], way: str) -> Bots:
    if way == "group" and not groups_may_be_made():
        pytest.skip("this user may not make control groups")
    return ways[way]


@pytest.fixture(scope="module", params=WAYS)
def bots(request: pytest.FixtureRequest, ways: dict[str, Bots], begun: object) -> Bots:
    """In one of the ways, for a test that does something all the time."""
    return in_that_way(ways, request.param)


def meanwhile(check: Callable[[Bots], None]) -> Callable[..., None]:
    """A test, in each of the ways, that mostly waits: it begins with the first of its module, beside all others."""

    @pytest.mark.parametrize("way", WAYS)
    def test(ways: dict[str, Bots], way: str, begun: dict[tuple[str, str], "Future[None]"]) -> None:
        in_that_way(ways, way)
        begun[check.__name__, way].result()

    test.__name__, test.__doc__ = check.__name__, check.__doc__
    test.check = check  # type: ignore[attr-defined]
    return test


@pytest.fixture(scope="module")
def begun(request: pytest.FixtureRequest, ways: dict[str, Bots]) -> Iterator[dict[tuple[str, str], "Future[None]"]]:
    """Every check of this module that is tested `meanwhile`, by its name and the way."""
    with ThreadPoolExecutor(max_workers=CHECKS_AT_ONCE) as threads:
        outcomes = dict[tuple[str, str], Future[None]]()
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item.obj, "check"):
                way = str(item.callspec.params["way"])
                outcomes[item.originalname, way] = threads.submit(item.obj.check, ways[way])
        yield outcomes


One = TypeVar("One")


def at_once(check: Callable[[One], None], each: Iterable[One], at_most: int = 64) -> None:
    """Check each of them at the same time, but so many at most. Raises what failed, all of it."""
    with ThreadPoolExecutor(max_workers=at_most) as threads:
        checked = [(one, threads.submit(check, one)) for one in each]
    failed = list[BaseException]()
    for one, outcome in checked:
        if (error := outcome.exception()) is not None:
            error.add_note(f"of {one}")
            failed.append(error)
    if failed:
        raise BaseExceptionGroup("not all of them hold", failed)


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
