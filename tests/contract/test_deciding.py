"""Figures to decide by, over HTTP: the forecast of a young limiter, any instant, and why a request was refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tests.conftest import Limiter, from_now, granted, refused, wait_until, wrong_fields

Start = Callable[..., Limiter]
ENGLISH = {"Accept-Language": "en"}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_young_limiter_says_that_it_is_too_early_to_foretell(server: Limiter) -> None:
    answer = granted(server.client.get("/api/admin/forecast", headers=ENGLISH))
    assert answer["needs"].startswith("Too early to say: a forecast needs 14 days")
    assert [answer[name] for name in ("points", "error", "naive_error", "chance", "level_changed_at")] == [None] * 5
    assert (answer["days"], answer["band"], answer["censored_hours"]) == (14, 80, 0)
    assert granted(server.client.get("/api/admin/forecast"))["needs"].startswith("Trop tôt")
    assert wrong_fields(server.client.get("/api/admin/forecast?days=29"), 422) == {"days"}


def test_a_state_of_the_past_is_who_held_a_slot_then_and_under_which_limits(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="3", MAX_BOTS_PER_USER="1")
    before = now()
    wait_until(lambda: now() > before, 1)
    first, second = one.fill(2)
    two = now()
    wait_until(lambda: now() > two, 1)  # what ends in the same millisecond had no slot any more
    one.end(first)
    one.set_limits(MAX_CONCURRENT_BOTS=2)
    granted(one.admin("POST", "/api/admin/pause", {"reason": "test"}))
    after = granted(one.client.get("/api/admin/state"))

    then = granted(one.client.get("/api/admin/state", params={"at": two}))
    assert [row["public_id"] for row in then["sessions"]] == [first["public_id"], second["public_id"]]
    row = then["sessions"][0]
    assert (row["user_id"], row["status"], row["ended_at"]) == (first["user_id"], "active", None)
    assert row["started_at"] == first["started_at"] and "secret" not in row and "session_id" not in row
    assert (then["limits"]["MAX_CONCURRENT_BOTS"], then["paused"], then["at"]) == (3, False, two)
    assert (after["limits"]["MAX_CONCURRENT_BOTS"], after["paused"]) == (2, True)
    assert after["limits_version"] == then["limits_version"] + 1
    assert [row["public_id"] for row in after["sessions"]] == [second["public_id"]]
    assert granted(one.client.get("/api/admin/state", params={"at": before}))["sessions"] == []
    assert wrong_fields(one.client.get("/api/admin/state", params={"at": from_now(60)}), 422) == {"at"}


def test_a_full_server_is_explained_with_who_held_the_slots_and_what_would_have_helped(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="12")
    held = one.fill(12)
    told = refused(one.start(), 503, "server_full")
    one.end(held[3])
    answer = granted(one.client.get(f"/api/admin/explain/{told['request_id']}", headers=ENGLISH))
    assert answer["sentence"] == "Server full (12/12 active bots). Try again in a few minutes."
    assert [row["public_id"] for row in answer["holders"]] == [one["public_id"] for one in held[:10]]
    assert answer["decided_again"] is True and answer["refusal"]["reason"] == "server_full"
    assert answer["way_out"].startswith("With MAX_CONCURRENT_BOTS of 13 or more it would have been admitted. The first")
    assert refused(one.client.get("/api/admin/explain/nobody"), 404, "not_found")


def test_a_user_at_the_limit_and_a_pause_are_explained_too(limiter: Start) -> None:
    one = limiter()
    one.session("u1", "b1")
    full = refused(one.start("u1", "b2"), 429, "user_limit")["request_id"]
    answer = granted(one.client.get(f"/api/admin/explain/{full}"))
    assert answer["sentence"] == "Limite atteinte : 1/1 bot actif pour cet utilisateur."
    assert "Cet utilisateur tenait : b1" in answer["way_out"] and answer["decided_again"] is True
    own = {"limits": {"MAX_BOTS_PER_USER": 0}, "reason": "unpaid"}
    granted(one.admin("PUT", "/api/admin/users/u3/limits", own))
    suspended = refused(one.start("u3"), 429, "user_limit")
    answer = granted(one.client.get(f"/api/admin/explain/{suspended['request_id']}"))
    assert suspended["error"].startswith(answer["sentence"]) and answer["sentence"] == "Ce compte est suspendu."
    granted(one.admin("POST", "/api/admin/pause", {"reason": "test"}))
    paused = refused(one.start("u2"), 503, "paused")["request_id"]
    answer = granted(one.client.get(f"/api/admin/explain/{paused}", headers=ENGLISH))
    assert answer["decided_again"] is True and answer["way_out"] == "To resume starts would have admitted it."


def test_a_drain_is_explained_as_long_as_it_goes_on(limiter: Start) -> None:
    one = limiter()
    granted(one.admin("POST", "/api/admin/drain", {"reason": "move"}))
    drained = refused(one.start("u1"), 503, "draining")["request_id"]
    granted(one.admin("DELETE", "/api/admin/drain", {"reason": "moved"}))
    answer = granted(one.client.get(f"/api/admin/explain/{drained}", headers=ENGLISH))
    assert answer["decided_again"] is True
    assert answer["sentence"] == "The server is being drained: no bot starts. Try again later."
    assert answer["way_out"] == "To end the drain (drain --cancel) would have admitted it."


def test_demand_of_the_first_minutes_is_counted_although_it_is_too_little(limiter: Start) -> None:
    one = limiter()
    one.fill(3)
    answer = granted(one.client.get("/api/admin/sizing", headers=ENGLISH))
    assert answer["demands"] == 3 and answer["needs"].endswith("there are 0 and 3.")
    assert [day["demands"] for day in answer["days"]] == [3]


def test_a_young_limiter_says_what_each_lease_would_have_done_and_that_it_knows_too_little(limiter: Start) -> None:
    one = limiter()
    answer = granted(one.client.get("/api/admin/lease-evidence", headers=ENGLISH))
    assert [row["lease_seconds"] for row in answer["rows"]] == [10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600]
    assert all(row["living_ended"] == row["slot_hours_held_by_the_dead"] == 0 for row in answer["rows"])
    assert (answer["beats"], answer["days"], answer["lease_seconds"], answer["sentence"]) == (0, 7, 60, None)
    assert answer["needs"].startswith("Too few heartbeats: it takes 100 within 7 days")
