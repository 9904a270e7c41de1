"""What is secret is in no log line, no answer that needs no key, no metric and no history."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from limiter.access import WRONG_KEYS
from tests.conftest import Limiter, granted, refused, wait_until
from tests.webhook import Webhook

Start = Callable[..., Limiter]


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_day_of_work_tells_no_secret(limiter: Start, form: str) -> None:
    with Webhook() as webhook:
        alert = webhook.address("/a-channel-token").replace("json://", "json://user-name:a-password@", 1)
        one = limiter(
            LIMITER_ALERT_URLS=alert, LIMITER_PING_URL="http://127.0.0.1:1/a-ping-token", LIMITER_LOG_FORMAT=form,
            MAX_CONCURRENT_BOTS=2, LIMITER_BACKUP_DIR="none",
        )  # fmt: skip
        bots = one.new_key("bots")
        sent = {"Authorization": f"Bearer {bots}"}
        wait_until(lambda: one.start("u1").status_code == 401, 5, "the door is closed")
        first = granted(one.start("u1", **sent), 201)["session"]
        granted(one.start("u2", **sent), 201)
        refused(one.start("u3", **sent), 503, "server_full")
        wait_until(lambda: webhook.came, 20, "an alert")
        granted(one.admin("POST", "/api/admin/alerts/test"))
        wrong = "lim_nobody_a-wrong-secret"
        for _ in range(WRONG_KEYS + 2):
            one.client.get("/api/admin/stats", headers={"Authorization": f"Bearer {wrong}"})
        one.client.get(f"/api/admin/sessions?key={bots}")  # somebody puts one where it does not belong
        granted(one.patch(MAX_CONCURRENT_BOTS=5))
        control = json.loads(one.db_path.with_name("limiter.db.lock").read_text())["key"]
        told = "".join(
            answer.text
            for path in ("stats", "sessions", "refusals", "history", "audit", "alerts", "keys", "limits", "whoami")
            for answer in [one.admin("GET", f"/api/admin/{path}")]
        )
        open_ = "".join(
            one.client.get(path).text for path in ("/api/admin/health", "/livez", "/readyz", "/openapi.json")
        )
        metrics = one.admin("GET", "/metrics").text
        assert one.stop() == 0
        keys = {"admin key": one.admin_key, "bots key": bots, "control key": control, "wrong key": wrong}
        secrets = {name: key.split("_", 2)[2] for name, key in keys.items()}
        secrets |= {"session": first["session_id"], "channel": "a-channel-token", "password": "a-password"}
        secrets |= {"ping": "a-ping-token"}
        for where, text in {"log": one.log, "answers": told, "open": open_, "metrics": metrics}.items():
            for name, secret in secrets.items():
                assert secret not in text, f"the {name} is in the {where}"
        assert "wrong_keys address=127.0.0.1" in one.log, "who guesses is told"
        assert "limiter_wrong_keys_total 22" in metrics


def test_what_health_says_to_anybody_names_no_file(limiter: Start, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.write_text("a file where the folder should be")
    one = limiter()
    wait_until(lambda: "backup_failed" in one.log, 40, "a backup that fails")
    health = one.client.get("/api/admin/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"]["backup"] == {"ok": False, "detail": "none yet, and then one failed: see the log"}
    assert str(tmp_path) not in health.text and str(tmp_path) in one.log


def test_every_answer_forbids_sniffing_names_no_server_and_opens_to_no_other_site(server: Limiter) -> None:
    for path in ("/livez", "/api/admin/stats", "/no-such-path", "/openapi.json", "/metrics"):
        answer = server.client.get(path, headers={"Origin": "https://evil.example"})
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in answer.headers
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    preflight = server.client.request("OPTIONS", "/api/bots/start", headers={"Origin": "https://evil.example"})
    refused(preflight, 405, "method_not_allowed")
    form = server.client.post("/api/bots/start", content=b'{"user_id": "u1"}', headers={"Content-Type": "text/plain"})
    refused(form, 415, "invalid_request")  # what a foreign page may send without asking first
