"""What persons change: versions, sources, guards, rollback, a user's own limits, the pause. All or nothing; kept."""

from dataclasses import replace
from typing import Any

import pytest

from limiter.rules.changes import Change, Changed, ChangeLimits, OverrideUser, Rollback, SetPause, Write
from limiter.rules.guards import Readings
from limiter.rules.limits import Limits, Setting, defaults
from limiter.rules.state import State
from tests.rules.world import CALM, HOUR, NOW, admitted, decide, new_state, picture, refused, start

HOT = replace(CALM, cpu_percent=91.0)


def change(state: State, changes: dict[str, Change], now: int = NOW, **options: Any) -> Any:
    """What a change of limits is answered."""
    told: dict[str, Any] = {"version": None, "override_guard": False, "readings": CALM, "recommended": 150} | options
    return decide(state, ChangeLimits(changes, "tests", actor="key-1", **told), now)


def changed(answer: Any) -> Changed:
    """The answer, which must be a change that was made."""
    assert isinstance(answer, Changed), answer
    return answer


def rollback(state: State, version: int, readings: Readings = CALM, override_guard: bool = False) -> Any:
    """What going back to a version is answered; the state remembers the versions that this test made."""
    known = dict(state.versions)
    state.begin()
    state.versions = known
    return Rollback(version, "tests", override_guard, "key-1", readings, 150).decide(state, NOW + 9)


def test_a_change_is_in_force_for_the_next_decision_of_the_same_batch() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=0)
    refused(start(state, "u1"), "server_full")
    change(state, {"MAX_CONCURRENT_BOTS": 1})
    assert state.limits.version == 2
    admitted(state, "u1")


def test_a_change_says_what_it_changed_and_keeps_who_when_and_why() -> None:
    state = new_state()
    answer = changed(change(state, {"MAX_CONCURRENT_BOTS": 250, "ALERT_THRESHOLD": 80}, readings=CALM))
    assert answer.changed == (("MAX_CONCURRENT_BOTS", 200, 250), ("ALERT_THRESHOLD", 80, 80))
    (version,) = state.changes.versions
    assert (version.version, version.at, version.actor, version.kind, version.reason) == (
        2,
        NOW,
        "key-1",
        "limits",
        "tests",
    )
    assert version.in_force["MAX_CONCURRENT_BOTS"] == (250, "live")
    assert version.in_force["MAX_TRADES_PER_DAY"] == (500, "default")
    setting = state.limits.settings["MAX_CONCURRENT_BOTS"]
    assert (setting.source, setting.changed_at, setting.changed_by) == ("live", NOW, "key-1")
    assert state.changes.audit[0].reason == "tests"


def test_a_change_of_neither_value_nor_source_makes_no_version() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=250)
    for changes in ({}, {"MAX_CONCURRENT_BOTS": 250}, {"MAX_BOTS_PER_USER": "back"}):
        answer = changed(change(state, changes))  # type: ignore[arg-type]
        assert answer.changed == ()
        assert state.limits.version == 1
        assert not state.changes


def test_the_value_in_force_set_live_is_a_change_of_its_source() -> None:
    state = new_state()
    assert changed(change(state, {"MAX_BOTS_PER_USER": 1})).changed == (("MAX_BOTS_PER_USER", 1, 1),)
    assert state.limits.version == 2


def test_back_takes_the_live_change_back() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=250)
    assert changed(change(state, {"MAX_CONCURRENT_BOTS": "back"})).changed == (("MAX_CONCURRENT_BOTS", 250, 200),)
    assert state.limits.settings["MAX_CONCURRENT_BOTS"].source == "default"


def test_a_stale_version_changes_nothing_and_is_told_the_current_one() -> None:
    state = new_state()
    change(state, {"MAX_BOTS_PER_USER": 2}, version=1)
    before = picture(state)
    assert refused(change(state, {"MAX_BOTS_PER_USER": 3}, version=1), "version_conflict").shown("en") == {"version": 2}
    assert picture(state) == before
    changed(change(state, {"MAX_BOTS_PER_USER": 3}, version=2))


def test_a_stale_version_is_told_before_a_guard() -> None:
    refused(change(new_state(), {"MAX_CONCURRENT_BOTS": 250}, version=7, readings=HOT), "version_conflict")


def test_a_guard_holds_a_raise_and_all_that_came_with_it() -> None:
    state = new_state()
    refusal = refused(change(state, {"MAX_CONCURRENT_BOTS": 201, "ALERT_THRESHOLD": 70}, readings=HOT), "guard_held")
    (guard,) = refusal.shown("en")["guards"]
    assert (guard["name"], guard["value"], guard["threshold"], guard["held"]) == ("cpu", 91.0, 80, True)
    assert guard["message"] == "CPU 91.0% > 80%"
    assert refusal.shown("fr")["guards"][0]["message"] == "CPU 91,0 % > 80 %"
    assert refusal.sentence("fr") == "Hausse retenue : CPU 91,0 % > 80 %"
    assert state.limits.version == 1


@pytest.mark.parametrize(
    "changes", [{"MAX_CONCURRENT_BOTS": 200}, {"MAX_CONCURRENT_BOTS": 100}, {"MAX_BOTS_PER_USER": 9}]
)
def test_guards_hold_nothing_but_a_raise(changes: dict[str, Change]) -> None:
    changed(change(new_state(), changes, readings=HOT))


def test_guards_hold_a_raise_by_taking_a_change_back_and_by_rollback() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=100)
    refused(change(state, {"MAX_CONCURRENT_BOTS": "back"}, readings=HOT), "guard_held")
    change(state, {"MAX_CONCURRENT_BOTS": 150})
    change_down = changed(change(state, {"MAX_CONCURRENT_BOTS": 100}, readings=HOT))
    assert change_down.limits.version == 3


def test_an_overridden_guard_is_a_warning() -> None:
    answer = changed(change(new_state(), {"MAX_CONCURRENT_BOTS": 201}, readings=HOT, override_guard=True))
    assert answer.warnings[-1].en == "guard overridden: CPU 91.0% > 80%"
    assert answer.warnings[-1].fr == "garde-fou forcé : CPU 91,0 % > 80 %"


def test_warnings() -> None:
    state = new_state(MAX_BOTS_PER_USER=9)
    for _ in range(3):
        admitted(state, "u1")
    (said,) = changed(change(state, {"MAX_CONCURRENT_BOTS": 2})).warnings
    assert said.en.startswith("3 bots are active, 1 over 2:") and said.fr.startswith(
        "3 bots actifs, 1 au-dessus de 2 :"
    )
    assert "above the 150 recommended" in changed(change(new_state(), {"MAX_CONCURRENT_BOTS": 201})).warnings[0].en
    assert "refuses every start" in changed(change(new_state(), {"MAX_BOTS_PER_USER": 0})).warnings[0].en


def test_a_live_change_that_hides_the_environment_is_a_warning_once() -> None:
    configured = defaults() | {"MAX_BOTS_PER_USER": Setting(3, "environment")}
    state = State(Limits(1, configured, configured))
    (said,) = changed(change(state, {"MAX_BOTS_PER_USER": 4})).warnings
    assert said.en == "hides MAX_BOTS_PER_USER=3 of the environment"
    assert said.fr == "masque MAX_BOTS_PER_USER=3 de l'environnement"
    assert changed(change(state, {"MAX_BOTS_PER_USER": 5})).warnings == ()


# -- rollback


def test_a_rollback_is_a_new_version_with_the_values_of_an_old_one() -> None:
    state = new_state()
    change(state, {"MAX_BOTS_PER_USER": 2, "ALERT_THRESHOLD": 70})
    second = state.changes.versions[0]
    change(state, {"MAX_BOTS_PER_USER": 3, "BOT_LEASE_SECONDS": 30})
    state.versions[2] = second
    answer = changed(rollback(state, 2))
    assert answer.limits.version == 4
    assert set(answer.changed) == {("MAX_BOTS_PER_USER", 3, 2), ("BOT_LEASE_SECONDS", 30, 60)}
    assert state.limits.settings["BOT_LEASE_SECONDS"].source == "default"
    assert state.limits.settings["ALERT_THRESHOLD"].value == 70
    assert state.changes.versions[0].kind == "rollback"


def test_a_rollback_to_what_is_in_force_changes_nothing() -> None:
    state = new_state()
    change(state, {"MAX_BOTS_PER_USER": 2})
    assert changed(rollback(state, 2)).changed == ()


def test_a_rollback_to_a_version_that_never_was_is_not_found() -> None:
    refused(rollback(new_state(), 99), "not_found")


def test_a_configured_value_that_has_changed_since_comes_back_as_a_live_one() -> None:
    old = defaults() | {"MAX_CONCURRENT_BOTS": Setting(120, "environment")}
    state = State(Limits(1, old, old))
    change(state, {"MAX_CONCURRENT_BOTS": 110})
    first = replace(state.changes.versions[0], version=1, in_force={"MAX_CONCURRENT_BOTS": (120, "environment")})
    state.limits = Limits(2, defaults() | {"MAX_CONCURRENT_BOTS": Setting(110, "live")}, defaults())
    state.versions[1] = first
    changed(rollback(state, 1))
    assert (state.limits.values["MAX_CONCURRENT_BOTS"], state.limits.settings["MAX_CONCURRENT_BOTS"].source) == (
        120,
        "live",
    )


def test_a_rollback_that_raises_is_held_by_the_guards() -> None:
    state = new_state()
    change(state, {"MAX_CONCURRENT_BOTS": 199})
    second = state.changes.versions[0]
    change(state, {"MAX_CONCURRENT_BOTS": 100})
    state.versions[2] = second
    refused(rollback(state, 2, HOT), "guard_held")
    state.versions[2] = second
    changed(rollback(state, 2, HOT, override_guard=True))


# -- one user's own limits


def own(state: State, limits: dict[str, Any], until: int | None = None, now: int = NOW) -> Limits:
    """Gives `vip` limits of his own."""
    answer = decide(state, OverrideUser("vip", limits, until, "tests", "key-1"), now)
    assert isinstance(answer, Limits)
    return answer


def test_own_limits_replace_the_whole_set_and_are_versions() -> None:
    state = new_state()
    assert own(state, {"MAX_BOTS_PER_USER": 5, "MAX_TRADES_PER_DAY": 9}).version == 2
    assert state.changes.overrides == ["vip"]
    assert own(state, {"MAX_BOTS_PER_USER": 6}).of("vip", NOW)["MAX_TRADES_PER_DAY"] == 500
    (version,) = state.changes.versions
    assert (version.user_id, version.kind) == ("vip", "override")
    assert set(version.changed) == {("MAX_BOTS_PER_USER", 5, 6), ("MAX_TRADES_PER_DAY", 9, 500)}


def test_own_limits_are_taken_back_by_an_empty_set() -> None:
    state = new_state()
    own(state, {"MAX_BOTS_PER_USER": 5})
    limits = own(state, {})
    assert (limits.version, "vip" in limits.overrides) == (3, False)


def test_taking_back_what_a_user_has_not_makes_no_version() -> None:
    state = new_state()
    assert own(state, {}).version == 1
    assert not state.changes


def test_own_limits_end_without_a_version() -> None:
    state = new_state()
    own(state, {"MAX_BOTS_PER_USER": 2}, until=NOW + HOUR)
    assert state.limits.of("vip", NOW + HOUR - 1)["MAX_BOTS_PER_USER"] == 2
    assert state.limits.of("vip", NOW + HOUR)["MAX_BOTS_PER_USER"] == 1
    assert state.limits.version == 2


def test_a_rollback_does_not_touch_users_own_limits() -> None:
    state = new_state()
    change(state, {"MAX_BOTS_PER_USER": 2})
    second = state.changes.versions[0]
    own(state, {"MAX_BOTS_PER_USER": 5})
    change(state, {"MAX_BOTS_PER_USER": 3})
    state.versions[2] = second
    changed(rollback(state, 2))
    assert state.limits.of("vip", NOW)["MAX_BOTS_PER_USER"] == 5


# -- pause, and what is only written


def test_a_pause_closes_the_door_and_touches_no_bot() -> None:
    state = new_state()
    session = admitted(state, "u1")
    assert not decide(state, SetPause(True, "incident", "key-1")).can_accept_new
    assert state.changes.pause and state.changes.audit[0].action == "pause"
    refused(start(state, "u2"), "paused")
    assert state.sessions == {session.number: session}
    assert decide(state, SetPause(False, "over", "key-1")).can_accept_new
    assert state.changes.audit[0].action == "resume"
    admitted(state, "u2")


def test_pausing_twice_is_kept_once() -> None:
    state = new_state()
    decide(state, SetPause(True, "incident", "key-1"))
    decide(state, SetPause(True, "again", "key-1"))
    assert not state.changes


def test_a_row_is_written_with_its_audit_entry() -> None:
    state = new_state()
    row = {"id": "n1", "text": "deployed"}
    assert decide(state, Write("notes", row, "key-1", "note", "n1")) == row
    assert state.changes.rows == [("notes", row)]
    assert state.changes.audit[0].target == "n1"
