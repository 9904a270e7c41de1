"""The operator's guide: every command is run in a scratch installation, every answer that it shows is the real one."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from limiter.rules.capacity import Capacity
from limiter.system_limits import VPS_SIZES
from tests.conftest import ROOT
from tests.docs.blocks import blocks
from tests.docs.installation import Installation

PAGES = {"fr": ROOT / "docs/guide.fr.md", "en": ROOT / "docs/guide.md"}


@pytest.fixture
def installation(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Installation]:
    one = Installation(tmp_path, request.param)
    yield one
    one.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("installation", "page"), PAGES.items(), indirect=["installation"], ids=PAGES)
def test_every_command_does_what_the_guide_says(installation: Installation, page: Path) -> None:
    """But that the drill of a full server, which tests/drills has, is left to it."""
    for block in blocks(page):
        if page is PAGES["en"] and not block.terminal and block.written is None:
            continue  # the same command as the French guide's, as is tried below, and that one was run
        output = installation.run(replace(block, text=block.text.replace("drill ten full", "drill ten")))
        assert block.is_written_by(output), f"{page.name}:{block.line} says\n{block.written}\nand not\n{output}"


def cells(page: Path, first: str) -> list[list[str]]:
    """The rows of a table whose first cell fits."""
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in page.read_text(encoding="utf-8").splitlines()
    ]
    return [row for row in rows if len(row) > 1 and re.fullmatch(first, row[0])]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_the_tables_are_what_the_rules_say(page: Path) -> None:
    sizes = [(row[0], row[1], row[2]) for row in cells(page, r"\d+ GB")]
    assert sizes == [(f"{one.ram_gb} GB", str(one.bots), f"${one.price_usd_month}") for one in VPS_SIZES]
    examples = cells(page, r"\d+")
    assert [row[0] for row in examples] == ["10", "100", "160", "200", "250"]
    for bots, status, percent, free in examples:
        said = Capacity(int(bots), 200)
        written = (said.status, f"{said.percent_used} %", said.as_dict()["available_slots"])
        assert written == (status, percent, int(free.replace("−", "-")))
    for status, bots, _ in cells(page, "LOW|HEALTHY|WARNING|FULL"):
        low, _, high = bots.partition(" ")
        assert {Capacity(int(edge), 200).status for edge in (low, high.split()[-1]) if edge.isdecimal()} == {status}


def test_both_guides_have_the_same_commands() -> None:
    """But for comments, reasons and names."""
    own = re.compile(r'#.*|(?<=reason |es add )"[^"]*"|\b(?:jour|day|requete|request|statut|status)\b')
    french, english = ([own.sub("·", block.text) for block in blocks(page)] for page in PAGES.values())
    assert french == english
