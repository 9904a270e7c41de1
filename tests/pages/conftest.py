"""Pages run by AppTest against a real database and the real limiter that serves it.

AppTest brings no cookies, so the sign-in cookie is handed to the frame here; it is a real one, of a real sign-in.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from limiter import config, demo
from limiter.console import frame
from limiter.console.sign_in.sign_ins import SIGN_INS
from tests.journeys.console_process import ROOT, free_port

Open = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def own_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """AppTest leaves a page in the place of `__main__`, which a process that a later test spawns would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@dataclass(frozen=True)
class World:
    """A database, and the limiter that serves it."""

    folder: Path
    url: str

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder / 'limiter.db'}"

    @property
    def key(self) -> str:
        return (self.folder / "admin.key").read_text().strip()


def serve(folder: Path) -> Iterator[World]:
    """A limiter on the folder's database for as long as the tests run."""
    world = World(folder, f"http://127.0.0.1:{(port := free_port())}")
    command = [sys.executable, "-m", "limiter", "serve", "--port", str(port), "--database-url", world.database_url]
    with (folder / "limiter.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{world.url}/readyz").is_success:
                    break
            except httpx.HTTPError:
                pass
            assert process.poll() is None and time.monotonic() < end, (folder / "limiter.log").read_text()
            time.sleep(0.1)
        yield world
    finally:
        process.terminate()
        process.wait(15)


@pytest.fixture(scope="session")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A week of the demo's history."""
    folder = tmp_path_factory.mktemp("busy")
    now = int(datetime.now(UTC).timestamp() * 1000)
    demo.fill(f"sqlite:///{folder / 'limiter.db'}", config.read({}), seed=1, weeks=1, until=now, bots=120)
    yield from serve(folder)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A first start, and nobody has come yet."""
    yield from serve(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a page of the console on a world, signed in with a key of that scope; `locale` and `timezone` are the
    browser's."""

    def open_one(world: World, page: str = "overview", scope: str = "admin:write", **query: str) -> AppTest:
        monkeypatch.setenv("LIMITER_DATABASE_URL", world.database_url)
        monkeypatch.setenv("LIMITER_URL", world.url)
        monkeypatch.setenv("LIMITER_ENV_FILE", "")
        st.cache_resource.clear()
        st.cache_data.clear()
        key = world.key if (world.folder / "admin.key").exists() else "lim_none"
        cookie = SIGN_INS.cookie(SIGN_INS.open(key, "tester", scope))
        monkeypatch.setattr(frame, "cookie", lambda: cookie)
        app = AppTest.from_file(str(ROOT / "pages" / "router.py"), default_timeout=30)
        zone = query.pop("timezone", "Europe/Paris")
        app.context = {"locale": query.pop("locale", "en-US"), "timezone": zone}
        app.run()
        app.query_params.update(query)
        app = app.switch_page(str(ROOT / "pages" / f"{page}.py")).run() if page != "overview" else app
        cards = {"**This part could not be drawn.**", "**Cette partie n'a pas pu être affichée.**"}
        if (world.folder / "limiter.db").exists():  # an error card raises nothing: no test may pass it by
            assert not cards & {one.value for one in app.markdown}, (page, query)
        return app

    yield open_one
    st.cache_resource.clear()
