"""How long decisions take: what is kept of the last minute, and its percentiles."""

import time
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Latency:
    """Durations of the decisions of the last minute, from the queue to the answer, in seconds."""

    count: int = 0
    sum_seconds: float = 0.0
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=8192))

    def add(self, at: float, seconds: list[float]) -> None:
        """A batch's durations."""
        self.count += len(seconds)
        self.sum_seconds += sum(seconds)
        self.recent.extend((at, one) for one in seconds)

    def percentile_ms(self, *shares: float) -> list[float | None]:
        """Percentiles of the last minute in milliseconds; None where nothing was decided in it."""
        since = time.monotonic() - 60
        durations = sorted(seconds for at, seconds in self.recent if at >= since)
        if not durations:
            return [None] * len(shares)
        return [round(durations[min(len(durations) - 1, int(share * len(durations)))] * 1000, 3) for share in shares]
