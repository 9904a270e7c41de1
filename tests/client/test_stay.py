"""The flows of a stay, driven by hand: what is asked again, when, and what is not."""

import re
import time
from decimal import Decimal
from fractions import Fraction
from typing import Any

import httpx
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.calling import MAY_COME_TRUE
from limiter.client import Refused
from limiter.client.stay import Call, Flow, Pause, Stay, plain
from limiter.client.wire import Reply

SESSION: dict[str, Any] = {"session_id": "s1.secret", "public_id": "s1", "user_id": "u1", "bot_id": "b1"}
SESSION |= {"lease_seconds": 60, "heartbeat_seconds": 20}
STARTED = {
    "success": True,
    "session": SESSION,
    "limits": {"MAX_CONCURRENT_BOTS": 2},
    "limits_version": 1,
    "capacity": {},
}


def no(reason: str, status: int, retry_after: int | None = None) -> httpx.Response:
    body = {"reason": reason, "error": f"no: {reason}", "request_id": "r"}
    return httpx.Response(status, json=body, headers={} if retry_after is None else {"Retry-After": str(retry_after)})


def yes(**body: Any) -> httpx.Response:
    return httpx.Response(200, json={"success": True} | body)


def drive(flow: Flow, *replies: Reply) -> tuple[list[Call | Pause], Any]:
    """The steps that the flow took with these replies to its calls, and its result, or why it was refused."""
    waiting, steps, reply = list(replies), [], None
    try:
        while True:
            step = flow.send(reply)
            steps.append(step)
            reply = waiting.pop(0) if isinstance(step, Call) else None
    except StopIteration as end:
        return steps, end.value
    except Refused as refused:
        return steps, refused
    finally:
        assert not waiting, f"never asked for: {waiting}"


def stay(**options: Any) -> Stay:
    return Stay("http://127.0.0.1:1", user_id="u1", language="en", **options)


def holding(**options: Any) -> Stay:
    one = stay(bot_id="b1", **options)
    drive(one._starting(), yes(**STARTED))
    return one


def calls(steps: list[Call | Pause]) -> list[Call]:
    return [step for step in steps if isinstance(step, Call)]


def test_a_start_whose_answer_is_lost_is_repeated_with_the_same_idempotency_key() -> None:
    one = stay()
    steps, _ = drive(one._starting(), httpx.ReadTimeout("lost"), httpx.RemoteProtocolError("cut"), yes(**STARTED))
    keys = {call.headers["Idempotency-Key"] for call in calls(steps)}
    assert (len(calls(steps)), len(keys)) == (3, 1)
    assert (one.session_id, one.public_id, one.bot_id) == ("s1.secret", "s1", "b1")


def test_two_stays_never_share_an_idempotency_key() -> None:
    sent = [calls(drive(stay()._starting(), yes(**STARTED))[0])[0].headers["Idempotency-Key"] for _ in range(100)]
    assert len(set(sent)) == 100


@pytest.mark.parametrize("reason", ["server_full", "user_limit", "paused", "forbidden", "invalid_request"])
def test_a_start_that_was_decided_against_is_asked_once(reason: str) -> None:
    steps, refused = drive(stay()._starting(), no(reason, 503, 30))
    assert (len(steps), refused.reason) == (1, reason)


@pytest.mark.parametrize("reason", ["draining", "overloaded", "storage_unavailable"])
def test_a_start_that_nobody_decided_is_asked_again(reason: str) -> None:
    steps, _ = drive(stay()._starting(), no(reason, 503, 1), yes(**STARTED))
    assert [type(step) for step in steps] == [Call, Pause, Call]


def test_waiting_for_a_slot_follows_retry_after_but_asks_at_least_every_thirty_seconds_and_at_the_end() -> None:
    steps, _ = drive(
        stay(wait_seconds=1000)._starting(), no("server_full", 503, 7), no("server_full", 503, 600), yes(**STARTED)
    )
    assert isinstance(steps[1], Pause) and steps[1].seconds == 7
    assert isinstance(steps[3], Pause) and 24 <= steps[3].seconds <= 30
    steps, _ = drive(stay(wait_seconds=5)._starting(), no("server_full", 503, 30), yes(**STARTED))
    assert isinstance(steps[1], Pause) and 4.5 < steps[1].seconds <= 5


def test_waiting_does_not_help_against_what_stays_wrong() -> None:
    steps, refused = drive(stay(wait_seconds=1000)._starting(), no("forbidden", 403))
    assert (len(steps), refused.reason) == (1, "forbidden")


def test_back_off_doubles_up_to_two_seconds_and_is_spread() -> None:
    lost = [httpx.ConnectError("refused")] * 8
    steps, _ = drive(stay()._starting(), *lost, yes(**STARTED))
    pauses = [step.seconds for step in steps if isinstance(step, Pause)]
    for pause, longest in zip(pauses, [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0], strict=True):
        assert longest / 2 <= pause <= longest


def test_a_trade_whose_answer_is_lost_is_repeated_with_the_same_trade_id() -> None:
    flow = holding()._trading("BTC/USDT", "buy", Decimal("1E-7"), 0.1, None, False)
    steps, _ = drive(flow, httpx.ReadError("cut"), yes(trade={}))
    sent = [call.body for call in calls(steps)]
    assert sent[0] == sent[1]
    assert sent[0]["trade_id"]
    assert (sent[0]["quantity"], sent[0]["price"]) == ("0.0000001", "0.1")


SURELY_NOT_COUNTED = [
    *(httpx.ConnectError("refused"), httpx.ConnectTimeout("no route"), httpx.ProxyError("407 to CONNECT")),
    *(no("overloaded", 503, 1), no("draining", 503, 1), httpx.Response(429, html="Too Many Requests")),
]
MAY_HAVE_COUNTED = [
    *(httpx.ReadTimeout("lost"), httpx.ReadError("cut"), httpx.RemoteProtocolError("cut"), httpx.WriteError("cut")),
    *(httpx.Response(status, html="<h1>Bad Gateway</h1>") for status in (502, 503, 504)),
    no("storage_unavailable", 503, 1),
]


@pytest.mark.parametrize("path", ["/api/bots/signals", "/api/feed/tokens"])
@pytest.mark.parametrize("reply", MAY_HAVE_COUNTED, ids=str)
def test_what_counts_each_time_is_not_repeated_where_it_may_have_counted(path: str, reply: Reply) -> None:
    steps, refused = drive(taking(path), reply)
    assert (len(steps), refused.reason in MAY_COME_TRUE) == (1, True)


@pytest.mark.parametrize("path", ["/api/bots/signals", "/api/feed/tokens"])
@pytest.mark.parametrize("reply", SURELY_NOT_COUNTED, ids=str)
def test_what_counts_each_time_is_repeated_where_it_surely_did_not_count(path: str, reply: Reply) -> None:
    steps, answer = drive(taking(path), reply, yes(used=3))
    assert [call.path for call in calls(steps)] == [path, path]
    assert answer["used"] == 3


def taking(path: str) -> Flow:
    return holding()._signalling(3) if path == "/api/bots/signals" else holding()._feeding(3)


@pytest.mark.parametrize("reply", [*SURELY_NOT_COUNTED, *MAY_HAVE_COUNTED], ids=str)
def test_a_trade_or_a_stop_counts_once_and_is_repeated_in_either_case(reply: Reply) -> None:
    steps, _ = drive(holding()._trading("BTC/USDT", "buy", 1, 1, None, False), reply, yes(trade={}))
    first, again = calls(steps)
    assert first.body == again.body
    assert len(calls(drive(holding()._stopping(), reply, yes(session={}))[0])) == 2


def test_each_end_that_is_announced_is_told_once_and_what_the_bot_makes_of_it_harms_no_beat() -> None:
    told: list[Any] = []

    def heard(notice: Any) -> None:
        told.append(notice)
        raise ValueError("a fault of the bot")

    one = holding(on_notice=heard)
    later, sooner = ({"kind": "stop", "at": at, "reason": "move"} for at in ("2026-01-01T13:00:00.000Z", "sooner"))
    flow = one._beating()
    flow.send(None)
    seen = []
    for notice in (None, later, later, None, later, sooner):
        assert isinstance(flow.send(None), Call)
        assert isinstance(flow.send(yes(session=SESSION, limits={}, limits_version=1, notice=notice)), Pause)
        seen.append(one.notice)
    assert seen == [None, later, later, None, later, sooner]
    assert told == [later, later, sooner]


def test_beats_come_within_a_third_of_the_lease_and_renew_it() -> None:
    one = holding()
    flow = one._beating()
    pause = flow.send(None)
    assert isinstance(pause, Pause) and 18 <= pause.seconds <= 20
    before = one._hold_until
    time.sleep(0.01)
    assert isinstance(flow.send(None), Call)
    renewed = {"session": SESSION | {"lease_seconds": 120, "heartbeat_seconds": 40}, "limits": {}, "limits_version": 2}
    pause = flow.send(yes(**renewed))
    assert isinstance(pause, Pause) and 36 <= pause.seconds <= 40
    assert one._hold_until > before + 50
    assert one.limits_version == 2


@pytest.mark.parametrize(("reason", "status"), [("session_ended", 410), ("session_unknown", 404)])
def test_a_session_that_is_gone_ends_the_beats_at_once(reason: str, status: int) -> None:
    steps, refused = drive(holding()._beating(), no(reason, status))
    assert (len(steps), refused.reason) == (2, reason)


@pytest.mark.parametrize(
    "reply", [httpx.ConnectError("x"), no("unauthorized", 401), httpx.Response(500), no("paused", 503)]
)
def test_a_beat_is_repeated_whatever_is_said_while_the_lease_lasts(reply: Reply) -> None:
    one = holding()
    flow = one._beating()
    flow.send(None)
    assert isinstance(flow.send(None), Call)
    pause = flow.send(reply)
    assert isinstance(pause, Pause) and pause.seconds <= 2
    assert isinstance(flow.send(None), Call)


def test_the_slot_is_let_go_a_sixth_of_the_lease_before_its_end_counted_from_before_the_question() -> None:
    before = time.monotonic()
    one = holding()
    assert before + 50 <= one._hold_until <= time.monotonic() + 50
    one._hold_until = time.monotonic()  # as if 50 seconds had passed without an answer
    steps, refused = drive(one._beating(), httpx.ConnectError("refused"))
    assert (len(calls(steps)), refused.reason) == (1, "out_of_reach")


def test_no_call_waits_longer_than_what_is_left_of_the_lease() -> None:
    one = holding()
    one._hold_until = time.monotonic() + 3
    flow = one._beating()
    flow.send(None)
    call = flow.send(None)
    assert isinstance(call, Call) and call.timeout <= 1.5  # connecting and reading may each take it


def test_a_lost_session_refuses_every_call_without_asking() -> None:
    one = holding()
    one._lose(Refused("session_ended", 410, "Session ended (admin_stop)."))
    for flow in (one._signalling(1), one._trading("BTC", "buy", 1, 1, None, False), one._feeding(1)):
        steps, refused = drive(flow)
        assert (steps, refused.reason) == ([], "session_ended")
    assert drive(one._stopping()) == ([], None)


@pytest.mark.parametrize(("reason", "status"), [("session_ended", 410), ("session_unknown", 404)])
def test_a_trade_that_is_told_of_the_end_sets_lost_before_it_raises(reason: str, status: int) -> None:
    one = holding()
    _, refused = drive(one._trading("BTC", "buy", 1, 1, None, False), no(reason, status))
    assert one.lost.is_set()
    assert one.lost_because is refused
    steps, again = drive(one._signalling(1))
    assert (steps, again) == ([], refused)


def test_a_refused_trade_leaves_the_session_as_it_is() -> None:
    one = holding()
    drive(one._trading("BTC", "buy", 1, 1, None, False), no("daily_trades", 429))
    assert (one.lost.is_set(), one.lost_because) == (False, None)


def test_the_first_reason_for_a_loss_stays_and_none_is_told_before_lost_is_set() -> None:
    one = holding()
    first, second = Refused("session_ended", 410, "x"), Refused("out_of_reach", 0, "y")
    one._because = first
    assert one.lost_because is None
    one._lose(second)
    assert one.lost_because is first


def test_a_stop_that_cannot_be_had_is_left_to_the_lease() -> None:
    steps, ended = drive(holding()._stopping(), no("forbidden", 403))
    assert (len(steps), ended) == (1, None)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-7, "0.0000001"),
        (1e-9, "0.000000001"),
        (1.23456789e-12, "0.000000000001234568"),
        (1e19, "10000000000000000000"),
        (numpy.float64(0.1), "0.1"),
        (numpy.float32(0.1), "0.1"),
        (numpy.int64(7), "7"),
        ("0.50", "0.50"),
        (Decimal("0.50"), "0.50"),
        (Decimal("2E+3"), "2000"),
        (Decimal("0.1234567890123456785"), "0.123456789012345678"),
        (Decimal("99999999999999999999.0000000000000000001"), "99999999999999999999.000000000000000000"),
    ],
)
def test_numbers_are_written_without_an_exponent_and_with_18_decimals_at_most(number: Any, text: str) -> None:
    assert plain(number) == text


@pytest.mark.parametrize(
    "number",
    [
        *(0, 0.0, -1, -0.1, 1e-19, 1e22, 10**20, float("nan"), float("inf"), -float("inf"), numpy.float64("nan"), True),
        *(Decimal("sNaN"), Decimal("9" * 20 + ".9999999999999999999"), Decimal("1E+999999"), Fraction(1, 3), None),
    ],
)
def test_a_number_that_the_api_would_refuse_is_a_value_error_with_a_sentence_and_nothing_is_sent(number: Any) -> None:
    one = holding()
    with pytest.raises(ValueError, match=r"price: .* is no positive number \(digits / decimals at most: 20 / 18\)"):
        one._trading("BTC/USDT", "buy", 1, number, None, False)
    with pytest.raises(ValueError, match=r"quantity: "):
        one._trading("BTC/USDT", "buy", number, 1, None, False)


@given(st.floats(allow_nan=True, allow_infinity=True) | st.decimals() | st.integers())
def test_what_is_sent_fits_the_api_and_is_the_nearest_that_does(number: float | Decimal | int) -> None:
    try:
        text = plain(number)
    except ValueError:
        exact = Fraction(str(number)) if Decimal(number).is_finite() else Fraction(0)
        assert exact <= Fraction(1, 2 * 10**18) or exact >= 10**20 - Fraction(1, 10**18)
        return
    assert re.fullmatch(r"\d{1,20}(\.\d{1,18})?", text)
    assert 0 <= abs(Fraction(text) - Fraction(str(number))) <= Fraction(1, 2 * 10**18)


def test_a_beat_that_is_refused_is_sent_again_when_the_answer_says_while_the_lease_lasts_that_long() -> None:
    one = holding()
    one._hold_until = time.monotonic() + 40
    replies = no("storage_unavailable", 503, 5), no("too_many_attempts", 429, 60), yes(**STARTED, notice=None)
    flow = one._beating()
    steps = [flow.send(None)]
    for reply in (None, *replies[:2]):
        steps.append(flow.send(reply))
        if isinstance(steps[-1], Pause):
            steps.append(flow.send(None))
    pauses = [step.seconds for step in steps if isinstance(step, Pause)][1:]
    assert pauses[0] == 5
    assert 19 <= pauses[1] <= 20, "half of what is left: it goes on trying before the lease ends"
