"""Channels: their names, and addresses that are checked once and then remembered without their text."""

import asyncio
import json
import stat
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from limiter.channels import Channel, open_channels
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


def test_of_several_recipients_those_are_tried_again_whom_a_message_did_not_reach() -> None:
    """Two topics of one ntfy server, one of which refuses at first."""
    came: list[str] = []
    broken = {"two"}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            topic = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["topic"]
            came.append(topic)
            self.send_response(500 if topic in broken else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    async def send(channel: Channel) -> None:
        assert await channel.send("title", "body", "info", 7) is not None
        assert await channel.send("title", "body, late", "info", 7) is not None
        broken.clear()
        assert await channel.send("title", "body, late", "info", 7) is None
        assert await channel.send("next", "body", "info", 8) is None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        (channel,) = open_channels([f"ntfy://127.0.0.1:{server.server_port}/one/two/three"]).values()
        asyncio.run(send(channel))
    finally:
        server.shutdown()
        server.server_close()
    assert sorted(came[:3]) == sorted(came[5:]) == ["one", "three", "two"]
    assert came[3:5] == ["two", "two"]
