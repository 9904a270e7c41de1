"""Snapshots in buckets of time, as JSON or CSV."""

from functools import lru_cache

from limiter.answers import history as s
from limiter.answers.csv_text import written
from limiter.api.exports import CSV, FORMATS
from limiter.clock import rfc3339
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, ok
from limiter.rules.refusals import REFUSALS, invalid
from limiter.store import read
from limiter.units import DAY_MS, HOUR_MS


async def history(call: Call) -> Answer:
    """Snapshots in buckets, as JSON or CSV."""
    form = call.wanted_choice("format", FORMATS) or "json"
    step = call.wanted_number("step", 1, 31_536_000) or 60
    end = call.wanted_instant("to")
    begin = call.wanted_instant("from")
    end = call.now() if end is None else end
    if begin is None:
        begin = (end - HOUR_MS) // (step * 1000) * step * 1000
    if begin >= end:
        raise Refused(invalid("from", "must be before `to`", "doit précéder `to`"))
    series = await call.read(read.history.series, begin, end, step)
    if form == "csv":
        return Answer(200, as_csv(series).encode(), CSV)
    refused = series.refused
    rows = [
        s.Bucket(
            _instant(at), s.Bots(low, mean, high), limit, cpu, ram, tokens, signals, starts, refused.get(at, {}),
            measured, bot_memory, bot_cpu,
        )
        for (
            at, low, mean, high, limit, cpu, ram, tokens, signals, starts, measured, bot_memory, bot_cpu, _,
        ) in series.rows
    ]  # fmt: skip
    return ok(s.HistoryAnswer(series.bucket_ms / 1000, rows))


def _instant(at: int) -> str:
    """Where a bucket begins, as RFC 3339: of the 541 of a quarter there are 91 days and 6 times of day."""
    day, ms = divmod(at, DAY_MS)
    return _date(day) + _time(ms)


@lru_cache(maxsize=512)
def _date(day: int) -> str:
    return rfc3339(day * DAY_MS)[: len("2026-11-28")]


@lru_cache(maxsize=1024)
def _time(ms: int) -> str:
    return rfc3339(ms)[len("2026-11-28") :]


def as_csv(series: read.history.Series) -> str:
    """The same buckets, one a line, one column a reason."""
    reasons = [reason.name for reason in REFUSALS if reason.recorded]
    plain = ("bots_min", "bots_mean", "bots_max", "limit", "cpu_percent", "ram_percent", "tokens", "signals", "starts")
    costs = ("measured_bots", "bot_memory_mb", "bot_cpu_percent")
    rows = []
    for row in series.rows:
        refused = [series.refused.get(row.at, {}).get(name, 0) for name in reasons]
        rows.append([_instant(row.at), *row[1:10], *refused, *row[10:]])
    return written(["at", *plain, *(f"refused_{name}" for name in reasons), *costs], rows)
