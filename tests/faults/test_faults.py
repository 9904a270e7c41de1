"""Every fault in its short form: what `make drill` does at length, with the same code and the same promises.

Without one of their own: `kill` (tests/journeys/test_kill.py), `several` (tests/journeys/test_several.py) and `stall`
(tests/jobs/test_sampler.py)."""

import random
from pathlib import Path

import pytest

from faults.figures import Fault, Figure, Missing
from faults.plan import FAULTS
from faults.power import left, operations
from faults.report import PAGE, Outcome, derived, keep, markdown

SLACK = 3  # on durations: tests share their machine


def holds(figure: Figure) -> bool:
    """Whether the promise was kept, with slack on durations."""
    is_duration = figure.most is not None and figure.unit in ("s", "ms")
    return figure.holds or (is_duration and figure.value <= SLACK * (figure.most or 0))


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.short], ids=lambda fault: fault.name)
def test_short_form(fault: Fault, tmp_path: Path) -> None:
    try:
        figures = list(fault.run(tmp_path, fault.short))
    except Missing as missing:
        pytest.skip(str(missing))
    assert not [figure for figure in figures if not holds(figure)]


def test_the_page_says_what_broke_and_what_could_not_run() -> None:
    fault = Fault("flood", "water", lambda folder, rounds: (), 1, 10)
    kept = Outcome(fault, 10, [Figure("lost", 0, 0), Figure("slowest", 1.25, 2, "s"), Figure("rounds", 10)])
    broken = Outcome(fault, 5, [Figure("lost", 3, 0)], at="2026-01-01 12:00 UTC")
    skipped, failed = Outcome(fault, 5, broke="not run: no water"), Outcome(fault, 5, broke="failed: OSError: wet")
    assert [one.holds for one in (kept, broken, skipped, failed)] == [True, False, True, False]
    page = markdown([kept, broken, skipped, failed])
    assert "1 of 4 faults held" in page
    assert "| slowest | 1.25 s | 2 s | ✔ |" in page
    assert "| lost | 3 | 0 | ✘ |" in page
    assert "size 5 (the long form is 10)" in page and "2026-01-01 12:00 UTC" in page
    assert "## – Water" in page and "not run: no water" in page


def test_the_page_keeps_the_last_outcome_of_each_fault(tmp_path: Path) -> None:
    page = tmp_path / "faults.md"
    first, second = FAULTS[:2]
    for outcome in (
        Outcome(first, 1, [Figure("lost", 1, 0)]),
        Outcome(second, 1, [Figure("slowest", 0.5, 2, "s")]),
        Outcome(first, 1, [Figure("lost", 0, 0)]),
    ):
        keep(outcome, page)
    text = page.read_text()
    assert "2 of 2 faults held" in text and "| slowest | 0.5 s | 2 s | ✔ |" in text and "| lost | 0 | 0 | ✔ |" in text


def test_the_page_is_what_its_data_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == derived(PAGE), "write it anew: python -m faults"


def test_a_power_cut_leaves_what_was_synced_and_nothing_else(tmp_path: Path) -> None:
    def line(kind: bytes, offset: int, data: bytes = b"") -> bytes:
        return kind + b"d" + bytes(2) + len(data).to_bytes(4, "little") + offset.to_bytes(8, "little") + data

    log = tmp_path / "log"
    log.write_bytes(line(b"w", 0, b"first") + line(b"s", 0) + line(b"w", 5, b"second") + line(b"t", 2))
    done, chance = operations(log), random.Random(1)
    assert left(done, "none", chance)[b"d"] == b"first"
    assert left(done, "none", chance, synced=False)[b"d"] == b"first", "syncs of the database itself always count"
    assert {bytes(left(done, "some", chance)[b"d"]) for _ in range(50)} == {b"first", b"fi", b"firstsecond"}
