"""A shell completes the command's words, as docs/operating.md says how: each by the shell itself."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

TYPED = {
    "limiter li": {"limits"},
    "limiter limits ": {"get", "set", "history", "rollback"},
    "limiter sessions list --st": {"--status"},
    "limiter sessions list --status a": {"active", "all"},
    "limiter run --on": {"--on-lost"},
}
ESCAPES = re.compile(r"\x1b\[[?\d;]*[a-zA-Z]")


def needs(shell: str) -> None:
    """Skip where it is not installed; in CI it must be."""
    if shutil.which(shell) is None and "CI" not in os.environ:
        pytest.skip(f"{shell} is not installed")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Where `limiter` is a command, and its help is French."""
    command = tmp_path / "limiter"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m limiter "$@"\n')
    command.chmod(0o755)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("LIMITER_")}
    path = f"{tmp_path}:{kept['PATH']}"
    return kept | {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "TERM": "dumb"}


def written(*command: str, environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def test_bash(environment: dict[str, str]) -> None:
    """By the function that it calls, for all that was typed at once."""
    program = "source <(_LIMITER_COMPLETE=bash_source limiter)\n"
    for typed in TYPED:
        program += f"""COMP_WORDS=({typed}) COMP_CWORD={len(typed.split(" ")) - 1}
        _limiter_completion limiter; printf '%s ' "${{COMPREPLY[@]}}"; echo\n"""
    lines = written("bash", "-c", program, environment=environment).splitlines()
    for offered, line in zip(TYPED.values(), lines, strict=True):
        assert set(line.split()) >= offered, line


def test_fish(environment: dict[str, str]) -> None:
    """As `complete --do-complete` tells it: a word and its help, commas and all."""
    needs("fish")
    program = "_LIMITER_COMPLETE=fish_source limiter | source\n"
    program += "".join(f"complete --do-complete '{typed}'; echo --\n" for typed in TYPED)
    said = written("fish", "--no-config", "-c", program, environment=environment).split("--\n")
    for offered, told in zip(TYPED.values(), said, strict=False):
        assert {line.partition("\t")[0] for line in told.splitlines()} >= offered, told
    assert "limits\tLes limites en vigueur : lire, régler" in said[0]


def test_zsh(environment: dict[str, str]) -> None:
    """By Tab in a terminal."""
    needs("zsh")
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment | {"PS1": "> "})
    try:
        load = "autoload -Uz compinit; compinit -u -D; source <(_LIMITER_COMPLETE=zsh_source limiter); echo rea''dy"
        os.write(terminal, f"{load}\n".encode())
        read_until(terminal, {"ready"})
        for typed, offered in TYPED.items():
            os.write(terminal, typed.encode() + b"\t")
            read_until(terminal, offered)
            os.write(terminal, b"\x15")  # Ctrl-U: an empty line again
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)


def read_until(terminal: int, words: set[str]) -> None:
    """What comes, until all of the words have."""
    seen, end = "", time.monotonic() + 30
    while not words <= set(ESCAPES.sub(" ", seen).split()):
        assert time.monotonic() < end, (words, seen)
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")
