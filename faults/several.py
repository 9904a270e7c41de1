"""Several limiters in front of one PostgreSQL database, killed in turn while all slots are raced for."""

import os
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from faults.figures import Figure, Missing
from faults.running import percentile, running
from tests.conftest import Limiter
from tests.journeys.test_several import CAP, Bots, rows

SERVER = os.environ.get("LIMITER_TEST_POSTGRES_URL", "")
PROCESSES = 3
THREADS = 6
LIMITS = {"MAX_CONCURRENT_BOTS": CAP, "BOT_LEASE_SECONDS": 600}


@contextmanager
def database() -> Iterator[str]:
    """A new database on that server, gone afterwards."""
    name = f"fault_{secrets.token_hex(6)}"
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
        try:
            yield f"{SERVER.replace('postgresql://', 'postgresql+psycopg://', 1).rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def several(folder: Path, kills: int) -> Iterator[Figure]:
    """SIGKILL of one of three limiters, again and again; the bots go to whichever answers."""
    if not SERVER:
        raise Missing("LIMITER_TEST_POSTGRES_URL names no PostgreSQL server")
    with database() as url, ExitStack() as stack:
        made = [
            stack.enter_context(running(folder / str(n), **LIMITS, LIMITER_DATABASE_URL=url)) for n in range(PROCESSES)
        ]
        yield from _killed(made, url, kills)


def _killed(made: list[Limiter], url: str, kills: int) -> Iterator[Figure]:
    bots, chance = [Bots([one.url for one in made], seed) for seed in range(THREADS)], random.Random(kills)
    most, drift, restarts = 0, 0, list[float]()
    for _ in range(kills):
        time.sleep(chance.uniform(0.1, 0.5))
        began = time.monotonic()
        chance.choice(made).restart(kill=True)
        restarts.append(time.monotonic() - began)
        ((active, counted),) = rows(url, "SELECT active, (SELECT count(*) FROM active_sessions) FROM fleet")
        most, drift = max(most, counted), drift + abs(active - counted)
    for one in bots:
        one.over.set()
    for one in bots:
        one.thread.join()
    active_now = {f"s{number}" for (number,) in rows(url, "SELECT number FROM active_sessions")}
    ended = {f"s{number}" for (number,) in rows(url, "SELECT number FROM ended_sessions")}
    held = {public_id for one in bots for public_id in one.held}
    stopped = {public_id for one in bots for public_id in one.stopped}
    said = {one.capacity()["current_bots"] for one in made}
    free = CAP - len(active_now)
    statuses = [made[n % PROCESSES].start().status_code for n in range(free + PROCESSES)]
    yield Figure(f"kills of one of {PROCESSES} limiters, {CAP} slots between them", kills)
    yield Figure("starts and stops that were told", len(held) + len(stopped))
    yield Figure("bots above the cap", max(0, most - CAP), 0)
    yield Figure("rounds that did not race for the last slot", int(most < CAP), 0)
    yield Figure("slots that were told and are not held", len(held - active_now), 0)
    yield Figure("stops that were told and did not hold", len(stopped - ended), 0)
    yield Figure("counts that drifted from the rows", drift, 0)
    yield Figure("limiters that say another count", len(said - {len(active_now)}), 0)
    yield Figure("last slots given wrongly", int(statuses != [201] * free + [503] * PROCESSES), 0)
    yield Figure("p99 of a restart, until it decides again", percentile(restarts, 0.99), unit="s")
