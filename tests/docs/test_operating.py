"""docs/operating.md and docs/bots.md: each block of commands, as root on a real systemd, with what is to come of it."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.agent.systemd import Systemd, why_not
from tests.conftest import ROOT, wait_until
from tests.docs.blocks import blocks

MISSING = why_not() or " ".join(name for name in ("caddy", "curl", "git") if shutil.which(name) is None)
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not here: {MISSING}")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AS_ROOT = ("env", "-i", "HOME=/root", "LIMITER_LANG=en", f"PATH={PATH}", "bash", "-euo", "pipefail", "-c")

ASK = "curl -sI -H 'Host: bots.example.com' http://127.0.0.1/ || true"


def git(*arguments: str) -> None:
    author = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *author, *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree as a clone of an origin that has a newer version, which the clone has not heard of; both have a tag."""
    folder = tmp_path_factory.mktemp("checkout")
    origin, clone = folder / "origin", folder / "limiter"
    for name in ("limiter", "pages", ".streamlit", "deploy", "docs"):
        shutil.copytree(ROOT / name, origin / name, ignore=shutil.ignore_patterns("__pycache__", "images"))
    for name in ("console.py", "requirements.txt"):
        shutil.copy(ROOT / name, origin)
    (origin / ".gitignore").write_text(".venv/\n__pycache__/\n")
    init = origin / "limiter" / "__init__.py"
    text = init.read_text(encoding="utf-8")
    git("init", "-q", str(origin))
    for version in ("9.0.0", "9.1.0"):
        init.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', text), encoding="utf-8")
        git("-C", str(origin), "add", "--all")
        git("-C", str(origin), "commit", "-q", "-m", version)
        git("-C", str(origin), "tag", f"v{version}")
    git("clone", "-q", "--branch", "v9.0.0", str(origin), str(clone))
    git("-C", str(clone), "tag", "--delete", "v9.1.0")
    git("-C", str(clone), "remote", "set-url", "origin", "/srv/origin")
    return folder


@pytest.fixture(scope="module")
def box(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systemd]:
    one = Systemd(tmp_path_factory.mktemp("systemd"), {}, {}, checkout)
    yield one
    one.close()


Do = Callable[[str], str]


@pytest.fixture(scope="module")
def do(box: Systemd) -> Do:
    """What commands of a shell of root write."""

    def do(commands: str) -> str:
        try:
            return box.do(*AS_ROOT, f"exec 2>&1; {commands}")
        except AssertionError:
            print(box.do("journalctl", "--no-pager", "--lines=40", "--unit=limiter", "--unit=console", status=None))
            print(box.do("systemctl", "show", "-p", "Result,ExecMainStatus,ExecMainCode", "limiter", status=None))
            raise

    return do


OPERATING = list(blocks(ROOT / "docs/operating.md"))
INSTALLED = 1 + next(place for place, block in enumerate(OPERATING) if "--name app-server" in block.text)


@pytest.fixture(scope="module")
def said(do: Do) -> dict[str, str]:
    """What the first blocks write, those that install it: each by its text."""
    told = dict[str, str]()
    for block in OPERATING[:INSTALLED]:
        if "sign-in" in block.text:
            wait_until(lambda: "sign-in" in do("journalctl -u console"), 30, "the console")
        told[block.text] = do(block.text)
    return told


@pytest.mark.timeout(240)
def test_every_block_works_as_printed(box: Systemd, do: Do, said: dict[str, str]) -> None:
    """But that placeholders are filled in, and one drill stands for five; outputs are looked at further down."""
    for block in OPERATING[INSTALLED:]:
        commands = block.text
        if block.terminal:
            box.do("systemd-run", "--quiet", "--unit=proxy", "--setenv=HOME=/root", *AS_ROOT, commands)
            wait_until(lambda: " 308 " in do(ASK), 10, "the proxy sends on to HTTPS")
            continue
        commands = commands.replace("limiter drill    ", "limiter drill ten")  # tests/drills has all five
        if "restore" in commands:
            wait_until(lambda: ".db" in do("ls /var/lib/limiter/backups || true"), 30, "the first backup")
        if "revoke" in commands:
            commands = commands.replace(
                "1f2e3d4c", do("limiter keys list | awk '/app-server/ {print $1; exit}'").strip()
            )
        if "--adopt" in commands:
            pid = do("sleep 100 > /dev/null 2>&1 & echo $!").strip()
            key = do("limiter keys create --scope bots").strip()
            commands = commands.replace("PID", pid).replace("USER", "alice").replace("lim_…", key)
        said[block.text] = do(commands)

    def after(words: str) -> str:
        """What the block with these words wrote."""
        return next(output for text, output in said.items() if words in text)

    assert "/admin/sign-in?link=" in after("journalctl") and "✗" not in after("journalctl")
    assert after("limiter --version").startswith("limiter, version 9.0.0\nActive Bots: 0 / 200 slots")
    assert "lim_" in after("--name prometheus")
    assert "restored from" in after("limiter restore") and "sound: " in after("limiter restore")
    assert "Active Bots: 0 / 200" in after("/tmp/drill")
    assert '"success":true' in after("git checkout")
    assert do("limiter --version") == "limiter, version 9.1.0\n"
    assert "✗ version" not in do("limiter doctor || true")
    assert do("limiter sessions list --user alice | wc -l") == "2\n"
    assert box.told("limiter", "NRestarts") == "0"
    assert do("stat -c %U:%a /var/lib/limiter/limiter.db") == "limiter:600\n"


START = "printf '%s\\n' '#!/bin/sh' 'exec sleep 1000' > /srv/bots/alice/start && chmod 755 /srv/bots/alice/start"
TOLD = {"freqtrade": "tests/agent/test_real_bots.py", "tmux": "tests/agent/test_supervisors.py"}  # line by line


def test_bots_are_run_as_printed(box: Systemd, do: Do, said: dict[str, str]) -> None:
    """docs/bots.md, with the key that an installation asks for. The bot prints whose process it is."""
    do("userdel bots && rm -rf /srv/bots /etc/limiter/bots.env")  # which the trial brings
    do("limiter users stop alice --reason x")  # the process that the page before this one adopted
    key = do("limiter keys create --scope bots").strip()
    bot = "import os, pwd, time; print(pwd.getpwuid(os.getuid()).pw_name, 'LIMITER_SESSION_ID' in os.environ)"
    do(f"mkdir -m 755 /srv/elsewhere && echo {shlex.quote(bot)} > /srv/elsewhere/bot.py")
    here = f"export LIMITER_KEY={key}; cd /srv/elsewhere; "
    printed = [block for block in blocks(ROOT / "docs/bots.md") if not any(name in block.text for name in TOLD)]
    assert len(printed) == 3
    for block in printed:
        for line in block.text.splitlines():
            if "systemctl" in line:
                do(START)
            if "limiter run" not in line:
                do(f"cd /opt/limiter; {line.replace('lim_…', key)}")
                continue
            who = "bots" if "bots" in line else "root"
            wait_until(lambda: do("limiter sessions list --user alice | wc -l") == "1\n", 10, "alice's slot is free")
            assert do(here + line) == f"{who} True\n", line
        if "systemctl" in block.text:
            wait_until(lambda: "alice" in do("limiter sessions list --user alice"), 20, "alice's bot")
            assert box.told("bot@alice", "ActiveState") == "active"
            assert do("stat -c %G:%a /etc/limiter/bots.env") == "bots:640\n"
            do("systemctl stop bot@alice")
