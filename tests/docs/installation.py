"""An installation in a scratch folder, in which the commands of a page are run."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx

from tests.conftest import ROOT, Limiter, wait_until
from tests.docs.blocks import Block, Terminal, run

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
        end_agent = [sys.executable, "-m", "limiter", "agent", "--stop", "--force"]  # it would stay for ten minutes
        subprocess.run(end_agent, env=self.environment, capture_output=True, check=False)
