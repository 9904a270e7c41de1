"""The console beside the limiter: four tabs of a real browser redraw while the limiter is under load.

The browser belongs on another machine; here it runs on the same cores, at the lowest priority.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import inside, servers
from benchmarks.load import REPLACE, drive
from benchmarks.memory import resident
from benchmarks.over_http import Effort, Findings, Say, ask_alive
from benchmarks.servers import Missing, Server

BOTS = 200
PAGES = ("", "history", "sessions", "usage")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def watched(link: str, folder: Path) -> Iterator[None]:
    """Four signed-in tabs that follow live."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise Missing("playwright is not installed (requirements-dev.txt)") from error
    gentle = folder / "browser"  # from its first process on: a priority given later reaches no thread that is there
    gentle.write_text(f'#!/bin/sh\nexec nice -n 19 {servers.first_tool(CHROMIUM, "chromium")} "$@"\n')
    gentle.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=gentle, args=["--no-sandbox"])
        try:
            context = browser.new_context(locale="en-GB")
            for name in PAGES:
                tab = context.new_page()
                tab.goto(link if not name else f"{link.partition('/sign-in')[0]}/{name}")
                if not name:
                    tab.locator("button[type=submit]").click()  # looking at a link does not use it
                tab.locator(".st-key-status").first.wait_for(timeout=60_000)
            yield
        finally:
            browser.close()


def probe(server: Server, users: Path, effort: Effort, say: Say) -> float:
    """The p99 in ms of /livez while 64 clients start bots; the median of the rounds.

    Each start replaces a bot, so that the tabs show some hundred bots and not the hundred thousand of a load.
    """
    taken = []
    for number in range(effort.rounds):
        seconds = effort.warm_up + effort.seconds
        load = threading.Thread(target=drive, args=(server, 64, seconds, REPLACE), kwargs={"names": users})
        load.start()
        time.sleep(effort.warm_up)
        taken.append(ask_alive(server, effort.seconds - 0.5))
        load.join()
        say(f"tabs, round {number + 1}: p99 {taken[-1]:.1f} ms")
    return statistics.median(taken)


def tabs(found: Findings, effort: Effort, say: Say) -> None:
    """How late the event loop is under load, without and with four tabs; what the console keeps after five minutes."""
    with servers.scratch() as folder:
        users = folder / "users"
        users.write_text("".join(f"watched{number}\n" for number in range(BOTS)))
        inside.make(folder / "limiter.db", ended=20_000, active=150, snapshots=True)
        with servers.limiter(folder) as server, servers.console(folder, server) as (console, link):
            before = probe(server, users, effort, say)
            with watched(link, folder):
                began = time.monotonic()
                found.values["probe_tabs"] = probe(server, users, effort, say)
                time.sleep(max(0.0, began + effort.watched_seconds - time.monotonic()))
                found.values["console_mb"] = resident(console)
    found.notes.append(
        f"tabs: {', '.join(f'/{name}' for name in PAGES)}, live for {effort.watched_seconds:.0f} s; the p99 of /livez"
        f" under the same load without them was {before:.1f} ms"
    )
    say(f"console: {found.values['console_mb']:.0f} MB")


CASES: dict[str, Callable[[Findings, Effort, Say], None]] = {"tabs": tabs}
