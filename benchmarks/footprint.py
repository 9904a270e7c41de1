"""`python -m benchmarks.footprint`: what all of ours holds and burns on a box with 50 wrapped bots, and nothing else.

The limiter, the console with tabs open in a real browser, and the agent. The browser belongs elsewhere and is not
counted, nor are the bots: each is a shell that sleeps. Memory is PSS, so that pages which processes share count once;
CPU time is that of the processes themselves, which other work on the machine moves little.
"""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click
import httpx
import psutil
from playwright.sync_api import sync_playwright

from benchmarks import inside, servers
from benchmarks.builds import SHELL, Build, end_all, until_it_runs
from benchmarks.report import number, place, stamp
from benchmarks.servers import Server
from benchmarks.tabs import CHROMIUM, PAGES
from limiter.store.retention import Retention
from limiter.units import HOUR_MS, MIB

PAGE = servers.ROOT / "docs/operating.md"
BOTS = 50
SETTLE_SECONDS, READ_SECONDS = 30, 120
SOUND = {"detail": "sound"}  # of an earlier build, which does not read it


def kept(path: Path) -> None:
    """A database with as much history as the settings keep, so that nothing of it is to be trimmed."""
    trimmed(inside.make(path, ended=20_000, snapshots=True))


def trimmed(path: Path) -> None:
    """Take out of the database what the limiter would trim, which takes its time."""
    oldest = inside.NOW - Retention().raw_hours * HOUR_MS
    with closing(sqlite3.connect(path)) as file:
        for table in ("snapshots", "refusal_counts"):
            file.execute(f"DELETE FROM {table} WHERE step = 5 AND at < ?", (oldest + HOUR_MS,))
        file.commit()
        file.execute("VACUUM")


def until_read(server: Server) -> None:
    """Until the limiter has read its database whole, which it does once after a start."""
    end = time.monotonic() + READ_SECONDS
    while httpx.get(f"{server.url}/api/admin/health").json()["checks"].get("integrity", SOUND)["detail"] != "sound":
        if time.monotonic() > end:
            raise SystemExit("the limiter has not read its database")
        time.sleep(1)


def whole(pid: int) -> list[psutil.Process]:
    """A process and what it started."""
    one = psutil.Process(pid)
    return [one, *one.children(recursive=True)]


def pss_mib(processes: Sequence[psutil.Process]) -> float:
    """What they hold, shared pages by halves, swap included."""
    return sum(one.memory_full_info().pss + one.memory_full_info().swap for one in processes) / MIB


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """CPU time so far."""
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def percents(parts: dict[str, list[psutil.Process]], seconds: float) -> dict[str, float]:
    """CPU time of each part over so many seconds, in percent of one core."""
    before, began = {name: cpu_seconds(part) for name, part in parts.items()}, time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    return {name: 100 * (cpu_seconds(part) - before[name]) / took for name, part in parts.items()}


def measure(folder: Path, server: Server, seconds: float) -> dict[str, tuple[float, float, float]]:
    """Of each part: MiB beside 50 bots and one tab, percent of a core with one tab, and with four."""
    build = Build(servers.ROOT, folder / "bots", server)
    build.folder.mkdir()
    bots = [until_it_runs(build.start(f"bot{number}", *SHELL)) for number in range(BOTS)]
    try:
        with servers.console(folder, server) as (console, link), sync_playwright() as playwright:
            chromium = servers.first_tool(CHROMIUM, "chromium")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            context = browser.new_context(locale="en-GB")
            for name in PAGES:
                tab = context.new_page()
                tab.goto(f"{link.partition('/sign-in')[0]}/{name}" if name else link)
                if not name:
                    tab.locator("button[type=submit]").click()  # looking at a link does not use it
                tab.locator(".st-key-status").first.wait_for(timeout=60_000)
                if not name:
                    time.sleep(SETTLE_SECONDS)
                    parts = {"limiter": whole(server.pid), "console": whole(console), "agent": build.ours(bots)}
                    held = {part: pss_mib(processes) for part, processes in parts.items()}
                    one = percents(parts, seconds)
            time.sleep(SETTLE_SECONDS)
            four = percents(parts, seconds)
            browser.close()
    finally:
        end_all(bots)
        build.close()
    return {name: (held[name], one[name], four[name]) for name in parts}


@click.command()
@click.option("--seconds", default=60.0, help="How long CPU time is counted, twice.")
def main(seconds: float) -> None:
    """Measure, print, and write the table into docs/operating.md: four minutes."""
    with servers.scratch() as folder:
        kept(folder / "limiter.db")
        with servers.limiter(folder, LIMITER_BACKUP_DIR="none") as server:
            until_read(server)
            found = measure(folder, server, seconds)
    found["all"] = tuple(map(sum, zip(*found.values(), strict=True)))  # type: ignore[assignment]
    lines = [
        f"| {BOTS} wrapped bots | memory, MiB | CPU, one tab | CPU, four tabs |",
        "|---|---|---|---|",
        *(f"| {name} | {number(mib)} | {one:.1f} % | {four:.1f} % |" for name, (mib, one, four) in found.items()),
        "",
        stamp(),
    ]
    click.echo("\n".join(lines))
    PAGE.write_text(place(PAGE.read_text(encoding="utf-8"), "footprint", "\n".join(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
