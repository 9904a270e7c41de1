"""What a bot pays for `run`: a few modules of the standard library, named here, so that none comes in unseen."""

import subprocess
import sys

from tests.conftest import ROOT

HEAVY = {"argparse", "asyncio", "click", "ctypes", "dataclasses", "http", "json", "logging", "re", "socket", "ssl"} | {
    "subprocess", "threading", "typing", "urllib", "httpx", "dotenv", "sqlalchemy", "limiter.config", "limiter.cli",
}  # fmt: skip


def test_the_path_of_run_is_light() -> None:
    program = (
        "import sys; sys.argv = ['limiter', 'run', '--user', 'u1', '/no/such/command'];"
        "import limiter.__main__ as m\n"
        "try: m.main()\n"
        "except SystemExit as end: print(end.code, *sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    status, *loaded = done.stdout.split()
    assert status == "127"
    assert "limiter.agent.run" in loaded
    assert not HEAVY & set(loaded)
