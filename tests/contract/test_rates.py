"""Rates: signals and tokens, never more than N in any 60 s, all of a count or none of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.conftest import Limiter, granted, refused, wrong_fields

pytestmark = pytest.mark.every_database

Start = Callable[..., Limiter]


def figures(body: Any) -> tuple[Any, Any, Any]:
    return body["used"], body["limit"], body["left"]


def test_signals_are_counted_one_by_default(limiter: Start) -> None:
    one = limiter()
    session = one.session()
    assert figures(granted(one.signal(session))) == (1, 100, 99)
    assert figures(granted(one.signal(session, 9))) == (10, 100, 90)


def test_tokens_are_counted_one_by_default(limiter: Start) -> None:
    one = limiter()
    assert figures(granted(one.tokens())) == (1, 1000, 999)
    assert figures(granted(one.tokens(499))) == (500, 1000, 500)


def test_all_of_a_count_or_none_of_it(limiter: Start) -> None:
    one = limiter(MAX_SIGNALS_PER_MINUTE="10", MAX_TOKENS_PER_MINUTE="10")
    session = one.session()

    def signal(count: int) -> httpx.Response:
        return one.signal(session, count)

    for take, reason in ((signal, "signal_rate"), (one.tokens, "token_rate")):
        assert figures(granted(take(7))) == (7, 10, 3)
        answer = take(4)
        body = refused(answer, 429, reason)
        assert (body["limit"], body["used"]) == (10, 7)
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert "10" in body["error"], "the sentence names the limit"
        assert "7" in body["error"], "the sentence names the use"
        assert figures(granted(take(3))) == (10, 10, 0)
        refused(take(1), 429, reason)


def test_starts_are_limited_but_not_replacements_and_repeats_and_over_a_kill_too(limiter: Start) -> None:
    one = limiter(MAX_STARTS_PER_MINUTE="2", BOT_LEASE_SECONDS="600")
    one.session("u1", "b1")
    one.session("u1", "b1", Idempotency_Key="k")
    one.session("u2", "b1")
    for restarted in (False, True):
        if restarted:
            one.restart(kill=True)
        answer = one.start("u3")
        body = refused(answer, 429, "start_rate")
        assert (body["limit"], body["used"]) == (2, 2)
        assert body["error"] == "Limite atteinte : 2/2 démarrages en une minute. Réessaie dans une minute."
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        assert not one.capacity()["can_accept_new"]
        granted(one.start("u1", "b1", Idempotency_Key="k"), 200)
        refused(one.start("u2"), 429, "user_limit")
    assert "2/2 starts" in refused(one.start("u3", Accept_Language="en"), 429, "start_rate")["error"]
    one.session("u2", "b1")
    one.set_limits(MAX_STARTS_PER_MINUTE=3)
    one.session("u3")


@pytest.mark.once
def test_a_rate_is_kept_over_a_kill(limiter: Start) -> None:
    one = limiter(MAX_SIGNALS_PER_MINUTE="10", MAX_TOKENS_PER_MINUTE="10")
    session = one.session()
    granted(one.signal(session, 10))
    granted(one.tokens(10))
    one.restart(kill=True)
    refused(one.signal(session), 429, "signal_rate")
    refused(one.tokens(), 429, "token_rate")


def test_the_limit_of_one_user_holds_for_that_user(limiter: Start) -> None:
    one = limiter(MAX_SIGNALS_PER_MINUTE="5", MAX_SIGNALS_PER_MINUTE_PER_USER="2")
    first, second, third = one.session("u1"), one.session("u2"), one.session("u3")
    assert figures(granted(one.signal(first))) == (1, 2, 1), "the user has the least left"
    assert figures(granted(one.signal(first))) == (2, 2, 0)
    body = refused(one.signal(first), 429, "signal_rate")
    assert (body["used"], body["limit"]) == (2, 2)
    assert figures(granted(one.signal(second, 2))) == (2, 2, 0)
    assert figures(granted(one.signal(third))) == (5, 5, 0), "the system has the least left"
    body = refused(one.signal(third), 429, "signal_rate")
    assert (body["used"], body["limit"]) == (5, 5)
    usage = granted(one.client.get("/api/users/u3/usage"))["signals"]
    assert (usage["used"], usage["limit"]) == (1, 2)


def test_the_rate_of_a_user_is_over_all_its_sessions(limiter: Start) -> None:
    one = limiter(MAX_SIGNALS_PER_MINUTE_PER_USER="2")
    first = one.session("u1", "b")
    granted(one.signal(first, 2))
    refused(one.signal(one.session("u1", "b")), 429, "signal_rate")


def test_a_count_above_the_limit_can_never_be_granted(limiter: Start) -> None:
    one = limiter(MAX_SIGNALS_PER_MINUTE="5", MAX_SIGNALS_PER_MINUTE_PER_USER="2", MAX_TOKENS_PER_MINUTE="5")
    session = one.session()
    assert wrong_fields(one.signal(session, 6), 422) == {"count"}
    assert wrong_fields(one.signal(session, 3), 422) == {"count"}
    assert wrong_fields(one.tokens(6), 422) == {"count"}
    granted(one.tokens(5))
    assert wrong_fields(one.tokens(6), 422) == {"count"}


@pytest.mark.parametrize("count", [0, -1, 10_000_001, 2**53, 2**64])
def test_a_count_out_of_range_is_422(server: Limiter, count: int) -> None:
    assert wrong_fields(server.tokens(count), 422) == {"count"}
    assert wrong_fields(server.signal(server.session(), count), 422) == {"count"}


@pytest.mark.parametrize("count", [True, "1", [], {}])
def test_a_count_of_another_type_is_400(server: Limiter, count: Any) -> None:
    assert wrong_fields(server.tokens(count), 400) == {"count"}
    assert wrong_fields(server.signal(server.session(), count), 400) == {"count"}


def test_a_count_with_a_fraction_is_refused(server: Limiter) -> None:
    assert server.tokens(1.5).status_code in (400, 422)


def test_signals_need_a_session_that_is_active(server: Limiter) -> None:
    refused(server.signal({"session_id": "s9.nobody"}), 404, "session_unknown")
    session = server.session()
    granted(server.end(session))
    refused(server.signal(session), 410, "session_ended")


def test_a_lowered_rate_is_in_force_at_once(limiter: Start) -> None:
    one = limiter()
    granted(one.tokens(10))
    one.set_limits(MAX_TOKENS_PER_MINUTE=5)
    refused(one.tokens(), 429, "token_rate")
    one.set_limits(MAX_TOKENS_PER_MINUTE=11)
    assert figures(granted(one.tokens())) == (11, 11, 0)


@pytest.mark.slow
@pytest.mark.once
def test_never_more_than_the_limit_in_any_sixty_seconds(limiter: Start) -> None:
    """Two threads ask without a pause for 75 s; every window of 60 s between grants is looked at."""
    one = limiter(MAX_TOKENS_PER_MINUTE="20", BOT_LEASE_SECONDS="600")
    grants: list[tuple[float, float]] = []
    ends = time.monotonic() + 75

    def ask(step: int) -> None:
        with one.new_client() as client:
            while time.monotonic() < ends:
                asked = time.monotonic()
                if client.post("/api/feed/tokens", json={}).status_code == 200:
                    grants.append((asked, time.monotonic()))
                time.sleep(0.05 * (step + 1))

    granted(one.tokens(10))
    grants += [(time.monotonic() - 0.5, time.monotonic())] * 10
    time.sleep(5)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(ask, range(2)))
    grants.sort()
    assert len(grants) > 20, "the window moved on"
    for first, later in zip(grants, grants[20:], strict=False):
        assert later[1] - first[0] >= 60, f"21 grants within {later[1] - first[0]:.2f} s"
    back = min(asked for asked, _ in grants[20:]) - grants[0][0]
    assert back <= 62.5, f"the first grant came back only after {back:.2f} s"
