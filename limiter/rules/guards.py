"""What holds a raise of MAX_CONCURRENT_BOTS back: readings of the box against thresholds.

A guard without a reading does not hold; `stale` is the one that notices missing readings.
"""

from dataclasses import dataclass
from typing import Any

CPU_PERCENT = 80
RAM_PERCENT = 85
FEED_TOKENS_PER_MINUTE = 5
DECISION_P99_MS = 250
STALE_SECONDS = 60
FEED_SEEN_MS = 24 * 3_600_000


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
    message: str

    def as_dict(self) -> dict[str, Any]:
        """The fields of the contract."""
        return {name: getattr(self, name) for name in ("name", "value", "threshold", "held", "message")}


def _above(name: str, label: str, unit: str, value: float | None, threshold: float) -> Guard:
    if value is None:
        return Guard(name, None, threshold, False, f"{label}: no reading")
    held = value > threshold  # before it is rounded for the eye
    said = f"{label} {value:.1f} {unit} {'>' if held else '≤'} {threshold:g} {unit}"
    return Guard(name, round(value, 1), threshold, held, said)


def check(readings: Readings, now: int) -> list[Guard]:
    """All guards, held or not."""
    seen = readings.last_token_at is not None and now - readings.last_token_at <= FEED_SEEN_MS
    tokens = readings.tokens_per_minute
    watched = seen and readings.bots > 0
    lag = watched and tokens < FEED_TOKENS_PER_MINUTE
    feed = f"feed {tokens} tokens/min {'<' if lag else '≥'} {FEED_TOKENS_PER_MINUTE}"
    return [
        _above("cpu", "CPU", "%", readings.cpu_percent, CPU_PERCENT),
        _above("ram", "RAM", "%", readings.ram_percent, RAM_PERCENT),
        Guard(
            "feed_lag", tokens if watched else None, FEED_TOKENS_PER_MINUTE, lag, feed if watched else "feed: not used"
        ),
        _above("decision_lag", "decisions p99", "ms", readings.decision_p99_ms, DECISION_P99_MS),
        _above("stale", "last sample", "s ago", readings.sample_age_seconds, STALE_SECONDS),
    ]
