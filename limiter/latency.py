"""How long decisions take: what is kept of the last minute, and its percentiles."""

import time
from collections import deque
from dataclasses import dataclass, field

MOST = 8192  # durations that are kept


@dataclass(slots=True)
class Latency:
    """Durations of the decisions of the last minute, from the queue to the answer, in seconds."""

    count: int = 0
    sum_seconds: float = 0.0
    batches: deque[tuple[float, list[float]]] = field(default_factory=deque)
    _kept: int = 0

    def add(self, at: float, seconds: list[float]) -> None:
        """A batch's durations."""
        self.count += len(seconds)
        self.sum_seconds += sum(seconds)
        self.batches.append((at, seconds))
        self._kept += len(seconds)
        while self._kept - len(self.batches[0][1]) >= MOST:
            self._kept -= len(self.batches.popleft()[1])

    def percentile_ms(self, *shares: float) -> list[float | None]:
        """Percentiles of the last minute in milliseconds; None where nothing was decided in it."""
        since = time.monotonic() - 60
        durations = sorted(one for at, seconds in self.batches if at >= since for one in seconds)
        if not durations:
            return [None] * len(shares)
        return [round(durations[min(len(durations) - 1, int(share * len(durations)))] * 1000, 3) for share in shares]
