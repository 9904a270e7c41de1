"""Whoever looks is answered while nothing can be written: from memory, or from a reader of its own."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from limiter.api import history
from limiter.clock import rfc3339
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


def test_what_was_refused_while_the_database_was_away_is_known_then_and_after_a_restart(limiter: Start) -> None:
    one = limiter()
    held = one.session("u1", "b1")
    other = sqlite3.connect(one.db_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    away = [
        refused(answer, 503, "storage_unavailable")["request_id"]
        for answer in (one.start("u2", "b2"), one.trade(held), one.tokens(1))
    ]

    def known() -> list[list[Any]]:
        rows = granted(one.admin("GET", "/api/admin/refusals?reason=storage_unavailable"))["items"]
        return sorted([row["request_id"], row["user_id"], row["bot_id"], row["repeats"]] for row in rows)

    expected = sorted([*row, 1] for row in zip(away, ("u2", "u1", None), ("b2", "b1", None), strict=True))
    told = granted(one.admin("GET", f"/api/admin/explain/{away[0]}", headers=ENGLISH))
    assert told["sentence"] == "The database does not answer. Try again in a few seconds."
    assert told["way_out"].startswith("The database took nothing in time. To ask again")
    assert told["decided_again"] is None and told["holders"][0]["user_id"] == "u1"
    assert known() == expected
    counted = 'limiter_refusals_total{reason="storage_unavailable"} 3.0'
    assert counted in one.client.get("/metrics").text
    assert one.stats()["rates"]["refusals_last_hour"] == {"storage_unavailable": 3}
    other.execute("ROLLBACK")
    other.close()
    one.session("u2", "b2")
    assert known() == expected and counted in one.client.get("/metrics").text
    one.restart()  # which takes a snapshot last
    assert known() == expected
    assert one.stats()["rates"]["refusals_last_hour"] == {"storage_unavailable": 3}
    buckets = granted(one.admin("GET", "/api/admin/history?step=3600"))["buckets"]
    assert sum(bucket["refusals"].get("storage_unavailable", 0) for bucket in buckets) == 3


def test_an_id_that_nothing_is_kept_of_is_told_where_else_to_look(limiter: Start) -> None:
    one = limiter()
    for path in ("explain", "refusals"):
        told = refused(one.admin("GET", f"/api/admin/{path}/nobody", headers=ENGLISH), 404, "not_found")["detail"]
        assert told.startswith("No refusal is kept by the id nobody.") and "journalctl -u limiter | grep nobody" in told


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


@given(st.integers(0, 4_102_444_800_000))
def test_a_bucket_begins_at_an_instant_like_all_others(at: int) -> None:
    assert history._instant(at) == rfc3339(at)
