"""Two builds of the limiter beside each other: this checkout and an earlier one, unpacked from the history.

Both run with the same Python, in folders of their own, and ask the same limiter.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks import servers
from benchmarks.servers import ROOT, Missing, Server

BEFORE = "ab03017"
SHELL = ("sh", "-c", "echo; exec sleep 3600")
"""A bot that costs next to nothing: it writes a line and sleeps."""


@dataclass(frozen=True, slots=True)
class Build:
    """A checkout whose `run` is measured, with a folder for its agent where it has one."""

    root: Path
    folder: Path
    server: Server

    @property
    def env(self) -> dict[str, str]:
        """What its `run` is started with."""
        scrubbed = ("LIMITER_", "PYTHONDONTWRITEBYTECODE")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(scrubbed)}
        return kept | {
            "PYTHONPATH": str(self.root), "LIMITER_URL": self.server.url, "LIMITER_KEY": self.server.key,
            "LIMITER_AGENT_SOCKET": str(self.folder / "agent.sock"), "LIMITER_LANG": "en",
        }  # fmt: skip

    def start(self, user: str, *command: str) -> subprocess.Popen[bytes]:
        """One bot; its output is a pipe."""
        whole = [sys.executable, "-m", "limiter", "run", "--user", user, "--", *command]
        return subprocess.Popen(whole, env=self.env, cwd=self.folder, stdout=subprocess.PIPE)

    def agent(self) -> dict[str, Any] | None:
        """What its agent tells; None where it has none."""
        command = [sys.executable, "-m", "limiter", "agent", "--status", "--json"]
        done = subprocess.run(command, env=self.env, cwd=self.folder, capture_output=True, text=True, check=False)
        told: dict[str, Any] | None = json.loads(done.stdout) if done.returncode == 0 else None
        return told

    def ours(self, started: list[subprocess.Popen[bytes]]) -> list[psutil.Process]:
        """Our processes beside these bots: each bot's own is none of ours."""
        told = self.agent()
        if told is not None:
            return [psutil.Process(told["pid"]), psutil.Process(told["guardian"])]
        return [psutil.Process(one.pid) for one in started]

    def close(self) -> None:
        """End its agent, where it has one, with its bots."""
        command = [sys.executable, "-m", "limiter", "agent", "--stop", "--force"]
        subprocess.run(command, env=self.env, cwd=self.folder, capture_output=True, check=False)


@contextlib.contextmanager
def builds(folder: Path, server: Server) -> Iterator[tuple[Build, Build]]:
    """The build before and that of this checkout."""
    then = folder / "before"
    for path in (then, folder / "bots-before", folder / "bots-now"):
        path.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", BEFORE], capture_output=True, check=False)
    if archive.returncode != 0:
        raise Missing(f"the history with {BEFORE} (a whole clone, not a shallow one)")
    subprocess.run(["tar", "-x", "-C", then], input=archive.stdout, check=True)
    made = [Build(then, folder / "bots-before", server), Build(ROOT, folder / "bots-now", server)]
    for build in made:  # neither shall compile itself, or a package, at each start
        end_all([until_it_runs(build.start(f"first-{build.folder.name}", *SHELL))])
        build.close()
    try:
        yield made[0], made[1]
    finally:
        made[1].close()


def until_it_runs(bot: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
    """The same bot, after its first instruction has written a line."""
    assert bot.stdout is not None
    if not bot.stdout.readline():
        raise RuntimeError(f"a bot did not start: exit status {bot.wait()}")
    return bot


def end_all(bots: list[subprocess.Popen[bytes]]) -> None:
    """SIGTERM, and wait."""
    for bot in bots:
        bot.terminate()
    for bot in bots:
        bot.wait()
        assert bot.stdout is not None
        bot.stdout.close()


@contextlib.contextmanager
def two_builds(lease: str) -> Iterator[tuple[Build, Build]]:
    """Both builds, with one new limiter for them."""
    with (
        servers.scratch() as folder,
        servers.limiter(folder, BOT_LEASE_SECONDS=lease) as server,
        builds(folder, server) as both,
    ):
        yield both
