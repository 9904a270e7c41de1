"""Snapshots in buckets of time, as JSON or CSV."""

from limiter.answers import history as s
from limiter.answers.csv_text import written
from limiter.api.exports import CSV, FORMATS
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, iso, ok
from limiter.rules.refusals import REFUSALS, invalid
from limiter.store import read
from limiter.units import HOUR_MS


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
    rows = [
        s.Bucket(
            str(iso(row.at)), s.Bots(row.low, row.mean, row.high), row.limit, row.cpu, row.ram, row.tokens, row.signals,
            row.starts, dict(series.refused.get(row.at, {})), row.measured, row.bot_memory, row.bot_cpu,
        )
        for row in series.rows
    ]  # fmt: skip
    return ok(s.HistoryAnswer(series.bucket_ms / 1000, rows))


def as_csv(series: read.history.Series) -> str:
    """The same buckets, one a line, one column a reason."""
    reasons = [reason.name for reason in REFUSALS if reason.recorded]
    plain = ("bots_min", "bots_mean", "bots_max", "limit", "cpu_percent", "ram_percent", "tokens", "signals", "starts")
    costs = ("measured_bots", "bot_memory_mb", "bot_cpu_percent")
    rows = []
    for row in series.rows:
        refused = [series.refused.get(row.at, {}).get(name, 0) for name in reasons]
        rows.append([iso(row.at), *row[1:10], *refused, *row[10:]])
    return written(["at", *plain, *(f"refused_{name}" for name in reasons), *costs], rows)
