"""`python -m limiter demo`: a scratch database with weeks of plausible history, and the console on it.

people.py says who comes when, box.py how the VPS feels, story.py what the operators did, alarm.py what they were told;
agenda.py has the clock, the rules and the database; crowd.py and market.py are the bots on it, and history.py drives
them. live.py lets the bots go on while the console is open. Nothing but a demo's own database is ever replaced.
"""

import asyncio
import gc
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from limiter import config
from limiter.bilingual import in_both
from limiter.commands.text import Failed, counted, told
from limiter.demo.alarm import CHANNELS
from limiter.demo.history import MARK, History
from limiter.demo.live import Left, go_on
from limiter.demo.story import Story
from limiter.layout import CONSOLE
from limiter.rules.holding import suspects
from limiter.store.engine import open_writer
from limiter.store.location import StoreError, sqlite_path
from limiter.store.lock import Lock
from limiter.store.sqlite_writer import SqliteWriter
from limiter.units import HOUR_MS

DEFAULT_URL = "sqlite:///data/demo/limiter.db"  # a folder of its own: the key of its limiter is kept beside it
BOTS = 158
RAM_GB = "4"  # the box of the story
STEP_MS = 5000
PATIENCE_SECONDS = 15  # how long the console may take to end


def main(
    database_url: str = DEFAULT_URL,
    *,
    seed: int = 1,
    weeks: int = 4,
    until: str | None = None,
    bots: int = BOTS,
    show: bool = False,
) -> int:
    """Fill the database, say what is in it, and where `show` open the console on it; the exit status.

    `until` is an RFC 3339 instant (default: now). Raises click.UsageError where the database is not a demo's.
    """
    try:
        settings = config.read()
        ends = datetime.fromisoformat(until) if until else datetime.now(UTC)
        path = sqlite_path(database_url)
    except (config.ConfigError, StoreError, ValueError) as error:
        fr, en = in_both(error)
        raise click.UsageError(told(fr=fr, en=en)) from error
    if path is None:
        file = "--database-url sqlite:///data/demo/limiter.db"
        raise click.UsageError(
            told(fr=f"une démo remplit un fichier SQLite : {file}", en=f"a demo fills a SQLite file: {file}")
        )
    instant = int((ends if ends.tzinfo else ends.replace(tzinfo=UTC)).timestamp() * 1000)
    began = time.monotonic()
    lock = Lock(path)
    try:
        lock.acquire()
        make_room(path)
        hours = weeks * 7 * 24
        with click.progressbar(
            length=hours, label=counted(weeks, fr=("semaine", "semaines"), en=("week", "weeks"))
        ) as bar:
            history = fill(
                f"sqlite:///{path}",
                settings,
                seed=seed,
                weeks=weeks,
                until=instant,
                bots=bots,
                tick=lambda: bar.update(1),
            )
    except StoreError as error:
        raise Failed(told(fr=error.fr, en=error.en)) from error
    finally:
        lock.release()
    click.echo(summary(history, path, time.monotonic() - began))
    return open_console(path, history) if show else 0


def make_room(path: Path) -> None:
    """Remove the demo that is there. Raises click.UsageError where something else is."""
    if path.exists() and path.stat().st_size and not is_demo(path):
        raise click.UsageError(
            told(
                fr=f"{path} existe et n'est pas la base d'une démo : il n'y est pas touché ; nomme un autre fichier",
                en=f"{path} exists and is not a demo's database: it is left alone; name another file",
            )
        )
    for suffix in ("", "-wal", "-shm", ".audit-head"):  # the last would say that the new one lost its audit
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def is_demo(path: Path) -> bool:
    """Whether a demo filled that database."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT 1 FROM notes WHERE id = ? AND author = 'demo'", (MARK,)).fetchone()
    except sqlite3.Error:
        return False
    return row is not None


def fill(
    url: str,
    settings: config.Config,
    *,
    seed: int,
    weeks: int,
    until: int,
    bots: int,
    tick: Callable[[], object] = lambda: None,
) -> History:
    """History from `weeks` before `until` (UTC ms) on, simulated into an empty database; `tick` after each hour."""
    until -= until % STEP_MS
    since = until - weeks * 7 * 24 * HOUR_MS
    writer = SqliteWriter(open_writer(url))
    gc.disable()  # nothing here is a cycle: 16 % faster, and not a byte more
    try:
        connection: Any = writer.connection.connection.driver_connection
        # A power cut costs a demo that is made again in seconds; the limiter opens the file with FULL as ever.
        connection.execute("PRAGMA synchronous=OFF")
        zone = settings.timezone
        history = History(writer, zone, CHANNELS, seed=seed, since=since - since % HOUR_MS, until=until, bots=bots)
        Story(history, settings.lang).begin()
        history.run(lambda _: tick())
    finally:
        gc.enable()
        writer.close()
    return history


def summary(history: History, path: Path, seconds: float) -> str:
    """What is in the database, for a person."""
    state, everyone, totals = history.agenda.state, history.crowd.everyone, history.agenda.state.totals
    refusals = {name.removeprefix("refused:"): n for name, n in totals.items() if name.startswith("refused:")}
    refused = ", ".join(f"{name} {n}" for name, n in sorted(refusals.items(), key=lambda row: -row[1]))
    megabytes, users, starts, trades = path.stat().st_size / 1e6, len(everyone), totals["starts"], totals["trades"]
    bots, most = len(state.sessions), state.limits.values["MAX_CONCURRENT_BOTS"]
    silent = len(suspects(state, history.agenda.until))
    return told(
        fr=f"{path} : {megabytes:.0f} Mo en {seconds:.0f} s\n"
        f"  {users} utilisateurs, {starts} démarrages, {trades} trades\n"
        f"  refus : {refused}\n"
        f"  maintenant, bots : {bots} sur {most}, suspects : {silent}",
        en=f"{path}: {megabytes:.0f} MB in {seconds:.0f} s\n"
        f"  {users} users, {starts} starts, {trades} trades\n"
        f"  refused: {refused}\n"
        f"  now: {bots} bots of {most}, {silent} of them suspect",
    )


def open_console(path: Path, history: History) -> int:
    """The console on the demo, with its bots going on; its exit status, or 0 where a person ended it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "LIMITER_RAM_GB": RAM_GB,
        **os.environ,
        "LIMITER_DATABASE_URL": f"sqlite:///{path.resolve()}",
        "LIMITER_BACKUP_DIR": "none",
        "LIMITER_HOST": "127.0.0.1",
        "LIMITER_PORT": str(port),
        "LIMITER_URL": url,
        "LIMITER_CONSOLE_PORT": str(free_port(config.read().console_port)),
    }
    child = subprocess.Popen([sys.executable, CONSOLE.name], cwd=CONSOLE.parent, env=environment)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    users = [person.user_id for person in history.crowd.everyone]
    try:
        asyncio.run(go_on(url, left(history), users, lambda: child.poll() is None))
        return child.wait()
    except KeyboardInterrupt:
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_SECONDS)
        child.kill()
        return 0


def left(history: History) -> list[Left]:
    """The bots that the history left running; the suspects among them do not come back."""
    state, until = history.agenda.state, history.agenda.until
    return [
        Left(
            bot.session.session_id,
            bot.person.user_id,
            (bot.leaves - until) / 1000,
            bot.person.trades_per_hour,
            (until - bot.session.started_at) / 1000,
        )
        for number, bot in history.crowd.bots.items()
        if number in state.sessions and bot.leaves > until and not bot.session.suspect(until)
    ]


def free_port(wanted: int = 0) -> int:
    """The wanted port where it is free, else one that is."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
