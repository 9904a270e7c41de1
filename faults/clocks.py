"""The wall clock is moved under a running limiter (libfaketime), and days that last 23 or 25 hours begin. The monotonic
clock goes on, as it does when an operator or an NTP client sets the time."""

import functools
import glob
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

from faults.figures import Figure, Missing
from faults.running import ROOMY, health, running, seconds_until
from tests.conftest import Limiter, granted, instant

LEASE_SECONDS = 5
STEPS = ("+1h", "-1d", "-1h", "+1d")
# Each a moment some seconds before a midnight in Paris, and when the day that begins there ends.
MIDNIGHTS = {
    "a day of 24 hours": ("2026-01-14 22:59:54", "2026-01-15T23:00:00.000Z"),
    "the day of 23 hours": ("2026-03-28 22:59:54", "2026-03-29T22:00:00.000Z"),
    "the day of 25 hours": ("2026-10-24 21:59:54", "2026-10-25T23:00:00.000Z"),
}


def under(folder: Path, clock: Path, **env: Any) -> AbstractContextManager[Limiter]:
    """A limiter whose wall clock is what the file says. Raises Missing without libfaketime."""
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not found:
        raise Missing("libfaketime is not installed (Debian, Ubuntu: apt-get install libfaketime)")
    faked = {"FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": 1, "FAKETIME_DONT_FAKE_MONOTONIC": 1, "TZ": "UTC"}
    return running(folder, LD_PRELOAD=found[0], **faked, **env)


def trades(one: Limiter, bot: Any) -> bool:
    """Whether the bot may trade."""
    return one.trade(bot).status_code == 201


def steps(folder: Path, rounds: int) -> Iterator[Figure]:
    """So many steps: an hour forward, a day back, an hour back, a day forward, under living and vanished bots."""
    clock = folder / "clock"
    clock.write_text("+0")
    evicted, late, quotas, seen, sessions = 0, 0, 0, 0, 0
    limits = ROOMY | {"BOT_LEASE_SECONDS": LEASE_SECONDS, "MAX_TRADES_PER_DAY": 3}
    with under(folder / "limiter", clock, **limits) as one:
        for number in range(rounds):
            alive = [one.session() for _ in range(10)]
            gone = [one.session() for _ in range(5)]
            sessions += len(alive) + len(gone)
            for _ in range(3):
                granted(one.trade(alive[0]), 201)
            clock.write_text(STEPS[number % len(STEPS)])
            quotas += one.trade(alive[0]).status_code != 429
            seen += seconds_until(lambda: "degraded" in one.client.get("/api/admin/health").text, 10) > 10
            end = time.monotonic() + LEASE_SECONDS + 5
            while time.monotonic() < end:
                evicted += sum(one.beat(session).status_code != 200 for session in alive)
                if one.capacity()["current_bots"] == len(alive):
                    break
                time.sleep(1)
            late += sum(one.beat(session).status_code != 410 for session in gone)
            for session in alive:
                one.end(session)
            clock.write_text("+0")
        back = one.session("after")
        for _ in range(3):
            granted(one.trade(back), 201)
        one.restart(kill=True)
        quotas += one.trade(back).status_code != 429  # the day is the same, the count too
        healthy = health(one)
    yield Figure("steps of the wall clock: an hour and a day, forward and back", rounds)
    yield Figure("bots under them", sessions)
    yield Figure("living bots that lost their slot", evicted, 0)
    yield Figure("vanished bots that held it longer than lease + 5 s", late, 0)
    yield Figure("second quotas of trades given", quotas, 0)
    yield Figure("steps that health did not tell", seen + (healthy != 200), 0)


def late(folder: Path, rounds: int) -> Iterator[Figure]:
    """The time is set for good, as by NTP long after a start or a suspend: over a midnight, forward and back."""
    clock, wrong, followed, lost = folder / "clock", 0, list[float](), 0
    clock.write_text("+0")
    here = 0
    with under(folder / "limiter", clock, **ROOMY) as one:
        bot = one.session()
        for number in range(rounds):
            here += 86_400 if number % 2 == 0 else -86_400
            clock.write_text(f"{here:+d}")

            def follows(shift: int = here) -> bool:
                told = instant(granted(one.client.get("/api/admin/stats"))["at"]).timestamp() - shift
                lost_now = one.beat(bot).status_code != 200
                return lost_now or abs(told - time.time()) < 2

            followed.append(seconds_until(follows, 60))
            traded = granted(one.trade(bot), 201)
            day = (time.time() + here) // 86_400
            wrong += instant(traded["resets_at"]).timestamp() != 86_400 * (day + 1)
            wrong += abs(instant(one.session()["started_at"]).timestamp() - time.time() - here) > 2
            lost += one.beat(bot).status_code != 200
    yield Figure("times that the clock was set by a day", rounds)
    yield Figure("longest until the limiter followed", max(followed), 60, "s")
    yield Figure("ends of the day and stamps that were wrong then", wrong, 0)
    yield Figure("living bots that lost their slot", lost, 0)


def midnights(folder: Path, rounds: int) -> Iterator[Figure]:
    """The trade day ends at midnight in Paris, winter and summer, and on the two nights between them."""
    wrong, early, kept = 0, 0, 0
    limits = {"MAX_TRADES_PER_DAY": 2, "LIMITER_TIMEZONE": "Europe/Paris"}
    for number, (before, end) in enumerate(list(MIDNIGHTS.values())[:rounds]):
        clock = folder / f"clock-{number}"
        clock.write_text(f"@{before}")
        with under(folder / str(number), clock, **limits) as one:
            bot = one.session()
            first = [granted(one.trade(bot), 201) for _ in range(2)]
            over = instant(first[0]["resets_at"])
            refusal = one.trade(bot)
            early += refusal.status_code != 429
            kept += seconds_until(functools.partial(trades, one, bot), 30) > 30
            second = granted(one.trade(bot), 201)
            wrong += second["resets_at"] != end
            wrong += over > instant(end) - timedelta(hours=22)
            early += one.trade(bot).status_code != 429
    yield Figure("midnights", min(rounds, len(MIDNIGHTS)))
    yield Figure("trades above the limit of a day", early, 0)
    yield Figure("days that did not begin", kept, 0)
    yield Figure("ends of a day told wrong", wrong, 0)
