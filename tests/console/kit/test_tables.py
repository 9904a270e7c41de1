"""CSV: as many rows as the table, and nothing that a spreadsheet would run."""

import csv
import io
import json
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
from streamlit.testing.v1 import AppTest

from limiter.console.kit.tables import csv_text


def test_rows_come_back_as_they_went() -> None:
    rows: list[dict[str, object]] = [{"user": 'a "b", c', "n": 1}, {"user": "é\n", "n": None}]
    assert list(csv.DictReader(io.StringIO(csv_text(rows)))) == [
        {"user": 'a "b", c', "n": "1"},
        {"user": "é\n", "n": ""},
    ]
    assert csv_text([]) == ""


def test_a_formula_is_text() -> None:
    assert "'=1+1" in csv_text([{"user": "=1+1"}]) and "-5" in csv_text([{"n": -5}])


def shown() -> None:
    """A page with three tables: a wide one with a long text, one of users, a small one."""
    from limiter.console.kit.tables import show

    show([{"time": "14:03", "a": 1, "b": 2, "c": 3, "what": "a reason " * 12}])
    show([{"time": "14:03", "a": 1, "user": "u1", "b": 2, "c": 3}], column_config={"a": None})
    show([{"user": "u1", "n": 1}], height=360)


def test_a_long_text_wraps_and_whose_row_it_is_stays_in_sight() -> None:
    long, users, small = AppTest.from_function(shown).run().dataframe
    assert long.proto.row_height == 55 and users.proto.row_height == small.proto.row_height == 0
    pinned = [
        [name for name, one in json.loads(table.proto.columns).items() if one and one.get("pinned")]
        for table in (long, users, small)
    ]
    assert pinned == [["time"], ["user"], []]
    assert json.loads(users.proto.columns)["a"] == {"hidden": True}, "what a page says of its columns stands"


def listed() -> None:
    """A page of its own: what is picked of the names that the test puts into the state."""
    import streamlit as st

    from limiter.console.kit.tables import pick

    names = st.session_state["names"]
    picked = pick([{"name": name} for name in names], names, "test", ticks=True)
    st.session_state["picked"] = (list(picked.ticked), picked.opened)
    st.session_state["close"] = picked.close


def chosen(app: AppTest, table: int, rows: list[int], *cells: tuple[int, str]) -> Any:
    """What is picked once the browser has said this of the table."""
    selection = {"rows": rows, "columns": [], "cells": list(cells)}
    app.session_state[f"list-test-{table}"] = {"selection": selection}
    app.run()
    assert not app.exception, app.exception
    return app.session_state["picked"]


def test_what_was_clicked_is_the_row_that_stood_there_and_not_the_one_that_has_come() -> None:
    app = AppTest.from_function(listed)
    app.session_state["names"] = ["b", "c", "d"]
    app.run()
    assert chosen(app, 0, [1]) == (["c"], None)
    app.session_state["names"] = ["a", "b", "c", "d"]  # one came, between the drawing and the click
    assert chosen(app, 0, [1, 2], (2, "name")) == (["c", "d"], "d")
    app.run()
    assert app.session_state["picked"] == (["c", "d"], None), "a table of its own, with the ticks on their rows"
    app.session_state["names"] = ["a", "d"]
    app.run()
    assert app.session_state["picked"] == (["d"], None)


def test_a_closed_row_can_be_opened_again_and_ticks_stay() -> None:
    app = AppTest.from_function(listed)
    app.session_state["names"] = ["a", "b"]
    app.run()
    assert chosen(app, 0, [0], (1, "name")) == (["a"], "b")
    app.session_state["close"]()
    app.run()
    assert app.session_state["picked"] == (["a"], None)
    assert chosen(app, 1, [0], (1, "name")) == (["a"], "b")


def figures() -> None:
    """A page with fractions in French: some missing, whole numbers beside them, and hundreds of rows."""
    import streamlit as st

    from limiter.console.kit.tables import bars, show

    st.session_state["language"] = "fr"
    show(
        [{"user": "a", "h": 1628.9, "share": 60}, {"user": "b", "h": None, "share": 3}],
        column_config={"share": bars(60)},
    )
    show([{"h": 0.5}] * 200)
    st.session_state["language"] = "en"
    show([{"h": 628.9}], column_config={"h": bars(0)})


def test_a_french_table_has_a_decimal_comma_and_sorts_by_number() -> None:
    few, many, english = AppTest.from_function(figures).run().dataframe
    told = pa.ipc.open_stream(few.proto.arrow_data.styler.display_values).read_all().to_pydict()
    assert told["h"] == ["1\u202f628,9", "–"] and few.value["h"].to_list()[0] == 1628.9
    columns = [json.loads(table.proto.columns) for table in (few, english)]
    drawn = [found[name]["type_config"] for found, name in zip(columns, ("share", "h"), strict=True)]
    assert [(one["format"], one["max_value"]) for one in drawn] == [(" ", 60), (" ", 1)]
    assert not many.proto.arrow_data.HasField("styler"), "figures to take away are as their CSV has them"
    assert not english.proto.arrow_data.HasField("styler")
