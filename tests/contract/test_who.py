"""Who does what, over HTTP: each figure against what this test did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conftest import Limiter, granted, refused, wrong_fields

Start = Callable[..., Limiter]
ENGLISH = {"Accept-Language": "en"}


def who(of: Limiter, **query: Any) -> Any:
    return granted(of.client.get("/api/admin/usage", params=query, headers=ENGLISH))


def test_a_limiter_that_nobody_has_used_says_so_and_no_more(server: Limiter) -> None:
    found = who(server)
    assert (found["uses"], found["closing"], found["idle"], found["asked"]) == ([], [], [], [])
    assert found["concentration"] is found["demands"] is found["needs"] is found["idle_sentence"] is None
    assert [(one["what"], one["window"], one["used"], one["limit"]) for one in found["totals"]] == [
        ("signals", "minute", 0, 100), ("tokens", "minute", 0, 1000), ("signals", "day", 0, None),
        ("tokens", "day", 0, None), ("trades", "day", 0, None),
    ]  # fmt: skip
    assert wrong_fields(server.client.get("/api/admin/usage?days=29&idle_seconds=60"), 422) == {"days"}
    assert wrong_fields(server.client.get("/api/admin/usage?idle_seconds=59"), 422) == {"idle_seconds"}


def test_tokens_that_came_count_whether_or_not_their_session_has_ended(limiter: Start) -> None:
    one = limiter()
    session = one.session("a")
    granted(one.end(session))
    assert granted(one.post("/api/feed/tokens", {"count": 3, "session_id": session["session_id"]}))["used"] == 3
    assert [(row["user_id"], row["used"]) for row in who(one)["uses"] if row["window"] == "minute"] == [(None, 3)]
    refused(one.signal(session), 410, "session_ended")


def test_who_uses_what_and_of_which_limit(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="3", MAX_SIGNALS_PER_MINUTE_PER_USER="40", MAX_TRADES_PER_DAY="4")
    a, b, c = (one.session(user, "b1") for user in ("a", "b", "c"))
    assert who(one, days=27)["needs"].startswith("No bot tells of its trades")
    granted(one.admin("PUT", "/api/admin/users/b/limits", {"limits": {"MAX_TRADES_PER_DAY": 8}, "reason": "test"}))
    granted(one.signal(a, 30))
    granted(one.signal(b, 10))
    granted(one.tokens(50))
    granted(one.post("/api/feed/tokens", {"count": 150, "session_id": a["session_id"]}))
    refused(one.post("/api/feed/tokens", {"session_id": "s999.x"}), 404, "session_unknown")
    for number in range(6):
        granted(one.trade(b if number < 4 else a, trade_id=f"t{number}", closes=number in (0, 1, 2, 5)), 201)
    for _ in range(3):
        refused(one.start("d", "b1"), 503, "server_full")
    one.session("a", "b1")  # a restart of its bot

    found = who(one)
    uses = {
        (row["what"], row["window"], row["user_id"]): (row["used"], row["share"], row["limit_name"], row["of_limit"])
        for row in found["uses"]
    }
    own, system = "MAX_SIGNALS_PER_MINUTE_PER_USER", "MAX_TOKENS_PER_MINUTE"
    assert uses == {
        ("signals", "minute", "a"): (30, 0.75, own, 75.0),
        ("signals", "minute", "b"): (10, 0.25, own, 25.0),
        ("tokens", "minute", "a"): (150, 0.75, system, 15.0),
        ("tokens", "minute", None): (50, 0.25, system, 5.0),
        ("signals", "day", "a"): (30, 0.75, None, None),
        ("signals", "day", "b"): (10, 0.25, None, None),
        ("tokens", "day", "a"): (150, 0.75, None, None),
        ("tokens", "day", None): (50, 0.25, None, None),
        ("trades", "day", "b"): (4, 0.6667, "MAX_TRADES_PER_DAY", 50.0),
        ("trades", "day", "a"): (2, 0.3333, "MAX_TRADES_PER_DAY", 50.0),
    }
    assert [(row["what"], row["window"], row["used"], row["of_limit"]) for row in found["totals"]] == [
        ("signals", "minute", 40, 40.0), ("tokens", "minute", 200, 20.0), ("signals", "day", 40, None),
        ("tokens", "day", 200, None), ("trades", "day", 6, None),
    ]  # fmt: skip
    assert [(row["user_id"], row["closing"], row["trades"], row["share"]) for row in found["closing"]] == [
        ("b", 3, 4, 0.75), ("a", 1, 2, 0.5),
    ]  # fmt: skip
    by_user = {row["user_id"]: (row["attempts"], row["demands"], row["restarts"]) for row in found["asked"]}
    assert by_user == {"a": (2, 1, 1), "b": (1, 1, 0), "c": (1, 1, 0), "d": (3, 0, 0)}  # d still asks
    assert found["demands"]["attempts"] == 7 and found["demands"]["demands"] == 3
    assert found["concentration"]["users"] == 3 and found["held"] == 3
    assert found["idle"] == [] and found["idle_sentence"] == (
        "Held without a trade, a signal or a token for 60 min or more: 0 of the slots taken (3)."
    )
    listed = one.client.get("/api/admin/usage?format=csv&table=closing").text.splitlines()
    assert listed == ['"user_id","trades","closing","share"', '"b","4","3","0.75"', '"a","2","1","0.5"']
    assert c["user_id"] == "c"
