"""What operators read: stats, health, sessions, refusals, history, notes, audit and metrics."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import (
    CAPACITY_FIELDS,
    Limiter,
    from_now,
    granted,
    instant,
    new_user,
    refused,
    wait_until,
    wrong_fields,
)

Start = Callable[..., Limiter]
REASON = {"reason": "test"}


def rows(answer: Any) -> list[Any]:
    """The one list of an answer."""
    (found,) = [value for value in answer.values() if isinstance(value, list)]
    listed: list[Any] = found
    return listed


# -- stats -----------------------------------------------------------------------------------------------------------
def test_stats_tell_one_instant(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="3", LIMITER_RAM_GB="4")
    sessions = one.fill(3)
    refused(one.start("late"), 503, "server_full")
    refused(one.start(sessions[0]["user_id"]), 429, "user_limit")
    granted(one.trade(sessions[0]), 201)
    granted(one.trade(sessions[0]), 201)
    granted(one.trade(sessions[1]), 201)
    granted(one.signal(sessions[0], 5))
    granted(one.tokens(7))

    stats = one.stats()
    assert stats["capacity"] == one.capacity()
    assert stats["limits"] == one.limits()
    assert stats["limits_version"] == granted(one.client.get("/api/limits"))["limits_version"]
    assert stats["system"].keys() >= {"cpu_percent", "ram_percent", "ram_total_gb", "recommended_max_bots"}
    assert stats["system"]["recommended_max_bots"] == 150
    assert stats["system"]["ram_total_gb"] > 0
    rates = stats["rates"]
    assert (rates["tokens_last_minute"], rates["signals_last_minute"]) == (7, 5)
    assert rates["starts_last_hour"] == 3
    assert {reason: n for reason, n in rates["refusals_last_hour"].items() if n} == {"server_full": 1, "user_limit": 1}
    assert rates["trades_today"] == 3
    assert stats["sessions"].items() >= {"active": 3, "suspect": 0, "expired_last_hour": 0}.items()
    top = {row["user_id"]: (row["active"], row["trades_today"]) for row in stats["top_users"]}
    assert top[sessions[0]["user_id"]] == (1, 2)
    assert stats["decisions"].keys() >= {"p50_ms", "p99_ms", "count"}
    assert stats["decisions"]["count"] >= 5
    assert 0 < stats["decisions"]["p50_ms"] <= stats["decisions"]["p99_ms"]
    assert stats["uptime_seconds"] >= 0
    assert stats["version"]
    assert abs((instant(stats["at"]) - datetime.now(UTC)).total_seconds()) < 5


def test_stats_count_leases_that_ran_out(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="5")
    one.fill(2)
    granted(one.end(one.session()))
    wait_until(lambda: one.stats()["sessions"]["expired_last_hour"] == 2, 8)
    assert one.stats()["sessions"]["active"] == 0


# -- health ----------------------------------------------------------------------------------------------------------
def test_health_is_always_this_object(server: Limiter) -> None:
    answer = server.client.get("/api/admin/health")
    health = granted(answer)
    assert health.keys() >= {"success", "status", "alert", "capacity", "checks"}
    assert health["status"] in ("ok", "degraded")
    assert health["alert"] == "CAPACITY_OK"
    assert health["capacity"].keys() == CAPACITY_FIELDS
    assert health["checks"]
    assert all(check.keys() >= {"ok", "detail"} for check in health["checks"].values())
    seen = health["checks"]["database"]["detail"], health["checks"]["accepting"]["detail"]
    assert seen == ("writable", "accepting"), "a monitor looks for words that stay, whatever LIMITER_LANG is"
    asked = server.client.get("/api/admin/health", headers={"Accept-Language": "fr"}).json()["checks"]
    assert (asked["database"]["detail"], asked["accepting"]["detail"]) == ("accepte les écritures", "ouvert")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.text == json.dumps(health, separators=(",", ":"), ensure_ascii=False), "compact JSON"


def test_health_answers_head(server: Limiter) -> None:
    answer = server.client.head("/api/admin/health")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_full_limiter_is_healthy(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="1")
    status = granted(one.client.get("/api/admin/health"))["status"]
    one.fill(1)
    health = granted(one.client.get("/api/admin/health"))
    assert (health["success"], health["alert"], health["capacity"]["status"]) == (True, "CAPACITY_ALERT", "FULL")
    assert health["status"] == status


def test_fail_at_fails_for_monitors_that_read_only_the_status(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="5")
    one.fill(4)
    plain = granted(one.client.get("/api/admin/health"))
    assert granted(one.client.get("/api/admin/health?fail_at=81"))["status"] == plain["status"]
    for fail_at in (80, 50, 1):
        answer = one.client.get("/api/admin/health", params={"fail_at": fail_at})
        assert answer.status_code == 503, fail_at
        health = answer.json()
        assert (health["success"], health["status"], health["alert"]) == (False, plain["status"], "CAPACITY_OK")
        assert health["capacity"] == plain["capacity"]
        assert health.keys() == plain.keys()
        assert answer.headers["Cache-Control"] == "no-store"
    assert one.client.head("/api/admin/health?fail_at=80").status_code == 503
    assert one.client.head("/api/admin/health?fail_at=81").status_code == 200
    one.set_limits(MAX_CONCURRENT_BOTS=0)
    assert one.client.get("/api/admin/health?fail_at=100").status_code == 503


def test_livez_and_readyz_answer(server: Limiter) -> None:
    granted(server.client.get("/livez"))
    granted(server.client.get("/readyz"))


# -- sessions --------------------------------------------------------------------------------------------------------
SESSION_ROW = {
    "public_id",
    "user_id",
    "bot_id",
    "status",
    "started_at",
    "last_heartbeat_at",
    "lease_expires_at",
    "ended_at",
    "ended_reason",
    "memory_mb",
    "cpu_percent",
    "notice",
}


def test_the_session_list_pages_from_the_newest_on(limiter: Start) -> None:
    one = limiter()
    started = [one.session()["public_id"] for _ in range(7)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    pages = 0
    while True:
        page = granted(one.client.get("/api/admin/sessions", params={"limit": "3", "status": "active"} | cursor))
        assert page.keys() >= {"success", "items", "next_cursor"}
        seen += [row["public_id"] for row in page["items"]]
        pages += 1
        one.session()  # a newcomer moves no page
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == started[::-1]
    assert pages == 3


def test_a_session_row_tells_all_but_the_secret(server: Limiter) -> None:
    user = new_user()
    session = server.session(user, "b1")
    answer = server.client.get("/api/admin/sessions", params={"user_id": user})
    (row,) = granted(answer)["items"]
    assert row.keys() >= SESSION_ROW
    assert "session_id" not in row
    assert session["session_id"] not in answer.text
    secret = session["session_id"].removeprefix(session["public_id"]).strip(".")
    assert secret not in answer.text
    assert (row["public_id"], row["user_id"], row["bot_id"]) == (session["public_id"], user, "b1")
    assert (row["status"], row["ended_at"], row["ended_reason"]) == ("active", None, None)
    assert row["started_at"] == session["started_at"]
    assert row["lease_expires_at"] == session["lease_expires_at"]
    instant(row["last_heartbeat_at"])
    granted(server.end(session))
    (row,) = server.listed(user_id=user, status="ended")
    assert (row["status"], row["ended_reason"]) == ("ended", "stopped")
    instant(row["ended_at"])
    assert server.listed(user_id=user, status="active") == []


def metrics_of(one: Limiter) -> dict[str, float]:
    """Every sample of /metrics by its name and labels."""
    lines = one.client.get("/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}


def test_what_bots_cost_is_listed_the_heaviest_first(limiter: Start) -> None:
    one = limiter()
    light, heavy, busy, silent = (one.session(name) for name in ("light", "heavy", "busy", "silent"))

    def told(figures: dict[str, tuple[float, float]]) -> None:
        beats = [
            {"session_id": session["session_id"], "memory_bytes": int(mb * 2**20), "cpu_seconds": seconds}
            for session in (light, heavy, busy)
            for mb, seconds in (figures[session["user_id"]],)
        ]
        granted(one.post("/api/bots/heartbeats", {"beats": beats}))

    told({"light": (20.5, 0.1), "heavy": (900, 1), "busy": (100, 3)})
    granted(one.beat(silent))
    time.sleep(2.1)  # two readings closer than that say nothing
    told({"light": (10, 0.1), "heavy": (700.06, 1.2), "busy": (100, 23)})
    rows = {row["user_id"]: row for row in one.listed(status="active")}
    figures = ("memory_mb", "memory_peak_mb", "cpu_seconds")
    assert [rows["heavy"][name] for name in figures] == [700.1, 900.0, 1.2]
    assert [rows["light"][name] for name in (*figures, "cpu_percent")] == [10.0, 20.5, 0.1, 0.0]
    assert [rows["silent"][name] for name in (*figures, "cpu_percent", "notice")] == [None] * 5
    assert 300 < rows["busy"]["cpu_percent"] < 960, "20 s of CPU in at least 2.1 s, and at most 6"

    def order(name: str, **query: Any) -> list[str]:
        return [row["user_id"] for row in one.listed(order=name, **query)]

    assert order("memory") == ["heavy", "busy", "light", "silent"]
    assert order("cpu", status="active") == ["busy", "heavy", "light", "silent"]
    assert order("cpu", limit=1) == ["busy"]
    assert order("memory", user_id="light") == ["light"] and order("memory", status="suspect") == []
    for wrong in ({"order": "size"}, {"order": "cpu", "status": "ended"}, {"order": "cpu", "cursor": "9"}):
        assert wrong_fields(one.client.get("/api/admin/sessions", params=wrong), 422) == {"order"}

    samples = metrics_of(one)
    assert samples["limiter_bots_memory_bytes"] == pytest.approx((10 + 700.06 + 100) * 2**20, abs=3)
    assert (samples["limiter_bots_memory_measured"], samples["limiter_bots_cpu_measured"]) == (3, 3)
    assert samples["limiter_bots_cpu_cores"] == pytest.approx(
        sum(row["cpu_percent"] for row in rows.values() if row["cpu_percent"]) / 100, abs=0.002
    )
    assert not any("heavy" in name for name in samples), "no series of one bot or user"

    granted(one.end(heavy))
    (row,) = one.listed(status="ended")
    assert [row[name] for name in (*figures, "cpu_percent")] == [700.1, 900.0, 1.2, None]
    one.restart(kill=True)
    rows = {row["user_id"]: row for row in one.listed()}
    assert rows["busy"]["cpu_percent"] is None and rows["heavy"]["memory_peak_mb"] == 900


def test_the_memory_of_a_bot_over_time_is_in_the_history(limiter: Start) -> None:
    one = limiter()
    sessions = one.fill(3)
    for session, memory in zip(sessions, (2**20, 3 * 2**20, None), strict=True):
        granted(one.post("/api/bots/heartbeat", {"session_id": session["session_id"], "memory_bytes": memory}))

    def measured() -> Any:
        found = granted(one.client.get("/api/admin/history"))["buckets"]
        return [bucket for bucket in found if bucket["measured_bots"]]

    bucket = wait_until(measured, 20)[0]
    assert (bucket["bot_memory_mb"], bucket["bot_cpu_percent"]) == (2.0, None)
    assert 0 < bucket["measured_bots"] <= 2
    answer = one.client.get("/api/admin/history", params={"format": "csv"})
    assert list(csv.DictReader(io.StringIO(answer.text)))[-1]["bot_memory_mb"] == "2.0"


def test_the_session_list_holds_50_unless_told(limiter: Start) -> None:
    one = limiter()
    one.fill(60)
    assert len(one.listed()) == 50
    assert len(one.listed(limit=500)) == 60


def test_a_session_that_misses_two_heartbeats_is_suspect_and_can_be_reaped(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="9", MAX_CONCURRENT_BOTS="2")
    silent, beating = one.session("silent"), one.session("beating")

    def suspects() -> list[Any]:
        granted(one.beat(beating))
        return one.listed(status="suspect")

    (row,) = wait_until(suspects, 9, "a suspect")
    silence = (datetime.now(UTC) - instant(silent["started_at"])).total_seconds()
    assert 5.9 < silence < 8, f"suspect after {silence} s of silence with beats of 3 s"
    assert (row["user_id"], row["status"], row["ended_at"]) == ("silent", "suspect", None)
    statuses = {row["user_id"]: row["status"] for row in one.listed(status="active")}
    assert statuses == {"silent": "suspect", "beating": "active"}
    assert one.stats()["sessions"].items() >= {"active": 2, "suspect": 1, "expired_last_hour": 0}.items()
    refused(one.start("late"), 503, "server_full")

    granted(one.admin("POST", "/api/admin/sessions/reap", REASON))
    assert one.capacity()["current_bots"] == 1
    assert refused(one.beat(silent), 410, "session_ended")["ended_reason"] == "reaped"
    granted(one.beat(beating))
    one.session("late")


def test_a_suspect_that_beats_again_is_active(limiter: Start) -> None:
    one = limiter(BOT_LEASE_SECONDS="6")
    session = one.session()
    wait_until(lambda: one.listed(status="suspect"), 6)
    granted(one.beat(session))
    assert one.listed(status="suspect") == []
    assert one.listed()[0]["status"] == "active"


def test_an_operator_can_stop_a_session(server: Limiter) -> None:
    session = server.session()
    path = f"/api/admin/sessions/{session['public_id']}/stop"
    assert wrong_fields(server.admin("POST", path, {}), 400) == {"reason"}
    assert wrong_fields(server.admin("POST", path, {"reason": ""}), 422) == {"reason"}
    granted(server.beat(session))
    granted(server.admin("POST", path, REASON))
    assert refused(server.beat(session), 410, "session_ended")["ended_reason"] == "admin_stop"
    assert granted(server.end(session))["session"]["ended_reason"] == "admin_stop"
    server.session(session["user_id"])


def test_a_stop_in_some_seconds_is_told_with_every_beat_and_can_be_taken_back(limiter: Start) -> None:
    one = limiter()
    first, second, other = one.session("u1"), one.session("u2"), one.session("u3")
    ids = [first["public_id"], second["public_id"]]
    asked_at = datetime.now(UTC)
    body = {"public_ids": ids, "reason": "move", "in_seconds": 3600}
    items = granted(one.admin("POST", "/api/admin/sessions/stop", body))["items"]
    notice = items[0]["notice"]
    assert [row["public_id"] for row in items] == ids and [row["status"] for row in items] == ["active"] * 2
    assert (notice["kind"], notice["reason"]) == ("stop", "move")
    assert 3598 < (instant(notice["at"]) - asked_at).total_seconds() < 3605
    assert granted(one.beat(first))["notice"] == notice
    beats = {"beats": [{"session_id": session["session_id"]} for session in (second, other)]}
    assert [result["notice"] for result in granted(one.post("/api/bots/heartbeats", beats))["results"]] == [
        notice,
        None,
    ]
    assert {row["user_id"]: row["notice"] for row in one.listed()} == {"u1": notice, "u2": notice, "u3": None}
    one.restart(kill=True)
    back = {"public_ids": [second["public_id"]], "reason": "stays"}
    assert granted(one.admin("DELETE", "/api/admin/sessions/stop", back))["items"][0]["notice"] is None
    path = f"/api/admin/sessions/{first['public_id']}/stop"
    assert granted(one.beat(first))["notice"] == notice and granted(one.beat(second))["notice"] is None
    row = granted(one.admin("POST", path, {"reason": "sooner", "in_seconds": 1}))["session"]
    assert row["notice"]["reason"] == "sooner"
    wait_until(lambda: one.beat(first).status_code == 410, 5)
    assert refused(one.beat(first), 410, "session_ended")["ended_reason"] == "admin_stop"
    assert one.beat(first).json()["ended_at"] == row["notice"]["at"]
    assert one.listed(status="ended")[0]["notice"] is None
    assert granted(one.admin("DELETE", path, REASON))["session"]["status"] == "ended", "it is too late"
    told = [row["action"] for row in rows(granted(one.admin("GET", "/api/admin/audit")))]
    assert told[:3] == ["stop", "stop_back", "stop"]


def test_a_user_is_stopped_whole(limiter: Start) -> None:
    one = limiter(MAX_BOTS_PER_USER="5")
    for name in ("a", "b", "c"):
        one.session("u/1", name)
    other = one.session("u2")
    path = "/api/admin/users/u%2F1/stop"
    items = granted(one.admin("POST", path, {"reason": "away", "in_seconds": 600}))["items"]
    assert sorted(row["bot_id"] for row in items) == ["a", "b", "c"] and all(row["notice"] for row in items)
    assert not any(row["notice"] for row in granted(one.admin("DELETE", path, REASON))["items"])
    for body in ({"reason": "now"}, {"reason": "now", "in_seconds": None}, {"reason": "now", "in_seconds": 0}):
        items = granted(one.admin("POST", path, body))["items"]
        assert {row["ended_reason"] for row in items} <= {"admin_stop"} and all(row["ended_at"] for row in items)
    assert items == [] and one.listed(status="active")[0]["public_id"] == other["public_id"]
    assert granted(one.admin("POST", "/api/admin/users/nobody/stop", REASON))["items"] == []


def test_stops_that_make_no_sense_change_nothing(server: Limiter) -> None:
    session = server.session()
    path, name = "/api/admin/sessions/stop", session["public_id"]
    for ids in ([name, "s99999999"], [name, "x"], [name, ""], ["s²"]):
        refused(server.admin("POST", path, {"public_ids": ids, "reason": "t"}), 404, "session_unknown")
    for body, status, field in (
        ({"public_ids": [], "reason": "t"}, 422, "public_ids"), ({"reason": "t"}, 400, "public_ids"),
        ({"public_ids": [name] * 501, "reason": "t"}, 422, "public_ids"), ({"public_ids": [name]}, 400, "reason"),
        ({"public_ids": [name], "reason": "t", "in_seconds": -1}, 422, "in_seconds"),
        ({"public_ids": [name], "reason": "t", "in_seconds": 86_401}, 422, "in_seconds"),
        ({"public_ids": [name], "reason": "t", "in_seconds": "5"}, 400, "in_seconds"),
        ({"public_ids": [name], "reason": "t", "in_seconds": True}, 400, "in_seconds"),
    ):  # fmt: skip
        assert wrong_fields(server.admin("POST", path, body), status) == {field}
    assert granted(server.beat(session))["notice"] is None
    items = granted(server.admin("POST", path, {"public_ids": [name, name], "reason": "t"}))["items"]
    assert [row["ended_reason"] for row in items] == ["admin_stop"], "named twice, it is one"


def test_a_drain_refuses_starts_tells_bots_survives_a_kill_and_ends_who_is_left(limiter: Start) -> None:
    one = limiter()
    path = "/api/admin/drain"
    assert granted(one.client.get(path))["drain"] is None
    first, second = one.session("u1", "b1"), one.session("u2")
    begun = granted(one.admin("POST", path, {"reason": "move"}))["drain"]
    assert begun.keys() == {"since", "stop_at", "left", "reason"} and (begun["left"], begun["stop_at"]) == (2, None)
    assert granted(one.beat(first))["notice"] == {"kind": "drain", "at": None, "reason": "move"}
    one.restart(kill=True)
    for user, bot in (("u3", None), ("u1", "b1")):
        told = refused(one.start(user, bot), 503, "draining")
        assert "drained" in told["error"] or "vidé" in told["error"]
    assert (one.capacity()["can_accept_new"], one.stats()["draining"], one.stats()["paused"]) == (False, True, False)
    stop = {"public_ids": [second["public_id"]], "reason": "own", "in_seconds": 3600}
    granted(one.admin("POST", "/api/admin/sessions/stop", stop))
    told = granted(one.admin("POST", path, {"reason": "now", "stop_in_seconds": 2}))["drain"]
    assert told["since"] == begun["since"]
    notice = {"kind": "drain", "at": told["stop_at"], "reason": "now"}
    assert {row["user_id"]: row["notice"] for row in one.listed()} == {"u1": notice, "u2": notice}
    wait_until(lambda: granted(one.client.get(path))["drain"]["left"] == 0, 5)
    over = refused(one.beat(first), 410, "session_ended")
    assert (over["ended_at"], over["ended_reason"]) == (told["stop_at"], "drained")
    refused(one.start("u3"), 503, "draining")
    assert granted(one.admin("DELETE", path, {"reason": "done"}))["drain"] is None
    one.session("u3")
    assert granted(one.admin("DELETE", path, {"reason": "again"}))["drain"] is None
    for body, status, field in (({}, 400, "reason"), ({"reason": "x", "stop_in_seconds": -1}, 422, "stop_in_seconds")):
        assert wrong_fields(one.admin("POST", path, body), status) == {field}


def test_a_stop_of_a_session_never_known_is_404(server: Limiter) -> None:
    answer = server.admin("POST", "/api/admin/sessions/s99999999/stop", REASON)
    assert answer.status_code == 404
    assert answer.json()["reason"] in ("session_unknown", "not_found")


# -- pause -----------------------------------------------------------------------------------------------------------
def test_a_pause_refuses_starts_touches_no_bot_and_survives_a_kill(limiter: Start) -> None:
    one = limiter()
    session = one.session("u1", "b1")
    assert wrong_fields(one.admin("POST", "/api/admin/pause", {}), 400) == {"reason"}
    granted(one.admin("POST", "/api/admin/pause", REASON))
    one.restart(kill=True)
    refused(one.start("u2"), 503, "paused")
    refused(one.start("u1", "b1"), 503, "paused")
    granted(one.beat(session))
    granted(one.trade(session), 201)
    granted(one.signal(session))
    assert one.capacity()["can_accept_new"] is False
    granted(one.client.get("/api/admin/health"))
    granted(one.admin("POST", "/api/admin/pause", REASON))
    granted(one.admin("POST", "/api/admin/resume", REASON))
    granted(one.admin("POST", "/api/admin/resume", REASON))
    one.session("u2")


# -- refusals --------------------------------------------------------------------------------------------------------
REFUSAL = {"request_id", "at", "user_id", "reason", "limit", "value", "version", "count"}


def test_a_refusal_is_explained_by_the_facts_of_its_instant(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="2", MAX_TRADES_PER_DAY="0")
    session = one.session("u1")
    one.session("u0")
    version = granted(one.client.get("/api/limits"))["limits_version"]
    refused(one.start("u2", X_Request_ID="full-1"), 503, "server_full")
    refused(one.start("u1", X_Request_ID="a/b"), 429, "user_limit")
    trade = {"session_id": session["session_id"], "symbol": "X", "side": "buy", "quantity": 1, "price": 1}
    refused(one.post("/api/bots/trades", trade, X_Request_ID="trade-1"), 429, "daily_trades")
    one.set_limits(MAX_CONCURRENT_BOTS=5)

    def explained(request_id: str) -> Any:
        refusal = granted(one.client.get(f"/api/admin/refusals/{request_id}"))["refusal"]
        assert refusal.keys() >= REFUSAL
        assert abs((instant(refusal["at"]) - datetime.now(UTC)).total_seconds()) < 60
        return tuple(refusal[name] for name in ("user_id", "reason", "limit", "value", "version", "count"))

    assert explained("full-1") == ("u2", "server_full", "MAX_CONCURRENT_BOTS", 2, version, 2)
    assert explained("a%2Fb") == ("u1", "user_limit", "MAX_BOTS_PER_USER", 1, version, 1)
    assert explained("trade-1") == ("u1", "daily_trades", "MAX_TRADES_PER_DAY", 0, version, 0)
    listed = {row["request_id"] for row in rows(granted(one.client.get("/api/admin/refusals")))}
    assert listed >= {"full-1", "a/b"}

    one.restart(kill=True)
    assert explained("full-1")[1] == "server_full"


def test_an_id_used_twice_gives_the_latest_refusal(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="1")
    one.session("u1")
    refused(one.start("u2", X_Request_ID="twice"), 503, "server_full")
    refused(one.start("u1", X_Request_ID="twice"), 429, "user_limit")
    refusal = granted(one.client.get("/api/admin/refusals/twice"))["refusal"]
    assert (refusal["user_id"], refusal["reason"]) == ("u1", "user_limit")


def test_a_refusal_never_seen_is_404(server: Limiter) -> None:
    refused(server.client.get("/api/admin/refusals/never-seen"), 404, "not_found")


def test_refusals_are_listed_by_user_reason_and_time(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="1")
    one.session("u1")
    refused(one.start("u1"), 429, "user_limit")
    refused(one.start("u2"), 503, "server_full")
    refused(one.start("u3"), 503, "server_full")

    def users(**filters: str) -> list[str]:
        return [row["user_id"] for row in rows(granted(one.client.get("/api/admin/refusals", params=filters)))]

    assert sorted(users()) == ["u1", "u2", "u3"]
    assert sorted(users(reason="server_full")) == ["u2", "u3"]
    assert users(user_id="u2") == ["u2"]
    assert users(user_id="u2", reason="user_limit") == []
    assert sorted(users(since=from_now(-60))) == ["u1", "u2", "u3"]
    assert users(since=from_now(60)) == []


def test_the_refusals_page_to_the_last_one(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="0")
    for number in range(130):
        refused(one.start(f"u{number}"), 503, "server_full")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = granted(one.client.get("/api/admin/refusals", params=cursor))
        seen += [row["user_id"] for row in rows(page)]
        assert len(seen) <= 130, "no row twice"
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == [f"u{number}" for number in reversed(range(130))], "newest first"


def test_every_refusal_of_a_flood_is_counted(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="0")
    for _ in range(100):
        refused(one.start("u1"), 503, "server_full")
    assert one.stats()["rates"]["refusals_last_hour"]["server_full"] == 100
    assert rows(granted(one.client.get("/api/admin/refusals", params={"user_id": "u1"})))


# -- history ---------------------------------------------------------------------------------------------------------
BUCKET = {"at", "bots", "limit", "cpu_percent", "ram_percent", "tokens", "signals", "starts", "refusals"}


def test_history_tells_what_happened(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="2")
    sessions = one.fill(2)
    refused(one.start(), 503, "server_full")
    granted(one.signal(sessions[0], 3))
    granted(one.tokens(4))

    def buckets() -> Any:
        found = granted(one.client.get("/api/admin/history"))["buckets"]
        return found if sum(bucket["starts"] for bucket in found) >= 2 else None

    found = wait_until(buckets, 20, "a sample at least every 10 s")
    assert all(bucket.keys() >= BUCKET for bucket in found)
    assert all(bucket["bots"].keys() >= {"min", "mean", "max"} for bucket in found)
    assert all(bucket["bots"]["min"] <= bucket["bots"]["mean"] <= bucket["bots"]["max"] for bucket in found)
    assert max(bucket["bots"]["max"] for bucket in found) == 2
    assert {bucket["limit"] for bucket in found} == {2}
    assert sum(bucket["starts"] for bucket in found) == 2
    assert sum(bucket["signals"] for bucket in found) == 3
    assert sum(bucket["tokens"] for bucket in found) == 4
    assert sum(bucket["refusals"].get("server_full", 0) for bucket in found) == 1
    assert [bucket["at"] for bucket in found] == sorted(bucket["at"] for bucket in found)
    assert len(found) <= 2, "gaps are left out"

    answer = one.client.get("/api/admin/history", params={"format": "csv"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].partition(";")[0] == "text/csv"
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(table) >= len(found)
    instant(table[0]["at"])


def test_history_is_at_most_a_thousand_buckets(limiter: Start) -> None:
    one = limiter()
    wait_until(lambda: granted(one.client.get("/api/admin/history"))["buckets"], 20)
    query = {"from": from_now(-90 * 86_400), "to": from_now(0), "step": "1"}
    answer = granted(one.client.get("/api/admin/history", params=query))
    assert 1 <= len(answer["buckets"]) <= 1000
    query = {"from": from_now(-7200), "to": from_now(-3600)}
    assert granted(one.client.get("/api/admin/history", params=query))["buckets"] == []


# -- notes and audit -------------------------------------------------------------------------------------------------
def test_notes_are_kept(server: Limiter) -> None:
    at = from_now(-3600)
    first = granted(server.admin("POST", "/api/admin/notes", {"text": "Déploiement v2 🚀", "at": at}), 201)["note"]
    assert (first["text"], first["at"]) == ("Déploiement v2 🚀", at)
    second = granted(server.admin("POST", "/api/admin/notes", {"text": "x" * 500}), 201)["note"]
    assert abs((instant(second["at"]) - datetime.now(UTC)).total_seconds()) < 5
    texts = [note["text"] for note in rows(granted(server.client.get("/api/admin/notes")))]
    assert {"Déploiement v2 🚀", "x" * 500} <= set(texts)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "text"),
        ({"text": 5}, 400, "text"),
        ({"text": ""}, 422, "text"),
        ({"text": "x" * 501}, 422, "text"),
        ({"text": "x", "at": "noon"}, 422, "at"),
        ({"text": "x", "at": 5}, 400, "at"),
    ],
)
def test_a_note_that_makes_no_sense_is_refused(server: Limiter, body: Any, status: int, field: str) -> None:
    assert wrong_fields(server.admin("POST", "/api/admin/notes", body), status) == {field}


def test_the_audit_tells_who_did_what_and_why(server: Limiter) -> None:
    granted(server.patch("audited change", MAX_TRADES_PER_DAY=400))
    granted(server.admin("POST", "/api/admin/pause", {"reason": "audited pause"}))
    granted(server.admin("POST", "/api/admin/resume", {"reason": "audited resume"}))
    session = server.session()
    path = f"/api/admin/sessions/{session['public_id']}/stop"
    granted(server.admin("POST", path, {"reason": "audited stop"}))
    text = server.admin("GET", "/api/admin/audit").text
    for reason in ("audited change", "audited pause", "audited resume", "audited stop"):
        assert reason in text
    key_id, secret = server.admin_key.split("_", 2)[1:]
    assert key_id in text, "who"
    assert secret not in text
    server.set_limits(MAX_TRADES_PER_DAY=None)


# -- metrics and the console -----------------------------------------------------------------------------------------
def test_metrics_are_openmetrics(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="2")
    one.fill(2)
    for _ in range(3):
        refused(one.start(), 503, "server_full")
    answer = one.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].partition(";")[0] == "application/openmetrics-text"
    assert answer.text.splitlines()[-1] == "# EOF"
    samples = metrics_of(one)
    assert samples["limiter_bots_active"] == 2
    assert samples["limiter_bots_limit"] == 2
    assert samples['limiter_refusals_total{reason="server_full"}'] == 3


def test_admin_redirects_to_the_console(limiter: Start) -> None:
    one = limiter(LIMITER_CONSOLE_URL="http://console.example/admin")
    answer = one.client.get("/admin")
    assert answer.status_code in (302, 303, 307, 308)
    assert answer.headers["Location"].startswith("http://console.example/admin")


def test_admin_redirects_to_the_port_of_the_console(limiter: Start) -> None:
    one = limiter(LIMITER_CONSOLE_PORT="8777")
    assert ":8777/admin" in one.client.get("/admin").headers["Location"]


def test_instants_of_a_query_may_have_any_offset(server: Limiter) -> None:
    ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    granted(server.client.get("/api/admin/history", params={"from": ago}))
    granted(server.client.get("/api/admin/refusals", params={"since": ago}))
