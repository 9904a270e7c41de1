"""Whatever is changed through the journal is taken back to any mark, in any interleaving: held against copies."""

from copy import deepcopy
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from limiter.rules.undo import UndoJournal

CHANGES = st.one_of(
    st.tuples(st.just("set"), st.sampled_from("ab"), st.integers()),
    st.tuples(st.just("put"), st.sampled_from("xyz"), st.none() | st.integers()),
    st.tuples(st.just("append"), st.just(""), st.integers()),
    st.tuples(st.just("back"), st.just(""), st.integers(0, 30)),
)


@given(st.lists(CHANGES, max_size=30))
def test_back_to_a_mark_is_what_was_there_at_it(steps: list[tuple[str, str, int | None]]) -> None:
    journal = UndoJournal()
    thing = SimpleNamespace(a=0, b=None, table={"x": 1}, rows=[1])
    was = [deepcopy(vars(thing))]  # at each mark
    for kind, name, value in steps:
        if kind == "back":
            mark = min(value or 0, len(journal.calls))
            journal.back(mark)
            del was[mark + 1 :]
            assert vars(thing) == was[mark]
            continue
        if kind == "set":
            journal.set(thing, name, value)
            assert getattr(thing, name) == value
        elif kind == "put":
            journal.put(thing.table, name, value)
            assert thing.table.get(name) == value
        else:
            journal.append(thing.rows, value)
            assert thing.rows[-1] == value
        was.append(deepcopy(vars(thing)))
        assert len(journal.calls) == len(was) - 1
    journal.back()
    assert vars(thing) == was[0]


def test_what_was_cleared_stays() -> None:
    journal, rows = UndoJournal(), [1]
    journal.append(rows, 2)
    journal.clear()
    journal.back()
    assert rows == [1, 2] and len(journal.calls) == 0
