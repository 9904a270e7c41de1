"""Channels: their names, and addresses that are checked once and then remembered without their text."""

import asyncio
import json
import stat
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from limiter.channels import ANSWER_SECONDS, Channel, _open, open_channels
from tests.conftest import ROOT
from tests.webhook import Webhook

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


def test_of_several_recipients_those_are_tried_again_whom_a_message_did_not_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two topics of one ntfy server, one of which refuses at first."""
    monkeypatch.setattr("apprise.plugins.base.NotifyBase.request_rate_per_sec", 0)  # it waits 5.5 s between two
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

    async def send(channel: Channel, after_a_restart: Channel) -> None:
        told = await channel.send("title", "body", "info", 7)
        assert told is not None and told.startswith("2 of 3 have it: ")
        assert await channel.send("title", "body, late", "info", 7) is not None
        reached = channel.reached(7)
        assert await after_a_restart.send("title", "body, later", "info", 7, reached) is not None
        assert after_a_restart.reached(7) == reached
        broken.clear()
        assert await channel.send("title", "body, late", "info", 7) is None
        assert await channel.send("next", "body", "info", 8) is None
        assert channel.reached(7) == ()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        addresses = [f"ntfy://127.0.0.1:{server.server_port}/one/two/three"]
        asyncio.run(send(*(channel for _ in range(2) for channel in open_channels(addresses).values())))
    finally:
        server.shutdown()
        server.server_close()
    assert sorted(came[:3]) == sorted(came[6:]) == ["one", "three", "two"]
    assert came[3:6] == ["two", "two", "two"]


@pytest.mark.parametrize(
    ("address", "timeout"),
    [
        ("json://127.0.0.1:9/a", (4.0, ANSWER_SECONDS)),
        ("json://127.0.0.1:9/a?rto=7", (4.0, 7.0)),
        ("mailtos://user:hush@example.com", (ANSWER_SECONDS, 4.0)),
        ("mailtos://user:hush@example.com?cto=7", (7.0, 4.0)),
    ],
)
def test_a_server_has_a_minute_to_answer_where_the_address_says_nothing_else(
    address: str, timeout: tuple[float, float]
) -> None:
    assert _open(address)[0].request_timeout == timeout


def test_a_try_that_never_had_an_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limiter.channels.ANSWER_SECONDS", 0.3)
    with Webhook() as webhook:
        webhook.delays["/hole"] = 5.0
        (channel,) = open_channels([webhook.address("/hole")]).values()
        assert asyncio.run(channel.send("title", "body", "info", 7)) == "no answer for 0 s"


def test_channels_that_hang_hold_up_neither_another_nor_the_end_of_the_process() -> None:
    code = """if True:
        import asyncio, sys
        from limiter.channels import open_channels

        async def send() -> None:
            *hanging, good = open_channels(sys.argv[1:]).values()
            tasks = [asyncio.create_task(channel.send("title", "body", "info")) for channel in hanging]
            await asyncio.sleep(0.5)
            print(await good.send("title", "body", "info"))
            for task in tasks:
                task.cancel()

        asyncio.run(send())
    """
    with Webhook() as webhook:
        webhook.delays["/hole"] = 30.0
        addresses = [webhook.address("/hole")] * 40 + [webhook.address("/good")]
        began = time.monotonic()
        ran = subprocess.run(
            [sys.executable, "-c", code, *addresses], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert time.monotonic() - began < 20
    assert ran.stdout == "None\n"
