"""docs/benchmarks.md and docs/benchmarks.json: what was measured, when, on what, with which versions. Ratios first."""

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.figures import FIGURES, Figure
from benchmarks.over_http import Effort, Findings
from benchmarks.servers import PEERS_PYTHON, ROOT

DOCS = ROOT / "docs"
PACKAGES = ("starlette", "uvicorn", "uvloop", "httptools", "msgspec", "sqlalchemy")
PEERS = ("fastapi", "flask", "flask-sqlalchemy", "gunicorn", "pydantic", "redis", "uvicorn")
BAR = 30
SIGNS = {"goal": "✔ goal", "floor": "~ above the floor", "below": "✘ below the floor", "": ""}


def text_of(command: list[str]) -> str:
    """The first line that a program says; empty where there is none."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return next(iter((run.stdout or run.stderr).splitlines()), "")


def processor() -> str:
    """Its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def machine(effort: Effort) -> dict[str, Any]:
    """Where, when and with what."""
    import sqlite3

    peers = ""
    if PEERS_PYTHON.exists():
        show = "import importlib.metadata as m, sys; print(', '.join(f'{n} {m.version(n)}' for n in sys.argv[1:]))"
        peers = text_of([str(PEERS_PYTHON), "-c", show, *PEERS])
    return {
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": f"{os.cpu_count()} × {processor()}",
        "ram_gb": round(psutil.virtual_memory().total / 1024**3, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "load_generator": text_of(["wrk", "--version"]).partition(" [")[0],
        "peers": ", ".join(part for part in (peers, text_of(["redis-server", "--version"])[:22]) if part),
        "rounds": effort.rounds,
        "seconds": effort.seconds,
    }


def number(value: float) -> str:
    """Three significant digits; whole numbers as they are."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def grouped(value: int) -> str:
    """With spaces between the thousands."""
    return f"{value:,}".replace(",", " ")


def row(figure: Figure, value: float) -> str:
    """A line of the table."""
    goal, floor = (number(one) if one is not None else "" for one in (figure.goal, figure.floor))
    sign = SIGNS[figure.verdict(value)]
    return f"| {figure.title} | **{number(value)}** {figure.unit} | {goal} | {floor} | {sign} |"


def stamp() -> str:
    """When and where, in a line."""
    box = machine(Effort())
    return (
        f"{box['at']} · {box['processor']}, {box['ram_gb']} GB · Python {box['python']}, SQLite {box['sqlite']}"
        f" · load average {os.getloadavg()[0]:.1f}"
    )


def place(text: str, name: str, content: str) -> str:
    """A page with this content in its place of that name, which two comments mark."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the page has no place for {name}")
    return f"{before}{begin}{content}\n{end}{after}"


def chart(values: dict[str, float]) -> list[str]:
    """Bars of what is judged as a ratio of requests a second to the no-op's, the goal as a mark."""
    shown = [figure for figure in FIGURES if figure.unit == "of the no-op" and figure.name in values]
    if not shown:
        return []
    most = max(1.5, *(values[figure.name] for figure in shown))
    lines = []
    for figure in shown:
        bar = list(("█" * round(BAR * values[figure.name] / most)).ljust(BAR + 1))
        if figure.goal is not None:
            bar[min(BAR, round(BAR * figure.goal / most))] = "│"
        lines.append(f"{figure.title[:52]:52} {''.join(bar)} {values[figure.name]:.2f}")
    return ["```text", *lines, "```", "", "│ marks the goal; 1.00 is the no-op.", ""]


def markdown(found: Findings, box: dict[str, Any]) -> str:
    """The page."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. How it is measured, and how to run it: `python -m benchmarks --help`.",
        "",
        f"{box['at']} · {box['processor']}, {box['ram_gb']} GB, {box['system']} · Python {box['python']},"
        f" SQLite {box['sqlite']} · {box['packages']} · load generator {box['load_generator']}, one thread on the same"
        f" cores · {box['rounds']} rounds of {number(box['seconds'])} s in turn with the no-op, each on a fresh server"
        f" and an empty database after a warm-up · load average before {box['load_before']}",
        "",
        "The no-op is a Starlette POST that reads JSON and answers JSON, on uvicorn with httptools and uvloop. The"
        " limiter is whole: keys checked, bodies validated, request ids, metrics, `synchronous=FULL`, every start"
        " durable before its answer. Read ratios, not rates. What is below its goal, and why:"
        " [hot-path.md](hot-path.md).",
        "",
        "| figure | measured | goal | floor | |",
        "|---|---|---|---|---|",
        *(row(figure, found.values[figure.name]) for figure in FIGURES if figure.name in found.values),
        "",
        *chart(found.values),
    ]
    runs = {name: rounds for name, rounds in found.rounds.items() if rounds and "rate" in rounds[0]}
    if runs:
        lines += ["## Behind the ratios", "", "| run, clients | requests/s | p50 ms | p99 ms |", "|---|---|---|---|"]
        for name, rounds in runs.items():
            rate, p50, p99 = (median(one[key] for one in rounds) for key in ("rate", "p50_ms", "p99_ms"))
            lines.append(f"| {name} | {rate:.0f} | {p50:.2f} | {p99:.2f} |")
        lines.append("")
    if box["peers"]:
        lines += [f"Peers: {box['peers']}, Redis with `appendonly yes`, `appendfsync always`.", ""]
    lines += [f"- {note}" for note in found.notes]
    return "\n".join(lines).rstrip() + "\n"


def write(found: Findings, box: dict[str, Any], folder: Path = DOCS) -> Path:
    """Both files; the page's path."""
    folder.mkdir(exist_ok=True)
    kept = {"machine": box, "values": found.values, "rounds": found.rounds, "notes": found.notes}
    (folder / "benchmarks.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    page = folder / "benchmarks.md"
    page.write_text(markdown(found, box))
    return page
