"""Tables and what is taken away from them as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from limiter.console.vega import table


def show(rows: Sequence[Mapping[str, Any]], **options: Any) -> Any:
    """A table as high as its rows, up to 12 unless `height` says otherwise; more are scrolled."""
    options = {"height": 36 + 35 * min(12, len(rows))} | options
    # Whole, because asking whether it could come in parts loads pandas.
    return st.dataframe(table(rows), hide_index=True, lazy=False, **options)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """RFC 4180; a text that a spreadsheet would take for a formula is marked as text."""
    out = io.StringIO()
    writer = csv.writer(out)
    if rows:
        writer.writerow(rows[0])
        writer.writerows([_plain(cell) for cell in row.values()] for row in rows)
    return out.getvalue()


def _plain(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell


def csv_button(rows: Sequence[Mapping[str, Any]], name: str, key: str | None = None) -> None:
    """Take the rows away; the file is made when it is asked for."""
    st.download_button(
        "CSV", lambda: csv_text(rows), f"{name}.csv", "text/csv", on_click="ignore", icon=":material/download:", key=key
    )
