"""docs/faults.md: which fault, how often, what it cost, when and on what machine.

Derived from docs/faults.json, which has the last outcome of each fault: one that takes an hour is not done again for
another's sake.
"""

import json
import os
import platform
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from faults.figures import Fault, Figure
from faults.plan import ELSEWHERE, FAULTS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "faults.md"


@dataclass(slots=True)
class Outcome:
    """What came of one fault: its figures, or why there are none; when, and under which load of the machine."""

    fault: Fault
    rounds: int
    figures: list[Figure] = field(default_factory=list)
    broke: str = ""
    seconds: float = 0.0
    at: str = ""
    machine: str = ""

    @property
    def holds(self) -> bool:
        """Whether every promise was kept; a fault that could not run broke none."""
        return not self.broke.startswith("failed") and all(figure.holds for figure in self.figures)


def now() -> str:
    """As the page writes it."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def machine(load_before: float) -> str:
    """What it was done on, and how busy that was."""
    return (
        f"{os.cpu_count()} cores, load average {load_before:.1f} before and {os.getloadavg()[0]:.1f} after ·"
        f" {platform.system()} {platform.release()} ·"
        f" Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )


def number(value: float) -> str:
    """Three significant digits; whole numbers as they are."""
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def lines(outcome: Outcome) -> Iterable[str]:
    """A section of the page."""
    fault = outcome.fault
    sign = "✔" if outcome.holds and outcome.figures else "✘" if not outcome.holds else "–"
    full = "" if outcome.rounds == fault.long else f" (the long form is {fault.long})"
    yield f"## {sign} {fault.what[0].upper()}{fault.what[1:]}"
    yield ""
    yield f"`python -m faults --only {fault.name}` · size {outcome.rounds}{full} · {outcome.seconds:.0f} s"
    yield ""
    yield f"{outcome.at} · {outcome.machine}"
    yield ""
    if outcome.broke:
        yield outcome.broke
        yield ""
    if outcome.figures:
        yield "| figure | found | at most | |"
        yield "|---|---|---|---|"
    for figure in outcome.figures:
        most = "" if figure.most is None else f"{number(figure.most)} {figure.unit}".strip()
        verdict = "" if figure.most is None else "✔" if figure.holds else "✘"
        yield f"| {figure.title} | {number(figure.value)} {figure.unit} | {most} | {verdict} |".replace("  |", " |")
    yield ""


def markdown(outcomes: Iterable[Outcome]) -> str:
    """The page."""
    shown = list(outcomes)
    kept = sum(outcome.holds and bool(outcome.figures) for outcome in shown)
    page = [
        "# Faults",
        "",
        "Written by `make drill`; do not edit. Each fault breaks something under a real limiter and counts what it"
        " cost; the tests run the same code in a short form (tests/faults). A figure without a limit is shown, not"
        " judged.",
        "",
        f"{kept} of {len(shown)} faults held.",
        "",
    ]
    for outcome in shown:
        page += lines(outcome)
    page += ["## Faults that only the tests make", "", "| fault | where |", "|---|---|"]
    page += [f"| {what} | {where} |" for what, where in ELSEWHERE]
    return "\n".join(page) + "\n"


def keep(outcome: Outcome, page: Path) -> None:
    """Put it in the place of the last one of its fault, and write the page anew."""
    data = page.with_suffix(".json")
    kept = json.loads(data.read_text(encoding="utf-8")) if data.exists() else {}
    kept[outcome.fault.name] = {name: value for name, value in asdict(outcome).items() if name != "fault"}
    data.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    page.write_text(derived(page), encoding="utf-8")


def derived(page: Path) -> str:
    """The page as its data wants it."""
    kept = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    return markdown(_outcome(fault, kept[fault.name]) for fault in FAULTS if fault.name in kept)


def _outcome(fault: Fault, row: dict[str, Any]) -> Outcome:
    return Outcome(fault, **row | {"figures": [Figure(**figure) for figure in row["figures"]]})
