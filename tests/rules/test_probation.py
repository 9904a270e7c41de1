"""A change on probation: confirmed, over, tripped by a guard; and beside other changes, windows and the plan."""

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from limiter.rules.changes import Changed, ChangeLimits, Rollback
from limiter.rules.guards import Readings
from limiter.rules.limits import Limits, Setting, defaults
from limiter.rules.peaks import FollowSchedule, SetWindows
from limiter.rules.plan import SetPlan
from limiter.rules.probation import Confirm
from limiter.rules.records import Step
from limiter.rules.schedule import DAYS, MAX, PeakWindow
from limiter.rules.state import State
from tests.rules.world import CALM, HOUR, MINUTE, NOW, SECOND, admitted, decide, new_state, refused

HOT = replace(CALM, ram_percent=86.0)
USER_MAX = "MAX_BOTS_PER_USER"
NOON = "12:00"  # NOW


def change(state: State, now: int = NOW, within: int | None = None, version: int | None = None, **to: int) -> Changed:
    changed = decide(state, ChangeLimits(to, "t", version, False, "key-1", CALM, 500, confirm_within=within), now)
    assert isinstance(changed, Changed), changed
    return changed


def follow(state: State, now: int, mean: Readings = CALM, latest: Readings = CALM) -> None:
    decide(state, FollowSchedule(mean, latest, 500), now)


def tried(**to: int) -> State:
    """100 bots, and this on probation for an hour, as version 2."""
    state = new_state(MAX_CONCURRENT_BOTS=100)
    change(state, NOW, 3600, **(to or {MAX: 200}))
    return state


def window(state: State, begins: str, ends: str, bots: int, now: int = NOW) -> None:
    times = time.fromisoformat(begins), time.fromisoformat(ends)
    decide(state, SetWindows((PeakWindow(DAYS, *times, bots),), "t", "k"), now)


def cap(state: State) -> int:
    return state.limits.whole(MAX)


def test_what_nobody_confirms_goes_back_as_a_new_version_with_its_source() -> None:
    state = tried()
    for after, wanted in ((0, 200), (3600 * SECOND - 1, 200), (3600 * SECOND, 100)):
        follow(state, NOW + after)
        assert cap(state) == wanted
    assert (state.limits.version, state.limits.settings[MAX].source, state.schedule.probation) == (3, "live", None)
    (version,) = state.changes.versions
    assert (version.kind, version.actor, version.changed) == ("unconfirmed", "probation", ((MAX, 200, 100),))
    (incident,) = state.changes.incidents.values()
    assert (incident.kind, incident.status, incident.facts["after"]) == ("unconfirmed", "resolved", 100)
    assert [entry.action for entry in state.changes.audit] == ["unconfirmed"]


def test_what_is_confirmed_in_time_stays() -> None:
    state = tried()
    assert decide(state, Confirm(2, "seen", "key-1"), NOW + 3599 * SECOND) is state.limits
    (entry,) = state.changes.audit
    assert (entry.action, entry.reason, entry.detail) == ("confirm", "seen", {"version": 2})
    follow(state, NOW + 2 * HOUR)
    assert (cap(state), state.limits.version) == (200, 2)


@pytest.mark.parametrize(("version", "after"), [(1, 0), (3, 0), (2, HOUR), (2, 2 * HOUR)])
def test_only_what_is_on_probation_is_confirmed_and_only_in_time(version: int, after: int) -> None:
    refused(decide(tried(), Confirm(version, "seen", "key-1"), NOW + after), "probation_over")
    refused(decide(new_state(), Confirm(1, "seen", "key-1")), "probation_over")


@pytest.mark.parametrize(("mean", "latest"), [(HOT, CALM), (CALM, HOT), (HOT, HOT)])
def test_a_guard_that_holds_for_a_minute_takes_a_raise_back(mean: Readings, latest: Readings) -> None:
    state = tried(MAX_CONCURRENT_BOTS=200, BOT_LEASE_SECONDS=90)
    bot = admitted(state, "u1")
    for second in range(61):
        assert cap(state) == 200
        follow(state, NOW + second * SECOND, mean, latest)
    assert (cap(state), len(state.sessions)) == (100, 1), "and nobody is ended by it"
    assert bot.number in state.sessions
    (incident,) = state.changes.incidents.values()
    assert (incident.kind, incident.facts["held_by"]) == ("tripped", [["ram", 86.0, 85]])
    assert state.changes.versions[0].kind == "tripped"


def test_a_guard_that_lets_go_has_not_held_for_a_minute() -> None:
    state = tried()
    for second in range(600):
        hot = replace(CALM, cpu_percent=91.0) if second % 120 < 60 else HOT if second % 120 != 119 else CALM
        follow(state, NOW + second * SECOND, hot)
    assert cap(state) == 200, "59 s of one guard after 60 of another, again and again"


def test_what_was_not_raised_is_not_tripped_and_comes_back_when_the_guard_lets_go() -> None:
    state = tried(MAX_CONCURRENT_BOTS=50)
    for second in range(0, 3700, 10):
        follow(state, NOW + second * SECOND, HOT, HOT)
    assert cap(state) == 50, "to go back would be a raise"
    follow(state, NOW + 2 * HOUR)
    assert cap(state) == 100


def test_a_second_probation_is_refused_and_says_which_is_open() -> None:
    state = tried()
    ends_at = NOW + HOUR
    again = refused(
        decide(state, ChangeLimits({USER_MAX: 2}, "t", None, False, "k", CALM, 500, confirm_within=60)),
        "probation_open",
    )
    assert again.shown("en") == {"version": 2, "ends_at": ends_at}
    state.begin()
    state.versions[2] = next(iter(tried().changes.versions))
    refused(Rollback(2, "t", False, "k", CALM, 500, 60).decide(state, NOW), "probation_open")
    assert cap(state) == 200


def test_what_somebody_changes_meanwhile_stays_and_the_rest_goes_back() -> None:
    state = tried(MAX_CONCURRENT_BOTS=200, MAX_BOTS_PER_USER=3, MAX_TRADES_PER_DAY=7)
    change(state, NOW + MINUTE, MAX_CONCURRENT_BOTS=150)
    for second in range(120):
        follow(state, NOW + MINUTE + second * SECOND, HOT, HOT)
    assert cap(state) == 150, "it is on probation no more, so no guard takes it back"
    change(state, NOW + 5 * MINUTE, ALERT_THRESHOLD=70)
    follow(state, NOW + HOUR)
    values = state.limits.values
    assert (cap(state), values[USER_MAX], values["MAX_TRADES_PER_DAY"], values["ALERT_THRESHOLD"]) == (150, 1, 500, 70)


def test_where_all_of_it_was_changed_since_there_is_no_probation_any_more() -> None:
    state = tried()
    change(state, NOW + MINUTE, MAX_CONCURRENT_BOTS=180)
    assert state.schedule.probation is None
    follow(state, NOW + HOUR)
    assert cap(state) == 180


def test_a_rollback_ends_a_probation_and_may_be_on_probation_itself() -> None:
    state = tried()
    (version,) = state.changes.versions
    state.begin()
    first = new_state(MAX_CONCURRENT_BOTS=100).limits
    state.versions[1] = replace(
        version, version=1, in_force={n: (s.value, s.source) for n, s in first.settings.items()}
    )
    changed = Rollback(1, "t", False, "k", CALM, 500).decide(state, NOW + 1)
    assert isinstance(changed, Changed) and (cap(state), state.schedule.probation) == (100, None)
    state.begin()
    state.versions[2] = version
    Rollback(2, "t", False, "k", CALM, 500, 60).decide(state, NOW + 2)
    assert cap(state) == 200
    follow(state, NOW + 2 + MINUTE)
    assert cap(state) == 100


def test_a_change_that_changes_nothing_is_on_no_probation() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=100)
    assert change(state, NOW, 60, MAX_CONCURRENT_BOTS=100).changed == ()
    assert state.schedule.probation is None


def test_what_was_configured_goes_back_to_what_is_configured_by_then() -> None:
    state = State(Limits(1, defaults(), defaults()))
    change(state, NOW, 60, MAX_CONCURRENT_BOTS=300)
    state.limits = replace(state.limits, configured={**defaults(), MAX: Setting(120, "environment")})
    follow(state, NOW + MINUTE)
    assert (cap(state), state.limits.settings[MAX].source) == (120, "environment")


# -- beside the plan and windows


def test_a_step_of_the_plan_waits_for_the_end_of_a_probation() -> None:
    state = tried()
    decide(state, SetPlan((Step(NOW + 10 * SECOND, 150),), "t", "k"), NOW)
    follow(state, NOW + 20 * SECOND)
    assert (cap(state), state.plan[0].status) == (200, "planned")
    follow(state, NOW + HOUR)
    assert (cap(state), state.plan[0].applied_at) == (150, NOW + HOUR)


def test_a_step_may_be_on_probation_and_the_next_one_waits_for_its_end() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=100)
    steps = Step(NOW, 150, confirm_within=600), Step(NOW + MINUTE, 200, confirm_within=600)
    decide(state, SetPlan(steps, "t", "k"), NOW)
    seen = []
    for minute in range(23):
        follow(state, NOW + minute * MINUTE)
        seen.append(cap(state))
    assert seen == [150] * 10 + [200] * 10 + [100] * 3


def test_a_window_waits_for_the_end_of_a_probation() -> None:
    state = tried()
    window(state, "12:30", "14:00", 300)
    for minute, wanted in ((31, 200), (59, 200), (60, 300), (119, 300), (120, 100)):
        follow(state, NOW + minute * MINUTE)
        assert cap(state) == wanted, minute


def test_what_is_on_probation_in_a_window_goes_back_to_the_window() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=100)
    window(state, NOON, "14:00", 150)
    follow(state, NOW)
    change(state, NOW + MINUTE, 600, MAX_CONCURRENT_BOTS=180)
    for minute, wanted, source in ((10, 180, "live"), (11, 150, "window"), (119, 150, "window"), (120, 100, "live")):
        follow(state, NOW + minute * MINUTE)
        assert (cap(state), state.limits.settings[MAX].source) == (wanted, source), minute


def test_the_end_of_a_window_ends_a_probation_that_was_made_in_it() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=100)
    window(state, NOON, "13:00", 150)
    follow(state, NOW)
    change(state, NOW + 50 * MINUTE, 3600, MAX_CONCURRENT_BOTS=180)
    follow(state, NOW + HOUR)
    assert (cap(state), state.schedule.probation) == (100, None)
    refused(decide(state, Confirm(state.limits.version - 1, "t", "k"), NOW + HOUR), "probation_over")
    follow(state, NOW + 2 * HOUR)
    assert cap(state) == 100


def test_what_is_taken_back_live_on_probation_in_a_window_has_its_base_again() -> None:
    state = State(Limits(1, {**defaults(), MAX: Setting(100, "live")}, defaults()))
    window(state, NOON, "14:00", 150)
    follow(state, NOW)
    decide(state, ChangeLimits({MAX: "back"}, "t", None, False, "k", CALM, 500, confirm_within=600), NOW + MINUTE)
    assert (cap(state), state.limits.settings[MAX].source) == (200, "default")
    follow(state, NOW + 11 * MINUTE)
    assert cap(state) == 150
    follow(state, NOW + 2 * HOUR)
    assert (cap(state), state.limits.settings[MAX].source) == (100, "live")


def test_now_is_noon() -> None:
    assert f"{datetime.fromtimestamp(NOW / 1000, UTC):%H:%M}" == NOON
