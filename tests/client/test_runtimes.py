"""Sessions in what real bots run on: forked workers, gevent, uvloop. Each is a program of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Limiter, new_user, served

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")

BOTS_PYTHON = Path(os.environ.get("LIMITER_TEST_BOTS", "/nowhere")) / "venv" / "bin" / "python"  # `.ci/run` makes one
FORKED_WORKERS = """
import multiprocessing, os, sys
from limiter.client import BotSession

def report(worker):
    ids = [f"{worker}-{number}" for number in range(20)]
    order = dict(symbol="BTC/USDT", side="buy", quantity=1, price=1)
    return ids == [bot.trade(**order, trade_id=one)["trade"]["trade_id"] for one in ids]

with BotSession(user_id=sys.argv[1]) as bot:
    bot.signal()  # a connection is open
    with multiprocessing.get_context("fork").Pool(3) as pool:
        theirs, ours = pool.map_async(report, range(3)), report(3)
        print(ours, *theirs.get(30))
    if os.fork() == 0:
        sys.exit(0)  # which leaves the block, in the child
    os.wait()
    print(bot.signal()["limit"])
"""
FORKED_WORKERS_OF_A_LOOP = """
import asyncio, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from limiter.client import AsyncBotSession

async def reports(worker):
    ids = [f"{worker}-{number}" for number in range(20)]
    order = dict(symbol="BTC/USDT", side="buy", quantity=1, price=1)
    return ids == [(await bot.trade(**order, trade_id=one))["trade"]["trade_id"] for one in ids]

def report(worker):
    same = asyncio.run(reports(worker))
    return same, asyncio.run(bot.stop())

async def main():
    global bot
    async with AsyncBotSession(user_id=sys.argv[1]) as bot:
        await bot.signal()
        with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
            theirs = asyncio.get_running_loop().run_in_executor(pool, report, 1)
            print(await reports(2), *await theirs)
        print((await bot.signal())["limit"])

asyncio.run(main())
"""
OPENED_BEFORE_THE_FORK = """
import os, sys
from limiter.client import BotSession, Refused

bot = BotSession(user_id=sys.argv[1])
entered, enter = os.pipe()
leave, parent_lives = os.pipe()
if os.fork() == 0:
    os.close(parent_lives)
    with bot:
        os.write(enter, b"!")
        os.read(leave, 1)
    sys.exit(0)
os.read(entered, 1)
try:
    bot.start()
except Refused as refused:
    print(refused.reason)
"""
GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent, sys, time
from limiter.client import BotSession

def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))

with BotSession(user_id=sys.argv[1]) as bot:
    waiter = gevent.spawn(bot.lost.wait)
    gevent.sleep(0)
    compute(6)  # for longer than the lease, in which no greenlet runs
    print(bot.lost.is_set(), *sorted(one.get()["limit"] for one in [gevent.spawn(bot.signal) for _ in range(3)]))
    print(bot.public_id, flush=True)  # for the test to end it
    print(waiter.get(timeout=10), bot.lost_because.reason)
"""
UVLOOP = """
import asyncio, sys, time, uvloop
from limiter.client import AsyncBotSession

async def main():
    async with AsyncBotSession(user_id=sys.argv[1]) as bot:
        waiter = asyncio.create_task(bot.lost.wait())
        await asyncio.sleep(0)
        time.sleep(6)
        print(bot.lost.is_set(), (await bot.signal())["limit"])
        print(bot.public_id, flush=True)
        print(await asyncio.wait_for(waiter, 10), bot.lost_because.reason)

uvloop.run(main())
"""


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """A limiter with the shortest lease: 5 s."""
    with served(Limiter(tmp_path_factory.mktemp("short"), {"BOT_LEASE_SECONDS": 5})) as one:
        yield one


def ran(limiter: Limiter, script: str, user: str) -> str:
    """What it prints."""
    done = subprocess.run(
        [sys.executable, "-c", script, user], env=limiter.env, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("script", "said"), [(FORKED_WORKERS, "True True True True"), (FORKED_WORKERS_OF_A_LOOP, "True True None")]
)
def test_forked_workers_report_by_their_copy_and_do_not_end_the_session(short: Limiter, script: str, said: str) -> None:
    user = new_user()
    assert ran(short, script, user) == f"{said}\n100\n"
    (row,) = short.listed(user_id=user)
    assert row["ended_reason"] == "stopped"


def test_a_session_that_is_entered_by_parent_and_child_is_two(short: Limiter) -> None:
    """The second has no place: with one Idempotency-Key it would have been taken for the first."""
    assert ran(short, OPENED_BEFORE_THE_FORK, new_user()) == "user_limit\n"


@pytest.mark.slow
def test_beats_go_on_while_greenlets_or_a_loop_may_not_run(short: Limiter) -> None:
    """Both at once, for each stands still for longer than a lease; greenlets where LIMITER_TEST_BOTS has gevent."""
    programs = [(Path(sys.executable), UVLOOP, "100"), (BOTS_PYTHON, GEVENT, "100 100 100")]
    if not BOTS_PYTHON.exists():
        assert "CI" not in os.environ
        programs.pop()
    bots = [
        subprocess.Popen(
            [python, "-W", "error", "-c", script, new_user()], env=short.env, stdout=subprocess.PIPE, text=True
        )
        for python, script, _ in programs
    ]
    try:
        for bot, (_, _, limits) in zip(bots, programs, strict=True):
            assert bot.stdout is not None
            assert bot.stdout.readline() == f"False {limits}\n"
            public_id = bot.stdout.readline().strip()
            short.admin("POST", f"/api/admin/sessions/{public_id}/stop", {"reason": "test"})
        for bot in bots:
            assert bot.communicate(timeout=20)[0] == "True session_ended\n"
            assert bot.returncode == 0
    finally:
        for bot in bots:
            bot.kill()
            bot.communicate()
