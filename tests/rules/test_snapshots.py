"""A snapshot counts what happened since the one before, and undone it counts nothing."""

from limiter.rules.snapshots import TakeSnapshot
from tests.rules.world import NOW, SECOND, admitted, decide, new_state, picture, signal, start, stop, tokens, trade

SAMPLE = TakeSnapshot(12.5, 40.0, 3.25)


def test_a_snapshot_says_what_the_state_says_at_its_instant() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=2)
    session = admitted(state, "u1")
    admitted(state, "u2")
    start(state, "u3"), start(state, "u2")
    trade(state, session, "t1")
    signal(state, session, 3)
    tokens(state, 7)
    stop(state, session)
    shot = decide(state, SAMPLE, NOW + 45 * SECOND)
    assert (shot.at, shot.bots, shot.suspects, shot.limit) == (NOW + 45 * SECOND, 1, 1, 2)
    assert (shot.cpu_percent, shot.ram_percent, shot.p99_ms) == (12.5, 40.0, 3.25)
    assert (shot.starts, shot.ended, shot.trades, shot.signals, shot.tokens) == (2, 1, 1, 3, 7)
    assert shot.refusals == {"server_full": 1, "user_limit": 1}
    assert state.changes.snapshots == [shot]


def test_the_next_one_counts_from_there() -> None:
    state = new_state()
    admitted(state, "u1")
    decide(state, SAMPLE)
    admitted(state, "u2")
    shot = decide(state, SAMPLE, NOW + 5 * SECOND)
    assert (shot.starts, shot.bots, shot.refusals) == (1, 2, {})


def test_one_that_could_not_be_written_leaves_its_counts_to_the_next() -> None:
    state = new_state()
    admitted(state, "u1")
    before = picture(state)
    decide(state, SAMPLE)
    state.undo()
    assert picture(state) == before
    assert decide(state, SAMPLE, NOW + 5 * SECOND).starts == 1
