"""What was refused undecided is kept once, whatever becomes of the batches that write it."""

from hypothesis import given
from hypothesis import strategies as st

from limiter.rules.records import RefusalRecord
from limiter.rules.snapshots import TakeSnapshot
from limiter.rules.undecided import MOST, RecordUndecided, Undecided
from tests.rules.world import NOW, SECOND, decide, new_state

REASON = "storage_unavailable"


def refusal(number: int, at: int = NOW) -> RefusalRecord:
    return RefusalRecord(f"r{number}", at, "u1", None, REASON, None, None, None, 1, None)


@given(st.lists(st.sampled_from(["refuse", "durable", "undone", "late"]), max_size=30))
def test_each_is_kept_once(steps: list[str]) -> None:
    """`late`: the batch was still under way when it was asked for again, and became durable then."""
    state, undecided, written, sent = new_state(), Undecided(), list[RefusalRecord](), 0
    for step in [*steps, "durable", "durable"]:
        if step == "refuse":
            undecided.add(refusal(sent))
            sent += 1
        elif (request := undecided.request(state, flying=False)) is not None:
            decide(state, request)
            if step == "late":
                again = undecided.request(state, flying=True)
                assert again == request
                decide(state, again)
            if step == "undone":
                state.undo()
            else:
                written += state.refused
                state.refused.clear()
        assert [*written, *undecided.waiting(state)] == [refusal(number) for number in range(sent)]
        assert undecided.count(state, REASON) == sent - len(written)
    assert len(written) == sent == state.totals.get(f"refused:{REASON}", 0)


def test_of_a_long_outage_the_first_are_kept_one_by_one_and_the_rest_is_counted() -> None:
    state, undecided = new_state(), Undecided()
    for number in range(MOST + 7):
        undecided.add(refusal(number, NOW + number % 2 * SECOND))
    assert undecided.count(state, REASON) == MOST + 7
    assert undecided.count(state, REASON, NOW + SECOND) == (MOST + 7) // 2
    request = undecided.request(state, flying=False)
    assert request is not None
    decide(state, request, NOW + 2 * SECOND)
    assert len(state.refused) == MOST and state.totals[f"refused:{REASON}"] == MOST + 7


def test_however_long_an_outage_is_no_more_wait_one_by_one() -> None:
    """Each snapshot asks for them again, and in vain."""
    state, undecided = new_state(), Undecided()
    for sample in range(4):
        for number in range(MOST // 2):
            undecided.add(refusal(sample * MOST + number, NOW + sample * SECOND))
        request = undecided.request(state, flying=False)
    assert request is not None
    assert (len(request.refused), sum(request.more.values())) == (MOST, MOST)
    undecided.add(refusal(-1))  # while it is written there is no room for one more, which is counted
    decide(state, request)
    assert len(state.refused) == MOST
    last = undecided.request(state, flying=False)
    assert last is not None
    decide(state, last)
    assert state.totals[f"refused:{REASON}"] == 2 * MOST + 1 and undecided.request(state, flying=False) is None


def test_each_second_keeps_what_was_refused_in_it() -> None:
    state = new_state()
    decide(state, TakeSnapshot(1.0, 1.0, None), NOW)
    request = RecordUndecided(1, (refusal(1, NOW + SECOND), refusal(2, NOW + 6 * SECOND)), {})
    decide(state, request, NOW + 9 * SECOND)
    snapshot = decide(state, TakeSnapshot(1.0, 1.0, None), NOW + 9 * SECOND)
    counted = {one.at - NOW: dict(one.counts) for one in snapshot.slices if one.counts}
    assert counted == {0: {f"refused:{REASON}": 1}, 5 * SECOND: {f"refused:{REASON}": 1}}
