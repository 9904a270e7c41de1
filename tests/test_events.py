"""The log answers by request id, from a real limiter; and every event has its line in the guide."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import StringIO
from typing import Any

import pytest

from limiter.events import SINGLE_REFUSALS, EventLog
from limiter.rules.records import Changes, RefusalRecord
from tests.conftest import ROOT, Limiter, granted, refused
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
        log.undecided(f"r{number}", "/api/bots/start", "storage_unavailable", NOW)
    log.undecided("later", "/api/bots/start", "overloaded", NOW + SECOND)
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
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    section = guide.partition("### The log")[2].partition("\n## ")[0]
    told = {
        name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in re.findall(r"`([a-z_]+)`", row)
    }
    assert told == logged
