"""The course of the slots taken: what is thinned out tells what all of it would."""

from hypothesis import example, given
from hypothesis import strategies as st

from limiter.rules.course import GAP, KEPT, Point, slices, thin
from limiter.rules.sessions import Stop
from tests.rules.world import NOW, admitted, asked, new_state

STEPS = st.lists(
    st.tuples(
        st.sampled_from((0, 0, 0, 1, 400, 6_000)),  # ms since the point before
        st.integers(0, 12),
        st.sampled_from((10, 10, 10, 4, GAP)),
        st.booleans(),  # a batch ends with it
    ),
    min_size=1,
    max_size=60,
)


@given(steps=STEPS)
@example(steps=[(0, 0, 10, False), (0, 0, GAP, False), (0, 1, 10, True)])
def test_no_slice_differs_for_the_points_that_are_left_out(steps: list[tuple[int, int, int, bool]]) -> None:
    at, whole, kept = NOW, [Point(NOW, 5, 10)], [Point(NOW, 5, 10)]
    for after, bots, limit, ends in steps:
        at += after
        point = Point(at, GAP if limit == GAP else bots, limit)
        whole.append(point)
        kept.append(point)
        if ends:
            thin(kept)
    assert slices(kept, at + 1, {}) == slices(whole, at + 1, {})


def test_a_crowd_that_starts_at_once_leaves_a_few_points() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=10_000)
    for batch in range(10):
        state.begin()
        for user in range(300):
            asked(f"u{batch}.{user}").decide(state, NOW + batch)
    state.begin()
    assert len(state.course) <= 10 * KEPT + 1
    assert [point.bots for point in state.course][-1] == 3_000


def test_what_was_thinned_stays_when_the_next_batch_is_undone() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=100)
    sessions = [admitted(state, f"u{user}") for user in range(20)]
    state.begin()
    before = list(state.course)
    for session in sessions[:5]:
        Stop(session.number, session.secret).decide(state, NOW)
    asked("late").decide(state, NOW)
    state.undo()
    assert state.course == before
