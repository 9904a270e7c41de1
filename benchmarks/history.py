"""The part of `python -m benchmarks scale` that weighs history: bytes of a row in the file, and what that comes to."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks import servers
from benchmarks.inside import COSTS, NOW, SAMPLED, SESSION, make, url
from benchmarks.report import grouped, number
from limiter.store.engine import open_writer

SIZES = (10_000, 100_000, 1_000_000)
DAY = 86_400


def bytes_each(folder: Path, table: str, sql: str, rows: int = 200_000) -> float:
    """What a row costs in the file, indexes included."""
    path = folder / f"{table}.db"
    open_writer(url(path)).dispose()
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        before = path.stat().st_size
        series = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
        file.execute(f"INSERT INTO {table} {sql.format(series=series)}", (rows,))
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return (path.stat().st_size - before) / rows


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows of history: how many a bot brings a day, for how many days they stay, and the SQL that makes them up."""

    table: str
    title: str
    a_day: int
    days: int
    sql: str


# Names as long as people's are, in the order in which time brings them. A bot stays 6 hours and trades 50 times a day.
_USER = "'user-' || (i * 7919 % 20000)"
HISTORY = (
    Kept(
        "ended_sessions", "ended session", 4, 400,
        f"({SESSION}, ended_at, ended_reason, {COSTS})"
        f" {{series}} SELECT i, hex(randomblob(12)), {_USER}, 'bot-' || i, 'bot-' || i, NULL, {NOW} + i * 100, 60000,"
        f" {NOW} + i * 100, {NOW} + i * 100, 100, 200, 0, 1, 1, {NOW} + i * 100, 'stopped',"
        " 84000000, 90000000, 3600.5, 3.5 FROM n",
    ),
    Kept(
        "trades", "trade", 50, 400,
        "(trade_id, user_id, number, symbol, side, quantity, price, closes, at, day)"
        f" {{series}} SELECT 'trade-' || hex(randomblob(6)), {_USER}, i / 50, 'BTC/USDT', 'buy', '0.0125',"
        f" '68123.5', 0, {NOW} + i * 100, '2026-11-24' FROM n",
    ),
    Kept(
        "usage_hours", "hour of a user", 24, 800,
        f"{{series}} SELECT {NOW} / 3600000 * 3600000 + i / 20000 * 3600000, {_USER}, 1, 3600000, 2, 0 FROM n",
    ),
)  # fmt: skip


def table() -> list[str]:
    """What history weighs, and what that comes to."""
    lines = [
        "| | bytes | a bot, a day | kept | " + " | ".join(f"{grouped(bots)} bots" for bots in SIZES) + " |",
        "|---|---|---|---|" + "---|" * len(SIZES),
    ]
    with servers.scratch() as folder:
        for kept in HISTORY:
            each = bytes_each(folder, kept.table, kept.sql)
            cells = [f"{number(each * kept.a_day * kept.days * bots / 1e9)} GB" for bots in SIZES]
            lines.append(f"| {kept.title} | {number(each)} | {kept.a_day} | {kept.days} days | {' | '.join(cells)} |")
        empty, full = make(folder / "empty.db"), make(folder / "snapshots.db", snapshots=True)
        made = sum(days * DAY // step for step, days in SAMPLED.items())
        each = (full.stat().st_size - empty.stat().st_size) / made
    stay = 2 * DAY // 5 + sum(days * DAY // step for step, days in SAMPLED.items() if step > 5)  # raw ones for 48 h
    cells = [f"{number(each * stay / 1e9)} GB"] * len(SIZES)
    lines.append(f"| sample | {number(each)} | – | 2 to 365 days | {' | '.join(cells)} |")
    return lines
