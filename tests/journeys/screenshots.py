"""`python -m tests.journeys.screenshots`: the pictures of docs/images, taken of the demo while its bots go on."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import Page, sync_playwright

from tests.journeys.console_process import CHROMIUM, ROOT, SCRUBBED, free_port

IMAGES = ROOT / "docs" / "images"
DEMO_SECONDS = 600
CALM_SECONDS, CALM_PERCENT = 60, 60  # what the limiter shows of CPU is the mean of a minute
SETTLE_MS = 3_000
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PICTURES = {
    "overview": "",
    "sessions": "sessions",
    "alerts": "alerts?state=resolved",
    "history": "history?range=7d",
    "usage": "usage",
    "sizing": "sizing",
    "limits": "limits",
    "launch": "launch",
    "settings": "settings?tab=box",
}


def open_demo(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Four weeks of history and the console on it; its one-time link."""
    log = folder / "demo.log"
    env = {name: value for name, value in os.environ.items() if not name.startswith(SCRUBBED)}
    env |= {"LIMITER_CONSOLE_PORT": str(free_port()), "LIMITER_PORT": str(free_port()), "PYTHONUNBUFFERED": "1"}
    command = [
        sys.executable,
        "-m",
        "limiter",
        "demo",
        "--database-url",
        f"sqlite:///{folder / 'limiter.db'}",
        "--open",
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT)
    end = time.monotonic() + DEMO_SECONDS
    while "link=" not in (text := log.read_text(errors="replace")):
        if process.poll() is not None or time.monotonic() > end:
            raise SystemExit(text)
        time.sleep(0.5)
    return process, next(word for word in text.split() if "link=" in word)


def wait_until_calm() -> None:
    """A picture shall show the demo's load and not that of a build beside it; five minutes at most."""
    end = time.monotonic() + DEMO_SECONDS / 2
    calm_since = time.monotonic()
    while time.monotonic() - calm_since < CALM_SECONDS and time.monotonic() < end:
        if psutil.cpu_percent(interval=5) > CALM_PERCENT:
            calm_since = time.monotonic()


def settle(page: Page, url: str) -> None:
    """Go there and wait until all is drawn."""
    page.goto(url)
    page.locator(".st-key-status").first.wait_for(timeout=60_000)
    page.locator("[data-test-script-state=notRunning]").wait_for(timeout=60_000)
    page.wait_for_timeout(SETTLE_MS)


def main() -> None:
    """Take them all."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        process, link = open_demo(Path(folder))
        try:
            base = link.split("/sign-in")[0]
            wait_until_calm()
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            context = browser.new_context(viewport=WIDE, locale="en-US", timezone_id="Europe/Paris")  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(link)
            page.locator("button[type=submit]").click()  # looking at a link does not use it
            page.locator(".st-key-status").first.wait_for(timeout=60_000)
            for name, path in PICTURES.items():
                settle(page, f"{base}/{path}")
                page.screenshot(path=IMAGES / f"{name}.png")
            settle(page, f"{base}/?lang=fr")
            page.screenshot(path=IMAGES / "overview.fr.png")
            page.emulate_media(color_scheme="dark")
            settle(page, f"{base}/history?range=7d")
            page.screenshot(path=IMAGES / "history.dark.png")
            page.emulate_media(color_scheme="light")
            page.set_viewport_size(PHONE)  # type: ignore[arg-type]
            settle(page, f"{base}/")
            page.screenshot(path=IMAGES / "overview.phone.png")
            browser.close()
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
