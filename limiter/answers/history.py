"""Snapshots in buckets of time."""

from msgspec import Struct

from limiter.answers.parts import Ok


class Bots(Struct):
    min: int
    mean: float
    max: int


class Bucket(Struct):
    at: str
    bots: Bots
    limit: int
    cpu_percent: float | None
    ram_percent: float | None
    tokens: int
    signals: int
    starts: int
    refusals: dict[str, int]


class HistoryAnswer(Ok):
    step_seconds: float
    buckets: list[Bucket]
