"""Who holds a slot, who is over and not reaped, who is suspect, and what they cost together."""

from limiter.rules.holding import costs, holders, known, run_out, suspects
from limiter.rules.records import Costs, Ended
from limiter.rules.sessions import Heartbeat, reap
from tests.rules.world import NOW, SECOND, admitted, beat, new_state, refused, start

LEASE = 60 * SECOND


def test_suspects_missed_two_heartbeats_and_still_count() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    session = admitted(state, "u1")
    assert suspects(state, NOW + 40 * SECOND) == []
    assert suspects(state, NOW + 40 * SECOND + 1) == [session]
    refused(start(state, "u2", now=NOW + 50 * SECOND), "server_full")
    assert suspects(state, NOW + LEASE) == [], "it is over"
    beat(state, session, NOW + 50 * SECOND)
    assert suspects(state, NOW + 50 * SECOND) == []


def test_who_ran_out_holds_nothing_and_is_known_until_after_the_batch_that_ends_it() -> None:
    state = new_state()
    silent, alive = admitted(state, "u1"), admitted(state, "u2")
    beat(state, alive, NOW + 30 * SECOND)
    over = Ended(silent, silent.ends_at, "lease_expired")
    assert run_out(state, NOW + LEASE - 1) == []
    assert holders(state, NOW + LEASE - 1) == [silent, alive]
    assert run_out(state, NOW + LEASE) == [over]
    assert holders(state, NOW + LEASE) == [alive]
    assert known(state, NOW + LEASE) == [over, alive]
    reap(state, NOW + LEASE)
    assert run_out(state, NOW + LEASE) == []
    assert known(state, NOW + LEASE) == [over, alive], "its row may not be read yet"
    state.begin()
    assert known(state, NOW + LEASE) == [alive]


def test_costs_are_those_of_bots_that_tell_theirs_and_hold_a_slot() -> None:
    state = new_state()
    heavy, light, _ = (admitted(state, user) for user in ("u1", "u2", "u3"))
    Heartbeat(heavy.number, heavy.secret, memory_bytes=300).decide(state, NOW)
    Heartbeat(light.number, light.secret, memory_bytes=100).decide(state, NOW + SECOND)
    assert costs(state, NOW + SECOND) == Costs(2, 400, 0, 0.0)
    assert costs(state, NOW + LEASE) == Costs(1, 100, 0, 0.0)
