"""What the box carries of the bots that run on it, and the bots without a slot."""

from typing import Literal

from msgspec import Struct

from limiter.answers.parts import Ok


class Spread(Struct):
    median: float
    mean: float
    p90: float


class Carries(Struct):
    bots: int
    low: int
    high: int
    by: Literal["ram", "cpu"]


class BoxSize(Struct):
    """A row of the table of VPS; `bots` None: what it would carry is not known."""

    ram_gb: int | float
    bots: int | None
    price_usd_month: int | None


class Stranger(Struct):
    """A process that looks like a bot and holds no slot; the command line is masked and cut. `host`: whose agent tells
    of it, `command` is then the user and the bot; null: the limiter's own."""

    pid: int
    name: str
    command: str
    memory_mb: float
    since: str
    host: str | None = None


class BoxAnswer(Ok):
    """MB are of 1024² bytes; None: not measured, and `needs` says what it takes. `table` is the guide's row."""

    ram_mb: float
    rest_mb: float | None
    cores: float
    running_bots: int
    measured_bots: int
    memory_mb: Spread | None
    cpu_percent: Spread | None
    start_cpu_seconds: float | None
    carries: Carries | None
    sentence: str
    needs: str | None
    table: BoxSize
    next: BoxSize | None
    strangers: list[Stranger]
    strangers_needs: str | None
