"""When windows hold on the wall clock, DST nights too, and what will hold if nobody touches anything."""

from dataclasses import replace
from datetime import UTC, datetime, time, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limiter.rules.changes import ChangeLimits
from limiter.rules.guards import Guard
from limiter.rules.peaks import FollowSchedule, SetWindows
from limiter.rules.plan import SetPlan
from limiter.rules.records import Step
from limiter.rules.schedule import DAYS, MAX, PeakWindow, window_at
from limiter.rules.state import State
from tests.rules.world import CALM, HOUR, MINUTE, SECOND, decide, new_state

PARIS = ZoneInfo("Europe/Paris")
EVENING = PeakWindow(DAYS, time(18), time(22), 200)


def ms(text: str, zone: tzinfo = UTC) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def held(window: PeakWindow, begin: str, hours: int, zone: tzinfo = PARIS) -> list[str]:
    """The UTC spans of so many hours in which the window holds, by the minute."""
    found, start, before = [], ms(begin), False
    for minute in range(hours * 60 + 1):
        at = start + minute * MINUTE
        now = window_at([window], at, zone) is not None
        if now != before:
            found.append(f"{datetime.fromtimestamp(at / 1000, UTC):%H:%M}")
        before = now
    return found


@pytest.mark.parametrize(
    ("begins", "ends", "day", "spans"),
    [
        ("18:00", "22:00", "2027-01-10", ["17:00", "21:00"]),
        ("18:00", "22:00", "2027-07-10", ["16:00", "20:00"]),
        ("23:00", "02:00", "2027-01-10", ["00:00", "01:00", "22:00"]),
        ("00:00", "00:00", "2027-01-10", ["00:00"]),
        # 28 March 2027: 02:00 becomes 03:00 at 01:00 UTC.
        ("01:00", "04:00", "2027-03-28", ["00:00", "02:00"]),
        ("02:30", "04:00", "2027-03-28", ["01:00", "02:00"]),
        ("01:00", "02:30", "2027-03-28", ["00:00", "01:00"]),
        ("02:15", "02:45", "2027-03-28", []),
        # 31 October 2027: 03:00 becomes 02:00 at 01:00 UTC, so that 02:30 is at 00:30 and at 01:30.
        ("02:30", "04:00", "2027-10-31", ["00:30", "03:00"]),
        ("01:00", "02:30", "2027-10-30T22:00", ["23:00", "01:30"]),
        ("02:15", "02:45", "2027-10-31", ["00:15", "01:45"]),
    ],
)
def test_a_window_is_open_when_the_wall_clock_says_so(begins: str, ends: str, day: str, spans: list[str]) -> None:
    window = PeakWindow(DAYS, time.fromisoformat(begins), time.fromisoformat(ends), 200)
    assert held(window, day, 22 if "03-28" in day or "10-3" in day else 24) == spans


def test_a_window_belongs_to_the_day_it_begins_on_and_the_first_that_fits_holds() -> None:
    night = PeakWindow(("fri",), time(22), time(6), 50)
    day = PeakWindow(("sat",), time(0), time(0), 300)
    friday, saturday = ms("2027-01-08T23:00"), ms("2027-01-09T05:00")
    for windows, wanted in (((night, day), 50), ((day, night), 300)):
        assert [(found := window_at(windows, at, UTC)) and found.max_bots for at in (friday, saturday)] == [50, wanted]
    assert window_at([night], ms("2027-01-09T23:00"), UTC) is None


# -- what will hold


def follow(state: State, now: int) -> None:
    decide(state, FollowSchedule(CALM, CALM, 500), now)


MONDAY = ms("2027-03-22T00:00")  # six days before the clocks change in Paris
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from((0, 15, 30)))
WINDOWS = st.builds(
    PeakWindow, st.sets(st.sampled_from(DAYS), min_size=1).map(tuple), TIMES, TIMES, st.integers(0, 400)
)
STEPS = st.lists(st.tuples(st.integers(0, 14 * 24), st.integers(0, 400)), max_size=3, unique_by=lambda step: step[0])


@settings(max_examples=40, deadline=None)
@given(
    windows=st.lists(WINDOWS, max_size=3, unique=True),
    steps=STEPS,
    hands=st.lists(st.tuples(st.integers(0, 6 * 24), st.integers(0, 400), st.none() | st.integers(1, 24)), max_size=3),
    look=st.integers(0, 13 * 24),
)
def test_what_is_foretold_comes_true_where_nobody_touches_anything(
    windows: list[PeakWindow], steps: list[tuple[int, int]], hands: list[tuple[int, int, int | None]], look: int
) -> None:
    """Every quarter of an hour until `look` what is due is done, with changes by hand at some of them, some on
    probation; from there on nobody touches anything, and each quarter has what was foretold of it."""
    state = new_state(PARIS, MAX_CONCURRENT_BOTS=100)
    decide(state, SetWindows(tuple(windows), "t", "k"), MONDAY)
    decide(state, SetPlan(tuple(Step(MONDAY + hour * HOUR, bots) for hour, bots in steps), "t", "k"), MONDAY)
    changes = {MONDAY + hour * HOUR: (bots, hours) for hour, bots, hours in hands if hour <= look}
    now, end = MONDAY, MONDAY + look * HOUR
    while now <= end:
        follow(state, now)
        if now in changes:
            bots, hours = changes[now]
            within = None if hours is None else hours * 3600
            decide(state, ChangeLimits({MAX: bots}, "t", None, False, "k", CALM, 500, confirm_within=within), now)
        now += 15 * MINUTE
    foretold = state.outlook()
    jumps = {at: value for at, value, _ in foretold.changes(now - 15 * MINUTE, MONDAY + 15 * 24 * HOUR)}
    expected = state.limits.whole(MAX)
    while now <= MONDAY + 14 * 24 * HOUR:
        follow(state, now)
        expected = next((value for at, value in sorted(jumps.items(), reverse=True) if at <= now), expected)
        assert state.limits.whole(MAX) == foretold.limit_at(now)[0] == expected, datetime.fromtimestamp(
            now / 1000, PARIS
        )
        now += 15 * MINUTE


def test_a_held_step_and_those_behind_it_are_not_foretold() -> None:
    state, now = new_state(MAX_CONCURRENT_BOTS=100), MONDAY
    steps = Step(now, 150), Step(now + HOUR, 200)
    decide(state, SetPlan(steps, "t", "k"), now)
    assert [state.outlook().limit_at(now + n * HOUR)[0] for n in (0, 2)] == [150, 200]
    decide(state, FollowSchedule(replace(CALM, ram_percent=91.0), CALM, 500), now)
    assert state.plan[0].held_by == (Guard("ram", 91.0, 85, held=True),)
    assert state.outlook().limit_at(now + 2 * HOUR) == (100, "base")
    assert list(state.outlook().changes(now, now + 9 * HOUR)) == []
    assert [state.outlook().hourly()(now + n * HOUR) for n in (0, 2)] == [150, 200], "but days later it let go"


def test_each_change_ahead_says_what_makes_it() -> None:
    state, now = new_state(MAX_CONCURRENT_BOTS=100), ms("2027-01-10T12:00")
    decide(state, SetWindows((EVENING,), "t", "k"), now)
    decide(state, SetPlan((Step(now + 9 * HOUR, 150),), "t", "k"), now)
    decide(state, ChangeLimits({MAX: 120}, "t", None, False, "k", CALM, 500, confirm_within=600), now)
    ahead = [(at - now, value, cause) for at, value, cause in state.outlook().changes(now, now + 24 * HOUR)]
    assert ahead == [(600 * SECOND, 100, "probation"), (6 * HOUR, 200, "window"), (10 * HOUR, 150, "plan")]
