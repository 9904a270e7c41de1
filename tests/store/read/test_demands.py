"""The start requests that the preview decides again: of how many days, where there are very many."""

from pathlib import Path

import pytest

from limiter.store import read, schema
from limiter.store.engine import open_writer
from limiter.units import DAY_MS, HOUR_MS
from tests.rules.world import NOW

A_DAY = 3


@pytest.mark.parametrize(("most", "days"), [(21, 7), (20, 6), (7, 2), (3, 1), (1, 1)])
def test_as_many_whole_days_as_can_be_decided_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, days: int
) -> None:
    monkeypatch.setattr(read.demands, "REPLAYED", most)
    engine = open_writer(f"sqlite:///{tmp_path / 'limiter.db'}")
    with engine.begin() as tx:
        for number in range(A_DAY * 9):
            at = NOW - number // A_DAY * DAY_MS - HOUR_MS
            tx.execute(
                schema.ended_sessions.insert(),
                {
                    "number": 100 - number, "secret": "s", "user_id": "u1", "bot_id": "b1", "started_at": at,
                    "lease_ms": 60_000, "last_heartbeat_at": at, "expires_at": at, "active": 0, "max_bots": 9,
                    "user_active": 0, "user_max": 1, "version": 1, "ended_at": at, "ended_reason": "stopped",
                },
            )  # fmt: skip
        assert read.demands.days_to_replay(tx, NOW, 7) == days
    engine.dispose()
