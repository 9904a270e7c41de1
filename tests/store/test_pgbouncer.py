"""A real PgBouncer in front of a real PostgreSQL: with a session a client all is as without it, and what would share
sessions among transactions is refused with a sentence."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from limiter.store.engine import open_writer
from limiter.store.location import StoreError
from tests.conftest import Limiter, new_database

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
START_SECONDS = 10
Pooled = Callable[[str], str]


@pytest.fixture
def pooled() -> Iterator[Pooled]:
    """The URL of a new database behind a PgBouncer of this mode."""
    if PGBOUNCER is None:
        assert "CI" not in os.environ, "pgbouncer is not installed"
        pytest.skip("pgbouncer is not installed")
    running, folder = [], Path(tempfile.mkdtemp())  # one that another user may read

    def start(mode: str) -> str:
        url = urlsplit(new_database())
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        ini = folder / "pgbouncer.ini"
        ini.write_text(
            f"[databases]\n* = host={url.hostname} port={url.port} user={url.username}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            f"pool_mode = {mode}\n"
        )
        folder.chmod(0o755)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []  # it does not run as root
        running.append(subprocess.Popen([str(PGBOUNCER), *user, str(ini)], stderr=subprocess.DEVNULL))
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.02)
        return f"postgresql+psycopg://{url.username}@127.0.0.1:{port}{url.path}"

    yield start
    for one in running:
        one.kill()
        one.wait()
    shutil.rmtree(folder)


def test_two_limiters_behind_a_pooler_of_sessions_keep_one_cap(pooled: Pooled, tmp_path: Path) -> None:
    url = pooled("session")
    both = []
    try:
        for name in ("one", "two"):
            (folder := tmp_path / name).mkdir()
            both.append(Limiter(folder, {"MAX_CONCURRENT_BOTS": 5, "LIMITER_DATABASE_URL": url}))
            both[-1].serve()
        answers = [both[n % 2].start().status_code for n in range(8)]
        assert answers == [201] * 5 + [503] * 3
    finally:
        for one in both:
            one.kill()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_a_pooler_that_shares_sessions_is_refused_with_a_sentence(pooled: Pooled, mode: str) -> None:
    with pytest.raises(StoreError, match="pool_mode = session" if mode == "transaction" else "cannot be used"):
        open_writer(pooled(mode))
