"""`python -m limiter serve`: builds the objects, wires them, and runs them until SIGTERM. The only place that does.

wiring.py builds what the limiter is made of, gate.py sees who may ask, listening.py has the sockets and the server.
"""

import asyncio
import logging
import sys

import uvloop

from limiter.config import Config
from limiter.http.call import Services
from limiter.http.server import App
from limiter.jobs.watchdogs import tell_systemd
from limiter.rules.sessions import Reap
from limiter.serve.collector import settle_memory
from limiter.serve.gate import open_to_commands
from limiter.serve.listening import addresses, listen, server, stop_on_signals
from limiter.serve.start_log import log_start, set_up_logging
from limiter.serve.wiring import built, retention
from limiter.store.ballast import Ballast
from limiter.store.location import refuse_lost, sqlite_path
from limiter.store.lock import Lock
from limiter.store.open import writer_of
from limiter.store.writer import Writer

log = logging.getLogger("limiter")


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


async def run(config: Config, writer: Writer, lock: Lock | None, ballast: Ballast | None) -> None:
    """Serve requests and run the jobs; at the end finish what is in flight and what waits."""
    services = await built(config, writer, lock, ballast)
    committer = services.committer
    sockets = listen(addresses(config.host), config.port)
    http = server(App(services))
    stop_on_signals(http, committer)
    tasks = [asyncio.create_task(job.supervise(), name=job.name) for job in services.jobs]
    host, port = sockets[0].getsockname()[:2]
    if lock is not None:
        open_to_commands(lock, services.access, host, port, committer.clock.now())
    log_start(config, committer, host, port)
    settle_memory()
    tell_systemd("READY=1")
    try:
        await http.serve(sockets)
    finally:
        tell_systemd("STOPPING=1")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await services.sampler.sample()  # what happened since the last one
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
