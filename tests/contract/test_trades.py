"""Trades: counted once, exactly, a user and a day, and kept over everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.conftest import Limiter, granted, instant, new_user, refused, wrong_fields

pytestmark = pytest.mark.every_database

Start = Callable[..., Limiter]


@pytest.fixture
def session(server: Limiter) -> Iterator[Any]:
    """A session of a user of its own."""
    one = server.session()
    yield one
    server.end(one)


def limit_trades(server: Limiter, user: str, most: int) -> None:
    body = {"limits": {"MAX_TRADES_PER_DAY": most}, "reason": "test"}
    granted(server.admin("PUT", f"/api/admin/users/{user}/limits", body))


def used(server: Limiter, user: str) -> Any:
    return granted(server.client.get(f"/api/users/{user}/usage"))["trades"]["used"]


def test_a_trade_is_counted_and_given_back(server: Limiter, session: Any) -> None:
    body = granted(server.trade(session, symbol="BTC/USDT", side="sell", quantity="0.10", price="64000.5"), 201)
    assert body.keys() >= {"trade", "trades_today", "trades_left", "limit", "resets_at"}
    assert (body["trades_today"], body["trades_left"], body["limit"]) == (1, 499, 500)
    trade = body["trade"]
    assert (trade["symbol"], trade["side"]) == ("BTC/USDT", "sell")
    assert (trade["quantity"], trade["price"]) == ("0.10", "64000.5")
    body = granted(server.trade(session), 201)
    assert (body["trades_today"], body["trades_left"]) == (2, 498)


def test_the_day_ends_at_the_next_midnight_utc(server: Limiter, session: Any) -> None:
    before = datetime.now(UTC)
    resets_at = instant(granted(server.trade(session), 201)["resets_at"])
    midnight = (before + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert resets_at in (midnight, midnight + timedelta(days=1))
    assert resets_at > before


@pytest.mark.parametrize("zone", ["Europe/Paris", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"])
def test_the_day_starts_at_midnight_in_the_zone_of_the_operator(limiter: Start, zone: str) -> None:
    one = limiter(LIMITER_TIMEZONE=zone)
    now = datetime.now(UTC)
    resets_at = instant(granted(one.trade(one.session()), 201)["resets_at"])
    local = resets_at.astimezone(ZoneInfo(zone))
    assert (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0)
    assert timedelta(0) < resets_at - now <= timedelta(hours=25)
    assert local.date() == now.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)


# -- exact numbers ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("written", "given_back"),
    [
        ('"1"', "1"),
        ('"0.10"', "0.10"),
        ("0.10", "0.10"),
        ("7", "7"),
        ("1.000000000000000001", "1.000000000000000001"),
        ('"99999999999999999999.999999999999999999"', "99999999999999999999.999999999999999999"),
        ("99999999999999999999", "99999999999999999999"),
        ("0.1234567890123456", "0.1234567890123456"),
        ('"007.5"', "007.5"),
        ("100.0", "100.0"),
    ],
)
def test_quantity_and_price_are_kept_as_written(server: Limiter, session: Any, written: str, given_back: str) -> None:
    text = (
        f'{{"session_id": "{session["session_id"]}", "symbol": "X", "side": "buy",'
        f' "quantity": {written}, "price": {written}, "trade_id": "t1"}}'
    )
    for status in (201, 200):
        trade = granted(server.send("/api/bots/trades", text.encode()), status)["trade"]
        assert (trade["quantity"], trade["price"]) == (given_back, given_back)


@pytest.mark.parametrize(
    "written",
    [
        *(
            '"0"',
            "0",
            '"0.000"',
            '"-1"',
            "-1",
            "1e3",
            '"1e3"',
            '"1E3"',
            '"+1"',
            '" 1"',
            '"1 "',
            '"1\\n"',
            '"1."',
            '".5"',
        ),
        *('""', '"1,5"', '"NaN"', '"Infinity"', '"1_000"', '"0x10"', '"\\u0661"'),
        *('"1.0000000000000000001"', "1.0000000000000000001", '"100000000000000000000"', "100000000000000000000"),
    ],
)
@pytest.mark.parametrize("field", ["quantity", "price"])
def test_numbers_outside_the_grammar_are_refused(server: Limiter, session: Any, field: str, written: str) -> None:
    other = "price" if field == "quantity" else "quantity"
    text = (
        f'{{"session_id": "{session["session_id"]}", "symbol": "X", "side": "buy", "{field}": {written}, "{other}": 1}}'
    )
    assert wrong_fields(server.send("/api/bots/trades", text.encode()), 422) == {field}
    assert used(server, session["user_id"]) == 0


@pytest.mark.parametrize("wrong", [True, False, None, [], {}, ["1"]])
def test_numbers_of_another_type_are_refused(server: Limiter, session: Any, wrong: Any) -> None:
    assert wrong_fields(server.trade(session, quantity=wrong), 400) == {"quantity"}
    assert wrong_fields(server.trade(session, price=wrong), 400) == {"price"}


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"symbol": "BTC USDT"}, 422, "symbol"),
        ({"symbol": ""}, 422, "symbol"),
        ({"symbol": "x" * 65}, 422, "symbol"),
        ({"symbol": None}, 400, "symbol"),
        ({"side": "hold"}, 422, "side"),
        ({"side": "BUY"}, 422, "side"),
        ({"side": 1}, 400, "side"),
        ({"trade_id": "-t"}, 422, "trade_id"),
        ({"trade_id": True}, 400, "trade_id"),
        ({"closes": "yes"}, 400, "closes"),
        ({"closes": 1}, 400, "closes"),
    ],
)
def test_other_fields_are_checked(server: Limiter, session: Any, fields: Any, status: int, named: str) -> None:
    assert wrong_fields(server.trade(session, **fields), status) == {named}


@pytest.mark.parametrize("field", ["session_id", "symbol", "side", "quantity", "price"])
def test_a_missing_field_is_named(server: Limiter, session: Any, field: str) -> None:
    body = {"session_id": session["session_id"], "symbol": "X", "side": "buy", "quantity": 1, "price": 1}
    del body[field]
    assert wrong_fields(server.post("/api/bots/trades", body), 400) == {field}


# -- the same trade told twice ---------------------------------------------------------------------------------------
def test_the_same_trade_told_twice_counts_once(server: Limiter, session: Any) -> None:
    first = granted(server.trade(session, trade_id="t1", quantity="1.0", price="100"), 201)
    again = granted(server.trade(session, trade_id="t1", quantity="1.00", price="100.000"), 200)
    assert again["trade"] == first["trade"]
    assert again["trades_today"] == 1
    numbers = server.trade(session, trade_id="t1", quantity=1, price=100)
    assert granted(numbers, 200)["trades_today"] == 1
    assert used(server, session["user_id"]) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"price": "101"},
        {"quantity": "2"},
        {"side": "sell"},
        {"symbol": "ETH/USDT"},
        {"price": "100.000000000000000001"},
    ],
)
def test_another_trade_under_the_same_id_is_a_conflict(server: Limiter, session: Any, other: Any) -> None:
    granted(server.trade(session, trade_id="t1"), 201)
    refused(server.trade(session, **({"trade_id": "t1"} | other)), 409, "trade_conflict")
    assert used(server, session["user_id"]) == 1


def test_trade_ids_belong_to_a_user(server: Limiter) -> None:
    user = new_user()
    one, other = server.session(user), server.session()
    granted(server.trade(one, trade_id="t1"), 201)
    granted(server.trade(other, trade_id="t1", price="999"), 201)
    granted(server.end(one))
    granted(server.trade(server.session(user), trade_id="t1"), 200)


def test_trades_without_an_id_are_all_counted(server: Limiter, session: Any) -> None:
    ids = [granted(server.trade(session), 201)["trade"].get("trade_id") for _ in range(3)]
    assert used(server, session["user_id"]) == 3
    assert len(set(ids)) == 3 or set(ids) == {None}


# -- the daily limit -------------------------------------------------------------------------------------------------
def test_the_daily_limit_refuses_with_its_figures(server: Limiter, session: Any) -> None:
    limit_trades(server, session["user_id"], 2)
    granted(server.trade(session, trade_id="t1"), 201)
    assert granted(server.trade(session), 201)["trades_left"] == 0
    answer = server.trade(session)
    body = refused(answer, 429, "daily_trades")
    assert body["error"] == "Limite atteinte : 2/2 trades aujourd'hui."
    assert (body["limit"], body["used"]) == (2, 2)
    left = (instant(body["resets_at"]) - datetime.now(UTC)).total_seconds()
    assert int(answer.headers["Retry-After"]) == pytest.approx(left, abs=2)
    assert server.trade(session).json()["used"] == 2, "a refusal is not counted"
    granted(server.trade(session, trade_id="t1"), 200)


def test_the_daily_limit_speaks_english(server: Limiter, session: Any) -> None:
    limit_trades(server, session["user_id"], 0)
    body = {"session_id": session["session_id"], "symbol": "X", "side": "buy", "quantity": 1, "price": 1}
    answer = server.post("/api/bots/trades", body, Accept_Language="en")
    assert refused(answer, 429, "daily_trades")["error"] == "Limit reached: 0/0 trades today."


def test_a_closing_trade_is_counted_and_never_refused(server: Limiter, session: Any) -> None:
    limit_trades(server, session["user_id"], 1)
    body = granted(server.trade(session, closes=True), 201)
    assert (body["trades_today"], body["trades_left"]) == (1, 0)
    refused(server.trade(session), 429, "daily_trades")
    body = granted(server.trade(session, closes=True), 201)
    assert (body["trades_today"], body["trades_left"], body["limit"]) == (2, 0, 1)
    assert refused(server.trade(session, closes=False), 429, "daily_trades")["used"] == 2


def test_the_daily_limit_is_the_users_over_sessions_and_kills(limiter: Start) -> None:
    one = limiter(MAX_TRADES_PER_DAY="2", MAX_BOTS_PER_USER="2")
    first, second = one.session("u1"), one.session("u1")
    granted(one.trade(first), 201)
    granted(one.trade(second), 201)
    refused(one.trade(first), 429, "daily_trades")
    one.restart(kill=True)
    refused(one.trade(first), 429, "daily_trades")
    granted(one.end(first))
    third = one.session("u1")
    refused(one.trade(third), 429, "daily_trades")
    granted(one.trade(one.session("u2")), 201)
    one.set_limits(MAX_TRADES_PER_DAY=3)
    assert granted(one.trade(third), 201)["trades_today"] == 3


def test_a_trade_needs_a_session_that_is_active(server: Limiter, session: Any) -> None:
    refused(server.trade({"session_id": "s9.nobody"}), 404, "session_unknown")
    granted(server.end(session))
    body = refused(server.trade(session), 410, "session_ended")
    assert body["ended_reason"] == "stopped"


def test_usage_tells_bots_trades_and_signals(server: Limiter, session: Any) -> None:
    user = session["user_id"]
    body = {"limits": {"MAX_SIGNALS_PER_MINUTE_PER_USER": 5}, "reason": "test"}
    granted(server.admin("PUT", f"/api/admin/users/{user}/limits", body))
    granted(server.trade(session), 201)
    granted(server.signal(session, 2))
    usage = granted(server.client.get(f"/api/users/{user}/usage"))
    assert usage["bots"].items() >= {"used": 1, "limit": 1, "left": 0}.items()
    assert usage["trades"].items() >= {"used": 1, "limit": 500, "left": 499}.items()
    assert usage["signals"].items() >= {"used": 2, "limit": 5, "left": 3}.items()


def test_usage_of_a_user_never_seen_is_all_zero(server: Limiter) -> None:
    usage = granted(server.client.get("/api/users/never%2Fseen/usage"))
    assert (usage["bots"]["used"], usage["trades"]["used"], usage["signals"]["used"]) == (0, 0, 0)


def test_an_identifier_in_a_path_is_percent_encoded(server: Limiter) -> None:
    server.session("team/a@b:c")
    assert granted(server.client.get("/api/users/team%2Fa%40b%3Ac/usage"))["bots"]["used"] == 1


@pytest.mark.parametrize("path_id", ["%00", "-a", "a%20b", "%ff", "x" * 65])
def test_an_identifier_in_a_path_outside_the_grammar_is_refused(server: Limiter, path_id: str) -> None:
    refused(server.client.get(f"/api/users/{path_id}/usage"), 422, "invalid_request")
