"""Whoever looks is answered while nothing can be written: from memory, or from a reader of its own."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from tests.conftest import Limiter, granted, refused, wait_until

Start = Callable[..., Limiter]
SECONDS = 1.0  # a read takes a few ms; to wait for the lock would take longer than this
ENGLISH = {"Accept-Language": "en"}


def test_reads_do_not_wait_for_a_database_that_another_process_has_locked(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="3")
    held = [one.session(f"u{n}", "b") for n in range(3)]
    one.end(held[0])
    one.session("u4", "b")
    granted(one.trade(held[1]), 201)
    other = sqlite3.connect(one.db_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    late = refused(one.start("u5"), 503, "server_full")["request_id"]  # it waits for a commit that cannot come
    refused(one.end(held[1]), 503, "storage_unavailable")

    def read(path: str, **options: Any) -> Any:
        began = time.monotonic()
        answer = one.admin("GET", path, **options)
        assert time.monotonic() - began < SECONDS, path
        return granted(answer)

    assert [row["user_id"] for row in read("/api/admin/sessions?status=active")["items"]] == ["u4", "u2", "u1"]
    assert [row["ended_reason"] for row in read("/api/admin/sessions?status=ended")["items"]] == ["stopped"]
    assert len(read("/api/admin/sessions")["items"]) == 4
    assert [row["request_id"] for row in read("/api/admin/refusals?reason=server_full")["items"]] == [late]
    assert read(f"/api/admin/refusals/{late}")["refusal"]["user_id"] == "u5"
    assert read(f"/api/admin/explain/{late}", headers=ENGLISH)["decided_again"] is True
    assert read("/api/users/u1/usage")["trades"]["used"] == 1
    assert len(read("/api/admin/state")["sessions"]) == 3
    assert read("/api/admin/alerts")["items"][0]["kind"] == "capacity"
    began = time.monotonic()
    replay = granted(one.admin("POST", "/api/admin/limits/preview", {"changes": {}}))["replay"]
    assert time.monotonic() - began < SECONDS
    assert (replay["refused_now"], replay["refused_then"]) == (1, 1)
    began = time.monotonic()
    shown = one.client.get("/metrics").text.splitlines()
    assert time.monotonic() - began < SECONDS
    assert "limiter_database_writable 0.0" in shown and "limiter_bots_active 3.0" in shown
    other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: "limiter_database_writable 1.0" in one.client.get("/metrics").text, 5)
    assert [row["request_id"] for row in read("/api/admin/refusals?reason=server_full")["items"]] == [late]


def test_a_page_of_refusals_goes_on_where_the_one_before_it_ended(limiter: Start) -> None:
    """Those that no commit has written yet have their place among the others."""
    one = limiter(MAX_CONCURRENT_BOTS="0")
    sent = [refused(one.start("u1"), 503, "server_full")["request_id"] for _ in range(7)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = granted(one.client.get(f"/api/admin/refusals?limit=3{cursor}"))
        seen += [row["request_id"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sent[::-1]
