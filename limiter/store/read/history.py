"""What the snapshots say of a time: a series for charts and tables, a load for figures, the newest one.

The one meaning of each figure, on every page, in the API, the CSV and the command line:

- A **bucket** is `step` seconds wide and begins at a multiple of them (UTC, from 1970 on), whatever range is asked for:
  so it says the same in every range that shows it, and a range begins with the bucket that holds its first instant.
  Hours are also read as those of a wall clock that is half or a quarter of an hour off.
- `low` and `high` are the fewest and the most bots that there were in it, for however short a time; `worst` is the
  highest status reached. `mean` is over its samples, one each 5 s (never a mean of means), and `high` where it
  has none.
- `limit` is the limit in force at its end: at its last sample.
- `cpu` and `ram` are means in percent over the samples that had a reading, None where none had.
- `measured` is how many bots said their memory, over the samples like `mean`; `bot_memory` is what such a bot held, in
  MB, and `bot_cpu` the load of a bot that said its CPU time, in percent of one core: means over samples and bots, None
  where nobody said anything.
- `tokens`, `signals`, `starts` and refusals are sums, each of them in the 5 s in which it happened.
- Buckets of which nothing is known are left out: a gap stays a gap.
- Times at 80 % and full are exact, to the millisecond, against the limit of each instant; and a peak is dated by the
  last instant that saw it, at most 5 s off where it lasted. What was written before schema 8 is known by its samples.

Snapshots are kept in several widths, each the sum of the finer ones. A bucket is read from the widest that divides it,
which costs least and gives the same; where narrow ones are not kept any more, it is widened to those that are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from limiter.store import schema
from limiter.store.schema import DAY_STEP, HOUR_STEP, MINUTE_STEP, RAW_STEP, STEPS
from limiter.units import HOUR_MS, MIB

POINTS = 600  # of a series; beyond about 2 000 marks a browser draws slowly and readers of screens lose them
MAX_BUCKETS = 1000
MAX_HOURS = 24 * 400
WIDTHS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 14400, 21600, 43200, 86400)
shots, counts = schema.snapshots.c, schema.refusal_counts.c

# Made once: to put one of these together takes as long as it takes SQLite to answer for a day.
_width, _shift = (bindparam(name, type_=schema.Int) for name in ("width", "shift"))
_BUCKET = (shots.at - (shots.at - _shift) % _width).label("bucket")
_INSIDE = (shots.step == bindparam("step"), shots.at >= bindparam("first"), shots.at < bindparam("last"))
_LIMITS = 1 << 20  # more than any limit: an instant and the limit in force then are one number, whose maximum has both
_LIMIT = (func.max, shots.at * _LIMITS + shots.limit_last)
_FIGURES = (
    (func.min, shots.bots_min), (func.sum, shots.bots_sum), (func.sum, shots.n), (func.max, shots.bots_max),
    (func.sum, shots.cpu_sum), (func.sum, shots.cpu_n), (func.sum, shots.ram_sum), (func.sum, shots.ram_n),
    (func.sum, shots.tokens), (func.sum, shots.signals), (func.sum, shots.starts), (func.sum, shots.bots_memory_n),
    (func.sum, shots.bots_memory_sum), (func.sum, shots.bots_cpu_n), (func.sum, shots.bots_cpu_sum),
    (func.sum, shots.healthy_ms), (func.sum, shots.warning_ms), (func.sum, shots.full_ms), _LIMIT,
)  # fmt: skip
_FIGURES_OF_HOURS = (
    (func.sum, shots.bots_sum), (func.sum, shots.n), (func.max, shots.bots_max), (func.sum, shots.starts),
    (func.sum, shots.healthy_ms), (func.sum, shots.warning_ms), (func.sum, shots.full_ms), _LIMIT,
)  # fmt: skip


def _queries(figures: Sequence[tuple[Any, Any]]) -> tuple[Select[Any], Select[Any]]:
    """Of buckets that are made of several rows, and of those that are rows as they are kept: without a GROUP BY, which
    sorts them."""
    sums = select(_BUCKET, *(made(column) for made, column in figures)).where(*_INSIDE)
    rows = select(shots.at, *(column for _, column in figures)).where(*_INSIDE)
    return sums.group_by(_BUCKET).order_by(_BUCKET), rows.order_by(shots.at)


_SERIES, _HOURS = _queries(_FIGURES), _queries(_FIGURES_OF_HOURS)
_COUNTED = (counts.step == bindparam("step"), counts.at >= bindparam("first"), counts.at < bindparam("last"))
_PART = (counts.at - (counts.at - _shift) % _width).label("bucket")
_REFUSED = (
    select(_PART, counts.reason, func.sum(counts.n))
    .where(*_COUNTED)
    .group_by(_PART, counts.reason)
    .order_by(_PART, counts.reason),
    select(counts.at, counts.reason, counts.n).where(*_COUNTED).order_by(counts.at, counts.reason),
)


class Bucket(NamedTuple):
    """One bucket of a series: where it begins, and figures as the module's text defines them.

    `mean` and `measured` are rounded to 1/100, percents and MB to 1/10: here, so that nobody rounds otherwise.
    """

    at: int
    low: int
    mean: float
    high: int
    limit: int
    cpu: float | None
    ram: float | None
    tokens: int
    signals: int
    starts: int
    measured: float
    bot_memory: float | None
    bot_cpu: float | None
    worst: str


class Hour(NamedTuple):
    """What is used of a bucket of an hour: of 90 days there are 2 160, and to read and round the rest takes longer."""

    at: int
    mean: float
    high: int
    limit: int
    starts: int
    worst: str


@dataclass(frozen=True, slots=True)
class Series:
    """Buckets in order, `bucket_ms` wide, from snapshots of `step` seconds; `refused`: by bucket and reason."""

    step: int
    bucket_ms: int
    rows: Sequence[Bucket]
    refused: Mapping[int, Mapping[str, int]]


def bucket_seconds(start: int, end: int, points: int = POINTS) -> int:
    """The narrowest round width in seconds that gives about so many buckets over [start, end) and no more."""
    wanted = (end - start) / 1000 / points
    return next((width for width in WIDTHS if width >= wanted), -(-int(wanted) // 86400) * 86400)


def series(tx: Connection, start: int, end: int, seconds: int | None = None, points: int = POINTS) -> Series:
    """The buckets from the one that holds `start` on, as far as they begin before `end`.

    They are `seconds` wide, or as `points` of them would be. Widened so that there are at most MAX_BUCKETS, to a
    multiple of 5 s, and to one of minutes or hours where the range reaches back to what is kept in no narrower
    snapshots.
    """
    width = seconds if seconds is not None else bucket_seconds(start, end, points)
    width = max(width, -(-(end - start) // (1000 * MAX_BUCKETS)))
    asked, kept = _asked(tx, start, end, width)
    rows = [
        Bucket(
            at, low, round(bots / n, 2) if n else high, high, last_limit % _LIMITS,
            round(cpu / cpu_n, 1) if cpu_n else None, round(ram / ram_n, 1) if ram_n else None, tokens, signals, starts,
            round(told / n, 2) if n else 0.0, round(held / MIB / told, 1) if told else None,
            round(load / loads, 1) if loads else None, _worst(healthy, warning, full),
        )
        for (
            at, low, bots, n, high, cpu, cpu_n, ram, ram_n, tokens, signals, starts, told, held, loads, load,
            healthy, warning, full, last_limit,
        ) in tx.execute(_SERIES[kept], asked).all()
    ]  # fmt: skip
    return Series(asked["step"], asked["width"], rows, _refused(tx, _REFUSED[kept], asked))


def hours(tx: Connection, start: int, end: int, shift_ms: int = 0) -> list[Hour]:
    """The hours of a range, from the one that holds `start` on, of the last 400 days of it: those of UTC, or of a wall
    clock whose hours begin `shift_ms` later. Of a time of which no minutes are kept these are made of half hours of
    UTC, from before schema 13 of hours, and named by theirs."""
    asked, kept = _by_hour(tx, start, end, shift_ms)
    return [
        Hour(at, round(bots / n, 2) if n else high, high, last_limit % _LIMITS, starts, _worst(healthy, warning, full))
        for at, bots, n, high, starts, healthy, warning, full, last_limit in tx.execute(_HOURS[kept], asked).all()
    ]


def refused_by_hour(tx: Connection, start: int, end: int, shift_ms: int = 0) -> dict[int, dict[str, int]]:
    """The refusals of the same hours, by hour and reason."""
    asked, kept = _by_hour(tx, start, end, shift_ms)
    return _refused(tx, _REFUSED[kept], asked)


def _by_hour(tx: Connection, start: int, end: int, shift_ms: int) -> tuple[dict[str, int], bool]:
    return _asked(tx, max(start, end - MAX_HOURS * HOUR_MS), end, HOUR_STEP, shift_ms)


def _asked(tx: Connection, start: int, end: int, width: int, shift_ms: int = 0) -> tuple[dict[str, int], bool]:
    """What the queries are asked with for buckets of `width` seconds or wider, and whether each is a row as it is
    kept."""
    even = (wide for wide in reversed(STEPS) if width % wide == 0 and shift_ms % (1000 * wide) == 0)
    step = _whole(tx, start, next(even, RAW_STEP))
    bucket_ms = -(-width // step) * step * 1000
    first, last = start - (start - shift_ms) % bucket_ms, end + (shift_ms - end) % bucket_ms
    asked = {"step": step, "first": first, "last": last, "width": bucket_ms, "shift": shift_ms}
    return asked, bucket_ms == 1000 * step and not shift_ms


def _worst(healthy_ms: int, warning_ms: int, full_ms: int) -> str:
    return "FULL" if full_ms else "WARNING" if warning_ms else "HEALTHY" if healthy_ms else "LOW"


def _refused(tx: Connection, query: Select[Any], asked: Mapping[str, int]) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    before, of = None, {}
    for at, reason, n in tx.execute(query, asked).all():
        if at != before:
            before, of = at, found.setdefault(at, {})
        of[reason] = n
    return found


def _whole(tx: Connection, start: int, step: int) -> int:
    """The narrowest snapshots, of `step` seconds or wider, that say all there is from `start` on, in seconds."""
    for narrow, wider in pairwise(STEPS):
        if narrow < step:
            continue
        if narrow == HOUR_STEP:  # kept for ever, and so are wider ones
            break
        kept = kept_from(tx, narrow, wider)
        trimmed = select(shots.at).where(
            shots.step == wider, shots.at >= start - start % (wider * 1000), shots.at < kept
        )
        if start >= kept or tx.execute(trimmed.limit(1)).first() is None:
            return narrow
    return max(step, HOUR_STEP)


def kept_from(tx: Connection, step: int, wider: int) -> int:
    """From when on snapshots of `step` seconds are whole; 0 where none were trimmed."""
    oldest, before, first = (
        tx.execute(select(func.min(shots.at)).where(shots.step == one)).scalar() for one in (step, wider, HOUR_STEP)
    )
    wide = wider * 1000
    if before is None:
        return 0
    if oldest is None:
        return int(tx.execute(select(func.max(shots.at)).where(shots.step == wider)).scalar_one()) + wide
    # Half hours of before schema 13 begin with the minutes that were left: hours alone tell of the time before.
    trimmed = before < oldest - oldest % wide or first < oldest - oldest % HOUR_MS
    return int(oldest - oldest % wide + wide) if trimmed else 0


def bounds(tx: Connection) -> tuple[int, int] | None:
    """When the first and the newest snapshot were taken, as exactly as is kept; None where there is none."""
    first, last = (
        tx.execute(select(edge(shots.at)).where(shots.step == HOUR_STEP)).scalar() for edge in (func.min, func.max)
    )
    if first is None or last is None:
        return None
    for step, wider in ((MINUTE_STEP, HOUR_STEP), (RAW_STEP, MINUTE_STEP)):
        inside = (shots.step == step, shots.at >= first, shots.at < first + wider * 1000)
        first = tx.execute(select(func.min(shots.at)).where(*inside)).scalar() or first
        last = tx.execute(select(func.max(shots.at)).where(shots.step == step, shots.at >= last)).scalar() or last
    return first, last


def pulse(tx: Connection, start: int, end: int) -> Sequence[Row[Any]]:
    """One row a minute of [start, end): at, suspects and p99 (the highest), cpu and ram (means, None where unknown)."""
    query = (
        select(
            shots.at,
            shots.suspects_max.label("suspects"),
            shots.p99_max.label("p99"),
            (shots.cpu_sum / func.nullif(shots.cpu_n, 0)).label("cpu"),
            (shots.ram_sum / func.nullif(shots.ram_n, 0)).label("ram"),
        )
        .where(shots.step == MINUTE_STEP, shots.at >= start, shots.at < end)
        .order_by(shots.at)
        .limit(24 * 60)
    )
    return tx.execute(query).all()


def newest(tx: Connection) -> Row[Any] | None:
    """The newest snapshot: at, bots_max, suspects_max, limit_last, cpu_sum, ram_sum, p99_max."""
    return tx.execute(
        select(schema.snapshots).where(shots.step == RAW_STEP).order_by(shots.at.desc()).limit(1)
    ).one_or_none()


@dataclass(frozen=True, slots=True)
class Load:
    """How heavy a period was. Durations in seconds; `peak_at` is the last time it was so high; `mean` is over samples
    (of 5 s), None where there is none; `known_seconds`: how much of the period is known, which shares of it are of;
    `starts`: those that were admitted."""

    peak: int | None
    peak_at: int | None
    mean: float | None
    known_seconds: int
    busy_seconds: int
    full_seconds: int
    refusals: Mapping[str, int]
    samples: int
    starts: int


def load(tx: Connection, start: int, end: int) -> Load:
    """The peak and its instant, seconds from 80 % and at 100 % of the limit of that time, refusals by reason.

    Of the days and hours that lie in [start, end), and of the minutes, which they sum up, of those that begin before it
    or end after it; of these whole where minutes are not kept any more.
    """
    busy = full = spent_ms = bots = taken = starts = 0
    peaks: list[tuple[int, int]] = []
    refusals: dict[str, int] = {}
    for step, first, last in _spans(start, end, kept_from(tx, MINUTE_STEP, HOUR_STEP)):
        inside = (shots.step == step, shots.at >= first - first % (step * 1000), shots.at < last)
        high = shots.warning_ms + shots.full_ms
        whole = high + shots.low_ms + shots.healthy_ms
        summed = (high, shots.full_ms, whole, shots.bots_sum, shots.n, shots.starts)
        sums = (func.coalesce(func.sum(of), 0) for of in summed)
        peak, *found = tx.execute(select(func.max(shots.bots_max), *sums).where(*inside)).one()
        busy, full, spent_ms = busy + found[0], full + found[1], spent_ms + found[2]
        bots, taken, starts = bots + found[3], taken + found[4], starts + int(found[5])
        if peak is not None:
            peak_at = tx.execute(select(func.max(shots.peak_at)).where(*inside, shots.bots_max == peak)).scalar_one()
            peaks.append((peak, peak_at))
        counted = select(counts.reason, func.sum(counts.n)).where(
            counts.step == step, counts.at >= first - first % (step * 1000), counts.at < last
        )
        for reason, n in tx.execute(counted.group_by(counts.reason).order_by(counts.reason)):
            refusals[reason] = refusals.get(reason, 0) + int(n)
    busy, full, known = (-(-int(ms) // 1000) for ms in (busy, full, spent_ms))  # begun: a full of an instant was one
    peak, peak_at = max(peaks) if peaks else (None, None)
    return Load(peak, peak_at, bots / taken if taken else None, known, busy, full, refusals, taken, starts)


def _spans(start: int, end: int, kept: int, step: int = DAY_STEP) -> Iterator[tuple[int, int, int]]:
    """The parts of [start, end), with the width of the snapshots that each is read from: whole days, the whole hours
    before and after them, and the minutes before and after those, which begin at `kept`."""
    wide = step * 1000
    begin, finish = start + -start % wide, end - end % wide
    if begin < finish:
        yield step, begin, finish
    for first, last in ((start, begin), (finish, end)) if begin <= finish else ((start, end),):
        if first < last and step == DAY_STEP:
            yield from _spans(first, last, kept, HOUR_STEP)
        elif first < last:
            yield HOUR_STEP if first < kept else MINUTE_STEP, first, last


def highest(tx: Connection) -> tuple[int, int | None]:
    """The most bots that there ever were at once, and when for the last time."""
    day = select(shots.bots_max, shots.peak_at).where(shots.step == DAY_STEP)
    row = tx.execute(day.order_by(shots.bots_max.desc(), shots.peak_at.desc()).limit(1)).one_or_none()
    return (row.bots_max, row.peak_at) if row is not None else (0, None)


def last_full(tx: Connection) -> int | None:
    """When somebody was last refused because the server was full, as exactly as is kept."""
    found = None
    for step in (DAY_STEP, HOUR_STEP, MINUTE_STEP, RAW_STEP):
        full = select(func.max(counts.at)).where(counts.step == step, counts.reason == "server_full")
        at = tx.execute(full if found is None else full.where(counts.at >= found)).scalar()
        if at is None:
            break
        found = at
    return found
