"""Peak windows: begun, held, overruled by hand, ended; beside each other and the launch plan."""

from dataclasses import replace
from datetime import time

from limiter.rules.changes import Changed, ChangeLimits, Rollback
from limiter.rules.guards import Readings
from limiter.rules.limits import Limits, Setting, defaults
from limiter.rules.peaks import FollowSchedule, SetWindows, is_due
from limiter.rules.plan import SetPlan
from limiter.rules.records import Step, Version
from limiter.rules.schedule import DAYS, MAX, PeakWindow
from limiter.rules.state import State
from limiter.rules.vitals import findings
from tests.rules.test_incidents import WELL
from tests.rules.world import CALM, HOUR, MINUTE, NOW, decide, new_state, refused

HOT = replace(CALM, cpu_percent=91.0)


def peak(begins: int, ends: int, bots: int) -> PeakWindow:
    """From hours to hours of NOW, which is noon, each day."""
    return PeakWindow(DAYS, time((12 + begins) % 24), time((12 + ends) % 24), bots)


def with_windows(*windows: PeakWindow) -> State:
    state = new_state(MAX_CONCURRENT_BOTS=100)
    decide(state, SetWindows(windows, "t", "k"), NOW - MINUTE)
    return state


def at(state: State, hours: float, readings: Readings = CALM) -> tuple[int, str]:
    """The limit and its source once the job has looked at that hour."""
    decide(state, FollowSchedule(readings, readings, 500), NOW + round(hours * HOUR))
    return state.limits.whole(MAX), state.limits.settings[MAX].source


def by_hand(state: State, hours: float, value: int | str, override: bool = False) -> Changed:
    request = ChangeLimits({MAX: value}, "t", None, override, "key-1", CALM, 500)  # type: ignore[dict-item]
    changed = decide(state, request, NOW + round(hours * HOUR))
    assert isinstance(changed, Changed), changed
    return changed


def test_a_window_holds_from_its_begin_to_its_end_each_day() -> None:
    state = with_windows(peak(1, 2, 200))
    seen = [at(state, hours) for hours in (0, 1, 1.5, 2, 24, 25, 26)]
    out, within = (100, "live"), (200, "window")
    assert seen == [out, within, within, out, out, within, out]
    assert state.limits.version == 5
    assert [row.kind for row in state.changes.versions] == ["window_over"]


def test_the_first_that_fits_holds_where_windows_overlap() -> None:
    state = with_windows(peak(2, 3, 300), peak(1, 4, 200), peak(3, 5, 150))
    assert [at(state, hours)[0] for hours in (1, 2, 3, 4, 5)] == [200, 300, 200, 150, 100]


def test_a_raise_is_held_while_a_guard_holds_and_the_end_of_the_window_ends_that() -> None:
    state = with_windows(peak(1, 2, 200))
    assert at(state, 1, HOT) == (100, "live")
    assert [entry.action for entry in state.changes.audit] == ["window_held"]
    holds, facts = findings(WELL, state, NOW + HOUR)["windows"]
    assert holds and facts["held_by"] == [["cpu", 91.0, 80]]
    assert at(state, 1.2, HOT) == (100, "live")
    assert not state.changes.audit, "told once"
    assert at(state, 1.5) == (200, "window")
    assert findings(WELL, state, NOW + HOUR)["windows"][0] is False
    assert at(state, 2, HOT) == (100, "live"), "to lower is never held"
    assert (at(state, 25, HOT), at(state, 26, HOT)) == ((100, "live"), (100, "live"))
    assert state.schedule.open is None


def test_the_end_of_a_lower_window_is_a_raise_and_guarded_too() -> None:
    state = with_windows(peak(1, 2, 50))
    assert [at(state, 1, HOT), at(state, 2, HOT), at(state, 2.5, HOT)] == [(50, "window")] * 3
    assert is_due(state, NOW + 3 * HOUR)
    assert at(state, 3) == (100, "live")


def test_what_is_changed_by_hand_holds_until_the_window_ends() -> None:
    for first in (CALM, HOT):  # of a window that is held, too
        state = with_windows(peak(1, 3, 200))
        at(state, 1, first)
        changed = by_hand(state, 1.5, 170)
        assert "goes back to 100" in changed.warnings[-1].told("en")
        assert [at(state, hours) for hours in (2, 2.9, 3)] == [(170, "live"), (170, "live"), (100, "live")]


def test_after_a_window_whose_end_is_held_a_hand_decides_for_good() -> None:
    state = with_windows(peak(1, 2, 50))
    at(state, 1)
    at(state, 2, HOT)
    by_hand(state, 2.5, 70)
    assert [at(state, hours) for hours in (3, 12)] == [(70, "live")] * 2


def test_null_in_a_window_takes_the_live_change_back_for_now_and_for_then() -> None:
    state = with_windows(peak(1, 2, 300))
    at(state, 1)
    by_hand(state, 1.5, "back")
    assert [at(state, 1.6), at(state, 2)] == [(200, "default"), (200, "default")]


def test_a_rollback_gives_no_value_of_a_window_for_good() -> None:
    state = with_windows(peak(1, 2, 300))
    at(state, 1)
    in_window = Version(
        2, NOW, "w", "window", "", None, (), {n: (s.value, s.source) for n, s in state.limits.settings.items()}
    )
    by_hand(state, 1.5, 170)

    def back(hours: float) -> int:
        state.begin()
        state.versions[2] = in_window
        Rollback(2, "t", False, "k", CALM, 500).decide(state, NOW + round(hours * HOUR))
        return state.limits.whole(MAX)

    assert back(1.6) == 300, "the window has it again"
    assert at(state, 1.9) == (300, "window")
    assert at(state, 2) == (100, "live")
    assert back(2.5) == 100


def test_a_step_of_the_plan_waits_for_the_end_of_a_window() -> None:
    state = with_windows(peak(1, 3, 200))
    decide(state, SetPlan((Step(NOW + 2 * HOUR, 150),), "t", "k"), NOW)
    assert [at(state, hours)[0] for hours in (1, 2, 2.5)] == [200, 200, 200]
    assert at(state, 3)[0] == 150
    assert [(row.kind, row.changed) for row in state.changes.versions] == [
        ("window_over", ((MAX, 200, 100),)), ("plan", ((MAX, 100, 150),)),
    ]  # fmt: skip
    assert state.plan[0].applied_at == NOW + 3 * HOUR


def test_windows_that_are_replaced_or_cleared_while_one_is_open_leave_the_base() -> None:
    state = with_windows(peak(1, 3, 200))
    at(state, 1)
    decide(state, SetWindows((peak(1, 4, 250),), "t", "k"), NOW + 2 * HOUR)
    assert at(state, 2) == (250, "window")
    decide(state, SetWindows((), "t", "k"), NOW + 3 * HOUR)
    assert at(state, 3) == (100, "live")


def test_the_base_is_what_is_configured_by_the_end_of_the_window() -> None:
    state = State(Limits(1, defaults(), defaults()))
    decide(state, SetWindows((peak(1, 2, 300),), "t", "k"), NOW)
    at(state, 1)
    state.limits = replace(state.limits, configured={**defaults(), MAX: Setting(120, "environment")})
    assert at(state, 2) == (120, "environment")


def test_a_window_like_what_holds_changes_its_source_alone_and_one_that_stands_twice_is_refused() -> None:
    state = with_windows(peak(1, 2, 100))
    assert [at(state, 1), at(state, 2)] == [(100, "window"), (100, "live")]
    refused(decide(state, SetWindows((peak(1, 2, 100),) * 2, "t", "k")), "invalid_request")
    assert len(state.schedule.windows) == 1
