"""What would have admitted a refused start, and whether it is refused again, by what was recorded of real decisions."""

import pytest

from limiter.rules import explain
from limiter.rules.records import RefusalRecord
from limiter.rules.refusals import Refusal
from limiter.rules.state import State
from tests.rules.world import NOW, admitted, asked, decide, new_state


def refused(state: State, user_id: str) -> RefusalRecord:
    """The record of a start that must be refused."""
    answer = decide(state, asked(user_id), NOW)
    assert isinstance(answer, Refusal)
    return state.refused[-1]


def test_slots_that_are_kept_for_the_reserve_are_told() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=5, RESERVED_SLOTS=2)
    for user in ("u1", "u2", "u3"):
        admitted(state, user)
    record = refused(state, "u4")
    assert explain.decided_again(record, paused=False) is True
    told = explain.way_out(record, [], None, 2, "en")
    assert told.startswith("Free slots: 2, kept for the reserve (RESERVED_SLOTS = 2)") and "With MAX_" not in told


def test_a_slot_that_is_anothers_turn_is_told() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    session = admitted(state, "u1")
    assert isinstance(decide(state, asked("u2", queue=True), NOW), Refusal)
    state.end(session, NOW, "stopped")
    record = refused(state, "u3")
    assert record.reason == "server_full" and explain.decided_again(record, paused=False) is True
    told = explain.way_out(record, [], None, 0, "en")
    assert told.startswith("Free slots: 1, promised to those who wait in turn.") and "With MAX_" not in told


@pytest.mark.parametrize(
    ("reason", "count", "again"),
    [
        ("box_busy", 93, True), ("start_rate", 5, False), ("daily_trades", 93, True), ("signal_rate", 5, None),
        ("token_rate", 93, True), ("draining", None, None),
    ],
)  # fmt: skip
def test_other_reasons_are_decided_again_as_far_as_they_were_recorded(
    reason: str, count: int | None, again: bool | None
) -> None:
    record = RefusalRecord("r", NOW, "u1", None, reason, "MAX_X", 90, count, 1, None)
    assert explain.decided_again(record, paused=False) is again


def test_an_operators_drain_is_decided_again_and_a_limiter_that_stopped_is_not() -> None:
    record = RefusalRecord("r", NOW, "u1", None, "draining", None, None, None, 1, None)
    assert explain.decided_again(record, paused=False, drained=True) is True
    assert explain.decided_again(record, paused=False, drained=False) is None
    assert explain.sentence(record, "fr", drained=True).startswith("Le serveur est en train d'être vidé")
    assert explain.sentence(record, "en").startswith("The server is restarting")
    told = explain.way_out(record, [], None, 0, "en", drained=True)
    assert told == "To end the drain (drain --cancel) would have admitted it."
    assert explain.way_out(record, [], None, 0, "fr") == "Redemander quelques secondes plus tard."
