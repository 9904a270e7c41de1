"""README's commands: the first five minutes, and the operator's. Installing has tests/house/test_installing.py."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from limiter import __version__
from tests.conftest import ROOT
from tests.docs.blocks import Block, blocks
from tests.docs.installation import Installation

README = list(blocks(ROOT / "README.md"))


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """With a limiter that runs, as `make run` starts one."""
    one = Installation(tmp_path, "fr")
    one.run(Block(0, "python -m limiter serve", True, None))
    yield one
    one.close()


def test_what_is_pasted_does_what_the_readme_says(installation: Installation) -> None:
    """But that one drill stands for five, and a raise goes over the guards of a busy box."""

    def do(words: str) -> str:
        (block,) = (block for block in README if words in block.text)
        text = re.sub(r"(limits (?:set|rollback) .*?)(?=  #|$)", r"\1 --override-guard", block.text, flags=re.MULTILINE)
        return installation.run(Block(block.line, text.replace("limiter drill", "limiter drill ten"), False, None))

    minutes = do("bots/start")
    assert '"trades_left":499' in minutes and '"ended_reason":"stopped"' in minutes
    assert "Serveur complet (200/200 bots actifs). Réessaie dans quelques minutes." in minutes
    assert re.search(r"au-dessus de la limite +0 +jamais", minutes)
    operator = do("keys create")
    assert "MAX_CONCURRENT_BOTS 200 → 250" in operator and "MAX_CONCURRENT_BOTS 250 → 200" in operator
    assert "lim_" in operator and "before.db" in operator and "✔ ten" in operator


def test_the_changelog_knows_this_version() -> None:
    """Its newest heading is of this version, or of what comes after it."""
    headings = re.findall(r"^## ([\w.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] in ("Unreleased", __version__) and __version__ in headings
