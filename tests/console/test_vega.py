"""Rows as the browser takes them: types, gaps, and no pandas on the way."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from limiter.console.vega import chart, column, layer, table
from tests.journeys.console_process import ROOT

NOON = datetime(2026, 11, 24, 12, 0, 0, 250_000, UTC)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 3], "int64"),
        ([1, None, 2.5], "double"),
        ([None, None], "double"),
        ([], "double"),
        ([NOON, None], "timestamp[ms, tz=UTC]"),
        (["é", None, "", "日本"], "string"),
        (["a", 1, None], "string"),
        ([2**40, 0, *[None] * 30, 7], "int64"),
    ],
)
def test_a_column_keeps_its_values_and_its_gaps(values: list[object], kind: str) -> None:
    found = column(values)
    assert str(found.type) == kind
    found.validate(full=True)
    wanted = [str(value) if kind == "string" and value is not None else value for value in values]
    assert [value.as_py() for value in found] == wanted


def test_a_row_without_a_name_is_empty_there() -> None:
    assert table([{"a": 1}, {"b": "x"}]).to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    assert table([]).num_rows == 0


def test_a_chart_names_its_rows() -> None:
    spec = chart({"bots": [{"at": 1}]}, [layer("bots", "line", {})], 100)
    assert spec["layer"][0]["data"] == {"name": "bots"} and spec["datasets"]["bots"].num_rows == 1


def test_charts_and_tables_load_neither_pandas_nor_altair() -> None:
    """80 MB of the console's memory, and half a second of its start."""
    code = (
        "import sys, streamlit as st; from limiter.console import vega;"
        "from limiter.console.charts import capacity; from limiter.console.kit import tables;"
        "st.vega_lite_chart(vega.chart({'a': [{'x': 1, 'y': None}]}, [vega.layer('a', 'line', {})], 100));"
        "tables.show([{'x': 1, 'y': 'z'}]);"
        "sys.exit(bool({'pandas', 'altair'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
