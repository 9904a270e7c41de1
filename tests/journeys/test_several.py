"""Several limiters in front of one PostgreSQL database, killed one after another under load: one cap, nothing lost."""

import glob
import os
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import Limiter, instant, new_database, new_user

Start = Callable[..., Limiter]
CAP = 20
KILLS = 6
pytestmark = [pytest.mark.postgres, pytest.mark.slow]


class Bots:
    """One thread of bots that start and stop at whichever limiter answers; what they were promised."""

    def __init__(self, urls: list[str], seed: int) -> None:
        self.urls, self.chance = urls, random.Random(seed)
        self.held: dict[str, str] = {}  # session_id by public_id: acknowledged, and no stop was sent
        self.stopped: set[str] = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self.over.is_set():
                try:
                    self.step(client, self.chance.choice(self.urls))
                except httpx.TransportError:
                    time.sleep(0.02)  # that one was killed; another answers

    def step(self, client: httpx.Client, url: str) -> None:
        if self.held and self.chance.random() < 0.5:
            public_id = self.chance.choice(sorted(self.held))
            session_id = self.held.pop(public_id)
            answer = client.post(f"{url}/api/bots/stop", json={"session_id": session_id})
            if answer.status_code == 200:
                self.stopped.add(public_id)
            return
        answer = client.post(f"{url}/api/bots/start", json={"user_id": new_user()})
        if answer.status_code == 201:
            session = answer.json()["session"]
            self.held[session["public_id"]] = session["session_id"]
        else:
            assert answer.status_code == 503, answer.text


def rows(database: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("processes", [2, 4])
def test_limiters_that_are_killed_in_turn_neither_pass_the_cap_nor_lose_what_they_promised(
    limiter: Start, processes: int
) -> None:
    database = new_database()
    limits = {"MAX_CONCURRENT_BOTS": CAP, "BOT_LEASE_SECONDS": 600, "LIMITER_DATABASE_URL": database}
    made = [limiter(**limits) for _ in range(processes)]
    bots = [Bots([one.url for one in made], seed) for seed in range(6)]
    most = 0
    chance = random.Random(processes)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 0.8))
        victim = chance.choice(made)
        victim.restart(kill=True)
        ((active, counted),) = rows(database, "SELECT active, (SELECT count(*) FROM active_sessions) FROM fleet")
        assert active == counted
        most = max(most, active)
    for one in bots:
        one.over.set()
    for one in bots:
        one.thread.join()
    held = {public_id for one in bots for public_id in one.held}
    active = {f"s{number}" for (number,) in rows(database, "SELECT number FROM active_sessions")}
    ended = {f"s{number}" for (number,) in rows(database, "SELECT number FROM ended_sessions")}
    assert most == CAP, "the last slot was raced for"
    assert held <= active, "a slot that was acknowledged is held"
    assert {public_id for one in bots for public_id in one.stopped} <= ended
    assert len(active) <= CAP
    assert sum(one.capacity()["current_bots"] for one in made) == processes * len(active), "all of them say the same"
    free = CAP - len(active)
    answers = [made[n % processes].start() for n in range(free + 3)]
    assert [answer.status_code for answer in answers] == [201] * free + [503] * 3


def test_a_host_whose_clock_is_an_hour_off_ends_no_lease_early_and_passes_no_cap(limiter: Start) -> None:
    """Time is the database's: what a host believes matters to nobody."""
    faketime = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not faketime:
        assert "CI" not in os.environ, "libfaketime is not installed"
        pytest.skip("libfaketime is not installed")
    lease, limits = 5, {"MAX_CONCURRENT_BOTS": 4, "BOT_LEASE_SECONDS": 5, "LIMITER_DATABASE_URL": new_database()}
    wrong = {"LD_PRELOAD": faketime[0], "FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    right, ahead = limiter(**limits), limiter(**limits, **wrong)
    held = [one.session() for one in (right, ahead, right, ahead)]
    for session in held:
        assert abs((instant(session["started_at"]) - datetime.now(UTC)).total_seconds()) < 5
    assert [one.start().status_code for one in (right, ahead)] == [503, 503]
    end = time.monotonic() + 1.5 * lease
    while time.monotonic() < end:
        for number, session in enumerate(held[:3]):
            assert (right, ahead)[number % 2].beat(session).status_code == 200
            assert (ahead, right)[number % 2].beat(session).status_code == 200
        time.sleep(0.3)
    assert right.capacity()["current_bots"] == ahead.capacity()["current_bots"] == 3, "the silent one alone is over"
    assert [one.start().status_code for one in (ahead, right)] == [201, 503]
