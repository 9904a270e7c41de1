"""Processes that end: the limiter, killed or asked to; bots that vanish; connections that break before the answer."""

import random
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import httpx

from faults.figures import Figure
from faults.power import every
from faults.running import ROOMY, percentile, running
from tests.conftest import Limiter, granted, instant
from tests.journeys.test_kill import THREADS, Told, check, run_until_killed

SMALL, LARGE = 12, 5000  # slots: with few, starts are refused all the time; with many, hardly ever
LEASE_SECONDS = 5
SLACK_SECONDS = 5.0


def kills(folder: Path, rounds: int) -> Iterator[Figure]:
    """SIGKILL at a random moment under load, so many times in each of two regimes."""
    found, restarts, broken = Counter[str](), list[float](), 0
    for slots in (SMALL, LARGE):
        moments, everyone = random.Random(slots), [Told(f"user-{n}") for n in range(THREADS)]
        with running(folder / str(slots), **ROOMY | {"MAX_CONCURRENT_BOTS": slots}) as one:
            for _ in range(rounds):
                version = run_until_killed(one, everyone, moments.randint(20, 120))
                began = time.monotonic()
                one.restart(kill=True)
                restarts.append(time.monotonic() - began)
                try:
                    counted = sum((check(one, told) for told in everyone), Counter[str]())["counted"]
                except AssertionError:
                    broken += 1
                    continue
                held = one.capacity()["current_bots"]
                found["above"] += held > slots
                found["leaked"] += abs(held - counted)
                found["versions"] += granted(one.admin("GET", "/api/admin/limits"))["version"] < version
            found["starts"] += sum(told.asked for told in everyone)
    yield Figure(f"kills, half of them with {SMALL} slots, half with {LARGE}", len(restarts))
    yield Figure("starts asked for", found["starts"])
    yield Figure("rounds in which a start, stop or trade that was told did not hold", broken, 0)
    yield Figure("rounds with more bots than slots", found["above"], 0)
    yield Figure("slots leaked or lost", found["leaked"], 0)
    yield Figure("changes of limits lost", found["versions"], 0)
    yield Figure("p50 of a restart, until it decides again", percentile(restarts, 0.5), unit="s")
    yield Figure("p99 of a restart", percentile(restarts, 0.99), 2, "s")


def ask_until_over(one: Limiter, user: str, told: dict[str, str], found: Counter[str], over: threading.Event) -> None:
    """Starts until the door is closed, each remembered by its bot: session, refused, or unknown."""
    with httpx.Client(base_url=one.url, timeout=12) as client:
        for n in count():
            bot = f"{user}-{n}"
            try:
                answer = client.post("/api/bots/start", json={"user_id": user, "bot_id": bot})
            except httpx.ConnectError:
                return
            except (httpx.TransportError, ValueError):
                told[bot] = "no answer"
                return
            told[bot] = "admitted" if answer.status_code == 201 else "refused"
            found["strange"] += answer.status_code not in (201, 503)
            if over.is_set() and answer.status_code == 503:
                return


def terminations(folder: Path, rounds: int) -> Iterator[Figure]:
    """SIGTERM under load, with half-sent requests open."""
    found, exits, told = Counter[str](), list[float](), dict[str, str]()
    with running(folder, **ROOMY) as one:
        for number in range(rounds):
            over = threading.Event()
            half = [socket.create_connection(("127.0.0.1", one.port)) for _ in range(4)]
            for connection in half:
                connection.sendall(b"POST /api/bots/start HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99\r\n\r\n{")
            askers = [
                threading.Thread(target=ask_until_over, args=(one, f"u{number}-{n}", told, found, over))
                for n in range(6)
            ]
            for asker in askers:
                asker.start()
            time.sleep(random.Random(number).uniform(0.1, 0.4))
            began, process = time.monotonic(), one.process
            assert process is not None
            process.send_signal(signal.SIGTERM)
            over.set()
            found["status"] += process.wait(15) != 0
            exits.append(time.monotonic() - began)
            for asker in askers:
                asker.join()
            for connection in half:
                connection.close()
            one.restart(kill=True)
        held = {row["bot_id"] for row in every(one)}
    admitted = {bot for bot, answer in told.items() if answer == "admitted"}
    refused = {bot for bot, answer in told.items() if answer == "refused"}
    yield Figure("rounds", rounds)
    yield Figure("starts asked for", len(told))
    yield Figure("admitted starts that are not there afterwards", len(admitted - held), 0)
    yield Figure("refused starts that are", len(refused & held), 0)
    yield Figure("starts decided whose answer was cut off", len(held - admitted), 0)
    yield Figure("answers other than 201 and 503", found["strange"], 0)
    yield Figure("exit statuses other than 0", found["status"], 0)
    yield Figure("slowest exit", max(exits), 10, "s")


def zombies(folder: Path, bots: int) -> Iterator[Figure]:
    """30 % of the bots vanish without a word; the others beat on."""
    with running(folder, **ROOMY | {"BOT_LEASE_SECONDS": LEASE_SECONDS}) as one:
        held = one.fill(bots)
        gone, alive = held[: bots * 3 // 10], held[bots * 3 // 10 :]
        due, lost = instant(gone[-1]["lease_expires_at"]), 0
        last_beat, end = 0.0, time.monotonic() + LEASE_SECONDS + SLACK_SECONDS
        while one.capacity()["current_bots"] > len(alive) and time.monotonic() < end:
            if time.monotonic() > last_beat + 1:
                last_beat = time.monotonic()
                lost += sum(one.beat(session).status_code != 200 for session in alive)
            time.sleep(0.02)
        late = (datetime.now(UTC) - due).total_seconds()
        left = one.capacity()["current_bots"]
        kept = sum(one.beat(session).status_code != 410 for session in gone)
    yield Figure("bots that vanished", len(gone))
    yield Figure("bots alive that lost their slot", lost, 0)
    yield Figure("slots held that should not be, or the other way", abs(left - len(alive)) + kept, 0)
    yield Figure("from the end of the last lease until the count shows it", max(0.0, late), SLACK_SECONDS, "s")


def lost_answers(folder: Path, retries: int) -> Iterator[Figure]:
    """The connection is reset after the request was sent, at any moment before the answer; the bot asks again."""
    chance, found = random.Random(retries), Counter[str]()
    with running(folder, **ROOMY | {"MAX_BOTS_PER_USER": 1}) as one:
        for n in range(retries):
            body = b'{"user_id":"u%d","bot_id":"b"}' % n
            head = b"POST /api/bots/start HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nIdempotency-Key: k%d\r\n" % (one.port, n)
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            with socket.create_connection(("127.0.0.1", one.port)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close is a reset
                connection.sendall(head + body)
                time.sleep(chance.uniform(0, 0.004))
            with_key = n % 2 == 0
            answer = one.start(f"u{n}", "b", **({"Idempotency_Key": f"k{n}"} if with_key else {}))
            found["locked out"] += answer.status_code not in (200, 201)
            found["already there"] += answer.status_code == 200
        users = Counter(row["user_id"] for row in every(one))
        rows = one.capacity()["current_bots"]
    yield Figure("answers lost and asked for again", retries)
    yield Figure("of them decided before the reset, asked with the same key", found["already there"])
    yield Figure("users locked out", found["locked out"], 0)
    yield Figure("slots held twice", sum(n - 1 for n in users.values()), 0)
    yield Figure("slots held for nobody", abs(rows - retries), 0)
