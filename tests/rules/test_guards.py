"""What holds a raise back: each guard at its threshold and just above, and without a reading."""

from dataclasses import replace

import pytest

from limiter.rules.guards import Readings, check
from tests.rules.world import CALM, HOUR, NOW


def held(readings: Readings) -> list[str]:
    return [guard.name for guard in check(readings, NOW) if guard.held]


def test_at_the_thresholds_nothing_holds() -> None:
    readings = Readings(80.0, 85.0, 5, NOW, 250.0, 60.0, bots=1)
    assert held(readings) == []
    assert [guard.name for guard in check(readings, NOW)] == ["cpu", "ram", "feed_lag", "decision_lag", "stale"]


@pytest.mark.parametrize(
    ("name", "readings"),
    [
        ("cpu", replace(CALM, cpu_percent=80.1)),
        ("cpu", replace(CALM, cpu_percent=80.01)),
        ("ram", replace(CALM, ram_percent=85.01)),
        ("decision_lag", replace(CALM, decision_p99_ms=250.01)),
        ("stale", replace(CALM, sample_age_seconds=60.01)),
        ("feed_lag", replace(CALM, tokens_per_minute=4, last_token_at=NOW - 24 * HOUR, bots=1)),
    ],
)
def test_each_holds_above_its_threshold(name: str, readings: Readings) -> None:
    assert held(readings) == [name]
    guard = next(guard for guard in check(readings, NOW) if guard.held)
    assert guard.as_dict().keys() == {"name", "value", "threshold", "held", "message"}
    assert guard.message.en and guard.message.fr


def test_the_feed_is_watched_only_where_tokens_came_in_24_hours_and_bots_are_active() -> None:
    slow = replace(CALM, tokens_per_minute=0, last_token_at=NOW, bots=1)
    assert held(slow) == ["feed_lag"]
    assert held(replace(slow, bots=0)) == []
    assert held(replace(slow, last_token_at=None)) == []
    assert held(replace(slow, last_token_at=NOW - 24 * HOUR - 1)) == []


def test_a_guard_without_a_reading_does_not_hold() -> None:
    guards = {guard.name: guard for guard in check(Readings(None, None, 0, None, None, 5.0, 3), NOW)}
    assert not any(guard.held for guard in guards.values())
    assert [guards[name].value for name in ("cpu", "ram", "feed_lag", "decision_lag")] == [None] * 4
