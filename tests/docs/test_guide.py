"""The operator's guide: every command is run in a scratch installation, every answer that it shows is the real one."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from limiter.rules.capacity import Capacity
from limiter.system_limits import VPS_SIZES
from tests.conftest import ROOT, Limiter, wait_until
from tests.docs.blocks import Block, Terminal, blocks, run

PAGES = {"fr": ROOT / "docs/guide.fr.md", "en": ROOT / "docs/guide.md"}
# A box that other tests keep busy holds a raise back; the guide says what its reader then does.
COMMAND = """#!/bin/bash
said=$("$0.real" "$@" 2>&1) || status=$?
if [[ ${status:-0} = 1 && $said =~ (Hausse retenue|Raise held back) ]]; then exec "$0.real" "$@" --override-guard; fi
[ -z "$said" ] || printf '%s\\n' "$said"
exit ${status:-0}
"""


class Installation:
    """A copy of the program in a folder of its own, with the command `limiter`, on ports of its own and a 4 GB box."""

    def __init__(self, folder: Path, language: str) -> None:
        for name in ("limiter", "pages", ".streamlit"):
            shutil.copytree(ROOT / name, folder / name)
        shutil.copy(ROOT / "console.py", folder)
        (folder / ".venv").symlink_to(sys.prefix)
        (folder / "bin").mkdir()
        for name, text in (
            ("python", f'#!/bin/sh\nexec {sys.executable} "$@"\n'),
            ("limiter.real", f'#!/bin/sh\nexec {sys.executable} -m limiter "$@"\n'),
            ("limiter", COMMAND),
        ):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)
        self.limiter, console = Limiter(folder, {}), Limiter(folder, {})
        self.folder, self.ports = folder, {"5001": str(self.limiter.port), "8501": str(console.port)}
        self.environment = self.limiter.env | {
            "PATH": f"{folder / 'bin'}:{self.limiter.env['PATH']}", "PYTHONPATH": str(folder), "HOME": str(folder),
            "LIMITER_DATABASE_URL": f"sqlite:///{folder}/data/limiter.db", "LIMITER_PORT": self.ports["5001"],
            "LIMITER_CONSOLE_PORT": self.ports["8501"], "LIMITER_AGENT_SOCKET": str(folder / "agent.sock"),
            "LIMITER_RAM_GB": "4", "LIMITER_LANG": language, "LIMITER_BACKUP_DIR": "none",
        }  # fmt: skip
        self.terminals: list[Terminal] = []

    def there(self, text: str) -> str:
        """A text of the page with the ports of this installation."""
        return re.sub(r"\b(5001|8501)\b", lambda port: self.ports[port[1]], text)

    def run(self, block: Block) -> str:
        """What a block writes, with the page's ports."""
        commands = self.there(block.text)
        if block.terminal:
            held = self.held()
            self.terminals.append(Terminal(commands, self.folder, self.environment))
            wait_until(lambda: self.held() > held, 30, block.text)
            return ""
        status, output = run(commands, self.folder, self.environment)
        assert status == 0, (block, output)
        for page, here in self.ports.items():
            output = output.replace(f":{here}", f":{page}")
        return output

    def held(self) -> int:
        """Slots that are taken; -1 where no limiter answers."""
        try:
            answer = httpx.get(f"{self.limiter.url}/api/admin/capacity", timeout=5).json()
        except httpx.TransportError:
            return -1
        return int(answer["capacity"]["current_bots"])

    def close(self) -> None:
        for terminal in reversed(self.terminals):
            terminal.close()


@pytest.fixture
def installation(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Installation]:
    one = Installation(tmp_path, request.param)
    yield one
    one.close()


@pytest.mark.parametrize(("installation", "page"), PAGES.items(), indirect=["installation"], ids=PAGES)
def test_every_command_does_what_the_guide_says(installation: Installation, page: Path) -> None:
    for block in blocks(page):
        if page is PAGES["en"] and not block.terminal and block.written is None:
            continue  # the same command as the French guide's, as is tried below, and that one was run
        output = installation.run(block)
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
