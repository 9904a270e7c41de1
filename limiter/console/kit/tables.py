"""Tables and what is taken away from them as CSV."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import streamlit as st

from limiter.answers.csv_text import as_csv, harmless
from limiter.answers.parts import Ok
from limiter.console import data
from limiter.console.kit import url_widgets
from limiter.console.kit.words import language, number, t

if TYPE_CHECKING:
    import pandas as pd

    Rows = Sequence[Mapping[str, Any]] | pd.DataFrame

PAGE = 50  # rows of a list that is longer
ROW_PX, LINE_PX = 35, 20
LINE, MOST_LINES = 64, 3  # characters of a text before it wraps, and lines that are shown: a click shows the rest
PINNED_FROM = 4  # columns that a phone holds beside each other


def show(rows: "Rows", **options: Any) -> Any:
    """A table as high as its rows, up to 12 unless `height` says otherwise; more are scrolled.

    Long texts wrap. Where a narrow screen does not hold all columns, the one that says whose row it is stays in sight.
    """
    table = data.as_table(rows) if isinstance(rows, Sequence) else rows
    fractions: list[Any] = (
        [name for name in table.columns if table[name].dtype.kind == "f"] if as_written(table) else []
    )
    lines = min(MOST_LINES, -(-longest(table) // LINE))
    px = ROW_PX + LINE_PX * (lines - 1)
    look = {"height": ROW_PX + 1 + px * min(12, len(table)), "row_height": px if lines > 1 else None}
    config: dict[str, Any] = dict(options.pop("column_config", {}))
    if len(table.columns) > PINNED_FROM:
        kept = t("user") if t("user") in table.columns else table.columns[0]
        config.setdefault(kept, st.column_config.Column(pinned=True))
    # Streamlit writes a point in every language, and beside bars whatever it is told (1.67).
    written = table.style.format(fraction, subset=fractions, na_rep="–") if fractions else table
    return st.dataframe(written, hide_index=True, column_config=config, **look | options)


def as_written(table: "pd.DataFrame") -> bool:
    """Whether fractions are written otherwise than Streamlit does. Hundreds of rows are figures to take away, as their
    CSV has them: to write each would cost a fifth of a second."""
    return language() == "fr" and len(table) <= 2 * PAGE


def fraction(value: Any) -> str:
    """With as many of four decimals as it has."""
    whole = f"{value:.4f}".rstrip("0")
    return number(value, len(whole) - whole.index(".") - 1)


def bars(top: float) -> Any:
    """A column of bars up to `top`, without figures: those stand in a column of their own, as the language has them."""
    return st.column_config.ProgressColumn(format=" ", min_value=0, max_value=top or 1)


def longest(table: "pd.DataFrame") -> int:
    """How many characters its longest text has, 1 at least."""
    texts = table.select_dtypes(include=["object", "str"])
    return max([1, *(len(cell) for column in texts for cell in texts[column] if isinstance(cell, str))])


def page_of(total: int) -> int:
    """The chosen page of so many rows, counted from 0; it is in the URL."""
    pages = max(1, -(-total // PAGE))
    if pages == 1:
        return 0
    return url_widgets.page(pages) - 1


@dataclass(frozen=True, slots=True)
class Picked:
    """The rows that are ticked and the one that is opened, by their ids.

    `close` forgets which one was opened, `clear` the ticks too.
    """

    ticked: Sequence[str]
    opened: str | None
    close: Callable[[], None]
    clear: Callable[[], None]


def pick(rows: "Rows", ids: Sequence[str], name: str, *, ticks: bool = False, **options: Any) -> Picked:
    """A table whose rows are opened by a click on a cell and, where `ticks`, ticked beside it.

    The browser tells a row by its place. Rows come and go between drawing and clicking: what was clicked is the id
    that stood in that place when it was drawn, and the ticks move with their rows.
    """
    kept = st.session_state.setdefault(f"pick-{name}", {"round": 0, "ids": list(ids), "ticked": []})
    selection = st.session_state.get(f"list-{name}-{kept['round']}", {}).get("selection", {})
    drawn = kept["ids"]
    if selection:
        kept["ticked"] = [drawn[row] for row in selection["rows"] if row < len(drawn)]
    cells = [drawn[row] for row, _ in selection.get("cells", ()) if row < len(drawn)]
    ticked = [one for one in kept["ticked"] if one in ids]
    if drawn != list(ids) and (kept["ticked"] or cells):
        kept["round"] += 1  # a table of its own: in the one before, the places are of other rows
    kept |= {"ids": list(ids), "ticked": ticked}

    def close() -> None:
        kept["round"] += 1

    def clear() -> None:
        kept["ticked"] = []
        close()

    show(
        rows,
        key=f"list-{name}-{kept['round']}",
        on_select="rerun",
        selection_mode=["multi-row", "single-cell"] if ticks else "single-cell",
        selection_default={"selection": {"rows": [ids.index(one) for one in ticked]}} if ticks else None,
        **options,
    )
    return Picked(ticked, next((one for one in cells if one in ids), None), close, clear)


def csv_text(rows: "Rows") -> str:
    """RFC 4180; a text that a spreadsheet would take for a formula is marked as text."""
    table = data.as_table(rows) if isinstance(rows, Sequence) else rows
    out = io.StringIO()
    if len(table):
        writer = csv.writer(out)
        writer.writerow(table.columns)
        cells = table.astype(object).where(table.notna(), None)
        writer.writerows([harmless(cell) for cell in row] for row in cells.itertuples(index=False, name=None))
    return out.getvalue()


def csv_button(rows: "Rows", name: str, key: str | None = None) -> None:
    """Take the rows away; the file is made when it is asked for."""
    st.download_button(
        "CSV", lambda: csv_text(rows), f"{name}.csv", "text/csv", on_click="ignore", icon=":material/download:", key=key
    )


def take_away(answer: Ok, name: str, table: str | None = None) -> None:
    """That table of the answer as CSV, as the API gives it, and the whole answer as JSON."""
    st.download_button(
        "CSV",
        lambda: as_csv(answer, table),
        f"{name}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key=f"csv-{name}",
    )
    st.download_button(
        "JSON",
        lambda: msgspec.json.format(msgspec.json.encode(answer), indent=1),
        f"{name}.json",
        "application/json",
        on_click="ignore",
        icon=":material/download:",
        key=f"json-{name}",
    )
