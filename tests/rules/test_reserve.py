"""Slots that only users of the reserve get: for whom they are kept, what others are told, and that none is lost."""

from typing import Any

from limiter.rules.changes import ChangeLimits, OverrideUser
from limiter.rules.room import capacity
from limiter.rules.sessions import Admission
from limiter.rules.state import State
from tests.rules.world import CALM, MINUTE, NOW, SECOND, admitted, beat, decide, new_state, refused, start, stop


def reserved(slots: int, *users: str, until: int | None = None, **values: Any) -> State:
    """A fleet with so many reserved slots, these users in the reserve."""
    state = new_state(RESERVED_SLOTS=slots, **values)
    for user in users:
        decide(state, OverrideUser(user, {}, until, "tests", "key-1", reserve=True))
    return state


def test_others_are_refused_from_the_free_reserved_slots_on_with_the_real_counts() -> None:
    state = reserved(2, "vip", "boss", MAX_CONCURRENT_BOTS=4)
    admitted(state, "u1")
    assert capacity(state, NOW).can_accept_new
    admitted(state, "u2")
    refusal = refused(start(state, "u3"), "server_full")
    assert refusal.sentence("fr") == "Serveur complet (2/4 bots actifs). Réessaie dans quelques minutes."
    assert refusal.shown("en")["capacity"] == capacity(state, NOW).as_dict()
    assert not capacity(state, NOW).can_accept_new
    admitted(state, "vip")
    refused(start(state, "u3"), "server_full")
    admitted(state, "boss")
    assert len(state.sessions) == 4
    state.limits = reserved(2, "late", MAX_CONCURRENT_BOTS=4).limits
    refused(start(state, "late"), "server_full")


def test_a_slot_that_the_reserve_holds_is_kept_for_nobody_else() -> None:
    state = reserved(1, "vip", "boss", MAX_CONCURRENT_BOTS=3)
    admitted(state, "vip")
    admitted(state, "u1"), admitted(state, "u2")
    refused(start(state, "boss"), "server_full")


def test_a_user_of_the_reserve_takes_other_slots_where_all_of_the_reserve_is_taken() -> None:
    state = reserved(1, "vip", "boss", MAX_CONCURRENT_BOTS=3)
    vip = admitted(state, "vip")
    admitted(state, "boss")
    admitted(state, "u1")
    stop(state, vip)
    admitted(state, "u2"), refused(start(state, "vip"), "server_full")


def test_a_reserve_above_the_cap_keeps_every_slot_and_never_more() -> None:
    state = reserved(9, "vip", "boss", "late", MAX_CONCURRENT_BOTS=2)
    refused(start(state, "u1"), "server_full")
    admitted(state, "vip"), admitted(state, "boss")
    refused(start(state, "late"), "server_full")
    assert len(state.sessions) == 2


def test_a_replacement_needs_no_slot_of_either() -> None:
    state = reserved(1, "vip", MAX_CONCURRENT_BOTS=2)
    admitted(state, "u1", "b1")
    admitted(state, "u1", "b1")
    refused(start(state, "u2"), "server_full")


def test_who_is_of_the_reserve_for_a_while_only_is_like_others_after_it() -> None:
    state = reserved(1, "vip", until=NOW + MINUTE, MAX_CONCURRENT_BOTS=1)
    refused(start(state, "vip", now=NOW + MINUTE), "server_full")
    admitted(state, "vip", now=NOW + MINUTE - 1)


def test_a_reserve_without_users_keeps_its_slots() -> None:
    state = reserved(1, MAX_CONCURRENT_BOTS=1)
    refused(start(state, "u1"), "server_full")
    assert not capacity(state, NOW).can_accept_new


def test_whether_a_new_user_is_admitted_is_what_capacity_says_also_between_two_batches() -> None:
    """A lease of the reserve that has run out frees a reserved slot, whether it was ended yet or not."""
    state = reserved(1, "vip", MAX_CONCURRENT_BOTS=2, BOT_LEASE_SECONDS=60)
    admitted(state, "vip")
    one = admitted(state, "u1")
    beat(state, one, NOW + 50 * SECOND)
    assert not capacity(state, NOW + 50 * SECOND).can_accept_new
    later = NOW + 70 * SECOND
    assert capacity(state, later).current == 1
    assert not capacity(state, later).can_accept_new
    refused(start(state, "u2", now=later), "server_full")
    assert isinstance(start(state, "vip", now=later), Admission)


def test_a_set_may_be_of_the_reserve_alone_and_is_taken_back_by_an_empty_one() -> None:
    state = reserved(1, "vip")
    own = state.limits.overrides["vip"]
    assert (own.reserve, dict(own.limits), state.limits.reserve) == (True, {}, ("vip",))
    assert state.changes.audit[-1].detail["reserve"] is True
    decide(state, OverrideUser("vip", {}, None, "tests", "key-1"))
    assert state.changes.audit[-1].detail["reserve"] is False
    assert (dict(state.limits.overrides), state.limits.reserve) == ({}, ())


def test_who_reserves_every_slot_is_warned() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=5)
    answer = decide(state, ChangeLimits({"RESERVED_SLOTS": 5}, "tests", None, False, "key-1", CALM, 150))
    assert [one.told("en") for one in answer.warnings] == [
        "RESERVED_SLOTS 5 keeps every slot (MAX_CONCURRENT_BOTS 5): only users of the reserve can start"
    ]
    assert not decide(state, ChangeLimits({"RESERVED_SLOTS": 4}, "tests", None, False, "key-1", CALM, 150)).warnings


def test_the_replay_without_changes_refuses_who_met_the_reserve() -> None:
    state = reserved(1, "vip", MAX_CONCURRENT_BOTS=2)
    first = admitted(state, "u1")
    refused(start(state, "u2"), "server_full")
    assert (first.facts.active, first.facts.max_bots) == (0, 1)
    kept = state.refused[-1]
    assert kept.facts is not None and kept.facts.active >= kept.facts.max_bots
    assert (kept.limit, kept.value, kept.count) == ("MAX_CONCURRENT_BOTS", 2, 1), "what is told are the real figures"
