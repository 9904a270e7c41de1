"""Tables and what is taken away from them as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from limiter.console import data

if TYPE_CHECKING:
    import pandas as pd

    Rows = Sequence[Mapping[str, Any]] | pd.DataFrame


def show(rows: "Rows", **options: Any) -> Any:
    """A table as high as its rows, up to 12 unless `height` says otherwise; more are scrolled."""
    options = {"height": 36 + 35 * min(12, len(rows))} | options
    table = data.as_table(rows) if isinstance(rows, Sequence) else rows
    return st.dataframe(table, hide_index=True, **options)


def csv_text(rows: "Rows") -> str:
    """RFC 4180; a text that a spreadsheet would take for a formula is marked as text."""
    table = data.as_table(rows) if isinstance(rows, Sequence) else rows
    out = io.StringIO()
    if len(table):
        writer = csv.writer(out)
        writer.writerow(table.columns)
        cells = table.astype(object).where(table.notna(), None)
        writer.writerows([_plain(cell) for cell in row] for row in cells.itertuples(index=False, name=None))
    return out.getvalue()


def _plain(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell


def csv_button(rows: "Rows", name: str, key: str | None = None) -> None:
    """Take the rows away; the file is made when it is asked for."""
    st.download_button(
        "CSV", lambda: csv_text(rows), f"{name}.csv", "text/csv", on_click="ignore", icon=":material/download:", key=key
    )
