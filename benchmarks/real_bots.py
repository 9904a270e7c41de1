"""Twelve real bots under `run`: the memory that is told of them, against what the machine gains when they end."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks import servers
from benchmarks.builds import Build, until_it_runs
from benchmarks.over_http import Say
from benchmarks.servers import Missing

MB = 1e6
CANDLES = "candles = [[60_000.0 * i, 1.0 + i % 7, 2.0 + i % 5, 0.5, 1.5 + i % 11, 10.0 * i] for i in range(20_000)]"
WORK = """print(flush=True)
while True:
    mean = sum(candle[4] for candle in candles[-200:]) / 200
    time.sleep(1)
"""
ASYNC_BOT = f"""
import asyncio, ccxt.pro
async def main():
    exchange = ccxt.pro.binance()
    exchange.open()
    {CANDLES}
    print(flush=True)
    while True:
        mean = sum(candle[4] for candle in candles[-200:]) / 200
        await asyncio.sleep(1)
asyncio.run(main())
"""
PYTHON_BOTS = {
    "ccxt, sync": f"import ccxt, time\nexchange = ccxt.binance()\n{CANDLES}\n{WORK}",
    "ccxt, asyncio": ASYNC_BOT,
    "freqtrade": f"import time, freqtrade.freqtradebot, freqtrade.optimize.backtesting\n{CANDLES}\n{WORK}",
}
NODE_BOT = """
const ccxt = require('ccxt'), exchange = new ccxt.binance();
const candles = Array.from({length: 20000}, (_, i) => [60000 * i, 1 + i % 7, 2 + i % 5, 0.5, 1.5 + i % 11, 10 * i]);
console.log('');
setInterval(() => candles.slice(-200).reduce((sum, candle) => sum + candle[4], 0) / 200, 1000);
"""


def real_bots(real: Path) -> list[tuple[str, list[str]]]:
    """Twelve bots of what `real` holds: a virtual environment `venv` with ccxt and freqtrade, and `node_modules`."""
    python, found = str(real / "venv" / "bin" / "python"), list[tuple[str, list[str]]]()
    for name, script in PYTHON_BOTS.items():
        module = name.split(",")[0]
        if subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0:
            found.append((name, [python, "-c", script]))
    if (real / "node_modules" / "ccxt").is_dir():
        found.append(("ccxt, Node", [servers.tool("node", "nodejs"), "-e", NODE_BOT]))
    return found


def told_and_freed(build: Build, real: Path, say: Say) -> list[tuple[str, int, float, float, float]]:
    """By kind: how many bots, MB told for them all, RSS of them all, and MB that ending them gave back."""
    kinds = real_bots(real)
    if not kinds:
        raise Missing(f"ccxt, freqtrade or Node's ccxt in {real}")
    env = build.env | {"NODE_PATH": str(real / "node_modules")}
    bots = dict[str, list[subprocess.Popen[bytes]]]()
    for kind, command in kinds:
        for number in range(12 // len(kinds)):
            run = [sys.executable, "-m", "limiter", "run", "--user", f"real-{kind[-4:].strip()}-{number}", "--"]
            bot = subprocess.Popen([*run, *command], env=env, cwd=build.folder, stdout=subprocess.PIPE)
            bots.setdefault(kind, []).append(until_it_runs(bot))
    time.sleep(80)  # told from the 60th second on, each 15 s
    rows = []
    for kind, of_kind in bots.items():
        told = build.agent()
        assert told is not None
        pids = {bot.pid for bot in of_kind}
        memory = sum(bot["memory_bytes"] or 0 for bot in told["bots"] if bot["pid"] in pids) / MB
        rss = sum(psutil.Process(pid).memory_info().rss for pid in pids) / MB
        rows.append((kind, len(of_kind), memory, rss, gained_by_ending(of_kind)))
        say(f"wrapping: {kind}: told {memory:.0f} MB, RSS {rss:.0f}, freed {rows[-1][-1]:.0f}")
    return rows


def gained_by_ending(bots: list[subprocess.Popen[bytes]]) -> float:
    """MB that the machine can give to others when these are killed. Within a second, for others move it too."""
    before = available()
    for bot in bots:
        bot.kill()
    for bot in bots:
        bot.wait()
        assert bot.stdout is not None
        bot.stdout.close()
    time.sleep(0.5)
    return available() - before


def available() -> float:
    """MB that the machine could give to a new process: the median of five readings."""
    readings = []
    for _ in range(5):
        time.sleep(0.02)
        readings.append(psutil.virtual_memory().available / MB)
    return statistics.median(readings)


def real_table(rows: list[tuple[str, int, float, float, float]]) -> list[str]:
    """What was told of real bots against what ending them gave back."""
    head = ["| bots | | told, MB | given back, MB | told too much | RSS, MB |", "|---|---|---|---|---|---|"]
    rows = [*rows, ("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))]
    return head + [
        f"| {kind} | {each} | {told:.0f} | {gained:.0f} | {(told / gained - 1) * 100:+.1f} % | {rss:.0f} |"
        for kind, each, told, rss, gained in rows
    ]
