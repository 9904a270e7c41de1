"""Many who wait for few slots: a hundred clients at one freed slot, and bots that wait with `wait_seconds`."""

import asyncio
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from faults.figures import Figure
from faults.inside import with_committer
from faults.running import running
from limiter.client import AsyncBotSession
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Admission, Stop
from tests.conftest import Limiter as Server
from tests.rules.world import asked
from tests.test_committer import Limiter, change

CLIENTS = 100
SLOTS = 20
ASK_SECONDS = 10.0  # a bot that waits asks at most once in them


def race(folder: Path, rounds: int) -> Iterator[Figure]:
    """One slot is freed and a hundred clients ask for it at once, in any order, half of them without a ticket: those
    with one were refused in an order of their own."""
    chance, found = random.Random(rounds), Counter[str]()

    async def work(limiter: Limiter) -> None:
        await limiter.ask(change(MAX_CONCURRENT_BOTS=1, BOT_LEASE_SECONDS=86_400))
        holder = await limiter.start("holder")
        queue: list[str] = []
        for number in range(rounds):
            users = [f"u{n}" for n in range(CLIENTS // 2)]
            new = [user for user in users if user not in queue and user != holder.user_id]
            chance.shuffle(new)
            await limiter.ask(*(asked(user, queue=True) for user in new))
            queue += new
            await limiter.ask(Stop(holder.number, holder.secret))
            crowd = [(user, limiter.state.tickets[user].id) for user in queue]
            strangers = [(f"s{number}-{n}", None) for n in range(CLIENTS - len(crowd))]
            everybody = [*crowd, *strangers]
            chance.shuffle(everybody)
            answers = await limiter.ask(
                *(asked(user, queue=ticket is not None, ticket=ticket) for user, ticket in everybody)
            )
            admitted = [answer.session for answer in answers if isinstance(answer, Admission)]
            found["failed"] += sum(not isinstance(answer, (Admission, Refusal)) for answer in answers)
            found["over"] += len(admitted) > 1 or len(limiter.state.sessions) > 1
            found["wrong"] += [one.user_id for one in admitted] != queue[:1]
            holder = admitted[0] if admitted else holder
            queue = queue[1:]

    with_committer(folder / "limiter.db", work)
    yield Figure("rounds of a hundred clients for one freed slot", rounds)
    yield Figure("rounds in which another than the first ticket got it", found["wrong"], 0)
    yield Figure("rounds with more bots than the limit", found["over"], 0)
    yield Figure("requests that failed", found["failed"], 0)


def waits(one: Server) -> int:
    """How many have a ticket."""
    waiting: int = one.client.get("/api/admin/stats").json()["queue"]["waiting"]
    return waiting


def waiting(folder: Path, bots: int) -> Iterator[Figure]:
    """So many bots wait with `wait_seconds` for 20 slots; who gets one gives it back a moment later."""
    entered: list[str] = []

    async def live(url: str, user: str) -> None:
        bot = AsyncBotSession(url, user_id=user, wait_seconds=900)
        await bot.start()
        entered.append(user)
        await bot.stop()

    with running(folder, MAX_CONCURRENT_BOTS=SLOTS) as one:
        holders = one.fill(SLOTS)

        async def whole() -> tuple[list[str], float]:
            began = time.monotonic()
            tasks = [asyncio.create_task(live(one.url, f"w{n}")) for n in range(bots)]
            while waits(one) < bots:
                await asyncio.sleep(0.1)
            with closing(sqlite3.connect(one.folder / "limiter.db")) as file:
                order = [row[0] for row in file.execute("SELECT user_id FROM tickets ORDER BY number")]
            for holder in holders:
                await asyncio.to_thread(one.end, holder)
            await asyncio.gather(*tasks)
            return order, time.monotonic() - began

        order, seconds = asyncio.run(whole())
        asks = Counter[str]()
        cursor = ""
        while cursor is not None:
            page = one.client.get("/api/admin/refusals", params={"limit": 500} | ({"cursor": cursor} if cursor else {}))
            told = page.json()
            asks.update(row["user_id"] for row in told["items"])
            cursor = told["next_cursor"]
        with closing(sqlite3.connect(one.folder / "limiter.db")) as file:
            rows = file.execute("SELECT user_id FROM sessions WHERE user_id LIKE 'w%' ORDER BY number").fetchall()
            admitted = [row[0] for row in rows]
        most = max(asks[f"w{n}"] + 1 for n in range(bots))
    allowed = int(seconds / ASK_SECONDS) + 2
    yield Figure("bots that waited for 20 slots", bots)
    yield Figure("until the last had its slot", round(seconds, 1), unit="s")
    yield Figure("questions of the one that asked most", most, allowed)
    ranks = []
    for user in admitted:
        ranks.append(order.index(user))
        order.remove(user)
    yield Figure("place in the queue, from 1, of the one let in furthest ahead of its turn", max(ranks) + 1, SLOTS)
    yield Figure("bots that never got in", bots - len(entered), 0)
