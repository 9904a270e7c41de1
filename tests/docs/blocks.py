"""The commands of a page of the docs, run as they stand, and what they must write.

A block marked `bash` is run; `bash terminal` goes on running until the page has ended, as in a terminal of its own.
A block marked `text` right behind one is what it must write: `…` stands for any text of a line, a line of `…` alone
for any lines.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """Some commands of a page: their line, whether they go on running, what they must write (None: anything)."""

    line: int
    text: str
    terminal: bool
    written: str | None

    def is_written_by(self, output: str) -> bool:
        """Whether this output is what the page says."""
        return self.written is None or _fit(self.written.splitlines(), output.splitlines())


def _fit(wanted: list[str], lines: list[str]) -> bool:
    """Whether the lines are those that are wanted; looked at one by one, for one expression would try for minutes."""
    if not wanted:
        return not lines
    if wanted[0] == "…":
        return any(_fit(wanted[1:], lines[skipped:]) for skipped in range(len(lines) + 1))
    return bool(lines) and re.fullmatch(_pattern(wanted[0]), lines[0]) is not None and _fit(wanted[1:], lines[1:])


def _pattern(line: str) -> str:
    """Spaces are as many as the columns are wide, which what `…` stands for decides."""
    return r"\s*".join(" *".join(map(re.escape, part.split(" "))) for part in line.split("…")).replace(r"\s*", ".*")


def blocks(page: Path) -> Iterator[Block]:
    """The commands of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        kind, marks, commands, written = found.groups()
        if kind == "bash":
            yield Block(text.count("\n", 0, found.start()) + 1, commands, "terminal" in marks, written)


class Terminal:
    """Commands that go on running, in a group of their own."""

    def __init__(self, commands: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            ["bash", "-c", commands], cwd=folder, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def close(self) -> None:
        """SIGTERM to all of them, as a terminal that is closed; SIGKILL to who does not go."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(15)
                return
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                break
        self.process.wait()


def run(commands: str, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit status of a shell that stops at the first failure, and what was written, errors too."""
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", commands], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=90, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout
