"""Durations of decisions, and their percentiles."""

import time

from limiter.latency import MOST, Latency


def test_durations_of_the_last_minute() -> None:
    latency = Latency()
    assert latency.percentile_ms(0.5, 0.99) == [None, None]
    now = time.monotonic()
    latency.add(now - 61, [9.0])
    latency.add(now, [n / 1000 for n in range(1, 101)])
    assert latency.percentile_ms(0.5, 0.99) == [51.0, 100.0]
    assert latency.count == 101
    for _ in range(40):
        latency.add(now, [0.002] * 500)
    assert latency.percentile_ms(0.5) == [2.0] and latency.count == 20_101
    assert len(latency.batches) <= 1 + MOST // 500, "what is kept has a bound"
