"""`python -m benchmarks.pages`: seconds from an address to the last chart drawn, and what four tabs keep in memory.

The database has 90 days of samples (1.55 million at 5 s: more than the default keeps) and a million ended sessions.
A first visit of each page is not counted: it imports and fills caches; `--seconds` is how long the tabs stay open.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import click
from playwright.sync_api import Page, sync_playwright

from benchmarks import inside, servers
from benchmarks.memory import resident
from benchmarks.tabs import CHROMIUM, PAGES

TIMES = 5
PATIENCE = 60.0
VIEWS = (  # title, path, charts
    ("Overview", "", 1),
    ("Sessions", "sessions", 0),
    ("Alerts", "alerts", 0),
    ("Capacity history", "history", 3),
    ("Capacity history, 90 days", "history?range=90d", 3),
    ("Usage patterns", "usage", 4),
    ("Usage patterns, 90 days", "usage?days=90", 4),
    ("Usage patterns, 90 days, one hour of the week", "usage?days=90&cell=mon-18", 4),
    ("Limits", "limits", 0),
    ("Launch", "launch", 0),
    ("Settings", "settings", 0),
    ("Settings, this box", "settings?tab=box", 0),
)
DRAWN = """charts => document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]')
    && !document.querySelector('[data-testid=stSkeleton]')
    && document.querySelectorAll('[data-testid=stVegaLiteChart] .marks, [data-testid=stVegaLiteChart] canvas,'
        + ' [data-testid=stVegaLiteChart] svg').length >= charts
    && document.querySelector('h1, h2, [data-testid=stVegaLiteChart]')"""


def sign_in(tab: Page, link: str) -> None:
    """Use the link."""
    tab.goto(link)
    tab.locator("button[type=submit]").click()  # looking at a link does not use it


def seconds(tab: Page, address: str, charts: int) -> float:
    """From the address to the last chart drawn."""
    began = time.perf_counter()
    tab.goto(address)
    while not tab.evaluate(DRAWN, charts):  # `wait_for_function` needs the `unsafe-eval` that the console forbids
        tab.wait_for_timeout(20)
        if time.perf_counter() - began > PATIENCE:
            raise SystemExit(f"{address} is not drawn after {PATIENCE:.0f} s")
    return time.perf_counter() - began


def row(title: str, taken: Sequence[float]) -> str:
    """Best, middle and worst of a page."""
    first, middle, last = min(taken), statistics.median(taken), max(taken)
    return f"| {title} | {first:.2f} – {middle:.2f} – {last:.2f} |"


@click.command()
@click.option("--seconds", "watched", default=300, help="How long four tabs stay open.")
@click.option("--ended", default=1_000_000, help="Ended sessions in the database.")
@click.option("--snapshots/--no-snapshots", default=True)
def main(watched: int, ended: int, snapshots: bool) -> None:
    """Measure both and print them."""
    with servers.scratch() as folder, sync_playwright() as playwright:
        inside.make(folder / "limiter.db", ended=ended, active=150, snapshots=snapshots)
        chromium = servers.first_tool(CHROMIUM, "chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with servers.limiter(folder) as server, servers.console(folder, server) as (console, link):
            base = link.partition("/sign-in")[0]
            context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
            click.echo(f"console at its start: {resident(console):.0f} MB")
            tab = context.new_page()
            sign_in(tab, link)
            tab.locator(".stMainBlockContainer").first.wait_for(timeout=60_000)
            click.echo("| page | seconds |\n|---|---|")
            for title, path, charts in VIEWS:
                first = seconds(tab, f"{base}/{path}", charts)
                taken = [seconds(tab, f"{base}/{path}", charts) for _ in range(TIMES)]
                click.echo(f"{row(title, taken)} first {first:.2f}")
            click.echo(f"console after them: {resident(console):.0f} MB")
            tab.close()
        with servers.limiter(folder) as server, servers.console(_fresh(folder), server) as (console, link):
            tabs = [context.new_page() for _ in PAGES]
            for one, name in zip(tabs, PAGES, strict=True):
                if name:
                    one.goto(f"{link.partition('/sign-in')[0]}/{name}")
                else:
                    sign_in(one, link)
                one.locator(".stMainBlockContainer").first.wait_for(timeout=60_000)
            end, most = time.monotonic() + watched, 0.0
            while time.monotonic() < end:
                most = max(most, resident(console))
                time.sleep(1)
            click.echo(f"four tabs for {watched} s: {resident(console):.0f} MB, at most {most:.0f} MB")
        browser.close()


def _fresh(folder: Path) -> Path:
    """The same database in a folder whose console has not logged yet."""
    fresh = folder / "second"
    fresh.mkdir()
    for name in ("limiter.db", "admin.key"):
        if (folder / name).exists():
            (fresh / name).symlink_to(folder / name)
    return fresh


if __name__ == "__main__":
    main()
