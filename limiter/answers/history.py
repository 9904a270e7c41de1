"""Snapshots in buckets of time."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

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
    refusals: Mapping[str, int]
    measured_bots: Annotated[float, Meta(description="how many bots said their memory, on average")]
    bot_memory_mb: Annotated[float | None, Meta(description="of such a bot, on average")]
    bot_cpu_percent: Annotated[float | None, Meta(description="of one core, of a bot, on average")]


class HistoryAnswer(Ok):
    step_seconds: float
    buckets: list[Bucket]
