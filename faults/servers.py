"""The PostgreSQL server itself goes: it is killed and comes back, or another one takes its place. Two limiters are in
front of it, and bots race for the last slots all the while."""

import contextlib
import glob
import os
import pwd
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg

from faults.figures import Figure, Missing
from faults.running import percentile, running, seconds_until
from tests.conftest import Limiter
from tests.journeys.console_process import free_port
from tests.journeys.test_several import CAP, Bots, rows

PROCESSES, THREADS = 2, 6
LIMITS = {"MAX_CONCURRENT_BOTS": CAP, "BOT_LEASE_SECONDS": 600}
NAME = "limiters"
WAIT_SECONDS = 30.0


class Server:
    """A cluster of its own on this machine, run by the user that PostgreSQL insists on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()

    def run(self, program: str, *arguments: str) -> None:
        """One of PostgreSQL's programs."""
        found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"))
        if not found:
            raise Missing("PostgreSQL's server is not installed (Debian, Ubuntu: apt-get install postgresql)")
        other = [] if os.geteuid() else ["runuser", "-u", "postgres", "--"]
        command = [*other, found[-1], *arguments]
        ran = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)
        assert ran.returncode == 0, f"{program}: {ran.stdout} {ran.stderr}"

    def create(self) -> None:
        """An empty cluster that anybody may enter."""
        self.run(
            "initdb", "--pgdata", str(self.folder), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8"
        )

    def control(self, *arguments: str) -> None:
        """`pg_ctl`; its server's own words go to a file beside the cluster."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder.parent}"
        log = f"{self.folder}.log"
        self.run("pg_ctl", "--pgdata", str(self.folder), "--log", log, "--options", options, "--wait", *arguments)

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        """A statement by itself, and its rows."""
        address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def follow(self, primary: "Server") -> None:
        """Begin anew as a copy of that one, which from now on waits for this one at every commit."""
        shutil.rmtree(self.folder, ignore_errors=True)
        address = f"host=127.0.0.1 port={primary.port} user=postgres"
        self.run("pg_basebackup", "--pgdata", str(self.folder), "--dbname", address, "-R", "--checkpoint", "fast")
        self.control("start")
        primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.ask("SELECT pg_reload_conf()")
        seconds_until(lambda: primary.ask("SELECT sync_state FROM pg_stat_replication") == [("sync",)], WAIT_SECONDS)

    def take_over(self) -> None:
        """Be the primary now, which waits for nobody."""
        self.run("pg_ctl", "--pgdata", str(self.folder), "--wait", "promote")
        self.ask("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.ask("SELECT pg_reload_conf()")


@contextmanager
def servers(number: int) -> Iterator[list[Server]]:
    """So many of them; the first one runs, with an empty database. All are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fault-postgres-") as folder:
        with contextlib.suppress(KeyError):
            if os.geteuid() == 0:
                os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        made = [Server(Path(folder) / str(n)) for n in range(number)]
        try:
            made[0].create()
            made[0].control("start")
            made[0].ask(f"CREATE DATABASE {NAME}")
            yield made
        finally:
            for one in made:
                with contextlib.suppress(AssertionError, Missing):
                    one.control("stop", "--mode", "immediate")


def url(*these: Server) -> str:
    """The database on whichever of them takes writes."""
    hosts, ports = ",".join("127.0.0.1" for _ in these), ",".join(str(one.port) for one in these)
    return f"postgresql+psycopg://postgres@/{NAME}?host={hosts}&port={ports}&target_session_attrs=read-write"


def restarted(folder: Path, rounds: int) -> Iterator[Figure]:
    """The server is killed, or told to end, under load, and comes back."""
    with servers(1) as (server,):

        def again(number: int) -> Server:
            server.control("restart", "--mode", "immediate" if number % 2 == 0 else "fast")
            return server

        yield Figure("restarts of the server under load, half of them after a kill", rounds)
        yield from gone_under_load(folder, url(server), again, rounds)


def failovers(folder: Path, rounds: int) -> Iterator[Figure]:
    """The server dies and its synchronous standby takes its place; what died begins anew as the standby of that one."""
    with servers(2) as (one, other):
        other.follow(one)
        order = [one, other]

        def over(number: int) -> Server:
            if number:
                order[1].follow(order[0])
                time.sleep(1)  # under load once more
            order[0].control("stop", "--mode", "immediate")
            order[1].take_over()
            order.reverse()
            return order[0]

        yield Figure("times that the server died and its standby took its place", rounds)
        yield from gone_under_load(folder, url(one, other), over, rounds)


def gone_under_load(folder: Path, database: str, break_it: Callable[[int], Server], rounds: int) -> Iterator[Figure]:
    """Bots start and stop at two limiters; the database goes and comes back. What they were told against its rows."""
    chance, most, drift, recoveries = random.Random(rounds), 0, 0, list[float]()
    with ExitStack() as stack:
        made = [
            stack.enter_context(running(folder / str(n), **LIMITS, LIMITER_DATABASE_URL=database))
            for n in range(PROCESSES)
        ]
        bots = [Bots([one.url for one in made], seed) for seed in range(THREADS)]
        try:
            for number in range(rounds):
                time.sleep(chance.uniform(0.5, 1.5))
                now = break_it(number)
                recoveries += [seconds_until(lambda one=one: decides(one), WAIT_SECONDS) for one in made]  # type: ignore[misc]
                direct = f"postgresql://postgres@127.0.0.1:{now.port}/{NAME}"
                ((active, counted),) = rows(direct, "SELECT active, (SELECT count(*) FROM active_sessions) FROM fleet")
                most, drift = max(most, counted), drift + abs(active - counted)
        finally:
            for bot in bots:
                bot.over.set()
            for bot in bots:
                bot.thread.join()
        active_now = {f"s{number}" for (number,) in rows(direct, "SELECT number FROM active_sessions")}
        ended = {f"s{number}" for (number,) in rows(direct, "SELECT number FROM ended_sessions")}
        said = {one.capacity()["current_bots"] for one in made}
    held = {public_id for bot in bots for public_id in bot.held}
    stopped = {public_id for bot in bots for public_id in bot.stopped}
    yield Figure("starts and stops that were told", len(held) + len(stopped))
    yield Figure("bots above the cap", max(0, most - CAP), 0)
    yield Figure("slots that were told and are not held", len(held - active_now), 0)
    yield Figure("stops that were told and did not hold", len(stopped - ended), 0)
    yield Figure("counts that drifted from the rows", drift, 0)
    yield Figure("limiters that say another count", len(said - {len(active_now)}), 0)
    yield Figure("p50 from the server's return until a limiter decides again", percentile(recoveries, 0.5), unit="s")
    yield Figure("slowest", max(recoveries), 5, "s")


def decides(one: Limiter) -> bool:
    """Whether it does: a start that is admitted, and stopped again, or refused for want of a slot."""
    with contextlib.suppress(httpx.TransportError):
        answer = one.start()
        if answer.status_code == 201:
            return one.end(answer.json()["session"]).status_code == 200
        return "server_full" in answer.text
    return False
