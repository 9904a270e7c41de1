"""What bars the door whatever is free: too many starts in the last minute, a box out of breath."""

import pytest

from limiter.rules.changes import SetPause
from limiter.rules.room import capacity
from limiter.rules.sessions import Admission
from limiter.rules.snapshots import TakeSnapshot
from limiter.rules.state import State
from tests.rules.world import NOW, SECOND, admitted, asked, decide, new_state, refused, start, stop


def test_no_more_starts_than_the_limit_in_any_60_seconds() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=2)
    admitted(state, "u1", now=NOW), admitted(state, "u2", now=NOW + 20 * SECOND)
    refusal = refused(start(state, "u3", now=NOW + 30 * SECOND), "start_rate")
    assert refusal.shown("en") == {"limit": 2, "used": 2}
    assert refusal.retry_after_seconds == 31, "the first one's second has to be over"
    refused(start(state, "u3", now=NOW + 60 * SECOND), "start_rate")
    admitted(state, "u3", now=NOW + 61 * SECOND)
    assert refused(start(state, "u4", now=NOW + 61 * SECOND), "start_rate").retry_after_seconds == 20


def test_a_replacement_and_a_repeated_request_do_not_count_and_are_not_refused() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=1)
    admitted(state, "u1", "b1", "k1")
    for n in range(5):
        admitted(state, "u1", "b1", f"k{n + 2}")
    assert start(state, "u1", "b1", "k6").created is False
    assert state.windows["starts", ""].used(NOW // SECOND) == 1
    admitted(state, "u2", now=NOW + 61 * SECOND)


def test_who_is_refused_for_another_reason_does_not_count() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=2, MAX_CONCURRENT_BOTS=1)
    admitted(state, "u1", "b1")
    refused(start(state, "u1", "b2"), "user_limit")
    for _ in range(3):
        refused(start(state, "u2"), "server_full")
    assert state.windows["starts", ""].used(NOW // SECOND) == 1


def test_a_limit_that_is_set_now_knows_the_last_minute() -> None:
    state = new_state()
    for n in range(3):
        admitted(state, f"u{n}")
    state.limits = new_state(MAX_STARTS_PER_MINUTE=3).limits
    assert refused(start(state, "u9"), "start_rate").shown("en") == {"limit": 3, "used": 3}
    state.limits = new_state(MAX_STARTS_PER_MINUTE=None).limits
    admitted(state, "u9")


def test_a_limit_of_0_refuses_every_start_and_says_a_minute() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=0)
    refusal = refused(start(state, "u1"), "start_rate")
    assert (refusal.shown("en"), refusal.retry_after_seconds) == ({"limit": 0, "used": 0}, 60)


def test_a_start_gives_its_place_in_the_minute_not_back_when_it_ends() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=1)
    stop(state, admitted(state, "u1"))
    refused(start(state, "u1"), "start_rate")


def test_what_a_failed_batch_started_does_not_count() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=1)
    state.begin()
    assert isinstance(asked("u1").decide(state, NOW), Admission)
    state.undo()
    admitted(state, "u2")


def test_the_order_user_limit_then_start_rate_then_server_full() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=1, MAX_CONCURRENT_BOTS=1)
    admitted(state, "u1")
    refused(start(state, "u1"), "user_limit")
    refused(start(state, "u2"), "start_rate")
    decide(state, SetPause(True, "tests", "tests"))
    refused(start(state, "u2"), "paused")


def test_capacity_says_that_a_new_user_would_be_refused() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=1)
    assert capacity(state, NOW).can_accept_new
    admitted(state, "u1")
    assert not capacity(state, NOW).can_accept_new
    assert capacity(state, NOW + 61 * SECOND).can_accept_new


def busy(state: State, cpu: float | None, ram: float | None, now: int = NOW) -> None:
    """The sampler's request with these means of the last minute."""
    decide(state, TakeSnapshot(1.0, 2.0, None, cpu, ram), now)


@pytest.mark.parametrize(
    ("cpu", "ram", "sentence", "told"),
    [
        (93.24, 10.0, "Server too busy (CPU 93 %). Try again in a few minutes.", {"value": 93.2, "threshold": 90}),
        (90.0, 81.0, "Server too busy (RAM 81 %). Try again in a few minutes.", {"value": 81.0, "threshold": 80}),
        (99.9, 99.9, "Server too busy (CPU 100 %). Try again in a few minutes.", {"value": 99.9, "threshold": 90}),
        (None, 81.0, "Server too busy (RAM 81 %). Try again in a few minutes.", {"value": 81.0, "threshold": 80}),
    ],
)
def test_above_a_limit_new_starts_are_refused(
    cpu: float | None, ram: float | None, sentence: str, told: dict[str, float]
) -> None:
    state = new_state(MAX_CPU_PERCENT=90, MAX_RAM_PERCENT=80)
    admitted(state, "u1", "b1", "k1")
    busy(state, cpu, ram)
    refusal = refused(start(state, "u2"), "box_busy")
    assert (refusal.sentence("en"), refusal.shown("en")) == (sentence, told)
    assert refusal.retry_after_seconds == 60
    assert not capacity(state, NOW).can_accept_new
    assert start(state, "u1", "b1", "k1").created is False, "a repeated request has its session"
    admitted(state, "u1", "b1", "k2")
    kept = state.refused[-1]
    assert (kept.limit, kept.value) == (("MAX_CPU_PERCENT", 90) if "CPU" in sentence else ("MAX_RAM_PERCENT", 80))


@pytest.mark.parametrize(("cpu", "ram"), [(90.0, 80.0), (None, None), (10.0, None)])
def test_at_the_limit_and_without_a_reading_nobody_is_refused(cpu: float | None, ram: float | None) -> None:
    state = new_state(MAX_CPU_PERCENT=90, MAX_RAM_PERCENT=80)
    admitted(state, "u1")
    busy(state, cpu, ram)
    admitted(state, "u2")
    assert capacity(state, NOW).can_accept_new


def test_a_reading_that_is_old_says_nothing() -> None:
    state = new_state(MAX_CPU_PERCENT=90)
    busy(state, 99.0, 99.0)
    refused(start(state, "u1", now=NOW + 60 * SECOND), "box_busy")
    admitted(state, "u1", now=NOW + 60 * SECOND + 1)


def test_without_limits_a_busy_box_refuses_nobody() -> None:
    state = new_state()
    busy(state, 100.0, 100.0)
    admitted(state, "u1")


def test_a_reading_of_a_batch_that_failed_is_none() -> None:
    state = new_state(MAX_CPU_PERCENT=90)
    state.begin()
    TakeSnapshot(1.0, 2.0, None, 99.0, 99.0).decide(state, NOW)
    state.undo()
    admitted(state, "u1")


def test_the_order_start_rate_then_box_busy_then_server_full() -> None:
    state = new_state(MAX_STARTS_PER_MINUTE=1, MAX_CPU_PERCENT=90, MAX_CONCURRENT_BOTS=1)
    admitted(state, "u1")
    busy(state, 99.0, 0.0)
    refused(start(state, "u2"), "start_rate")
    state.limits = new_state(MAX_CPU_PERCENT=90, MAX_CONCURRENT_BOTS=1).limits
    refused(start(state, "u2"), "box_busy")
    busy(state, 1.0, 0.0)
    refused(start(state, "u2"), "server_full")
