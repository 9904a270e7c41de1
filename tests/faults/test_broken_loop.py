"""A fault in the decision loop itself, which no rule, row or disk explains: the process ends and says so, and never
lives on without deciding, or on a state that the database does not have."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.conftest import ROOT, Limiter, refused, wait_until

EXIT_SECONDS = 10
# Read by Python at its start. The fault comes when the file is there.
PATCH = """
import os
from limiter.rules.state import State

begin = State.begin

def fails(self):
    if os.path.exists("fault"):
        raise MemoryError
    begin(self)

State.begin = fails
"""


def test_a_broken_loop_ends_the_process_and_nothing_that_was_told_is_lost(
    limiter: Callable[..., Limiter], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(PATCH)
    one = limiter(serve=False)
    one.set_env({"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    one.serve()
    bot = one.session("u1", "b1")
    (tmp_path / "fault").touch()
    with contextlib.suppress(httpx.TransportError):  # the reaper may have met it first
        refused(one.start("u2"), 503, "storage_unavailable")
    process = one.process
    assert process is not None
    wait_until(lambda: process.poll() is not None, EXIT_SECONDS, "exit")
    assert process.returncode == 1
    assert "decisions_broken" in one.log
    (tmp_path / "fault").unlink()
    one.restart(kill=True)
    assert one.beat(bot).status_code == 200
    assert one.capacity()["current_bots"] == 1
