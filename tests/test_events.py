"""The log answers by request id, from a real limiter; and every event has its line in the guide."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest

from limiter.api.routes import ROUTES
from limiter.events import SINGLE_REFUSALS, EventLog
from limiter.rules.records import Changes, RefusalRecord
from tests.conftest import ROOT, Limiter, from_now, granted, refused
from tests.rules.world import NOW, SECOND

Start = Callable[..., Limiter]


def events(one: Limiter) -> list[dict[str, Any]]:
    return [json.loads(line) for line in one.log.splitlines() if line.startswith("{")]


def test_each_thing_that_happens_is_a_line_with_its_request_id(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="2", LIMITER_LOG_FORMAT="json")
    first = one.session("u1", "b1", X_Request_ID="start-1")
    second = one.session("u2", "b2")
    told = refused(one.start("u3"), 503, "server_full")["request_id"]
    again = one.session("u1", "b1", X_Request_ID="again-1")
    granted(one.post("/api/bots/stop", {"session_id": second["session_id"]}, X_Request_ID="stop-1"))
    one.set_limits(MAX_CONCURRENT_BOTS=9)
    found = events(one)

    def of(event: str, **fields: Any) -> dict[str, Any]:
        (line,) = [line for line in found if line["event"] == event and fields.items() <= line.items()]
        return line

    line = of("start", request_id="start-1")
    assert (line["session"], line["user"], line["bot"], line["active"]) == (first["public_id"], "u1", "b1", 0)
    line = of("refused", request_id=told)
    assert [line[name] for name in ("user", "reason", "limit", "value", "count")] == [
        "u3", "server_full", "MAX_CONCURRENT_BOTS", 2, 2,
    ]  # fmt: skip
    assert of("end", session=first["public_id"])["reason"] == "replaced"
    assert of("start", request_id="again-1")["session"] == again["public_id"]
    assert of("end", request_id="stop-1")["user"] == "u2"
    assert of("alert", level="full")["bots"] == 2
    assert of("alert_over", kind="capacity")["peak"] == 2
    assert of("limits_changed", kind="limits")["changed"] == "MAX_CONCURRENT_BOTS:2>9"
    assert of("change", action="limits")["by"]
    assert of("admin", path="/api/admin/limits")["request_id"]
    assert of("no_alert_channel")["level"] == "warning"
    assert not any(first["session_id"] in json.dumps(line) for line in found), "a session's secret is in no line"


WHY = {"reason": "test"}
LATER = {"in_seconds": 600, **WHY}
STEP = {"at": from_now(3600), "MAX_CONCURRENT_BOTS": 250}
FAR_DAY = f"{datetime.now(UTC) + timedelta(days=3):%a}".lower()  # no window opens while a test runs
PEAK = {"days": [FAR_DAY], "from": "03:00", "to": "03:01", "MAX_CONCURRENT_BOTS": 200}
OPERATED: list[tuple[str, str, Any, list[str]]] = [
    # method, path, body, and the lines of the log that it causes
    ("PATCH", "limits", {"changes": {"MAX_CONCURRENT_BOTS": 9}, **WHY}, ["change limits", "limits_changed", "alert"]),
    ("POST", "alerts/1/ack", WHY, ["change acknowledge"]),
    ("POST", "limits/rollback", {"version": 1, "override_guard": True, **WHY},
     ["change rollback", "limits_changed", "alert_over"]),
    ("PATCH", "limits", {"changes": {"MAX_TRADES_PER_DAY": 9}, "confirm_within": 600, **WHY},
     ["change limits", "limits_changed"]),
    ("POST", "limits/confirm", {"version": 4, **WHY}, ["change confirm"]),
    ("PUT", "users/u1/limits", {"limits": {"MAX_BOTS_PER_USER": 2}, **WHY}, ["change override", "limits_changed"]),
    ("DELETE", "users/u1/limits", WHY, ["change override", "limits_changed"]),
    ("POST", "sessions/s1/stop", LATER, ["change stop"]),
    ("DELETE", "sessions/s1/stop", WHY, ["change stop_back"]),
    ("POST", "sessions/stop", {"public_ids": ["s1", "s2"], **WHY}, ["change stop", "end", "end"]),
    ("POST", "users/u3/stop", WHY, ["change stop", "end"]),
    ("POST", "users/u4/stop", LATER, ["change stop"]),
    ("DELETE", "users/u4/stop", WHY, ["change stop_back"]),
    ("POST", "sessions/stop", {"public_ids": ["s5"], **LATER}, ["change stop"]),
    ("DELETE", "sessions/stop", {"public_ids": ["s5"], **WHY}, ["change stop_back"]),
    ("POST", "sessions/reap", WHY, ["change reap"]),
    ("POST", "pause", WHY, ["change pause"]),
    ("POST", "resume", WHY, ["change resume"]),
    ("POST", "drain", WHY, ["change drain"]),
    ("DELETE", "drain", WHY, ["change drain_back"]),
    ("POST", "alerts/test", None, ["change alert_test"]),
    ("POST", "notes", {"text": "a note"}, ["change note"]),
    ("PUT", "plan", {"steps": [STEP], **WHY}, ["change plan"]),
    ("DELETE", "plan", WHY, ["change plan"]),
    ("PUT", "windows", {"windows": [PEAK], **WHY}, ["change windows"]),
    ("DELETE", "windows", WHY, ["change windows"]),
    ("POST", "keys", {"scope": "admin:read"}, ["change key"]),
    ("DELETE", "keys/KEY", None, ["change revoke"]),
]  # fmt: skip


def test_every_endpoint_that_changes_something_is_in_the_list() -> None:
    for route in ROUTES:
        if route.scope == "admin:write" and route.method != "GET":
            path = re.compile(re.sub(r"{\w+}", "[^/]+", route.path.removeprefix("/api/admin/")))
            assert any(row[0] == route.method and path.fullmatch(row[1]) for row in OPERATED), route.path


def test_every_line_that_an_operators_request_caused_has_its_id(limiter: Start) -> None:
    one, key = limiter(LIMITER_LOG_FORMAT="json"), ""
    for n in range(1, 10):
        one.session(f"u{n}", f"b{n}")
    for number, (method, path, body, _) in enumerate(OPERATED):
        headers = {"X-Request-ID": f"op-{number}"}
        answer = one.admin(method, f"/api/admin/{path.replace('KEY', key)}", body, headers=headers)
        assert answer.is_success, (path, answer.text)
        key = answer.json()["id"] if path == "keys" else key
    found: dict[str, list[str]] = {}
    for line in events(one):
        name = f"change {line['action']}" if line["event"] == "change" else line["event"]
        found.setdefault(line.get("request_id", ""), []).append(name)
    for number, (_, path, _, lines) in enumerate(OPERATED):
        assert sorted(found.get(f"op-{number}", [])) == sorted([*lines, "admin"]), path


def test_what_a_bots_request_caused_beside_its_own_line_has_its_id(limiter: Start) -> None:
    one = limiter(LIMITER_LOG_FORMAT="json", MAX_CONCURRENT_BOTS="1")
    one.session("u1", "b1", X_Request_ID="filled")
    again = one.session("u1", "b1", X_Request_ID="replaced")
    granted(one.post("/api/bots/stop", {"session_id": again["session_id"]}, X_Request_ID="freed"))
    found = [(line.get("request_id"), line["event"]) for line in events(one) if "user" in line or "kind" in line]
    assert found == [
        ("filled", "start"), ("filled", "alert"), ("replaced", "start"), ("replaced", "end"), ("freed", "end"),
        ("freed", "alert_over"),
    ]  # fmt: skip


def test_a_change_that_was_refused_is_found_by_its_id(limiter: Start) -> None:
    one = limiter(LIMITER_LOG_FORMAT="json")
    stale = {"changes": {"MAX_CONCURRENT_BOTS": 9}, "reason": "test", "version": 77}
    told = refused(one.admin("PATCH", "/api/admin/limits", stale), 409, "version_conflict")["request_id"]
    (line,) = [line for line in events(one) if line.get("request_id") == told]
    assert (line["event"], line["reason"], line["path"]) == ("refused", "version_conflict", "/api/admin/limits")


def refusal(number: int) -> RefusalRecord:
    return RefusalRecord(f"r{number}", NOW, "u1", None, "server_full", "MAX_CONCURRENT_BOTS", 2, 2, 1, None)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_flood_of_refusals_is_joined(form: str) -> None:
    stream = StringIO()
    log, nothing = EventLog(form, stream), Changes()
    for batch in range(5):
        log.write([], [], nothing, [refusal(10 * batch + n) for n in range(10)], NOW)
    log.write([], [], nothing, [], NOW + SECOND)
    log.write([], [], nothing, [], NOW + 2 * SECOND)
    lines = stream.getvalue().splitlines()
    assert len(lines) == SINGLE_REFUSALS + 1
    assert ("count=30" if form == "text" else '"count":30') in lines[-1] and "refused_more" in lines[-1]
    assert "request_id" in lines[0] and "r0" in lines[0]


def test_what_no_rule_has_seen_has_its_line_too_and_a_flood_of_it_is_joined() -> None:
    stream = StringIO()
    log = EventLog("json", stream)
    for number in range(30):
        log.refused_elsewhere(f"r{number}", "/api/bots/start", "storage_unavailable", NOW)
    log.refused_elsewhere("later", "/api/bots/start", "overloaded", NOW + SECOND)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["request_id"] for line in lines[:SINGLE_REFUSALS]] == [f"r{n}" for n in range(SINGLE_REFUSALS)]
    assert [(line["event"], line["reason"]) for line in lines[SINGLE_REFUSALS:]] == [
        ("refused_more", "storage_unavailable"), ("refused", "overloaded"),
    ]  # fmt: skip
    assert lines[SINGLE_REFUSALS]["count"] == 10


def test_a_start_that_is_answered_again_is_found_by_both_ids(limiter: Start) -> None:
    one = limiter(LIMITER_LOG_FORMAT="json")
    first = one.session("u1", "b1", Idempotency_Key="k", X_Request_ID="lost")
    again = granted(
        one.post("/api/bots/start", {"user_id": "u1", "bot_id": "b1"}, Idempotency_Key="k", X_Request_ID="retry")
    )
    found = {line.get("request_id"): line for line in events(one)}
    assert found["lost"]["event"] == "start" and found["retry"]["event"] == "start_repeated"
    assert found["retry"]["session"] == first["public_id"] == again["session"]["public_id"]


def test_a_start_while_the_database_takes_nothing_is_found_by_the_id_that_was_told(limiter: Start) -> None:
    one = limiter(LIMITER_LOG_FORMAT="json")
    with closing(sqlite3.connect(one.db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = refused(one.start("u1"), 503, "storage_unavailable")["request_id"]
        other.execute("ROLLBACK")
    (line,) = [line for line in events(one) if line.get("request_id") == told]
    assert (line["event"], line["reason"], line["path"]) == ("refused", "storage_unavailable", "/api/bots/start")


def test_every_event_is_in_the_guide_and_every_one_of_the_guide_is_logged() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "limiter").rglob("*.py")
        if not {"agent", "client"} & set(path.parts)
    )
    logged = set(re.findall(r'\blog\.(?:info|warning|error|critical|exception)\(\s*"([a-z_]+)', code))
    logged |= set(re.findall(r'lines\.append\(\(\s*"([a-z_]+)"', code)) | set(
        re.findall(r'\[\("([a-z_]+)", \{"reason"', code)
    )
    logged |= set(re.findall(r'f" ([a-z_]+) request_id=', code))
    traced = (ROOT / "limiter" / "events.py").read_text(encoding="utf-8").partition("def _traced(")[2]
    logged |= set(re.findall(r'return "([a-z_]+)", ', traced.partition("\ndef ")[0]))
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    section = guide.partition("### The log")[2].partition("\n## ")[0]
    told = {
        name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in re.findall(r"`([a-z_]+)`", row)
    }
    assert told == logged
