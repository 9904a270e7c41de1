"""`python -m limiter serve`: builds the objects, wires them, and runs them until SIGTERM. The only place that does."""

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import uvicorn
import uvloop
from sqlalchemy.exc import DatabaseError

from limiter import __version__
from limiter.access import Access, make_key
from limiter.bilingual import in_both
from limiter.channels import Channel, open_channels
from limiter.clock import Clock
from limiter.committer import Committer, settle_memory
from limiter.config import Config, ConfigError
from limiter.events import EventLog, JsonLines
from limiter.hosts import is_loopback, reachable, web_address
from limiter.http.call import Services
from limiter.http.protocol import HttpConnection
from limiter.http.server import App
from limiter.jobs import Job
from limiter.jobs.alerts import Alerts
from limiter.jobs.audit_watch import AuditWatch
from limiter.jobs.backups import Backups
from limiter.jobs.file_watch import FileWatch
from limiter.jobs.integrity import Integrity
from limiter.jobs.leading import follow_keys, while_leading
from limiter.jobs.reaper import reap
from limiter.jobs.recount import recount
from limiter.jobs.sampler import Sampler, ram_total_bytes
from limiter.jobs.schedule import follow_schedule
from limiter.jobs.strangers import StrangerWatch
from limiter.jobs.trimming import trim
from limiter.jobs.watchdogs import feed_watchdog, ping, tell_systemd, watchdog_seconds
from limiter.rules.capacity import Box
from limiter.rules.changes import Write
from limiter.rules.records import Key
from limiter.rules.refusals import Refusal
from limiter.rules.reminders import ReminderPolicy
from limiter.rules.room import capacity
from limiter.rules.sessions import Reap
from limiter.rules.state import State
from limiter.store import read
from limiter.store.ballast import Ballast
from limiter.store.engine import open_reader, reading, what_is_wrong
from limiter.store.location import StoreError, backup_folder, beside, key_file, named_path, refuse_lost, sqlite_path
from limiter.store.lock import Lock
from limiter.store.open import writer_of
from limiter.store.retention import Retention
from limiter.store.sqlite_writer import SqliteWriter
from limiter.store.watched_file import WatchedFile
from limiter.store.writer import Writer
from limiter.units import GIB

DRAIN_SECONDS = 8  # for what is in flight at SIGTERM; the exit follows within 10 s
BACKLOG = 2048

log = logging.getLogger("limiter")


def set_up_logging(form: str) -> None:
    """Log lines on stderr, in the form asked for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # its lines name whole addresses, secrets in them too


def write_first_key(path: Path, text: str) -> None:
    """Keep the first key for its owner's eyes only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(handle, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")


def serve(config: Config, new: bool = False) -> None:
    """Run the limiter until SIGTERM or SIGINT. Raises ConfigError or StoreError where it cannot start.

    `new`: begin without sessions where the database is gone, though there was one.
    """
    set_up_logging(config.log_format)
    for warning in config.warnings:
        log.warning("setting_unknown %s", warning.en)
    url = config.database_url
    path = sqlite_path(url)
    lock, ballast = (Lock(path), Ballast(path)) if path is not None else (None, None)
    if lock is not None:
        lock.acquire()
    try:
        if not new:
            refuse_lost(url, config.backup_dir)
        if ballast is not None:
            ballast.take()
        writer = writer_of(url, retention(config))
        if lock is not None:
            lock.lock_database()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(config, writer, lock, ballast))
    finally:
        if lock is not None:
            lock.release()


def retention(config: Config) -> Retention:
    """How long rows are kept, by the settings."""
    return Retention(
        raw_hours=config.keep_raw_hours,
        minutes_days=config.keep_minutes_days,
        refusals_days=config.keep_refusals_days,
        refusals_rows=config.keep_refusals_rows,
        sessions_days=config.keep_sessions_days,
        trades_days=config.keep_trades_days,
        usage_days=config.keep_usage_days,
    )


async def run(config: Config, writer: Writer, lock: Lock | None, ballast: Ballast | None) -> None:
    """Serve requests and run the jobs; at the end finish what is in flight and what waits."""
    clock = Clock()
    channels = _open_channels(config)
    state = _restored(writer, config, clock, channels)
    state.language, state.tells_ends = config.lang, config.alert_ends
    committer = Committer(state, writer, clock, ballast, EventLog(config.log_format))
    engine = open_reader(config.database_url)

    def read_keys() -> list[Key]:
        with reading(engine) as connection:
            return read.keys.keys(connection)

    access = await _open_access(config, committer, read_keys)
    sampler = Sampler(committer)
    ram_gb = config.ram_gb or ram_total_bytes() / GIB
    box = Box(ram_gb)
    backups = _backups(config, clock)
    pattern = config.bot_pattern
    strangers = StrangerWatch(committer, pattern) if pattern is not None else None
    file = _file_watch(config, writer, lock, sampler)
    database = sqlite_path(config.database_url)
    integrity = Integrity(database, lambda: committer.latency.count) if database is not None else None
    audit = AuditWatch(writer.head, engine) if writer.head is not None else None
    alerts = Alerts(
        committer, sampler, channels, database.parent if database else None, config.console_url,
        backups.age_seconds if backups else None, _manners(config), strangers, file, integrity, audit,
    )  # fmt: skip
    jobs = (
        Job("sampler", sampler.run),
        Job("reaper", lambda: reap(committer)),
        Job("recount", lambda: recount(committer)),
        *_led(
            writer,
            alerts=alerts.run,
            trim=lambda: trim(committer, writer.trimmer),
            plan=lambda: follow_schedule(committer, sampler, box.recommended_max_bots),
        ),
        *([Job("keys", lambda: follow_keys(read_keys, access.load))] if not writer.alone else []),
        *([Job("backups", backups.run)] if backups else []),
        *([Job("file", file.run)] if file else []),
        *([Job("integrity", integrity.run)] if integrity else []),
        *([Job("strangers", strangers.run)] if strangers else []),
        *([Job("audit", audit.run)] if audit else []),
        *_watchdogs(config, committer),
    )
    services = Services(
        config, committer, access, sampler, jobs, engine, ThreadPoolExecutor(4, "read"), box,
        time.monotonic(), __version__, backups, strangers, file, integrity, audit,
    )  # fmt: skip
    listening = _listen(_addresses(config.host), config.port)
    server = _server(App(services))
    _stop_on_signals(server, committer)
    tasks = [asyncio.create_task(job.supervise(), name=job.name) for job in jobs]
    host, port = listening[0].getsockname()[:2]
    if lock is not None:
        _open_to_commands(lock, access, host, port, clock.now())
    _log_start(config, committer, host, port)
    settle_memory()
    tell_systemd("READY=1")
    try:
        await server.serve(listening)
    finally:
        tell_systemd("STOPPING=1")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await sampler.sample()  # what happened since the last one
        await committer.submit(Reap())
        await _close(services)
        log.info("stopped")
    if committer.fault is not None:
        sys.exit(1)  # whoever started it starts it again, on what the database has


async def _close(services: Services) -> None:
    """The readers before the writer, whose close as the last one folds the -wal file into the database."""
    services.reads.shutdown()
    services.engine.dispose()
    if services.file is not None:
        services.file.file.close()
    await services.committer.close()
    if services.file is not None:
        services.file.file.release()


def _restored(writer: Writer, config: Config, clock: Clock, channels: Iterable[str]) -> State:
    """The state as the database has it. Raises StoreError where it cannot be read: damage that the open did not see."""
    path = sqlite_path(config.database_url)
    try:
        return writer.restore(config.limits, config.timezone, clock.now(), channels)
    except DatabaseError as error:
        if path is None:
            raise
        raise what_is_wrong(error, path) from error


def _open_channels(config: Config) -> dict[str, Channel]:
    try:
        return open_channels(config.alert_urls, beside(config.database_url, "channels.json"))
    except ValueError as error:
        fr, en = in_both(error)
        raise ConfigError(fr=f"LIMITER_ALERT_URLS : {fr}", en=f"LIMITER_ALERT_URLS: {en}") from error


def _manners(config: Config) -> ReminderPolicy:
    return ReminderPolicy(config.alert_repeat_minutes, config.alert_quiet, config.timezone)


def _backups(config: Config, clock: Clock) -> Backups | None:
    """None where the settings want none."""
    path, folder = sqlite_path(config.database_url), backup_folder(config.database_url, config.backup_dir)
    if path is None or folder is None:
        return None
    return Backups(path, folder, config.backup_hours, config.backup_keep, clock.now)


def _file_watch(config: Config, writer: Writer, lock: Lock | None, sampler: Sampler) -> FileWatch | None:
    """None where there is no file, or this system cannot lock one by its inode."""
    named = named_path(config.database_url)
    if named is None or lock is None or lock.inode is None or not isinstance(writer, SqliteWriter):
        return None
    writer.fold_log()  # what a crash left: only then can be told who wrote
    watched = WatchedFile(named, lock.inode)
    writer.written_over = watched.written_over
    return FileWatch(watched, writer, sampler.sample)


def _led(writer: Writer, **jobs: Callable[[], Awaitable[None]]) -> Iterator[Job]:
    """What one of several limiters does for all of them."""

    def leads() -> bool:
        return writer.leads

    for name, run in jobs.items():
        yield Job(name, partial(while_leading, leads, run))


def _open_to_commands(lock: Lock, access: Access, host: str, port: int, now: int) -> None:
    """Let the commands on this file ask this process: where it is, and a key that lives as long as it does."""
    text, access.control = make_key("admin:write", "local", now, "local")
    access.keys["local"] = access.control
    lock.describe(url=web_address(reachable(host), port), key=text)


def _watchdogs(config: Config, committer: Committer) -> Iterator[Job]:
    """Signs of life, for those who wait for them."""
    if seconds := watchdog_seconds():
        yield Job("watchdog", lambda: feed_watchdog(committer, seconds))
    if url := config.ping_url:
        yield Job("ping", lambda: ping(committer, url))


def _addresses(host: str) -> list[str]:
    """The addresses of a host, IPv4 first; of `localhost` both, whatever the machine's list of hosts has.

    Raises ConfigError where the name has none.
    """
    if host == "localhost":
        return ["127.0.0.1", "::1"]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConfigError(
            fr=f"LIMITER_HOST : {host} n'a pas d'adresse ({error})", en=f"LIMITER_HOST: {host} has no address ({error})"
        ) from error
    return sorted({str(address[0]) for *_, address in found}, key=lambda address: ":" in address)


def _listen(addresses: list[str], port: int) -> list[socket.socket]:
    """A listening socket an address, all on one port, or ConfigError with what is wrong.

    `::` takes IPv4 too. Of several addresses one may be missing, as ::1 is where there is no IPv6.
    """
    sockets: list[socket.socket] = []
    wrong: list[OSError] = []
    for address in addresses:
        try:
            sockets.append(_listen_on(address, sockets[0].getsockname()[1] if sockets else port))
        except OSError as error:
            wrong.append(error)
    if sockets and all(error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) for error in wrong):
        return sockets
    for one in sockets:
        one.close()
    raise ConfigError(
        fr=f"LIMITER_HOST, LIMITER_PORT : impossible d'écouter sur {addresses[0]} port {port} ({wrong[-1]})",
        en=f"LIMITER_HOST, LIMITER_PORT: cannot listen on {addresses[0]} port {port} ({wrong[-1]})",
    )


def _listen_on(address: str, port: int) -> socket.socket:
    family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    return socket.create_server(place, family=family, backlog=BACKLOG, dualstack_ipv6=address == "::")


def _server(app: App) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=HttpConnection,
        ws="none",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = uvicorn.Server(config)
    # uvicorn raises the signal again after the shutdown, which would end the process with its number and not with 0.
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
    return server


def _stop_on_signals(server: uvicorn.Server, committer: Committer) -> None:
    def stop() -> None:
        committer.state.draining = True
        server.should_exit = True

    committer.on_fault = stop
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _open_access(config: Config, committer: Committer, read_keys: Callable[[], list[Key]]) -> Access:
    """The gate with its keys; makes the first key; refuses to serve others than loopback without a `bots` key."""
    access = Access(local=all(is_loopback(address) for address in _addresses(config.host)))
    found = read_keys()
    if not any(key.scope == "admin:write" for key in found):  # a `bots` key may come before the first start
        text, key = make_key("admin:write", "admin", committer.clock.now())
        path = key_file(config.database_url)
        write_first_key(path, text)
        row = {name: getattr(key, name) for name in ("id", "name", "scope", "digest", "created_at", "revoked_at")}
        made = await committer.submit(Write("keys", row, "start", "key", f"{key.id} {key.scope}"))
        if isinstance(made, Refusal):
            raise StoreError(
                fr="la première clé n'a pu être gardée : la base peut-elle être écrite ?",
                en="the first key could not be saved: is the database writable?",
            )
        log.info("first_key file=%s", path)
        found = read_keys()
    access.load(found)
    if access.open and (hosts := config.allowed_hosts):
        log.warning("open_door hosts=%s: behind a proxy anybody can ask, for no bots key was made", ",".join(hosts))
    if not access.local and not any(key.scope == "bots" and key.revoked_at is None for key in found):
        make = "`python -m limiter keys create --scope bots`"
        raise ConfigError(
            fr=f"LIMITER_HOST : {config.host} n'est pas la boucle locale, il faut donc une clé aux bots : {make}",
            en=f"LIMITER_HOST: {config.host} is not loopback, so bots need a key: make one with {make}",
        )
    return access


def _log_start(config: Config, committer: Committer, host: str, port: int) -> None:
    state = committer.state
    for name, setting in state.limits.settings.items():
        if state.limits.hidden(name):
            hidden = state.limits.configured[name]
            log.warning(
                "limit_hidden name=%s live=%s hides=%s source=%s", name, setting.value, hidden.value, hidden.source
            )
    if not state.channels:
        log.warning("no_alert_channel: LIMITER_ALERT_URLS is not set, so nobody is told when the server is full")
    held = capacity(state, committer.clock.now())
    log.info(
        "serving url=%s bots=%d/%d limits_version=%d zone=%s",
        web_address(host, port), held.current, held.maximum, state.limits.version, config.timezone,
    )  # fmt: skip
