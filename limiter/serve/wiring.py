"""What the limiter is made of: each part built from the settings, and wired to the others."""

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import DatabaseError

from limiter import __version__
from limiter.bilingual import in_both
from limiter.channels import Channel, open_channels
from limiter.clock import Clock
from limiter.committer import Committer
from limiter.config import Config, ConfigError
from limiter.events import EventLog
from limiter.http.call import Services
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
from limiter.jobs.watchdogs import feed_watchdog, ping, watchdog_seconds
from limiter.rules.capacity import Box
from limiter.rules.records import Key
from limiter.rules.reminders import ReminderPolicy
from limiter.rules.state import State
from limiter.rules.strangers import Reports
from limiter.serve.gate import open_access
from limiter.store import read
from limiter.store.ballast import Ballast
from limiter.store.engine import open_reader, reading
from limiter.store.file_checks import what_is_wrong
from limiter.store.location import backup_folder, beside, named_path, sqlite_path
from limiter.store.lock import Lock
from limiter.store.retention import Retention
from limiter.store.sqlite_writer import SqliteWriter
from limiter.store.watched_file import WatchedFile
from limiter.store.writer import Writer
from limiter.units import GIB


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


class Watches(NamedTuple):
    """What looks after the limiter and its machine, each where the settings and the database have something for it."""

    backups: Backups | None
    strangers: StrangerWatch | None
    file: FileWatch | None
    integrity: Integrity | None
    audit: AuditWatch | None

    def jobs(self) -> Iterator[Job]:
        """A job for each that is there."""
        for name, watch in self._asdict().items():
            if watch is not None:
                yield Job(name, watch.run)


async def built(config: Config, writer: Writer, lock: Lock | None, ballast: Ballast | None) -> Services:
    """All of it, on the state that the database has; no job runs yet. Raises ConfigError or StoreError."""
    clock = Clock()
    channels = _open_channels(config)
    state = _restored(writer, config, clock, channels)
    state.language, state.tells_ends = config.lang, config.alert_ends
    committer = Committer(state, writer, clock, ballast, EventLog(config.log_format))
    engine = open_reader(config.database_url)

    def read_keys() -> list[Key]:
        with reading(engine) as connection:
            return read.keys.keys(connection)

    access = await open_access(config, committer, read_keys)
    sampler, box = Sampler(committer), Box(config.ram_gb or ram_total_bytes() / GIB)
    watches = _watches(config, writer, lock, committer, sampler, engine)
    reports = Reports(time.monotonic())
    alerts = _alerts(config, committer, sampler, channels, watches, reports)
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
        *watches.jobs(),
        *_signs_of_life(config, committer),
    )
    return Services(
        config, committer, access, sampler, jobs, engine, ThreadPoolExecutor(4, "read"), box,
        time.monotonic(), __version__, *watches, reports,
    )  # fmt: skip


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


def _watches(
    config: Config, writer: Writer, lock: Lock | None, committer: Committer, sampler: Sampler, engine: Engine
) -> Watches:
    pattern, database = config.bot_pattern, sqlite_path(config.database_url)
    return Watches(
        backups=_backups(config, committer.clock),
        strangers=StrangerWatch(committer, pattern) if pattern is not None else None,
        file=_file_watch(config, writer, lock, sampler),
        integrity=Integrity(database, lambda: committer.latency.count) if database is not None else None,
        audit=AuditWatch(writer.head, engine) if writer.head is not None else None,
    )


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


def _alerts(
    config: Config,
    committer: Committer,
    sampler: Sampler,
    channels: Mapping[str, Channel],
    watches: Watches,
    reports: Reports,
) -> Alerts:
    database, (backups, strangers, file, integrity, audit) = sqlite_path(config.database_url), watches
    manners = ReminderPolicy(config.alert_repeat_minutes, config.alert_quiet, config.timezone)
    return Alerts(
        committer, sampler, channels, database.parent if database else None, config.console_url,
        backups.age_seconds if backups else None, manners, strangers, file, integrity, audit, reports,
    )  # fmt: skip


def _led(writer: Writer, **jobs: Callable[[], Awaitable[None]]) -> Iterator[Job]:
    """What one of several limiters does for all of them."""

    def leads() -> bool:
        return writer.leads

    for name, run in jobs.items():
        yield Job(name, partial(while_leading, leads, run))


def _signs_of_life(config: Config, committer: Committer) -> Iterator[Job]:
    """Signs of life, for those who wait for them."""
    if seconds := watchdog_seconds():
        yield Job("watchdog", lambda: feed_watchdog(committer, seconds))
    if url := config.ping_url:
        yield Job("ping", lambda: ping(committer, url))
