"""Alerts as an operator sees them: a real limiter, a real webhook, one message a crossing, one incident to its end."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.conftest import Limiter, granted, instant, refused, wait_until
from tests.webhook import Webhook

THRESHOLD, URGENT, FULL = "⚠️ Capacité à 80 % !", "🚨 URGENT : Presque plein !", "❌ SERVEUR PLEIN !"
TOLD_SECONDS = 10
Start = Callable[..., Limiter]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A server that takes what channels post."""
    with Webhook() as server:
        yield server


def alerts(one: Limiter, **filters: Any) -> list[Any]:
    """The incidents, newest first."""
    items: list[Any] = granted(one.admin("GET", "/api/admin/alerts", params=filters))["items"]
    return items


def told(webhook: Webhook, *titles: str, path: str = "/hook") -> None:
    """Exactly these messages come, in time, and no other within a moment."""
    wait_until(lambda: len(webhook.titles(path)) >= len(titles), TOLD_SECONDS, f"{titles}, got {webhook.titles(path)}")
    time.sleep(1.5)  # more than a round of the job: one too many would be here
    assert webhook.titles(path) == list(titles)


def told_the_end(webhook: Webhook, *titles: str) -> None:
    """And then that it is over, with when it was full, in words that alarm nobody."""
    wait_until(lambda: len(webhook.titles("/hook")) > len(titles), TOLD_SECONDS, str(webhook.titles("/hook")))
    *before, end = webhook.titles("/hook")
    assert before == list(titles)
    assert end.startswith("✅ Terminé après 1 min : plein de ") and not any(one in end for one in titles)


def test_the_three_levels_are_told_once_each_in_one_incident(limiter: Start, webhook: Webhook) -> None:
    one = limiter(LIMITER_ALERT_URLS=webhook.address("/hook"))
    sessions = one.fill(159)
    assert alerts(one) == []
    sessions += one.fill(1)
    told(webhook, THRESHOLD)
    sessions += one.fill(30)
    told(webhook, THRESHOLD, URGENT)
    sessions += one.fill(10)
    refused(one.start(), 503, "server_full")
    told(webhook, THRESHOLD, URGENT, FULL)
    (incident,) = alerts(one, state="open")
    assert (incident["kind"], incident["level"], incident["message"]) == ("capacity", "full", FULL)
    assert [(row["level"], row["bots"], row["limit"]) for row in incident["crossings"]] == [
        ("threshold", 160, 200),
        ("urgent", 190, 200),
        ("full", 200, 200),
    ]
    assert [(row["channel"], row["state"], row["tries"]) for row in incident["deliveries"]] == [("json", "sent", 1)] * 3

    granted(one.admin("POST", "/api/admin/notes", {"text": "more RAM is ordered"}), 201)
    one.set_limits(MAX_CONCURRENT_BOTS=210)
    for session in sessions[:43]:
        granted(one.end(session))
    (incident,) = alerts(one)
    assert incident["status"] == "resolved"
    assert (incident["peak_bots"], incident["peak_limit"]) == (200, 200)
    assert incident["refusals"] == {"server_full": 1}
    assert [note["text"] for note in incident["notes"]] == ["more RAM is ordered"]
    (version,) = incident["changes"]
    assert version["changed"] == [{"name": "MAX_CONCURRENT_BOTS", "from": 200, "to": 210}]
    lasted = (instant(incident["resolved_at"]) - instant(incident["opened_at"])).total_seconds()
    assert incident["duration_seconds"] == pytest.approx(lasted, abs=0.002)
    assert alerts(one, state="open") == [] and len(alerts(one, state="resolved")) == 1
    told_the_end(webhook, THRESHOLD, URGENT, FULL)


def test_a_limit_that_is_changed_speaks_once_by_its_highest_level(limiter: Start, webhook: Webhook) -> None:
    one = limiter(LIMITER_ALERT_URLS=webhook.address("/hook"))
    one.fill(10)
    one.set_limits(MAX_CONCURRENT_BOTS=10)
    told(webhook, FULL)
    one.set_limits(MAX_CONCURRENT_BOTS=0)
    assert alerts(one, state="open") == []
    told(webhook, FULL)


def test_a_restart_tells_nothing_twice_and_loses_nothing(limiter: Start, webhook: Webhook) -> None:
    one = limiter(LIMITER_ALERT_URLS=webhook.address("/hook"), MAX_CONCURRENT_BOTS=10)
    one.fill(8)
    told(webhook, THRESHOLD)
    one.restart(kill=True)
    one.fill(1)
    told(webhook, THRESHOLD)
    one.fill(1)
    told(webhook, THRESHOLD, FULL)
    one.restart(kill=True, MAX_CONCURRENT_BOTS=20)
    assert wait_until(lambda: alerts(one, state="resolved"), 5)
    told_the_end(webhook, THRESHOLD, FULL)


@pytest.mark.once
def test_a_dead_a_slow_and_a_failing_channel_delay_no_start(limiter: Start, webhook: Webhook) -> None:
    webhook.delays["/slow"], webhook.statuses["/failing"] = 60.0, 500
    addresses = [
        webhook.address("/slow"),
        webhook.address("/failing"),
        "json://127.0.0.1:9/dead",
        webhook.address("/hook"),
    ]
    one = limiter(LIMITER_ALERT_URLS=",".join(addresses), MAX_CONCURRENT_BOTS=100)

    def seconds(bots: int) -> list[float]:
        lasted = []
        for _ in range(bots):
            began = time.perf_counter()
            one.session()
            lasted.append(time.perf_counter() - began)
        return sorted(lasted)

    before = seconds(79)
    during = seconds(21)
    told(webhook, THRESHOLD, URGENT, FULL)
    assert during[len(during) // 2] < max(0.05, 3 * before[len(before) // 2])
    wait_until(lambda: len(webhook.titles("/failing")) >= 4, 20, "tries again")
    health = granted(one.client.get("/api/admin/health"))
    assert health["status"] == "degraded" and not health["checks"]["alerts"]["ok"]
    assert "json-2" in health["checks"]["alerts"]["detail"]
    channels = {row["name"]: row for row in granted(one.admin("GET", "/api/admin/alerts"))["channels"]}
    assert {name for name, row in channels.items() if not row["ok"]} >= {"json-2", "json-3"}
    assert channels["json-4"]["ok"] and channels["json-4"]["pending"] == 0
    metrics = one.client.get("/metrics").text
    assert 'limiter_alerts_total{channel="json-4",result="sent"} 3.0' in metrics
    assert 'limiter_alerts_total{channel="json-2",result="failed"}' in metrics
    webhook.statuses["/failing"] = 200
    wait_until(lambda: "json-2" not in granted(one.client.get("/api/admin/health"))["checks"]["alerts"]["detail"], 40)
    assert "/failing" not in one.log and "/slow" not in one.log


def test_an_alert_is_acknowledged_once(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=10)
    one.fill(8)
    (incident,) = alerts(one)
    path = f"/api/admin/alerts/{incident['id']}/ack"
    answer = granted(one.admin("POST", path, {"reason": "more RAM is ordered"}))["alert"]
    assert (answer["status"], answer["acknowledged_reason"]) == ("acknowledged", "more RAM is ordered")
    assert answer["acknowledged_by"].startswith("admin#")
    assert granted(one.admin("POST", path))["alert"]["acknowledged_at"] == answer["acknowledged_at"]
    assert alerts(one, state="open") == [] and len(alerts(one, state="acknowledged")) == 1
    one.fill(2)
    assert [row["status"] for row in alerts(one)] == ["open"], "a higher level is news"
    refused(one.admin("POST", "/api/admin/alerts/99/ack", {}), 404, "not_found")
    refused(one.admin("POST", "/api/admin/alerts/x/ack", {}), 404, "not_found")
    refused(one.admin("POST", path, {"reason": ""}), 422, "invalid_request")
    refused(one.client.post(path, json={}), 401, "unauthorized")


def test_a_test_message_proves_the_channels(limiter: Start, webhook: Webhook) -> None:
    webhook.statuses["/bad"] = 403
    one = limiter(LIMITER_ALERT_URLS=f"{webhook.address('/hook')} {webhook.address('/bad')}")
    rows = granted(one.admin("POST", "/api/admin/alerts/test"))["deliveries"]
    assert [(row["channel"], row["state"]) for row in rows] == [("json", "sent"), ("json-2", "failed")]
    assert "403" in rows[1]["last_answer"]
    one.set_env({"LIMITER_KEY": one.admin_key})
    said = one.run("alerts", "test")
    assert said.returncode == 1 and said.stdout.startswith("json : envoyé\njson-2 : en échec"), said
    assert webhook.titles("/hook") == ["🔔 Message d'essai du limiteur"] * 2
    assert "json-2" in one.run("alerts", "list").stdout


def test_without_channels_incidents_are_kept_all_the_same(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=10)
    one.fill(8)
    (incident,) = alerts(one)
    assert incident["deliveries"] == []
    assert granted(one.admin("POST", "/api/admin/alerts/test"))["deliveries"] == []
    assert granted(one.client.get("/api/admin/health"))["checks"]["alerts"]["ok"]
    one.set_env({"LIMITER_KEY": one.admin_key})
    assert "LIMITER_ALERT_URLS" in one.run("alerts", "test").stdout
    acknowledged = one.run("alerts", "ack", str(incident["id"]), "--reason", "seen")
    assert acknowledged.returncode == 0, acknowledged
    assert alerts(one)[0]["acknowledged_reason"] == "seen"


def test_an_address_that_cannot_be_read_stops_the_start_and_is_not_repeated(limiter: Start) -> None:
    one = limiter(serve=False, LIMITER_ALERT_URLS="json://127.0.0.1/ok,nonsense://hush-hush")
    assert one.exit_status() == 2
    assert "LIMITER_ALERT_URLS" in one.log and "adresse 2" in one.log and "hush" not in one.log


def test_a_stop_waits_for_no_silent_channel(limiter: Start, webhook: Webhook) -> None:
    webhook.delays["/silent"] = 60.0
    one = limiter(LIMITER_ALERT_URLS=webhook.address("/silent"), MAX_CONCURRENT_BOTS=1)
    one.fill(1)
    wait_until(lambda: webhook.titles("/silent"), TOLD_SECONDS)
    assert one.stop() == 0


def test_pages(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=1)
    for _ in range(3):
        granted(one.end(one.session()))
    page = granted(one.admin("GET", "/api/admin/alerts", params={"limit": 2}))
    assert [row["id"] for row in page["items"]] == [3, 2]
    rest = granted(one.admin("GET", "/api/admin/alerts", params={"limit": 2, "cursor": page["next_cursor"]}))
    assert [row["id"] for row in rest["items"]] == [1] and rest["next_cursor"] is None
    refused(one.admin("GET", "/api/admin/alerts", params={"state": "loud"}), 422, "invalid_request")
