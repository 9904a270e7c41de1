"""Launches the console: the gate in front of Streamlit, a limiter where none answers, a one-time sign-in link.

`python console.py` or `streamlit run console.py`. Stops only the limiter that it started; starts it again if it dies.
"""

import asyncio
import contextlib
import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx
import streamlit as st
from starlette.middleware import Middleware
from starlette.responses import RedirectResponse
from starlette.routing import Route
from streamlit import config as streamlit_config

from limiter import config
from limiter.console.sign_in.gate import BASE, SIGN_IN, SIGN_OUT, Door, Gate
from limiter.console.sign_in.sign_ins import SIGN_INS
from limiter.hosts import HostNames, is_loopback, reachable, web_address
from limiter.parent_death import dies_with_parent
from limiter.rules.words import Words
from limiter.store.location import StoreError, key_file

START_SECONDS = 20.0
STOP_SECONDS = 12.0  # the limiter promises to end within 10

log = logging.getLogger("limiter.console")

try:
    SETTINGS = config.read()
except config.ConfigError as error:
    print(error.told(config.language()), file=sys.stderr)
    sys.exit(2)
for warning in SETTINGS.warnings:
    print(warning.told(SETTINGS.lang), file=sys.stderr)


def link_key() -> str:
    """The key that the link signs in with: the one the first start made, else LIMITER_KEY."""
    with contextlib.suppress(StoreError, OSError):
        return key_file(SETTINGS.database_url).read_text().strip()
    return SETTINGS.key


async def answers() -> bool:
    """Whether a limiter answers."""
    async with httpx.AsyncClient(timeout=2.0) as http:
        with contextlib.suppress(httpx.HTTPError):
            return (await http.get(f"{SETTINGS.limiter_url}/livez")).is_success
    return False


async def start_limiter() -> asyncio.subprocess.Process:
    """Start one and wait until it answers. Raises SystemExit with its status where it ends instead."""
    there, host = urlsplit(SETTINGS.limiter_url), SETTINGS.host
    if SETTINGS.sources["LIMITER_HOST"] == "default":
        host = there.hostname or host  # where LIMITER_URL says ::1, it shall listen there
    command = (sys.executable, "-m", "limiter", "serve", "--host", host, "--port", str(there.port or 80))
    environment = os.environ | {"LIMITER_URL": SETTINGS.limiter_url}
    process = await asyncio.create_subprocess_exec(*command, env=environment, preexec_fn=dies_with_parent())
    end = asyncio.get_running_loop().time() + START_SECONDS
    while not await answers():
        if process.returncode is not None:
            raise SystemExit(process.returncode or 1)
        if asyncio.get_running_loop().time() > end:
            log.error("limiter_silent url=%s", SETTINGS.limiter_url)
            break
        await asyncio.sleep(0.1)
    return process


async def keep_limiter(process: asyncio.subprocess.Process) -> None:
    """Start it again whenever it ends; at the end of the console, end it."""
    delay = 0.5
    try:
        while True:
            status = await process.wait()
            log.error("limiter_ended status=%s", status)
            await asyncio.sleep(delay)
            delay = min(30.0, delay * 2)
            with contextlib.suppress(SystemExit):
                process = await start_limiter()
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()


def console_url() -> str:
    """Where a browser on this machine finds the console."""
    host = reachable(streamlit_config.get_option("server.address") or "127.0.0.1")
    here = web_address(host, streamlit_config.get_option("server.port"))
    return str(SETTINGS.console_url or f"{here}{BASE}")


@contextlib.asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """A limiter for as long as the console lives, and the link."""
    keeper = None
    # pandas and Altair, an import that the first page shall not wait for.
    warm = asyncio.create_task(asyncio.to_thread(importlib.import_module, "limiter.console.charts.capacity"))
    here = is_loopback(urlsplit(SETTINGS.limiter_url).hostname or "")
    if SETTINGS.console_starts and here and not await answers():
        try:
            keeper = asyncio.create_task(keep_limiter(await start_limiter()))
        except SystemExit as ended:  # it has said why; uvicorn would bury that under a traceback
            os._exit(ended.code if isinstance(ended.code, int) else 1)
    await warm
    # Streamlit collects garbage after every run of a script; what is loaded by now shall not be walked each time.
    gc.collect()
    gc.freeze()
    link = f"{console_url()}/sign-in?link={SIGN_INS.link()}"
    told = Words(
        fr=f"Console : {console_url()}/\nConnexion (une fois, 10 minutes) : {link}",
        en=f"Console: {console_url()}/\nSign in (once, 10 minutes): {link}",
    )
    print(told.told(SETTINGS.lang), flush=True)
    try:
        yield
    finally:
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper


def hosts() -> HostNames:
    """The host names that a request may carry."""
    public = urlsplit(SETTINGS.console_url).hostname
    allowed = (*SETTINGS.allowed_hosts, *([public] if public else []))
    return HostNames(SETTINGS.console_host, allowed)


door = Door(SIGN_INS, SETTINGS.limiter_url, link_key)
app = st.App(
    "pages/router.py",
    lifespan=lifespan,
    routes=[
        Route("/", lambda _request: RedirectResponse(f"{BASE}/")),
        Route(SIGN_IN, door.sign_in, methods=["GET", "POST"]),
        Route(SIGN_OUT, door.sign_out),
    ],
    middleware=[Middleware(Gate, sign_ins=SIGN_INS, hosts=hosts())],
)


def options() -> dict[str, object]:
    """What the operator's settings say of Streamlit's."""
    return {"server.address": SETTINGS.console_host, "server.port": SETTINGS.console_port}


def leave(_signal: int, _frame: object) -> None:
    """uvicorn raises its signal again when it is done: a console that was asked to end has ended well."""
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    os.environ["LIMITER_URL"] = SETTINGS.limiter_url
    app.run(config=options())
elif not streamlit_config.get_where_defined("server.port").startswith("command-line"):
    os.environ["LIMITER_URL"] = SETTINGS.limiter_url
    if any(streamlit_config.get_option(name) != value for name, value in options().items()):
        # `streamlit run` has read its port before it read this file.
        os.execv(sys.executable, [sys.executable, __file__])  # noqa: S606
