"""Capacity: the guide's table, exact figures at every boundary, and one count wherever it is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import CAPACITY_FIELDS, Limiter, granted, refused, wait_until

pytestmark = pytest.mark.every_database

Start = Callable[..., Limiter]


def figures(capacity: Any) -> tuple[Any, ...]:
    return tuple(capacity[name] for name in ("current_bots", "max_bots", "status", "percent_used", "available_slots"))


def test_the_table_of_the_guide(limiter: Start) -> None:
    one = limiter()
    table = [
        (10, "LOW", 5.0, 190),
        (100, "HEALTHY", 50.0, 100),
        (160, "WARNING", 80.0, 40),
        (200, "FULL", 100.0, 0),
    ]
    for bots, status, percent, free in table:
        one.fill(bots - one.capacity()["current_bots"])
        assert figures(one.capacity()) == (bots, 200, status, percent, free)
        assert one.capacity()["can_accept_new"] is (free > 0)

    body = refused(one.start(), 503, "server_full")
    assert body["error"] == "Serveur complet (200/200 bots actifs). Réessaie dans quelques minutes."
    assert figures(body["capacity"]) == (200, 200, "FULL", 100.0, 0)

    one.set_limits(MAX_CONCURRENT_BOTS=250)
    one.fill(50)
    one.set_limits(MAX_CONCURRENT_BOTS=200)
    assert figures(one.capacity()) == (250, 200, "FULL", 125.0, -50)
    assert one.capacity()["can_accept_new"] is False
    body = refused(one.start(), 503, "server_full")
    assert body["error"] == "Serveur complet (250/200 bots actifs). Réessaie dans quelques minutes."

    # The same 250 bots against other limits: cut, not rounded; boundaries from exact integers.
    for limit, status, percent in [
        (500, "HEALTHY", 50.0),
        (501, "LOW", 49.9),
        (313, "HEALTHY", 79.8),
        (312, "WARNING", 80.1),
        (251, "WARNING", 99.6),
        (250, "FULL", 100.0),
        (249, "FULL", 100.4),
        (375, "HEALTHY", 66.6),
        (3, "FULL", 8333.3),
        (1_000_000, "LOW", 0.0),
        (0, "FULL", 100.0),
    ]:
        one.set_limits(MAX_CONCURRENT_BOTS=limit)
        assert figures(one.capacity()) == (250, limit, status, percent, limit - 250)


def test_the_answer_is_the_envelope_and_exactly_six_fields(server: Limiter) -> None:
    body = granted(server.client.get("/api/admin/capacity"))
    assert body.keys() == {"success", "capacity"}
    capacity = body["capacity"]
    assert capacity.keys() == CAPACITY_FIELDS
    assert isinstance(capacity["percent_used"], float)
    assert isinstance(capacity["current_bots"], int)
    assert isinstance(capacity["available_slots"], int)
    assert isinstance(capacity["can_accept_new"], bool)


def test_an_empty_limiter_of_zero_is_full(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="0")
    assert figures(one.capacity()) == (0, 0, "FULL", 100.0, 0)
    assert one.capacity()["can_accept_new"] is False
    body = refused(one.start(), 503, "server_full")
    assert body["error"] == "Serveur complet (0/0 bots actifs). Réessaie dans quelques minutes."


def test_the_status_does_not_move_with_the_alert_threshold(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="5", ALERT_THRESHOLD="50%")
    one.fill(3)
    assert one.capacity()["status"] == "HEALTHY"
    one.set_limits(ALERT_THRESHOLD=99)
    one.fill(1)
    assert one.capacity()["status"] == "WARNING"


def test_can_accept_new_tells_the_fate_of_the_next_new_user(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="2")

    def agrees() -> bool:
        said: bool = one.capacity()["can_accept_new"]
        assert (one.start().status_code == 201) is said
        return said

    assert agrees()
    granted(one.admin("POST", "/api/admin/pause", {"reason": "test"}))
    assert not agrees()
    granted(one.admin("POST", "/api/admin/resume", {"reason": "test"}))
    one.set_limits(MAX_BOTS_PER_USER=0)
    assert not agrees()
    one.set_limits(MAX_BOTS_PER_USER=1)
    assert agrees()
    assert not agrees(), "full"


def test_one_count_everywhere(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="6", BOT_LEASE_SECONDS="5")
    sessions = one.fill(6)

    def counts() -> set[int]:
        metrics = one.client.get("/metrics").text
        gauge = re.search(r"^limiter_bots_active(?:\{\})? (\S+)$", metrics, re.MULTILINE)
        assert gauge, metrics
        stats = one.stats()
        return {
            one.capacity()["current_bots"],
            stats["capacity"]["current_bots"],
            stats["sessions"]["active"],
            granted(one.client.get("/api/admin/health"))["capacity"]["current_bots"],
            len(one.listed(status="active", limit=500)),
            int(float(gauge[1])),
        }

    assert counts() == {6}
    body = refused(one.start(), 503, "server_full")
    assert body["capacity"]["current_bots"] == 6
    assert "6/6" in body["error"]
    granted(one.end(sessions[0]))
    assert counts() == {5}
    # Leases that run out leave every figure at the same instant, so two reads around it may differ but not stay apart.
    wait_until(lambda: counts() == {0}, 9, "every count at 0 after the leases ran out")


@pytest.mark.parametrize(
    ("limit", "bots", "alert"), [(10, 8, "CAPACITY_OK"), (10, 9, "CAPACITY_ALERT"), (1, 1, "CAPACITY_ALERT")]
)
def test_the_alert_of_health_is_raised_from_90_percent_on(limiter: Start, limit: int, bots: int, alert: str) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=limit)
    one.fill(bots)
    health = granted(one.client.get("/api/admin/health"))
    assert health["alert"] == alert
