"""docs/drills.md: which fault, how often, what it cost, when and on what machine."""

import os
import platform
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from drills.figures import Drill, Figure
from drills.plan import ELSEWHERE

PAGE = Path(__file__).resolve().parents[1] / "docs" / "drills.md"


@dataclass(slots=True)
class Outcome:
    """What came of one drill: its figures, or why there are none."""

    drill: Drill
    rounds: int
    figures: list[Figure] = field(default_factory=list)
    fault: str = ""
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether every promise was kept; a drill that could not run broke none."""
        return not self.fault.startswith("failed") and all(figure.holds for figure in self.figures)


def number(value: float) -> str:
    """Three significant digits; whole numbers as they are."""
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def lines(outcome: Outcome) -> Iterable[str]:
    """A section of the page."""
    drill = outcome.drill
    sign = "✔" if outcome.holds and outcome.figures else "✘" if not outcome.holds else "–"
    full = "" if outcome.rounds == drill.long else f" (the long form is {drill.long})"
    yield f"## {sign} {drill.fault[0].upper()}{drill.fault[1:]}"
    yield ""
    yield f"`python -m drills --only {drill.name}` · size {outcome.rounds}{full} · {outcome.seconds:.0f} s"
    yield ""
    if outcome.fault:
        yield outcome.fault
        yield ""
    if outcome.figures:
        yield "| figure | found | at most | |"
        yield "|---|---|---|---|"
    for figure in outcome.figures:
        most = "" if figure.most is None else f"{number(figure.most)} {figure.unit}".strip()
        verdict = "" if figure.most is None else "✔" if figure.holds else "✘"
        yield f"| {figure.title} | {number(figure.value)} {figure.unit} | {most} | {verdict} |".replace("  |", " |")
    yield ""


def markdown(outcomes: list[Outcome], load: float) -> str:
    """The page."""
    kept = sum(outcome.holds and bool(outcome.figures) for outcome in outcomes)
    page = [
        "# Drills",
        "",
        "Written by `make drill`; do not edit. Each drill breaks something under a real limiter and counts what it"
        " cost; the tests run the same code in a short form (tests/faults).",
        "",
        f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())} · {os.cpu_count()} cores, load average {load:.1f} before"
        f" and {os.getloadavg()[0]:.1f} after · {platform.system()} {platform.release()} ·"
        f" Python {platform.python_version()}, SQLite {sqlite3.sqlite_version} · {kept} of {len(outcomes)} drills held",
        "",
    ]
    for outcome in outcomes:
        page += lines(outcome)
    page += ["## Faults that only the tests make", "", "| fault | where |", "|---|---|"]
    page += [f"| {fault} | {where} |" for fault, where in ELSEWHERE]
    return "\n".join(page) + "\n"
