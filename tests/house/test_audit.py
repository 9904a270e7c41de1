"""The audit of the pins tells a sound pin from a faulty one and from one that nobody answered for."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.house.audit import FAULTY, FLOORS, NOT_AUDITED, PIN, PINS, ROOT, SOUND, below_floor

PINNED = "".join(f"{name}=={version} --hash=sha256:{'0' * 64}\n" for name, version in (("wet", "1.0"), ("dry", "2.0")))


@pytest.fixture
def advisories() -> Iterator[str]:
    """An advisory service that speaks OSV and knows of one fault: in `wet` 1.0."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            about = {"package": {"name": "wet", "ecosystem": "PyPI"}, "ranges": [], "versions": ["1.0"]}
            fault = {"id": "PYSEC-0-1", "summary": "leaks", "affected": [about], "modified": "2026-01-01T00:00:00Z"}
            answer = json.dumps({"vulns": [fault]} if asked["package"]["name"] == "wet" else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def audit(pins: Path, *options: str) -> tuple[int, str]:
    """The command, and what it says."""
    command = [sys.executable, "-m", "tests.house.audit", str(pins), *options]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout


def test_a_faulty_pin_fails_and_sound_ones_are_audited(advisories: str, tmp_path: Path) -> None:
    service = ("--vulnerability-service", "osv", "--osv-url", advisories)
    pins = tmp_path / "pins.txt"
    pins.write_text(PINNED)
    status, said = audit(pins, *service)
    assert (status, "wet 1.0: PYSEC-0-1" in said) == (FAULTY, True), said
    pins.write_text(PINNED.splitlines()[1])
    assert audit(pins, *service) == (SOUND, "pins.txt: 1 packages audited, none is faulty\n")


def test_without_an_answer_it_is_not_called_audited(tmp_path: Path) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text(PINNED)
    nobody = ("--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:9/v1/query")
    status, said = audit(pins, *nobody)
    assert (status, "NOT AUDITED" in said, "none is faulty" in said) == (NOT_AUDITED, True, False), said
    status, said = audit(pins, "--may-be-unreached", *nobody)
    assert (status, "NOT AUDITED" in said) == (SOUND, True), said


def test_floors_hold_without_any_network() -> None:
    assert below_floor(PINS.read_text(encoding="utf-8")) == []
    assert len(below_floor("starlette==1.0.99 \\\nstreamlit==1.53.2 \\\n")) == len(FLOORS)


def test_what_is_audited_has_every_package_that_is_installed_to_run_it_all_with_hashes() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "requirements.txt", PINS)]
    to_run, audited = (set(PIN.findall(text)) for text in texts)
    assert len(to_run) > 40 and to_run <= audited
    for text in texts:
        assert all(line.endswith("\\") for line in text.splitlines() if PIN.match(line)), "a pin without its hashes"
