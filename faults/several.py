"""Several limiters in front of one PostgreSQL database: killed in turn while all slots are raced for; and two of them
with a hundred clients at one freed slot."""

import asyncio
import json
import os
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from faults.figures import Figure, Missing
from faults.running import percentile, running
from tests.conftest import Limiter
from tests.journeys.test_several import CAP, Bots, rows

SERVER = os.environ.get("LIMITER_TEST_POSTGRES_URL", "")
PROCESSES = 3
THREADS = 6
CROWD, QUEUED = 100, 50
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


class Client:
    """A connection that is kept, over which one request after another goes: a hundred of them cost little."""

    def __init__(self, one: Limiter) -> None:
        self.port = one.port
        self._pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer."""
        if self._pipe is None:
            self._pipe = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._pipe
        sent = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(sent)}\r\n\r\n".encode() + sent)
        told = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(told.partition("content-length:")[2].partition("\r\n")[0])
        return int(told.split(" ", 2)[1]), json.loads(await reader.readexactly(length))

    async def close(self) -> None:
        """The end of it."""
        if self._pipe is not None:
            self._pipe[1].close()
            await self._pipe[1].wait_closed()


def race(folder: Path, rounds: int) -> Iterator[Figure]:
    """One slot is freed and a hundred clients ask for it at once, half of them at each of two limiters and half of
    them with a ticket: which was given in turn, by whichever limiter they had asked."""
    if not SERVER:
        raise Missing("LIMITER_TEST_POSTGRES_URL names no PostgreSQL server")
    limits = {"MAX_CONCURRENT_BOTS": 1, "BOT_LEASE_SECONDS": 86_400}
    with database() as url, ExitStack() as stack:
        made = [stack.enter_context(running(folder / str(n), **limits, LIMITER_DATABASE_URL=url)) for n in range(2)]
        wrong, over, failed = asyncio.run(_raced(made, url, rounds))
    yield Figure("rounds of a hundred clients at two limiters for one freed slot", rounds)
    yield Figure("rounds in which another than the first ticket got it", wrong, 0)
    yield Figure("rounds with more bots than the limit", over, 0)
    yield Figure("requests that failed", failed, 0)


async def _raced(made: list[Limiter], url: str, rounds: int) -> tuple[int, int, int]:
    chance, clients = random.Random(rounds), [Client(made[n % 2]) for n in range(CROWD)]
    tickets: dict[str, str] = {}  # of those that wait, in order
    wrong = over = failed = 0

    async def ask(client: Client, user: str, *, queue: bool) -> tuple[str, int, dict[str, Any]]:
        body = {"user_id": user, "queue": queue} | ({"ticket": tickets[user]} if user in tickets else {})
        return user, *(await client.post("/api/bots/start", body))

    async def all_ask(users: list[str]) -> list[tuple[str, int, dict[str, Any]]]:
        chance.shuffle(users)
        pairs = zip(clients, users, strict=False)
        return await asyncio.gather(*(ask(client, user, queue=user[0] == "u") for client, user in pairs))

    holder, _, answer = await ask(clients[0], "holder", queue=False)
    for number in range(rounds):
        new = [f"u{n}" for n in range(QUEUED) if f"u{n}" not in tickets and f"u{n}" != holder]
        told = {user: body["ticket"] for user, _, body in await all_ask(new)}
        tickets |= {user: told[user]["id"] for user in sorted(told, key=lambda one: told[one]["position"])}
        stopped, _ = await chance.choice(clients).post(
            "/api/bots/stop", {"session_id": answer["session"]["session_id"]}
        )
        first = next(iter(tickets))
        answers = await all_ask([*tickets, *(f"s{number}-{n}" for n in range(CROWD - len(tickets)))])
        admitted = [(user, body) for user, status, body in answers if status == 201]
        failed += (stopped != 200) + sum(status not in (201, 503) for _, status, _ in answers)
        ((active, counted),) = rows(url, "SELECT active, (SELECT count(*) FROM active_sessions) FROM fleet")
        over += max(active, counted, len(admitted)) > 1
        wrong += [user for user, _ in admitted] != [first]
        if admitted:
            holder, answer = admitted[0]
            del tickets[holder]
    for client in clients:
        await client.close()
    return wrong, over, failed
