"""Channels: their names, and addresses that are checked once and then remembered without their text."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from limiter.channels import open_channels
from tests.conftest import ROOT

# Apprise's mail plugin imports a module that Python deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

ADDRESSES = ["json://127.0.0.1:9/a-secret", "mailtos://user:hush@example.com", "json://127.0.0.1:9/b"]
NAMES = ["json", "e-mail", "json-2"]


def test_addresses_that_were_taken_are_remembered_and_apprise_is_left_to_the_first_message(tmp_path: Path) -> None:
    memory = tmp_path / "channels.json"
    assert list(open_channels(ADDRESSES, memory)) == NAMES
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    assert "secret" not in memory.read_text() and "hush" not in memory.read_text()
    code = (
        "import sys; from pathlib import Path; from limiter.channels import open_channels;"
        f"print(*open_channels({ADDRESSES!r}, Path({str(memory)!r}))); print('apprise' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [" ".join(NAMES), "False"]


def test_other_addresses_are_checked_and_a_broken_memory_is_none(tmp_path: Path) -> None:
    memory = tmp_path / "channels.json"
    open_channels(ADDRESSES, memory)
    with pytest.raises(ValueError, match="address 2 of 2"):
        open_channels([ADDRESSES[0], "nonsense://hush"], memory)
    memory.write_text("[")
    assert list(open_channels(ADDRESSES, memory)) == NAMES
    assert list(open_channels(ADDRESSES, tmp_path / "no-folder" / "channels.json")) == NAMES
