"""Alert channels that work badly, each in its own way, and a limiter killed while it tells: who was told what."""

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from faults.figures import Figure
from faults.running import running, seconds, seconds_until
from limiter.rules.reminders import PERHAPS
from tests.conftest import Limiter
from tests.webhook import Webhook

BOTS = 20
LEVELS = 3  # that so many bots cross
PATHS = ("/good", "/limited", "/slow", "/half", "/hole")
LIMITED_SECONDS, SLOW_SECONDS, NEVER_SECONDS = 20.0, 30.0, 3600.0
LATEST_KILL = 45.0
END_SECONDS = 300.0


def telling(folder: Path, rounds: int) -> Iterator[Figure]:
    """One channel works, one says 429 for 20 s, one answers after 30 s, one cuts every second connection, one takes
    what is sent and never answers; a SIGKILL comes within 45 s of the first message."""
    found, slowest, answers = Counter[str](), [0.0], [0.0]
    for number in range(rounds):
        with Webhook() as webhook:
            webhook.statuses["/limited"], webhook.drops["/half"] = 429, 2
            webhook.delays |= {"/slow": SLOW_SECONDS, "/hole": NEVER_SECONDS}
            env = {"LIMITER_ALERT_URLS": ",".join(webhook.address(path) for path in PATHS)}
            limits = {"MAX_CONCURRENT_BOTS": BOTS, "BOT_LEASE_SECONDS": 3600}
            with running(folder / str(number), **limits, **env) as one:
                slow, took = killed_while_it_tells(one, webhook, random.Random(number).uniform(0, LATEST_KILL))
                slowest.append(slow)
                answers += took
                found["unended"] += seconds_until(lambda one=one: not waiting(one), END_SECONDS) > END_SECONDS  # type: ignore[misc]
                found += compared(one, webhook)
    yield Figure("SIGKILLs of a limiter that tells five channels of three levels", rounds)
    yield Figure("messages", found["messages"])
    yield Figure("slowest at the channel that works", max(slowest), 5, "s")
    yield Figure("slowest decision meanwhile", max(answers), 1, "s")
    yield Figure("messages that a channel never got, or not within 300 s", found["lost"] + found["unended"], 0)
    yield Figure("told twice, and not saying so", found["twice"], 0)
    yield Figure("told again after the SIGKILL, saying that it may have arrived", found["again"])
    yield Figure("records that say something else than the servers saw", found["wrong"], 0)


def killed_while_it_tells(one: Limiter, webhook: Webhook, after: float) -> tuple[float, list[float]]:
    """Every level is crossed, and the kill comes so many seconds later: how long the channel that works waited for all
    of them, and how long each decision meanwhile took."""
    began, bots, took = time.monotonic(), one.fill(BOTS), list[float]()
    good = seconds_until(lambda: len(webhook.titles("/good")) == LEVELS, 20)
    killed = False
    while time.monotonic() < began + max(after, LIMITED_SECONDS):
        if not killed and time.monotonic() >= began + after:
            one.restart(kill=True)
            killed = True
        took.append(seconds(lambda: one.beat(bots[0]))[0])
        time.sleep(0.2)
    if not killed:
        one.restart(kill=True)
    webhook.statuses["/limited"] = 200
    return good, took


def waiting(one: Limiter) -> int:
    """How many messages are still on their way, but for those to the channel that never answers."""
    told = one.admin("GET", "/api/admin/alerts").json()["channels"]
    return sum(int(row["pending"]) for row in told[:-1])


def compared(one: Limiter, webhook: Webhook) -> Counter[str]:
    """What the servers took, beside what the limiter says of it."""
    found = Counter[str]()
    taken = Counter((path, body["title"], PERHAPS.fr in body["message"]) for path, body in webhook.taken)
    with closing(sqlite3.connect(one.db_path)) as file:
        kept = file.execute("SELECT channel, title, state FROM deliveries").fetchall()
    names = ["json", *(f"json-{number}" for number in range(2, len(PATHS) + 1))]
    for channel, title, state in kept:
        path = PATHS[names.index(channel)]
        plain, marked = taken[path, title, False], taken[path, title, True]
        found["messages"] += 1
        found["twice"] += max(0, plain - 1)
        found["again"] += marked
        found["lost"] += path != "/hole" and not plain + marked
        found["wrong"] += (state == "sent") != (path != "/hole")
    return found
