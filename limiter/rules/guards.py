"""What holds a raise of MAX_CONCURRENT_BOTS back: readings of the box against thresholds.

A guard without a reading does not hold; `stale` is the one that notices missing readings.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from limiter.rules.words import Words
from limiter.units import DAY_MS

CPU_PERCENT = 80
RAM_PERCENT = 85
FEED_TOKENS_PER_MINUTE = 5
DECISION_P99_MS = 250
STALE_SECONDS = 60
FEED_SEEN_MS = DAY_MS

TEXTS = {
    "cpu": Words("CPU {value} % {sign} {threshold} %", "CPU {value}% {sign} {threshold}%"),
    "ram": Words("RAM {value} % {sign} {threshold} %", "RAM {value}% {sign} {threshold}%"),
    "feed_lag": Words("flux {value} tokens/min {sign} {threshold}", "feed {value} tokens/min {sign} {threshold}"),
    "decision_lag": Words(
        "décisions p99 {value} ms {sign} {threshold} ms", "decisions p99 {value} ms {sign} {threshold} ms"
    ),
    "stale": Words(
        "dernière mesure il y a {value} s {sign} {threshold} s", "last sample {value} s ago {sign} {threshold} s"
    ),
}
UNKNOWN = {
    "cpu": Words("CPU : pas de mesure", "CPU: no reading"),
    "ram": Words("RAM : pas de mesure", "RAM: no reading"),
    "feed_lag": Words("flux : pas utilisé", "feed: not used"),
    "decision_lag": Words("décisions : pas de mesure", "decisions: no reading"),
    "stale": Words("pas de mesure", "no sample"),
}


@dataclass(frozen=True, slots=True)
class Readings:
    """1-minute means of CPU and RAM in percent, tokens of the last minute, decisions' p99; None where not known.

    `sample_age_seconds` counts from the start where there was no sample yet.
    """

    cpu_percent: float | None
    ram_percent: float | None
    tokens_per_minute: int
    last_token_at: int | None
    decision_p99_ms: float | None
    sample_age_seconds: float
    bots: int


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard with its reading (None: no reading), and whether it holds."""

    name: str
    value: float | None
    threshold: float
    held: bool

    @property
    def message(self) -> Words:
        """What it says, with its figures."""
        if self.value is None:
            return UNKNOWN[self.name]
        below = self.name == "feed_lag"  # holds below its threshold, the others above
        sign = ("<" if below else ">") if self.held else ("≥" if below else "≤")
        value = round(self.value) if below else round(float(self.value), 1)
        return TEXTS[self.name].filled(value=value, sign=sign, threshold=f"{self.threshold:g}")

    def as_facts(self) -> list[Any]:
        """Name, value and threshold, as they are kept of one that holds."""
        return [self.name, self.value, self.threshold]

    def as_dict(self) -> dict[str, Any]:
        """The fields of the contract."""
        return {name: getattr(self, name) for name in ("name", "value", "threshold", "held", "message")}


def _above(name: str, value: float | None, threshold: float) -> Guard:
    if value is None:
        return Guard(name, None, threshold, False)
    return Guard(name, round(value, 1), threshold, held=value > threshold)  # before it is rounded for the eye


def fed(last_token_at: int | None, now: int) -> bool:
    """Whether there is a feed at all: tokens came in the last 24 h."""
    return last_token_at is not None and now - last_token_at <= FEED_SEEN_MS


def _feed(readings: Readings, now: int) -> Guard:
    name, tokens, threshold = "feed_lag", readings.tokens_per_minute, FEED_TOKENS_PER_MINUTE
    if not fed(readings.last_token_at, now) or not readings.bots:
        return Guard(name, None, threshold, False)
    return Guard(name, tokens, threshold, held=tokens < threshold)


def check(readings: Readings, now: int) -> list[Guard]:
    """All guards, held or not."""
    return [
        _above("cpu", readings.cpu_percent, CPU_PERCENT),
        _above("ram", readings.ram_percent, RAM_PERCENT),
        _feed(readings, now),
        _above("decision_lag", readings.decision_p99_ms, DECISION_P99_MS),
        _above("stale", readings.sample_age_seconds, STALE_SECONDS),
    ]


def said(guards: Iterable[Guard]) -> Words:
    """What they say, in one line."""
    guards = tuple(guards)
    return Words(*("; ".join(guard.message.told(language) for guard in guards) for language in ("fr", "en")))


def from_facts(kept: Iterable[Iterable[Any]]) -> tuple[Guard, ...]:
    """The guards that held, from what was kept of each."""
    return tuple(Guard(name, value, threshold, held=True) for name, value, threshold in kept)
