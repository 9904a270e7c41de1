"""What a bot tells of its own process: unshared memory and CPU, not before there is something to tell."""

import subprocess
import sys

import pytest

from limiter.client.own_cost import ROLLUP, OwnCost
from limiter.processes import MEASURED_AFTER_SECONDS, MEASURED_EVERY_SECONDS, unshared_bytes

pytestmark = pytest.mark.skipif(not ROLLUP.exists(), reason="the kernel does not tell")

TELLS_GROWTH = """
from limiter.client.own_cost import OwnCost
import mmap, os
cost = OwnCost()
cost.begin(0)
before = cost.figures(100)["memory_bytes"]
held = bytearray(os.urandom(50 * 2**20))
shared = mmap.mmap(-1, 30 * 2**20)  # MAP_SHARED: not this process's alone
shared.write(os.urandom(30 * 2**20))
print(cost.figures(200)["memory_bytes"] - before)
"""


def test_nothing_is_told_in_the_first_minute_then_at_most_every_15_seconds() -> None:
    cost = OwnCost()
    cost.begin(1000)
    try:
        assert cost.figures(1000 + MEASURED_AFTER_SECONDS - 0.1) == {}
        told = cost.figures(1000 + MEASURED_AFTER_SECONDS)
        assert told["memory_bytes"] > 1_000_000
        assert 0 <= told["cpu_seconds"] < 60
        assert cost.figures(1000 + MEASURED_AFTER_SECONDS + MEASURED_EVERY_SECONDS - 0.1) == {}
        assert cost.figures(1000 + MEASURED_AFTER_SECONDS + MEASURED_EVERY_SECONDS)
    finally:
        cost.end()


def test_of_two_sessions_in_one_process_neither_tells() -> None:
    one, other = OwnCost(), OwnCost()
    one.begin(0)
    other.begin(0)
    assert (one.figures(100), other.figures(100)) == ({}, {})
    other.end()
    assert one.figures(100)
    one.end()
    assert one.figures(200) == {}


def test_memory_is_what_this_process_holds_alone() -> None:
    done = subprocess.run([sys.executable, "-c", TELLS_GROWTH], capture_output=True, text=True, check=True)
    assert 50 * 2**20 <= int(done.stdout) < 52 * 2**20


def test_swapped_pages_count_and_pages_of_files_do_not() -> None:
    rollup = b"1-2 ---p 0 0 0 [rollup]\n"
    rollup += b"Rss: 900 kB\nPss: 500 kB\nPss_Anon:             112 kB\nPss_File: 300 kB\nSwap: 99 kB\nSwapPss:  8 kB\n"
    assert unshared_bytes(rollup) == 120 * 1024
    assert unshared_bytes(rollup.replace(b"Pss_Anon", b"Private_Dirty")) == 120 * 1024  # before Linux 5.4
    assert unshared_bytes(b"") is None
