"""Programs of others, started on free ports for as long as a test needs them."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import wait_until
from tests.journeys.console_process import free_port

__all__ = ["free_port", "ran", "running", "wanted"]


def wanted(name: str, package: str) -> str:
    """Where the program is. Where it is not, the test is skipped, but in CI, which installs it."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/nagios/plugins")
    if path is None and os.environ.get("CI"):
        pytest.fail(f"{name} is not installed (Debian package: {package})")
    if path is None:
        pytest.skip(f"{name} is not installed (Debian package: {package})")
    return path


def ran(*command: str | Path, cwd: Path | None = None, status: int = 0) -> str:
    """What a program says that has to end with that status."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@contextlib.contextmanager
def running(folder: Path, port: int, *command: str | Path, **env: str) -> Iterator[Path]:
    """A server that listens on the port while the block runs; gives the file of what it says."""
    log = folder / f"{port}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )  # fmt: skip

    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    try:
        wait_until(listens, 20, str(command[0]))
        yield log
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
