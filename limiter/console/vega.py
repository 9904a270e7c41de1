"""Vega-Lite, the language of the charts, as plain values; rows go to the browser as Arrow.

Not by way of Altair and pandas: importing them costs the process 80 MB, and holding every chart against the grammar
took longer than its query. The tests hold each page's charts against it, with Altair (tests/pages/test_pages.py).
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]

from limiter.console import frame

Spec = dict[str, Any]
Rows = Iterable[Mapping[str, Any]]
BLUE = "#0072B2"


def table(rows: Rows) -> pa.Table:
    """The rows as the browser takes them; empty where a row has no such name."""
    found = list(rows)
    names = dict.fromkeys(name for row in found for name in row)
    return pa.Table.from_arrays([column([row.get(name) for row in found]) for name in names], list(names))


def column(values: Sequence[Any]) -> pa.Array:
    """Numbers, instants or texts, None where there is none. Not by `pa.array`, which loads pandas to look at them.

    Whole numbers where all are; texts where one is neither number nor instant.
    """
    kinds = {type(value) for value in values if value is not None}
    known = "".join("0" if value is None else "1" for value in reversed(values))
    valid = pa.py_buffer(int(known or "0", 2).to_bytes(len(values) // 8 + 1, "little"))
    if kinds == {datetime}:
        kind, numbers = pa.timestamp("ms", "UTC"), array("q", [round(1000 * v.timestamp()) if v else 0 for v in values])
    elif kinds == {int}:
        kind, numbers = pa.int64(), array("q", [value or 0 for value in values])
    elif kinds <= {int, float}:
        kind, numbers = pa.float64(), array("d", [value or 0 for value in values])
    else:
        texts = [b"" if value is None else str(value).encode() for value in values]
        ends = array("i", accumulate(map(len, texts), initial=0))
        buffers = [valid, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
        return pa.Array.from_buffers(pa.string(), len(values), buffers)
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(numbers)])


def ink() -> str:
    """The colour of data."""
    return "#E8ECF2" if frame.is_dark() else "#0F172A"


def quiet() -> str:
    """The colour of lines that are read second; 4.5:1 and more on either theme."""
    return "#AEB8C6" if frame.is_dark() else "#4B5563"


def quantity(field: str, title: str | None = None, **more: Any) -> Spec:
    """A field that is an amount."""
    return {"field": field, "type": "quantitative", "title": title, **more}


def names(field: str, title: str | None = None, **more: Any) -> Spec:
    """A field of names, in the order of `sort` where it is given."""
    return {"field": field, "type": "nominal", "title": title, **more}


def shades(field: str, colours: Mapping[str, str], legend: Spec | None = None) -> Spec:
    """A field of names, each in its colour."""
    return names(field, scale={"domain": list(colours), "range": list(colours.values())}, legend=legend)


def legend(n: int = 1, **more: Any) -> Spec:
    """The names of `n` colours above the chart, in columns that a phone can hold."""
    return {"title": None, "orient": "top", "symbolOpacity": 1, "columns": 2 if n > 3 else 0, **more}


def layer(data: str, mark: str, encoding: Spec, **look: Any) -> Spec:
    """Marks of one kind for the rows of `data`."""
    return {"data": {"name": data}, "mark": {"type": mark, **look}, "encoding": encoding}


def chart(data: Mapping[str, Rows], layers: Sequence[Spec], height: int) -> Spec:
    """The layers, one over the other, from the rows that they name."""
    labels = {"labelColor": quiet(), "labelFontSize": 12}
    titles = {"titleColor": quiet(), "titleFontSize": 12, "titleFontWeight": "normal"}
    return {
        "datasets": {name: table(rows) for name, rows in data.items()},
        "layer": list(layers),
        "height": height,
        "background": "transparent",
        "padding": {"left": 0, "top": 5, "right": 8, "bottom": 2},
        "config": {
            "view": {"stroke": None},
            "axis": {**labels, **titles, "domain": False},
            "legend": {**labels, "padding": 0, "offset": 4},
        },
    }
