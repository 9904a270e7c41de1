"""Four weeks that are known to the last try: the page Sizing, the endpoint and the command say what is counted and
computed here by other means, from the demands themselves and by a model that is written apart from the limiter's.
"""

from __future__ import annotations

import json
import math
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, update

from limiter.answers.deciding import SizingAnswer
from limiter.cli import main
from limiter.client import Admin
from limiter.store import schema
from tests.pages.conftest import Open, World, serve
from tests.pages.test_pages import text_of
from tests.store.book import Book

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
PARIS = ZoneInfo("Europe/Paris")
DAYS, USERS, LIMIT, STAY_HOURS = 30, 110, 60, 3.0
Shares = tuple[float, float]


@dataclass(frozen=True)
class Asked:
    """One demand: its tries, the start that ended them if one did, and how long the bot stayed."""

    tries: tuple[int, ...]
    user: str
    bot: str
    served_at: int | None
    stay_ms: int


def local(at: int) -> tuple[int, int]:
    moment = datetime.fromtimestamp(at / 1000, PARIS)
    return moment.weekday(), moment.hour


def story(end: int) -> list[Asked]:
    """More by day than by night, fewer at weekends; in the evening some are refused first, and some give up."""
    chance = Random(3)
    found: list[Asked] = []
    for hour in range(end - DAYS * DAY, end, HOUR):
        weekday, clock = local(hour)
        wanted = 15 * (1 + 0.5 * math.sin((clock - 12) / 24 * 2 * math.pi)) * (0.6 if weekday >= 5 else 1.0)
        for _ in range(int(np.random.default_rng(hour // HOUR).poisson(wanted))):
            at = hour + chance.randrange(HOUR)
            full = 18 <= clock < 22 and hour < end - 2 * HOUR and chance.random() < 0.2
            tries = tuple(at + n * 30 * SECOND for n in range(chance.randint(1, 20))) if full else ()
            served = None if full and chance.random() < 0.4 else at + len(tries) * 30 * SECOND
            stay = round(chance.expovariate(1 / (STAY_HOURS * HOUR)))
            found.append(Asked(tries, f"u{chance.randrange(USERS)}", f"b{len(found)}", served, stay))
    return sorted(found, key=lambda one: one.served_at or one.tries[0])


def bots_by_hour(asked: list[Asked], end: int) -> dict[int, float]:
    """The mean number of bots in each hour."""
    held: Counter[int] = Counter()
    for one in asked:
        at = one.served_at
        while at is not None and at < min(one.served_at + one.stay_ms, end):  # type: ignore[operator]
            edge = min(at - at % HOUR + HOUR, one.served_at + one.stay_ms, end)  # type: ignore[operator]
            held[at - at % HOUR] += edge - at
            at = edge
    return {hour: held[hour] / HOUR for hour in range(end - DAYS * DAY, end, HOUR)}


def written(asked: list[Asked], end: int, url: str) -> None:
    """As the limiter would have recorded it: an ended session a start, a row a refusal, snapshots of hours and days."""
    facts = {"active": LIMIT, "max_bots": LIMIT, "user_active": 0, "user_max": 1, "version": 1}
    sessions = [
        {
            "number": 1000 + n, "secret": "", "user_id": one.user, "bot_id": one.bot, "asked_bot": one.bot,
            "started_at": one.served_at, "lease_ms": MINUTE, "last_heartbeat_at": one.served_at, "expires_at": end,
            "ended_at": min(one.served_at + one.stay_ms, end), "ended_reason": "stopped", **facts,
        }
        for n, one in enumerate(asked) if one.served_at is not None
    ]  # fmt: skip
    refused: list[dict[str, Any]] = [
        {
            "request_id": f"r{one.bot}-{n}", "at": at, "user_id": one.user, "bot_id": one.bot, "repeats": 1,
            "reason": "server_full", "limit_name": "MAX_CONCURRENT_BOTS", "value": LIMIT, "count": LIMIT, **facts,
        }
        for one in asked for n, at in enumerate(one.tries)
    ]  # fmt: skip
    refused = [row | {"id": n + 1} for n, row in enumerate(sorted(refused, key=lambda row: row["at"]))]
    hours = [
        {
            "step": 3600, "at": at, "n": 720, "bots_min": int(bots), "bots_max": math.ceil(bots), "limit_last": LIMIT,
            "bots_sum": round(bots * 720), "suspects_max": 0, "cpu_n": 0, "cpu_sum": 0.0, "ram_n": 0, "ram_sum": 0.0,
            "tokens": 0, "signals": 0, "trades": 0, "starts": 0, "ended": 0, "peak_at": at,
            "low_ms": HOUR,
        }
        for at, bots in bots_by_hour(asked, end).items()
    ]  # fmt: skip
    days: dict[int, dict[str, int | float]] = {}
    for row in hours:
        at = int(row["at"])
        day = days.setdefault(
            at - at % DAY, {**row, "step": 86_400, "at": at - at % DAY, "n": 0, "bots_sum": 0, "low_ms": 0}
        )
        day |= {name: day[name] + row[name] for name in ("n", "bots_sum", "low_ms")}
        day |= {"bots_min": min(day["bots_min"], row["bots_min"])}
        if row["bots_max"] >= day["bots_max"]:
            day |= {"bots_max": row["bots_max"], "peak_at": at}
    engine = create_engine(url)
    with engine.begin() as tx:
        tx.execute(schema.ended_sessions.insert(), sessions)
        tx.execute(schema.refusals.insert(), refused)
        tx.execute(schema.snapshots.insert(), [*hours, *days.values()])
        tx.execute(update(schema.fleet).values(next_number=1000 + len(asked)))
    engine.dispose()


@dataclass(frozen=True)
class Weeks:
    world: World
    asked: list[Asked]
    end: int


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Weeks]:
    """The story in a database, and a limiter on it in Paris."""
    folder, keep = tmp_path_factory.mktemp("weeks"), pytest.MonkeyPatch()
    end = int(datetime.now(UTC).timestamp() * 1000) // HOUR * HOUR
    Book(url := f"sqlite:///{folder / 'limiter.db'}", MAX_CONCURRENT_BOTS=LIMIT).close()
    asked = story(end)
    written(asked, end, url)
    keep.setenv("LIMITER_TIMEZONE", "Europe/Paris")
    keep.setenv("MAX_CONCURRENT_BOTS", str(LIMIT))
    keep.setenv("LIMITER_LANG", "en")
    for world in serve(folder):
        yield Weeks(world, asked, end)
    keep.undo()


# -- a model of its own


Many = npt.NDArray[np.float64]


def rates(slots: int, loads: Many, users: int, patience: float) -> tuple[Many, Many]:
    """By load and number of bots that run or ask: bots that come, and that leave; running ones once a stay, who asks
    once a patience."""
    n = np.arange(users + 1)
    come = (users - n) * (loads / (users - loads))[:, None]
    return come, np.broadcast_to(np.minimum(n, slots) + np.maximum(0, n - slots) / patience, come.shape)


def in_the_long_run(slots: int, loads: Many, users: int, patience: float) -> tuple[Many, Many]:
    """Shares refused at first and lost of `users` who ask for a bot again and again, by load: in balance as many go up
    from a state as come down to it."""
    come, leave = rates(slots, loads, users, patience)
    state = np.exp(np.cumsum(np.log(come[:, :-1] / leave[:, 1:]), axis=1))
    state = np.concatenate([np.ones((len(loads), 1)), state], axis=1)
    asked = (come * state).sum(axis=1)
    late = np.maximum(np.arange(users + 1) - slots, 0) / patience
    return (come * state)[:, slots:].sum(axis=1) / asked, (late * state).sum(axis=1) / asked


def test_the_model_solves_the_equations_of_its_rates() -> None:
    come, leave = (of[0] for of in rates(20, np.array([15.0]), 40, 0.1))
    flow = np.diag(-(come + leave)) + np.diag(come[:-1], -1) + np.diag(leave[1:], 1)
    flow[-1] = 1.0  # all states together are certain
    state = np.linalg.solve(flow, np.eye(41)[-1])
    first, lost = (of[0] for of in in_the_long_run(20, np.array([15.0]), 40, 0.1))
    assert first == pytest.approx(float((come * state)[20:].sum() / (come @ state)))
    assert lost == pytest.approx(float((leave - np.minimum(np.arange(41), 20)) @ state / (come @ state)))


def test_the_model_is_erlang_b_of_many_users_without_patience() -> None:
    terms = [math.exp(n * math.log(14) - math.lgamma(n + 1)) for n in range(21)]  # the sum of its definition
    first, lost = (of[0] for of in in_the_long_run(20, np.array([14.0]), 900, 1e-6))
    assert first == pytest.approx(terms[-1] / sum(terms), rel=0.03) and lost == pytest.approx(first, rel=1e-3)


@dataclass(frozen=True)
class Demand:
    """One demand as it is seen from `since` on."""

    at: int
    user: str
    first: bool
    lost: bool
    waited: int


def demands(asked: list[Asked], since: int) -> list[Demand]:
    found = []
    for one in asked:
        tries = [at for at in one.tries if at >= since]
        served = one.served_at if one.served_at is not None and one.served_at >= since else None
        if not tries and served is None:
            continue
        at = tries[0] if tries else served
        assert at is not None
        waited = (served if served is not None else tries[-1]) - at
        found.append(Demand(at, one.user, bool(tries), served is None, waited))
    return found


class Expected:
    """What is to be said of the weeks since an instant, for the users that were seen or for so many."""

    def __init__(self, weeks: Weeks, since: int, users: int | None) -> None:
        self.demands = demands(weeks.asked, since)
        self.known = len({one.user for one in self.demands})
        self.users = users or self.known
        self.n, self.first = len(self.demands), sum(one.first for one in self.demands)
        self.lost = sum(one.lost for one in self.demands)
        hours = {at: bots for at, bots in bots_by_hour(weeks.asked, weeks.end).items() if at >= since}
        growth = self.users / self.known
        came = Counter(local(one.at) for one in self.demands)
        gone = Counter(local(one.at) for one in self.demands if one.lost)
        self.loads = {
            slot: growth * float(np.mean([bots for at, bots in hours.items() if local(at) == slot]))
            / (1 - gone[slot] / max(1, came[slot]))
            for slot in {local(at) for at in hours}
        }  # fmt: skip
        self.weights = {slot: came[slot] / self.n for slot in self.loads}
        self.stay_ms = sum(hours.values()) * HOUR / (self.n - self.lost)
        self.patience = sum(one.waited for one in self.demands if one.first) / self.lost / self.stay_ms
        minutes = np.bincount([(one.at - since) // MINUTE for one in self.demands], minlength=len(hours) * 60)
        self.z = max(1.0, (1 + float(minutes.var() / minutes.mean())) / 2)
        newest = max(hours)
        by_week = [[bots for at, bots in hours.items() if (newest - at) // (7 * DAY) == week] for week in range(4)]
        means = np.array([np.mean(bots) for bots in by_week])
        self.error = 1.28 * means.std(ddof=1) / means.mean() / math.sqrt(len(means))

    def shares(self, slots: int, by: float = 1.0) -> Shares:
        """Refused at first, and lost, over the hours of the week; starts in bunches as Hayward has them."""
        low, part = int(slots / self.z), slots / self.z % 1
        users, found = math.ceil(self.users / self.z), np.zeros(2)
        loads, weights = (np.array([of[slot] for slot in self.loads]) for of in (self.loads, self.weights))
        for servers, share in ((low, 1 - part), (low + 1, part)):
            first, lost = in_the_long_run(servers, by * loads / self.z, users, self.patience)
            found += share * np.array([first @ weights, lost @ weights])
        return float(found[0]), float(found[1])

    def slots(self, place: int, by: float = 1.0) -> int:
        """The least with which at most 1 % are refused."""
        return bisect_left(range(2 * LIMIT), True, key=lambda n: n > 0 and self.shares(n, by)[place] <= 0.01)


def same_hour(weeks: Weeks, users: int | None) -> tuple[SizingAnswer, Any, int]:
    """The endpoint's answer, the command's, and the hour from which both looked back."""
    while True:
        hour = int(time.time() * 1000) // HOUR * HOUR
        with Admin(weeks.world.url, weeks.world.key, language="en") as admin:
            answer = admin.sizing(0.01, users)
        arguments = ["sizing", "--json", *(["--users", str(users)] if users else [])]
        environment = {"LIMITER_URL": weeks.world.url, "LIMITER_KEY": weeks.world.key, "LIMITER_LANG": "en"}
        done = CliRunner().invoke(main, arguments, env=environment)
        assert done.exit_code == 0, done.output
        if time.time() * 1000 // HOUR * HOUR == hour:
            return answer, json.loads(done.output), hour


@pytest.mark.parametrize("users", [None, 150])
def test_slots_are_those_of_a_model_of_its_own(weeks: Weeks, users: int | None) -> None:
    answer, of_command, hour = same_hour(weeks, users)
    assert of_command == {"success": True, **msgspec.to_builtins(answer)}
    wanted = Expected(weeks, hour - 28 * DAY, users)
    assert answer.slots and answer.low and answer.high and answer.now and answer.load and answer.stay_hours
    assert (answer.demands, answer.users) == (wanted.n, wanted.users)
    seen = answer.now.seen_first, answer.now.seen_lost
    assert seen == pytest.approx((wanted.first / wanted.n, wanted.lost / wanted.n), abs=1e-5)
    assert answer.load.peak == pytest.approx(max(wanted.loads.values()), abs=0.05)
    assert answer.load.mean == pytest.approx(float(np.mean(list(wanted.loads.values()))), abs=0.05)
    assert answer.stay_hours == pytest.approx(wanted.stay_ms / HOUR, abs=0.02)
    expected = answer.now.refused_first, answer.now.refused_lost
    assert expected == pytest.approx(wanted.shares(LIMIT), abs=0.003)
    found = [getattr(of, name) for of in (answer.slots, answer.low, answer.high) for name in ("first", "lost")]
    slots = [wanted.slots(place, by) for by in (1.0, 1 - wanted.error, 1 + wanted.error) for place in (0, 1)]
    assert found == pytest.approx(slots, abs=1), "loads are rounded to half an erlang"


def test_the_page_says_what_was_counted_day_by_day_and_what_the_endpoint_says(weeks: Weeks, open_page: Open) -> None:
    while True:
        answer, _, hour = same_hour(weeks, None)
        app = open_page(weeks.world, "sizing")
        if time.time() * 1000 // HOUR * HOUR == hour:
            break
    assert not app.exception and not app.error
    wanted = demands(weeks.asked, hour - 28 * DAY)
    by_day: dict[str, list[Demand]] = {}
    for one in wanted:
        by_day.setdefault(f"{datetime.fromtimestamp(one.at / 1000, PARIS):%Y-%m-%d}", []).append(one)
    assert [(day.day, day.demands, day.first, day.lost) for day in answer.days] == [
        (day, len(came), sum(one.first for one in came), sum(one.lost for one in came))
        for day, came in sorted(by_day.items())
    ]
    said, shown = text_of(app), {metric.label: metric.value for metric in app.metric}
    assert answer.slots is not None and answer.load is not None and answer.sentence is not None
    assert shown["Slots, so that few wait"] == str(answer.slots.first)
    assert shown["Slots, so that few give up"] == str(answer.slots.lost)
    assert shown["Bots wanted at once"] == str(round(answer.load.peak)) and answer.sentence in said
    gone = sum(one.lost for one in wanted)
    assert f"{gone:,} of {len(wanted):,} demands never got a slot" in said
    with Admin(weeks.world.url, weeks.world.key, language="en") as admin:
        ahead = admin.forecast()
    assert ahead.chance is not None and ahead.error is not None
    for share, chance in ahead.chance.items():
        assert f"**{share}%** of the limit is reached within 14 days: chance **{100 * chance:.0f}%**" in said
    assert f"Wrong by {ahead.error:.1f} bots an hour" in said
