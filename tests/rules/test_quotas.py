"""Trades of a day, and rates of any 60 s: at the limit, one above, over midnight, and for whom both limits hold."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.rules.quotas import Use, uses_of
from tests.rules.world import (
    HOUR,
    NOW,
    SECOND,
    admitted,
    counted,
    new_state,
    override,
    refused,
    signal,
    taken,
    tokens,
    trade,
    trade_request,
)

MIDNIGHT = NOW + 12 * HOUR


# -- trades


def test_trades_are_counted_to_the_limit_and_refused_above() -> None:
    state = new_state(MAX_TRADES_PER_DAY=2)
    session = admitted(state, "u1")
    first, second = counted(trade(state, session, "t1")), counted(trade(state, session, "t2"))
    assert [(one.use.used, one.use.left, one.use.limit, one.created) for one in (first, second)] == [
        (1, 1, 2, True),
        (2, 0, 2, True),
    ]
    assert first.resets_at == MIDNIGHT
    refusal = refused(trade(state, session, "t3", NOW + 1), "daily_trades")
    assert refusal.shown("en") == {"limit": 2, "used": 2, "resets_at": MIDNIGHT}
    assert refusal.retry_after_seconds == 12 * 3600
    assert refusal.sentence("fr") == "Limite atteinte : 2/2 trades aujourd'hui."


def test_a_trade_that_closes_a_position_is_counted_and_never_refused() -> None:
    state = new_state(MAX_TRADES_PER_DAY=1)
    session = admitted(state, "u1")
    counted(trade(state, session, "t1"))
    for n in (2, 3):
        closed = counted(trade(state, session, f"t{n}", closes=True))
        assert (closed.use.used, closed.use.left) == (n, 0)


def test_a_new_day_begins_at_midnight_in_the_operators_zone() -> None:
    state = new_state(ZoneInfo("Europe/Paris"), MAX_TRADES_PER_DAY=1)
    midnight = int(datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1000)
    session = admitted(state, "u1", now=midnight - SECOND)
    assert counted(trade(state, session, "t1", midnight - 1)).resets_at == midnight
    refused(trade(state, session, "t2", midnight - 1), "daily_trades")
    assert counted(trade(state, session, "t2", midnight)).use.used == 1


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25)])
def test_a_day_on_which_the_clocks_change_resets_at_the_next_midnight(day: tuple[int, int, int], hours: int) -> None:
    begins = int(datetime(*day, tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1000)
    state = new_state(ZoneInfo("Europe/Paris"))
    assert counted(trade(state, admitted(state, "u1", now=begins), "t1", begins)).resets_at == begins + hours * HOUR


def test_users_have_days_of_their_own_and_bots_of_a_user_share_one() -> None:
    state = new_state(MAX_TRADES_PER_DAY=2, MAX_BOTS_PER_USER=2)
    one, two, other = admitted(state, "u1"), admitted(state, "u1"), admitted(state, "u2")
    counted(trade(state, one, "t1"))
    assert counted(trade(state, two, "t2")).use.left == 0
    assert counted(trade(state, other, "t1")).use.used == 1


@pytest.mark.parametrize("same", [{"quantity": "1.0"}, {"price": "100.00"}, {"quantity": "01"}])
def test_the_same_trade_again_is_counted_once_numbers_being_equal(same: dict[str, str]) -> None:
    state = new_state(MAX_TRADES_PER_DAY=1, MAX_BOTS_PER_USER=2)
    session, other = admitted(state, "u1"), admitted(state, "u1")
    first = counted(trade(state, session, "t1"))
    for of in (session, other):
        state.begin()
        state.trades["u1", "t1"] = first.trade  # what the store brings for the batch
        again = counted(trade_request(of, "t1", **same).decide(state, NOW + 5))
        assert not again.created
        assert again.trade == first.trade, "given back as first written"
        assert again.use.used == 1


@pytest.mark.parametrize(
    "other", [{"symbol": "ETH/USDT"}, {"side": "sell"}, {"quantity": "2"}, {"price": "100.01"}, {"closes": True}]
)
def test_another_trade_under_the_same_id_is_a_conflict(other: dict[str, Any]) -> None:
    state = new_state()
    session = admitted(state, "u1")
    first = counted(trade(state, session, "t1"))
    state.begin()
    state.trades["u1", "t1"] = first.trade
    refused(trade_request(session, "t1", **other).decide(state, NOW), "trade_conflict")
    assert state.trades_today("u1", NOW) == 1


def test_quantity_and_price_are_kept_as_written() -> None:
    state = new_state()
    quantity, price = "00000000000000000001.000000000000000001", "0.10"
    kept = counted(trade(state, admitted(state, "u1"), "t1", quantity=quantity, price=price)).trade
    assert (kept.quantity, kept.price) == (quantity, price)


def test_only_a_live_session_trades() -> None:
    state = new_state()
    session = admitted(state, "u1")
    refused(trade(state, session, "t1", NOW + HOUR), "session_ended")
    session.number = 99
    refused(trade(state, session, "t1"), "session_unknown")


def test_a_users_own_limit_holds_for_his_trades() -> None:
    state = new_state(overrides={"vip": override(MAX_TRADES_PER_DAY=0)})
    refused(trade(state, admitted(state, "vip"), "t1"), "daily_trades")
    counted(trade(state, admitted(state, "u1"), "t1"))


# -- rates


def test_tokens_are_taken_all_or_none() -> None:
    state = new_state(MAX_TOKENS_PER_MINUTE=10)
    assert taken(tokens(state, 7)).as_dict() == {"used": 7, "limit": 10, "left": 3}
    refusal = refused(tokens(state, 4), "token_rate")
    assert refusal.shown("en") == {"limit": 10, "used": 7}
    assert refusal.retry_after_seconds == 60
    assert taken(tokens(state, 3)).left == 0


def test_the_wait_is_until_enough_has_left_the_window() -> None:
    state = new_state(MAX_TOKENS_PER_MINUTE=10)
    tokens(state, 6, NOW)
    tokens(state, 4, NOW + 20 * SECOND)
    assert refused(tokens(state, 6, NOW + 30 * SECOND), "token_rate").retry_after_seconds == 31
    assert refused(tokens(state, 7, NOW + 30 * SECOND), "token_rate").retry_after_seconds == 51
    refused(tokens(state, 6, NOW + 60 * SECOND), "token_rate")
    taken(tokens(state, 6, NOW + 61 * SECOND))


@pytest.mark.parametrize("limit", [10, 0])
def test_a_count_above_the_limit_can_never_be_taken(limit: int) -> None:
    refusal = refused(tokens(new_state(MAX_TOKENS_PER_MINUTE=limit), limit + 1), "invalid_request")
    assert "MAX_TOKENS_PER_MINUTE" in refusal.sentence("en")
    assert refusal.shown("en")["errors"][0]["field"] == "count"


def test_a_count_above_the_systems_limit_is_told_before_the_session() -> None:
    state = new_state(MAX_SIGNALS_PER_MINUTE=5)
    session = admitted(state, "u1")
    session.number = 99
    refused(signal(state, session, 6), "invalid_request")
    refused(signal(state, session, 5), "session_unknown")


def test_signals_of_all_users_share_the_systems_rate() -> None:
    state = new_state(MAX_SIGNALS_PER_MINUTE=5)
    assert taken(signal(state, admitted(state, "u1"), 3)).as_dict() == {"used": 3, "limit": 5, "left": 2}
    refused(signal(state, admitted(state, "u2"), 3), "signal_rate")


def test_where_two_limits_apply_the_figures_are_of_the_one_with_the_least_left() -> None:
    state = new_state(MAX_SIGNALS_PER_MINUTE=10, MAX_SIGNALS_PER_MINUTE_PER_USER=4)
    one, two = admitted(state, "u1"), admitted(state, "u2")
    assert taken(signal(state, one, 3)).as_dict() == {"used": 3, "limit": 4, "left": 1}
    assert refused(signal(state, one, 2), "signal_rate").shown("en") == {"limit": 4, "used": 3}
    assert taken(signal(state, two, 4)).as_dict() == {"used": 4, "limit": 4, "left": 0}
    three = admitted(state, "u3")
    assert taken(signal(state, three, 2)).as_dict() == {"used": 9, "limit": 10, "left": 1}
    assert refused(signal(state, three, 2), "signal_rate").shown("en") == {"limit": 10, "used": 9}
    refused(signal(state, three, 5), "invalid_request")


def test_where_both_limits_hold_a_signal_back_the_wait_is_the_longer_one() -> None:
    state = new_state(MAX_SIGNALS_PER_MINUTE=10, MAX_SIGNALS_PER_MINUTE_PER_USER=5)
    one, two, three = admitted(state, "u1"), admitted(state, "u2"), admitted(state, "u3")
    signal(state, one, 5, NOW)
    for session in (two, three):
        signal(state, session, 2, NOW + 30 * SECOND)
    refusal = refused(signal(state, one, 5, NOW + 40 * SECOND), "signal_rate")
    assert refusal.shown("en") == {"limit": 5, "used": 5}, "the user has the least left"
    assert refusal.retry_after_seconds == 21
    signal(state, two, 1, NOW + 40 * SECOND)
    state.limits = new_state(MAX_SIGNALS_PER_MINUTE=5, MAX_SIGNALS_PER_MINUTE_PER_USER=5).limits
    refusal = refused(signal(state, one, 5, NOW + 40 * SECOND), "signal_rate")
    assert refusal.retry_after_seconds == 60, "the user may in 21 s, all together only when the newest has left"


def test_none_is_no_limit_and_0_is_none_at_all() -> None:
    state = new_state(overrides={"quiet": override(MAX_SIGNALS_PER_MINUTE_PER_USER=0)})
    taken(signal(state, admitted(state, "u1"), 100))
    refused(signal(state, admitted(state, "quiet"), 1), "invalid_request")


def test_only_a_live_session_signals() -> None:
    state = new_state()
    session = admitted(state, "u1")
    refused(signal(state, session, 1, NOW + HOUR), "session_ended")
    assert state.window("signals").total == 0


@given(st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 10)), max_size=80))
def test_never_more_than_the_limit_in_any_60_seconds(steps: list[tuple[int, int]]) -> None:
    state, now, granted = new_state(MAX_TOKENS_PER_MINUTE=10), NOW, []
    for wait, n in steps:
        now += wait
        if isinstance(tokens(state, n, now), Use):
            granted.append((now, n))
    for begin, _ in granted:
        assert sum(n for at, n in granted if begin <= at < begin + 60 * SECOND) <= 10


# -- what one user uses


def test_what_a_user_uses_is_read_at_one_instant() -> None:
    state = new_state(MAX_BOTS_PER_USER=2, MAX_SIGNALS_PER_MINUTE_PER_USER=9)
    session = admitted(state, "u1")
    trade(state, session, "t1")
    signal(state, session, 4)
    signal(state, admitted(state, "u2"), 5)
    bots, trades, signals = uses_of(state, "u1", NOW)
    assert bots.as_dict() == {"used": 1, "limit": 2, "left": 1}
    assert trades.as_dict() == {"used": 1, "limit": 500, "left": 499}
    assert signals.as_dict() == {"used": 4, "limit": 9, "left": 5}


def test_a_user_never_seen_uses_nothing_and_is_not_remembered() -> None:
    state = new_state()
    signal(state, admitted(state, "u1"), 5)
    uses = uses_of(state, "nobody", NOW)
    assert [use.used for use in uses] == [0, 0, 0]
    assert uses[2].as_dict() == {"used": 0, "limit": None, "left": None}, "no limit of his own"
    assert not state.windows.get(("signals", "nobody"))


def test_a_user_whose_lease_ran_out_uses_no_slot() -> None:
    state = new_state()
    admitted(state, "u1")
    assert uses_of(state, "u1", NOW + HOUR)[0].used == 0


def test_figures_over_the_limit_leave_0() -> None:
    state = new_state(MAX_BOTS_PER_USER=3)
    for _ in range(3):
        admitted(state, "u1")
    state.limits = new_state(MAX_BOTS_PER_USER=2).limits
    assert uses_of(state, "u1", NOW)[0].as_dict() == {"used": 3, "limit": 2, "left": 0}
