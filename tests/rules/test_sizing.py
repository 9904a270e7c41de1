"""Slots that are enough, against published values, a model of tries, and a simulation that shares no code with it."""

import math
from collections.abc import Iterable
from datetime import UTC

import pytest

from benchmarks.sizing import CASES, SHARE, Case, foretold, simulate
from limiter.rules.loss_system import Crowd, Load, bunching, refused, slots_for
from limiter.rules.records import Facts
from limiter.rules.replay import Demand
from limiter.rules.sizing import SILENCE_MS, runs, sizing, trust
from limiter.units import DAY_MS, HOUR_MS

NOW = 1_767_225_600_000


def erlang_b(slots: int, load: float) -> float:
    """The textbook's recursion."""
    blocked = 1.0
    for n in range(1, slots + 1):
        blocked = load * blocked / (n + load * blocked)
    return blocked


def engset(slots: int, users: int, each: float) -> float:
    """The share of calls that meet no free slot, term by term."""
    terms = [math.comb(users - 1, n) * each**n for n in range(slots + 1)]
    return terms[-1] / sum(terms)


@pytest.mark.parametrize(("slots", "load"), [(1, 0.5), (10, 8.0), (159, 140.0), (30, 40.0)])
def test_who_has_no_patience_makes_it_erlang_b(slots: int, load: float) -> None:
    first, lost = refused(slots, load, Crowd(patience=1e-9))
    assert first == pytest.approx(erlang_b(slots, load), rel=1e-5) and lost == pytest.approx(first, rel=1e-5)


def test_known_users_without_patience_make_it_engset() -> None:
    each = 30 / (50 - 30)
    assert refused(35, 30.0, Crowd(users=50, patience=1e-9))[0] == pytest.approx(engset(35, 50, each), rel=1e-4)
    assert refused(50, 30.0, Crowd(users=50)) == (0.0, 0.0)


def test_the_extremes() -> None:
    assert refused(10, 0.0, Crowd()) == (0.0, 0.0) and refused(0, 5.0, Crowd()) == (1.0, 1.0)
    assert slots_for(0.01, [], Crowd(), lost=True) <= 1
    loads = [Load(140.0, 1.0)]
    # A simulation gave 153 (lost) and 168 (at first), Erlang B 159 (limiter/rules/loss_system.py is within 4 %).
    assert abs(slots_for(0.01, loads, Crowd(), lost=True) / 153 - 1) <= 0.04
    assert abs(slots_for(0.01, loads, Crowd(), lost=False) / 168 - 1) <= 0.04


def asked(
    at: int, admitted: bool, bot: str | None = "b", user: str = "u", active: int = 0, holds: bool = False
) -> Demand:
    return Demand(at, user, bot, admitted, Facts(9, 9, active, 1, 1), holds=holds)


def counts(of: Iterable[Demand], end: int) -> tuple[int, int, int]:
    found = runs(of, end)
    return len(found), sum(run.first for run in found), sum(run.lost for run in found)


def test_a_run_of_tries_is_one_demand() -> None:
    minute = 60_000
    tries = [asked(NOW + n * minute, admitted=False) for n in range(5)]
    assert counts([*tries, asked(NOW + 5 * minute, admitted=True)], NOW + DAY_MS) == (1, 1, 0)
    assert counts(tries, NOW + DAY_MS) == (1, 1, 1)
    assert counts(tries, NOW + 5 * minute) == (0, 0, 0)  # still asking
    later = asked(NOW + 4 * minute + SILENCE_MS + 1, admitted=True)
    assert counts([*tries, later], NOW + DAY_MS) == (2, 1, 1)
    assert counts([asked(NOW, admitted=True, holds=True)], NOW + DAY_MS) == (0, 0, 0)
    assert counts([asked(NOW, admitted=False, active=1)], NOW + DAY_MS) == (0, 0, 0)
    assert [run.waited_ms for run in runs(tries, NOW + DAY_MS)] == [4 * minute]


def test_starts_in_bunches_are_seen() -> None:
    assert bunching({}, 100) == 1.0
    assert bunching(dict.fromkeys(range(0, 1000, 100), 4), 1000) == pytest.approx((1 + 4 - 0.04) / 2)


def test_more_users_need_more_slots_and_too_little_data_gives_nothing() -> None:
    hours = [(NOW + n * HOUR_MS, 100.0) for n in range(28 * 24)]
    came = runs([asked(NOW + n * HOUR_MS, admitted=True, bot=f"b{n}", user=f"u{n % 200}") for n in range(28 * 24)], NOW)
    here = sizing(hours, came, UTC, 200)
    more = sizing(hours, came, UTC, 200, users=250)
    assert here is not None and more is not None
    assert (here.users, here.mean, here.peak, more.mean) == (200, 100, 100, 125)
    assert here.slots.lost <= here.slots.first <= 200 < 250 >= more.slots.first > here.slots.first
    assert here.low.first <= here.slots.first <= here.high.first
    assert sizing(hours[: 13 * 24], came, UTC, 200) is None and sizing(hours, came[:49], UTC, 200) is None


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (100.0, None),
        (108.0, None),
        (180.0, "The last week lies 50% above their mean: where that stays, ask for 300 users."),
        (20.0, "The last week lies 75% below their mean: where that stays, ask for 50 users."),
        (0.0, None),
    ],
)
def test_a_last_week_beyond_the_range_is_said(last: float, said: str | None) -> None:
    week = 7 * 24
    hours = [(NOW + n * HOUR_MS, 100.0 if n < 3 * week else last) for n in range(4 * week)]
    came = runs(
        [asked(NOW + n * HOUR_MS, admitted=True, bot=f"b{n}", user=f"u{n % 200}") for n in range(4 * week)], NOW
    )
    found = sizing(hours, came, UTC, 200)
    assert found is not None
    told = trust(found, "en")
    assert told.endswith(said) if said else "last week" not in told


@pytest.mark.parametrize("case", CASES[::6], ids=lambda case: case.name)
def test_the_simulation_agrees(case: Case) -> None:
    """Within 4 %: with so many more slots it refuses at most the share, with so many fewer it refuses more."""
    found = foretold(case, days=60)

    def refuses(slots: int, what: str) -> float:
        outcome = simulate(case, slots, days=60)
        return float(getattr(outcome, what)) / outcome.demands

    for what, slots in (("first", found.first), ("lost", found.lost)):
        off = max(2, math.floor(0.04 * slots))
        assert refuses(slots + off, what) <= SHARE < refuses(slots - off, what), (what, slots)
