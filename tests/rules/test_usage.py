"""Who does what: shares, how concentrated slot-hours are, and demands beside attempts, by hand and against a count."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from limiter.rules import usage
from limiter.rules.records import Facts
from limiter.rules.replay import Demand
from limiter.rules.sizing import runs
from limiter.rules.usage import Asked, Share, asked, concentration, shares

MINUTE = 60_000
ROOM, FULL, OWN = Facts(1, 9, 0, 1, 1), Facts(9, 9, 0, 1, 1), Facts(3, 9, 1, 1, 1)


def test_shares_are_of_all_the_heaviest_first_and_what_nobody_was_named_for_last() -> None:
    assert shares({"a": 10, "b": 30, "c": 0}, 50) == [Share("b", 30, 0.6), Share("a", 10, 0.2), Share(None, 10, 0.2)]
    assert shares({}, 7) == [Share(None, 7, 1.0)]
    assert shares({}, 0) == []


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 99)), st.integers(0, 99))
def test_shares_of_few_users_sum_to_one(used: dict[str, int], unnamed: int) -> None:
    found = shares(used, sum(used.values()) + unnamed)
    assert len(used) > usage.MOST or sum(one.used for one in found) == sum(used.values()) + unnamed
    assert not found or len(used) > usage.MOST or abs(sum(one.share for one in found) - 1) < 1e-9


def test_five_of_two_hundred_users_hold_half_of_the_slot_hours() -> None:
    found = concentration([195] * 5 + [5] * 195)
    assert found is not None
    assert (found.users, found.half, found.top[1], found.top[5]) == (200, 5, 0.1, 0.5)
    assert usage.said_of(found, "en") == "5 of 200 users hold half of the slot-hours."
    assert usage.said_of(found, "fr") == "5 utilisateurs sur 200 tiennent la moitié des heures de place."


def test_one_user_alone_and_nobody() -> None:
    one = concentration([7, 0])
    assert one is not None and (one.users, one.half, one.top) == (1, 1, {1: 1.0, 5: 1.0, 10: 1.0})
    assert usage.said_of(one, "en") == "1 of 1 users holds half of the slot-hours, or more."
    assert concentration([]) is None and concentration([0]) is None


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_half_is_the_fewest_users_that_hold_it(held: list[int]) -> None:
    found = concentration(held)
    assert found is not None
    heaviest = sorted(held, reverse=True)
    assert 2 * sum(heaviest[: found.half]) >= sum(held) > 2 * sum(heaviest[: found.half - 1])


def demand(at: int, user: str, facts: Facts, *, admitted: bool, holds: bool = False, repeats: int = 1) -> Demand:
    return Demand(at * MINUTE, user, "b1", admitted, facts, holds=holds, repeats=repeats)


def test_a_run_of_tries_is_one_demand_however_often_it_asks() -> None:
    history = [
        demand(0, "a", ROOM, admitted=True),
        demand(5, "a", ROOM, admitted=True, holds=True),  # came back before its lease ran out
        demand(1, "b", FULL, admitted=False),
        demand(2, "b", FULL, admitted=False, repeats=97),
        demand(3, "b", ROOM, admitted=True),
        demand(4, "c", FULL, admitted=False, repeats=2),  # and never again
        demand(4, "d", OWN, admitted=False, repeats=10),
        demand(99, "e", FULL, admitted=False),  # still asks
    ]
    found = asked(history, runs(history, 100 * MINUTE))
    assert found == {
        "a": Asked(attempts=2, demands=1, restarts=1),
        "b": Asked(attempts=99, demands=1, first=1),
        "c": Asked(attempts=2, demands=1, first=1, lost=1),
        "d": Asked(attempts=10, own_limit=10),
        "e": Asked(attempts=1),
    }
    everybody = usage.all_asked(found.values())
    assert (everybody.attempts, everybody.demands, everybody.restarts, everybody.own_limit) == (114, 3, 1, 10)
    assert "114" in usage.said_of_tries(everybody, "en") and "(a bot's run of tries is one): 3;" in usage.said_of_tries(
        everybody, "en"
    )
    assert Counter(run.user_id for run in runs(history, 100 * MINUTE)) == {"a": 1, "b": 1, "c": 1}
