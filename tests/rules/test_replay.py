"""Demand decided again: without changes it refuses what was refused; with a changed limit, what that would have."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.rules.records import Session
from limiter.rules.replay import Demand, replay
from limiter.rules.sessions import Admission
from tests.rules.world import HOUR, NOW, SECOND, asked, decide, new_state, stop

STAY = 600 * SECOND


def demands(steps: list[tuple[str, str | None, int]], stop_after: int | None = None, **limits: Any) -> list[Demand]:
    """What these starts (user, bot, seconds since the one before) leave behind under these limits, as the store reads
    it back. Each session is stopped after so many others; None: they stay."""
    state, now = new_state(BOT_LEASE_SECONDS=86_400, **limits), NOW
    admitted: list[tuple[Session, bool]] = []
    ends: dict[int, int] = {}
    refused: list[Demand] = []
    for user, bot, wait in steps:
        now += wait * SECOND
        replaces = (user, bot) in state.bots
        answer = decide(state, asked(user, bot), now)
        ends |= {ended.session.number: ended.at for ended in state.changes.ended}
        if isinstance(answer, Admission):
            admitted.append((answer.session, replaces))
        else:
            kept = state.refused[-1]
            assert kept.facts is not None
            refused.append(Demand(now, user, bot, False, kept.facts))
        if stop_after is not None and len(admitted) > stop_after:
            oldest = admitted[-1 - stop_after][0]
            if oldest.number in state.sessions:
                ends[oldest.number] = stop(state, oldest, now).at
    return refused + [
        Demand(one.started_at, one.user_id, one.asked_bot, True, one.facts, replaces, ends.get(one.number))
        for one, replaces in admitted
    ]


def again(found: list[Demand], own_limit: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    """The replay under these changes."""
    return replay(found, changes, own_limit, STAY, 7)


steps = st.lists(
    st.tuples(st.sampled_from(("u1", "u2", "u3")), st.sampled_from((None, "b1", "b2")), st.integers(0, 400)),
    max_size=40,
)


@settings(max_examples=200)
@given(steps, st.integers(0, 4), st.integers(0, 3), st.sampled_from((None, 0, 1, 3)))
def test_without_changes_it_refuses_what_was_refused(
    asked_for: list[tuple[str, str | None, int]], max_bots: int, per_user: int, stop_after: int | None
) -> None:
    found = demands(asked_for, stop_after, MAX_CONCURRENT_BOTS=max_bots, MAX_BOTS_PER_USER=per_user)
    result = again(found)
    assert result["refused_then"] == result["refused_now"] == sum(not one.admitted for one in found)
    assert (result["demands"], result["users_affected"]) == (len(found), 0)
    same = again(found, MAX_CONCURRENT_BOTS=max_bots, MAX_BOTS_PER_USER=per_user)
    assert same["refused_then"] == result["refused_now"]


@given(steps, st.integers(0, 4), st.integers(0, 3))
def test_a_limit_of_0_refuses_everything_and_a_huge_one_nothing(
    asked_for: list[tuple[str, str | None, int]], max_bots: int, per_user: int
) -> None:
    found = demands(asked_for, MAX_CONCURRENT_BOTS=max_bots, MAX_BOTS_PER_USER=per_user)
    assert again(found, MAX_BOTS_PER_USER=0)["refused_then"] == len(found)
    assert again(found, MAX_BOTS_PER_USER=10_000, MAX_CONCURRENT_BOTS=1_000_000)["refused_then"] == 0


def test_a_raise_admits_who_was_refused_for_the_median_stay() -> None:
    found = demands([("u1", "b1", 0), ("u2", "b1", 1), ("u3", "b1", 1), ("u3", "b1", 601)], MAX_CONCURRENT_BOTS=1)
    result = again(found, MAX_CONCURRENT_BOTS=2)
    assert (result["refused_now"], result["refused_then"], result["users_affected"]) == (3, 1, 2)


def test_a_lowered_limit_refuses_who_was_admitted_until_he_left() -> None:
    found = demands([("u1", "b1", 0), ("u2", "b1", 1), ("u3", "b1", 1)], stop_after=0)
    assert again(found, MAX_CONCURRENT_BOTS=1)["refused_then"] == 0
    found = demands([("u1", "b1", 0), ("u2", "b1", 1), ("u3", "b1", 1)])
    result = again(found, MAX_CONCURRENT_BOTS=1)
    assert (result["refused_now"], result["refused_then"], result["users_affected"]) == (0, 2, 2)


def test_users_with_a_limit_of_their_own_keep_it() -> None:
    found = demands([("vip", "b1", 0), ("vip", "b2", 1), ("u1", "b1", 1), ("u1", "b2", 1)], MAX_BOTS_PER_USER=2)
    assert again(found, ("vip",), MAX_BOTS_PER_USER=1)["refused_then"] == 1


def test_a_flood_counts_each_of_its_refusals() -> None:
    found = demands([("u1", None, 0)], MAX_CONCURRENT_BOTS=0)
    flood = [Demand(found[0].at + HOUR, "u1", None, False, found[0].facts, repeats=1000)]
    assert again(flood)["refused_then"] == again(flood)["refused_now"] == 1000


@pytest.mark.parametrize("field", ["days", "demands", "refused_now", "refused_then", "users_affected"])
def test_no_demand_is_an_answer_too(field: str) -> None:
    assert again([])[field] == (7 if field == "days" else 0)
