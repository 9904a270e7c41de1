"""A start that is asked for: when again, how long, and since when its lease runs, on a clock that the test moves."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.calling import PATIENCE_SECONDS, pause, retry_after
from limiter.calling.start import SlotRequest

LEASE = 60.0
NOBODY_DECIDED = ("draining", "overloaded", "storage_unavailable", "out_of_reach")
DECIDED = ("server_full", "user_limit", "paused", "start_rate", "box_busy")
UNHEARD = {"out_of_reach", "storage_unavailable"}


def request(wait_seconds: float = 0.0, **given: Any) -> SlotRequest:
    return SlotRequest("u1", given.get("bot_id"), given.get("process", {}), wait_seconds=wait_seconds, now=0.0)


def test_the_body_says_who_asks_and_whether_it_waits_in_turn() -> None:
    assert request().body == {"user_id": "u1"}
    one = request(60, bot_id="b1", process={"process": "4 2"})
    assert one.body == {"user_id": "u1", "process": "4 2", "bot_id": "b1", "queue": True}


@pytest.mark.parametrize("reason", [*DECIDED, "forbidden", "invalid_request"])
def test_a_refusal_is_final_for_who_does_not_wait(reason: str) -> None:
    one = request()
    one.attempt(0.0)
    assert one.refused(reason, 30, {}, 0.1) is None


@pytest.mark.parametrize("reason", NOBODY_DECIDED)
def test_what_nobody_decided_is_asked_again_for_ten_seconds(reason: str) -> None:
    one, now, timeouts = request(), 0.0, list[float]()
    while True:
        timeouts.append(one.attempt(now))
        seconds = one.refused(reason, None, {}, now)
        if seconds is None:
            break
        now += seconds
    assert PATIENCE_SECONDS - 2 <= now < PATIENCE_SECONDS
    assert len(timeouts) > 5
    assert timeouts == sorted(timeouts, reverse=True)
    assert timeouts[0] == PATIENCE_SECONDS / 2  # connecting and reading may each take it


def test_who_waits_asks_as_often_as_the_limiter_says_but_each_thirty_seconds() -> None:
    one = request(1000)
    one.attempt(0.0)
    assert one.refused("server_full", 7, {}, 0.0) == 7
    one.attempt(7.0)
    assert 24 <= (one.refused("server_full", 600, {}, 7.0) or 0) <= 30
    one.attempt(998.0)
    assert one.refused("server_full", 30, {}, 998.0) == 2, "once more at the end"
    one.attempt(1000.0)
    assert one.refused("server_full", 30, {}, 1000.0) is None


def test_what_frees_no_slot_early_is_asked_again_when_the_limiter_says() -> None:
    one = request(1000)
    one.attempt(0.0)
    assert one.refused("start_rate", 60, {}, 0.0) == 60
    one.attempt(990.0)
    assert one.refused("start_rate", 60, {}, 990.0) == 10, "once more at the end"


@pytest.mark.parametrize("reason", ["paused", "box_busy"])
def test_a_door_that_may_open_at_any_time_is_asked_at_each_half_minute(reason: str) -> None:
    one = request(1000)
    one.attempt(0.0)
    assert 24 <= (one.refused(reason, 60, {}, 0.0) or 0) <= 30


def test_patience_keeps_to_retry_after_and_asks_once_more_within_it() -> None:
    one, now, pauses = request(), 0.0, list[float]()
    while True:
        one.attempt(now)
        seconds = one.refused("storage_unavailable", 5, {}, now)
        if seconds is None:
            break
        pauses.append(seconds)
        now += seconds
    assert pauses[0] == 5
    assert len(pauses) >= 2 and now < PATIENCE_SECONDS


def test_a_pause_is_as_long_as_asked_for_but_half_of_what_is_left() -> None:
    assert pause(0.1, None, 40) == 0.1
    assert pause(0.1, 5, 40) == 5
    assert pause(0.1, 60, 40) == 20
    assert pause(0.1, 60, -1) == 0.1
    assert pause(2.0, 1, 40) == 2.0
    assert pause(0.1, 60, math.inf) == 60


@pytest.mark.parametrize(
    ("text", "seconds"), [("30", 30.0), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("²", None)]
)
def test_retry_after_is_read_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after({"Retry-After": text} if text else {}) == seconds


def test_a_ticket_is_shown_again_within_its_turn() -> None:
    one, facts = request(1000), {"ticket": {"id": "t1", "position": 3, "of": 9}}
    one.attempt(0.0)
    assert 10 <= (one.refused("server_full", 30, facts, 0.0) or 0) <= 12
    assert (one.body["ticket"], one.place) == ("t1", (3, 9))
    one.attempt(11.0)
    one.refused("overloaded", 1, {}, 11.0)
    assert one.place == (3, 9), "still the last that was heard"


def test_a_suspended_user_is_not_waited_for() -> None:
    one = request(1000)
    one.attempt(0.0)
    assert one.refused("user_limit", 30, {"limit": 0}, 0.0) is None
    assert one.refused("user_limit", 30, {"limit": 2}, 0.0) is not None


reasons = st.lists(st.sampled_from([*NOBODY_DECIDED, *DECIDED]), max_size=60)


@given(reasons, st.floats(0, 300), st.floats(0.001, 4))
def test_nobody_asks_for_longer_than_they_said_and_ten_seconds(
    refusals: list[str], wait_seconds: float, call_seconds: float
) -> None:
    one, now = request(wait_seconds), 0.0
    for reason in refusals:
        one.attempt(now)
        now += call_seconds
        pause = one.refused(reason, None, {}, now)
        if pause is None:
            assert reason in NOBODY_DECIDED or now >= wait_seconds
            return
        assert pause >= 0
        now += pause
        # `wait_seconds` may be over while the last round is still patient.
        assert now <= wait_seconds + call_seconds + PATIENCE_SECONDS


@given(reasons)
def test_a_lease_is_never_taken_to_run_from_later_than_it_may(refusals: list[str]) -> None:
    """Against a plain look at all attempts: each that was not heard of, since the last decision, may be the one."""
    one, now, since = request(10_000), 0.0, list[float]()
    for reason in refusals:
        one.attempt(now)
        since = [] if reason in DECIDED else [*since, now] if reason in UNHEARD or since else since
        pause = one.refused(reason, None, {}, now)
        assert pause is not None
        now += pause
    one.attempt(now)
    may_be = [at for at in [*since, now] if now - at <= LEASE + PATIENCE_SECONDS]
    assert one.held_since(LEASE) == may_be[0]


def test_what_was_asked_before_an_outage_longer_than_a_lease_is_no_slot_any_more() -> None:
    one, now = request(1000), 0.0
    while now < 300:
        one.attempt(now)
        now += one.refused("out_of_reach", None, {}, now) or 0.0
    one.attempt(now)
    assert now - LEASE - PATIENCE_SECONDS <= one.held_since(LEASE) < now
