"""`python -m benchmarks.idle [REVISION …]`: what limiter and console burn while nothing happens but four tabs that
follow live, beside earlier builds of the history, in one run.

Each build has a limiter, a console, a database of its own and four tabs of one browser; all of them run at the same
time, and their CPU time is counted over the same seconds, so that a busy moment of the machine meets each. Playwright's
browser slows down no tab in the background: each of the four is counted as one that somebody looks at.

Promises: CPU time and memory (PSS) are those of limiter and console; the browser belongs elsewhere and is not counted.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import psutil
from playwright.sync_api import Browser, sync_playwright

from benchmarks import servers
from benchmarks.footprint import SETTLE_SECONDS, percents, pss_mib, trimmed, until_read, whole
from benchmarks.report import number, place, stamp
from benchmarks.tabs import CHROMIUM, PAGES

PAGE = servers.ROOT / "docs/operating.md"
FILL = (
    "import sys; from pathlib import Path; from benchmarks import inside;"
    " inside.make(Path(sys.argv[1]), ended=20_000, snapshots=True)"
)


@dataclass(frozen=True, slots=True)
class Idle:
    """Percent of a core that limiter and console took, and MiB that the console held with four tabs."""

    limiter: float
    console: float
    console_mib: float


def checkout(revision: str, folder: Path) -> Path:
    """The files of a revision of the history."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", servers.ROOT, "archive", revision], capture_output=True, check=False)
    if archive.returncode != 0:
        raise click.ClickException(f"the history has no {revision}")
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


@contextlib.contextmanager
def watched(browser: Browser, root: Path, folder: Path) -> Iterator[dict[str, list[psutil.Process]]]:
    """The processes of that build, on a history that nothing is trimmed of, while four tabs are open."""
    folder.mkdir()
    fill = [sys.executable, "-c", FILL, str(folder / "limiter.db")]
    subprocess.run(fill, env={"PYTHONPATH": str(root)}, cwd=folder, check=True)
    trimmed(folder / "limiter.db")
    with (
        servers.limiter(folder, root, LIMITER_BACKUP_DIR="none") as server,
        servers.console(folder, server, root) as (console, link),
    ):
        until_read(server)
        context = browser.new_context(locale="en-GB")
        for name in PAGES:
            tab = context.new_page()
            tab.goto(f"{link.partition('/sign-in')[0]}/{name}" if name else link)
            if not name and tab.locator("form button[type=submit]").count():  # earlier builds did not ask for a click
                tab.locator("button[type=submit]").click()
            tab.locator(".st-key-status, .lim-status").first.wait_for(timeout=120_000)
        yield {"limiter": whole(server.pid), "console": whole(console)}
        context.close()


def measure(folder: Path, roots: Sequence[Path], seconds: float) -> list[Idle]:
    """What each build took over the same seconds."""
    with sync_playwright() as playwright, contextlib.ExitStack() as stack:
        gentle = folder / "browser"  # what belongs on another machine shall take no time from what is measured
        gentle.write_text(f'#!/bin/sh\nexec nice -n 19 {servers.first_tool(CHROMIUM, "chromium")} "$@"\n')
        gentle.chmod(0o755)
        browser = playwright.chromium.launch(executable_path=gentle, args=["--no-sandbox"])
        stack.callback(browser.close)
        builds = [stack.enter_context(watched(browser, root, folder / f"of{n}")) for n, root in enumerate(roots)]
        time.sleep(SETTLE_SECONDS)
        parts = {f"{name} {n}": found for n, build in enumerate(builds) for name, found in build.items()}
        took = percents(parts, seconds)
        return [
            Idle(took[f"limiter {n}"], took[f"console {n}"], pss_mib(build["console"]))
            for n, build in enumerate(builds)
        ]


@click.command()
@click.argument("revisions", nargs=-1)
@click.option("--seconds", default=300.0, help="How long CPU time is counted.")
def main(revisions: Sequence[str], seconds: float) -> None:
    """Measure, print, and write the table into docs/operating.md: some seven minutes."""
    with servers.scratch() as folder:
        roots = [checkout(one, folder / f"build{n}") for n, one in enumerate(revisions)]
        found = dict(zip([*revisions, "this build"], measure(folder, [*roots, servers.ROOT], seconds), strict=True))
    now = found["this build"]
    lines = [
        f"| four tabs, {seconds:.0f} s | limiter | console | both | this build's of it | console's memory, MiB |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {one.limiter:.2f} % | {one.console:.2f} % | {one.limiter + one.console:.2f} %"
            f" | {(now.limiter + now.console) / (one.limiter + one.console):.2f} | {number(one.console_mib)} |"
            for name, one in found.items()
        ),
        "",
        stamp(),
    ]
    click.echo("\n".join(lines))
    PAGE.write_text(place(PAGE.read_text(encoding="utf-8"), "idle", "\n".join(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
