"""A day of samples, counted by hand: the page, its table, the API's JSON and CSV and the client give the same figures.

The day has changes of the limit, a gap, a full server with refusals, and is a short one: the night of a DST change.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from streamlit.testing.v1 import AppTest

from limiter.client import Admin
from limiter.rules.capacity import Capacity
from limiter.rules.course import STATUSES
from limiter.rules.records import Costs, Slice, Snapshot
from limiter.store import read
from limiter.store.engine import open_reader, reading
from tests.pages.conftest import Open, World, serve
from tests.store.book import Book

SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
EVERY = 20 * SECOND
ZONES = ("UTC", "Europe/Paris", "Asia/Kathmandu")


def last_dst_night() -> int:
    """The midnight in UTC before the newest change of Paris's clocks that is over: within 31 weeks of now."""
    paris, day = ZoneInfo("Europe/Paris"), datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while True:
        day -= timedelta(days=1)
        after = day + timedelta(days=1)
        if day.astimezone(paris).utcoffset() != after.astimezone(paris).utcoffset():
            return int(day.timestamp() * 1000)


MIDNIGHT = last_dst_night()
BEGIN, END = MIDNIGHT - 8 * HOUR, MIDNIGHT + 26 * HOUR  # holds the local day of each zone


def sample(at: int) -> Snapshot | None:
    """What the limiter would have seen then; None in the gap."""
    n = (at - BEGIN) // EVERY
    if MIDNIGHT + 5 * HOUR + 7 * MINUTE <= at < MIDNIGHT + 7 * HOUR + 41 * MINUTE:
        return None
    limit = 200 if at < MIDNIGHT + 10 * HOUR + 13 * MINUTE else 150 if at < MIDNIGHT + 15 * HOUR + MINUTE else 180
    full = MIDNIGHT + 12 * HOUR + 3 * MINUTE <= at < MIDNIGHT + 12 * HOUR + 26 * MINUTE
    bots = limit if full else 40 + n * 7 % 101
    refusals = {"server_full": n % 4, "user_limit": 1} if full else {}
    cpu, ram = (10 + n * 13 % 71 + n % 7 / 7, 30 + n * 3 % 40 / 3) if n % 5 else (None, None)
    costs = Costs(n % 9, n % 9 * (n % 50 + 1) * 1_000_003, n % 4, n % 4 * (n % 13) * 0.25)
    figures = {"tokens": n % 11, "signals": n % 3, "trades": 0, "starts": n % 6, "ended": 0}
    counts = figures | {f"refused:{reason}": times for reason, times in refusals.items()}
    reached = STATUSES.index(Capacity(bots, limit).status)
    spent = [EVERY if status == reached else 0 for status in range(4)]
    slices = (Slice(at - at % (5 * SECOND), bots, bots, at, limit, (spent[0], spent[1], spent[2], spent[3]), counts),)
    return Snapshot(at, bots, 0, limit, cpu, ram, 1.5, **figures, costs=costs, refusals=refusals, slices=slices)


SAMPLES = [one for at in range(BEGIN, END, EVERY) if (one := sample(at)) is not None]


@dataclass
class Counted:
    """A bucket, counted from its samples."""

    at: int
    samples: list[Snapshot]
    refused: dict[str, int] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        bots = [one.bots for one in self.samples]
        cpu = [one.cpu_percent for one in self.samples if one.cpu_percent is not None]
        ram = [one.ram_percent for one in self.samples if one.ram_percent is not None]
        refused: dict[str, int] = {}
        for one in self.samples:
            for reason, n in one.refusals.items():
                refused[reason] = refused.get(reason, 0) + n
        return {
            "at": f"{datetime.fromtimestamp(self.at / 1000, UTC):%Y-%m-%dT%H:%M:%S.000Z}",
            "bots_min": min(bots),
            "bots_mean": round(sum(bots) / len(bots), 2),
            "bots_max": max(bots),
            "limit": self.samples[-1].limit,
            "cpu_percent": round(sum(cpu) / len(cpu), 1) if cpu else None,
            "ram_percent": round(sum(ram) / len(ram), 1) if ram else None,
            "tokens": sum(one.tokens for one in self.samples),
            "signals": sum(one.signals for one in self.samples),
            "starts": sum(one.starts for one in self.samples),
            "refused_server_full": refused.get("server_full", 0),
            "refused_user_limit": refused.get("user_limit", 0),
            **self.costs(),
        }

    def costs(self) -> dict[str, Any]:
        measured, held, loads, load = (sum(of) for of in zip(*(one.costs for one in self.samples), strict=True))
        return {
            "measured_bots": round(measured / len(self.samples), 2),
            "bot_memory_mb": round(held / 2**20 / measured, 1) if measured else None,
            "bot_cpu_percent": round(load / loads, 1) if loads else None,
        }


def counted(begin: int, end: int, step: int) -> list[dict[str, Any]]:
    """The buckets of a range, by hand: from the one that holds its beginning to the one before its end."""
    width = step * SECOND
    first, last = begin // width * width, -(-end // width) * width
    inside = [one for one in SAMPLES if first <= one.at < last]
    return [Counted(at, list(some)).figures() for at, some in groupby(inside, lambda one: one.at // width * width)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The day in a database whose samples are all kept, and a limiter on it."""
    folder = tmp_path_factory.mktemp("figures")
    keep = pytest.MonkeyPatch()
    book = Book(f"sqlite:///{folder / 'limiter.db'}")
    book.writer.begin()
    for one in SAMPLES:  # in one transaction
        book.state.begin()
        book.state.snapshot(one)
        book.writer.save(book.state)
    book.writer.commit()
    book.close()
    keep.setenv("LIMITER_KEEP_RAW_HOURS", "9000")
    keep.setenv("LIMITER_KEEP_MINUTES_DAYS", "400")
    yield from serve(folder)
    keep.undo()


def local_day(zone: str) -> tuple[datetime, datetime]:
    """The day of the clocks' change in that zone, from its midnight to the next: 23, 24 or 25 hours."""
    day = datetime.fromtimestamp(MIDNIGHT / 1000, UTC) + timedelta(hours=12)
    begin = day.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, tzinfo=ZoneInfo(zone))
    return begin, (begin + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def flat(bucket: dict[str, Any]) -> dict[str, Any]:
    """A bucket of the API in the columns of the CSV."""
    named = {f"bots_{name}": n for name, n in bucket.pop("bots").items()}
    refused = bucket.pop("refusals")
    return {**bucket, **named, **{f"refused_{name}": refused.get(name, 0) for name in ("server_full", "user_limit")}}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("step", [20, 60, 300, 1800, 3600, 10_800])
def test_api_csv_and_store_give_what_was_counted(world: World, zone: str, step: int) -> None:
    begin, end = local_day(zone)
    if step < 120:  # at most 1 000 buckets are answered
        begin = begin + timedelta(hours=11)
        end = begin + timedelta(hours=5)
    wanted = counted(millis(begin), millis(end), step)
    assert len(wanted) > 5
    with Admin(world.url, world.key) as admin:
        query = {"start": begin.isoformat(), "end": end.isoformat(), "step": step}
        answer = admin.history(**query)
        rows = list(csv.DictReader(io.StringIO(admin.history_csv(**query))))
    assert answer.step_seconds == step
    assert [flat(msgspec.to_builtins(bucket)) for bucket in answer.buckets] == wanted
    names = list(wanted[0])
    assert [[row[name] for name in names] for row in rows] == [
        ["" if value is None else str(value) for value in bucket.values()] for bucket in wanted
    ]


def table(app: AppTest) -> list[dict[str, Any]]:
    frames = [one.value for one in app.dataframe]
    (found,) = [one for one in frames if "bots_mean" in one.columns]
    return [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in found.to_dict("records")
    ]


@pytest.mark.parametrize("zone", ZONES)
def test_the_page_shows_what_was_counted(world: World, open_page: Open, zone: str) -> None:
    begin, end = local_day(zone)
    stamps = {"from": begin.astimezone(UTC), "to": end.astimezone(UTC)}
    query = {name: f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in stamps.items()}
    app = open_page(world, "history", tz=zone, **query)
    assert not app.exception, app.exception
    wanted = counted(millis(begin), millis(end), 300)
    assert table(app) == wanted
    drawn = read.history.bucket_seconds(millis(begin), millis(end))
    assert drawn == 300, "the width that the table above was counted for"


def test_figures_do_not_depend_on_the_range(world: World) -> None:
    """Peak, time at 80 % and full, refusals of the day are those of the weeks around it; so are its buckets."""
    engine = open_reader(world.database_url)
    weeks = 20 * 24 * HOUR
    with reading(engine) as tx:
        day = read.history.load(tx, BEGIN, END)
        around = read.history.load(tx, BEGIN - weeks, END)
        whole = read.history.series(tx, BEGIN, END, 3600)
        inside = read.history.series(tx, MIDNIGHT + 4 * HOUR + 13 * MINUTE, MIDNIGHT + 9 * HOUR, 3600)
    engine.dispose()
    assert day == around
    assert set(inside.rows) <= set(whole.rows), "a bucket says the same in every range that shows it"
    last = max(one.at for one in SAMPLES if one.bots == day.peak)
    assert (day.peak, day.peak_at) == (max(one.bots for one in SAMPLES), last)
    assert sum(day.refusals.values()) == sum(sum(one.refusals.values()) for one in SAMPLES)
    assert day.full_seconds == 23 * 60
