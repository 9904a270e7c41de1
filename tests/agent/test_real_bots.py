"""Real bots behind `run`: ccxt, sync and asyncio, freqtrade, Node. None of them is told that it stands in a slot.

LIMITER_TEST_BOTS names a folder with them, as `python -m benchmarks wrapping --real` takes it: a virtual environment
`venv` with ccxt and freqtrade, and ccxt for Node in `node_modules` where it is to be had. `.ci/run` makes one.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.agent.conftest import Bot, Bots, all_of
from tests.conftest import Limiter, wait_until

pytestmark = pytest.mark.alone

FOLDER = Path(os.environ.get("LIMITER_TEST_BOTS", "/nowhere"))
PYTHON = FOLDER / "venv" / "bin" / "python"
CANDLES = "candles = [[60_000.0 * i, 1.0 + i % 7, 2.0 + i % 5, 0.5, 1.5 + i % 11, 10.0 * i] for i in range(20_000)]"
SYNC = f"""
import ccxt, os, signal, sys, time
def heard(number, frame):
    print(signal.Signals(number).name, file=open("heard", "a"))
    sys.exit(0)
signal.signal(signal.SIGTERM, heard)
exchange = ccxt.binance()
{CANDLES}
open("up", "w").close()
while True:
    mean = sum(candle[4] for candle in candles[-200:]) / 200
    time.sleep(0.2)
"""
ASYNC = f"""
import asyncio, ccxt.pro, signal
async def main():
    exchange, over = ccxt.pro.binance(), asyncio.Event()
    def heard():
        print("SIGTERM", file=open("heard", "a"))
        over.set()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard)
    exchange.open()
    {CANDLES}
    open("up", "w").close()
    await over.wait()
    await exchange.close()
asyncio.run(main())
"""
NODE = """
const fs = require("fs");
let exchange = null;
try {
  exchange = new (require("ccxt").binance)();
} catch (error) {
  if (error.code !== "MODULE_NOT_FOUND") throw error;
}
const candles = Array.from({length: 100000}, (_, i) => [60000 * i, 1 + i % 7, 2 + i % 5, 0.5, 1.5 + i % 11, 10 * i]);
process.on("SIGTERM", () => { fs.appendFileSync("heard", "SIGTERM\\n"); process.exit(0); });
fs.writeFileSync("up", "");
setInterval(() => candles.slice(-200).reduce((sum, candle) => sum + candle[4], 0) / 200, 200);
"""
STRATEGY = """
from freqtrade.strategy import IStrategy
class Mine(IStrategy):
    INTERFACE_VERSION, timeframe, minimal_roi, stoploss = 3, "5m", {"0": 0.1}, -0.1
    def populate_indicators(self, dataframe, metadata): return dataframe
    def populate_entry_trend(self, dataframe, metadata): return dataframe
    def populate_exit_trend(self, dataframe, metadata): return dataframe
"""
NO_WAY_OUT = {"httpsProxy": "http://127.0.0.1:9"}  # it says that it cannot load markets, and stays: docs/bots.md
PRICING = {"price_side": "same", "use_order_book": True, "order_book_top": 1}
FREQTRADE = {
    "max_open_trades": 3, "stake_currency": "USDT", "stake_amount": 10, "dry_run": True, "dry_run_wallet": 1000,
    "pairlists": [{"method": "StaticPairList"}], "initial_state": "running", "entry_pricing": PRICING,
    "exit_pricing": PRICING, "exchange": {
        "name": "binance", "key": "", "secret": "", "pair_whitelist": ["BTC/USDT"], "pair_blacklist": [],
        "ccxt_config": NO_WAY_OUT, "ccxt_async_config": NO_WAY_OUT,
    },
}  # fmt: skip
HALF_A_TENTH = 0.05
"""The list tells tenths: of a Node bot that came up in 0.14 s of CPU it tells 0.1 until that has used 0.15."""
KINDS = ["ccxt", "ccxt asyncio", "freqtrade", "node"]


def scripts(folder: Path) -> dict[str, str]:
    """The shell line that becomes each bot; `folder` holds what they read."""
    for name, text in (
        ("sync.py", SYNC),
        ("async.py", ASYNC),
        ("bot.js", NODE),
        ("config.json", json.dumps(FREQTRADE)),
    ):
        (folder / name).write_text(text)
    (folder / "user" / "strategies").mkdir(parents=True)
    (folder / "user" / "strategies" / "mine.py").write_text(STRATEGY)
    trade = f"trade --config {folder}/config.json --userdir {folder}/user --strategy Mine --db-url sqlite:// > log 2>&1"
    return {
        "ccxt": f"exec {PYTHON} {folder}/sync.py",
        "ccxt asyncio": f"exec {PYTHON} {folder}/async.py",
        "freqtrade": f"exec {PYTHON.parent}/freqtrade {trade}",
        "node": f"NODE_PATH={FOLDER}/node_modules exec node {folder}/bot.js",
    }


def is_up(bot: Bot) -> bool:
    assert bot.process.poll() is None, bot.end()
    log = bot.folder / "log"
    return (bot.folder / "up").exists() or (log.exists() and "therefore cannot start" in log.read_text())


def is_gone(bot: Bot) -> bool:
    return not bot.holds_a_slot and not all_of(bot)


def heard(bot: Bot) -> list[str]:
    """The signals that it was told of; freqtrade writes none down, but a traceback for each."""
    log = bot.folder / "log"
    return (
        (bot.folder / "heard").read_text().split()
        if not log.exists()
        else ["SIGTERM"] * log.read_text().count("term_handler\n")
    )


class Fleet:
    """One bot of each kind, up, and told of."""

    def __init__(self, bots: Bots, folder: Path, kinds: list[str]) -> None:
        self.bots, made = bots, scripts(folder)
        self.of = {kind: Bot(bots, made[kind]) for kind in kinds}
        for kind, bot in self.of.items():
            wait_until(partial(is_up, bot), 100, f"{kind} is up")
        came_up = {bot.user: psutil.Process(bot.process.pid).cpu_times() for bot in self.of.values()}
        self.cpu_seconds = {user: times.user + times.system for user, times in came_up.items()}
        try:
            wait_until(self._all_told, 60)  # freqtrade imports for long
        except AssertionError:
            rows = [self.row(bot) for bot in self.of.values()]
            pytest.fail(f"what each costs is not told: had {self.cpu_seconds}, told {rows}, agent {bots.status()}")

    def _all_told(self) -> bool:
        """Whether the session list knows of each what it was when it had come up."""
        rows = {bot.user: self.row(bot) for bot in self.of.values()}
        return all(
            row["memory_mb"] and (row["cpu_seconds"] or 0) >= 0.9 * self.cpu_seconds[user] - HALF_A_TENTH
            for user, row in rows.items()
        )

    def close(self) -> None:
        for bot in self.of.values():
            if bot.process.returncode is None:
                bot.end()

    def row(self, bot: Bot) -> Any:
        (row,) = self.bots.limiter.listed(user_id=bot.user)
        return row


FLEETS = {"group": KINDS, "tree": ["ccxt", "node"]}
"""By the way that the agent knows them by; where no control groups may be made, both are by the tree."""


@pytest.fixture(scope="module", params=FLEETS)
def fleet(
    request: pytest.FixtureRequest, shared_limiter: Limiter, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    if not PYTHON.exists() or shutil.which("node") is None:
        assert "CI" not in os.environ
        pytest.skip("LIMITER_TEST_BOTS names no folder with ccxt and freqtrade, or there is no Node")
    folder = tmp_path_factory.mktemp(f"real-{request.param}")
    bots, one = Bots(folder, request.param, limiter=shared_limiter), None
    try:
        bots.agent(*(["--no-groups"] * (request.param == "tree")), "--measure-after", "1", "--measure-every", "1")
        one = Fleet(bots, folder, FLEETS[request.param])
        yield one
    finally:
        bots.close()
        if one is not None:
            one.close()


@pytest.mark.slow
def test_its_processes_are_counted_and_each_is_the_bot_itself(fleet: Fleet) -> None:
    told = {row["user_id"]: row for row in fleet.bots.status()["bots"]}
    for kind, bot in fleet.of.items():
        process = psutil.Process(bot.process.pid)
        assert bot.noted() == bot.process.pid, kind
        assert told[bot.user]["processes"] == 1 + len(process.children(recursive=True)), kind
        assert bot.holds_a_slot


@pytest.mark.slow
def test_the_session_list_tells_memory_and_cpu_within_a_tenth_of_the_kernels_own_count(fleet: Fleet) -> None:
    """Memory as the kernel has it map by map; what ending them frees, `python -m benchmarks wrapping` measures."""
    for kind, bot in fleet.of.items():
        process, row = psutil.Process(bot.process.pid), fleet.row(bot)
        held = sum(one.anonymous + one.swap for one in process.memory_maps())
        assert row["memory_mb"] == pytest.approx(held / 1024**2, rel=0.1), kind
        times = process.cpu_times()
        assert row["cpu_seconds"] == pytest.approx(times.user + times.system, rel=0.1, abs=0.1), kind


@pytest.mark.slow
def test_its_end_is_heard_once_and_gives_the_slot_back(fleet: Fleet) -> None:
    for bot in fleet.of.values():
        if fleet.bots.way == "tree":
            fleet.bots.stop_by_admin(bot.user)
        else:
            bot.process.send_signal(signal.SIGTERM)
    for kind, bot in fleet.of.items():
        wait_until(partial(is_gone, bot), 12, f"all of {kind} ends")
        assert heard(bot) == ["SIGTERM"], kind
        bot.end()
