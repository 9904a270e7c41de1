"""Answers as CSV (RFC 4180): one row a thing, what is nested side by side under joined names (`carries_low`).

The API's `?format=csv`, the commands' `--csv` and the console's buttons all write by `as_csv`, so they are one text.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin

from msgspec import Struct, structs

from limiter.answers.box import BoxAnswer
from limiter.answers.deciding import ExplainAnswer, ForecastAnswer, LeaseAnswer, SizingAnswer, StateAnswer
from limiter.answers.parts import Ok
from limiter.answers.usage import WhoAnswer

FIGURES = "figures"  # the answer itself as one row, without its lists
TABLES: dict[type[Ok], tuple[str, ...]] = {
    ForecastAnswer: ("points",),
    SizingAnswer: (FIGURES, "days"),
    BoxAnswer: (FIGURES, "strangers"),
    LeaseAnswer: ("rows",),
    StateAnswer: ("sessions",),
    ExplainAnswer: ("holders",),
    WhoAnswer: ("uses", "totals", "closing", "idle", "asked"),
}
"""What each answer has as a table: FIGURES, or a field that is a list. Where none is named, it is the first."""


def as_csv(answer: Ok, table: str | None = None) -> str:
    """One table of the answer. A figure that is not known is empty; a list that is not known has its head alone."""
    name = table or TABLES[type(answer)][0]
    rows = [answer] if name == FIGURES else getattr(answer, name) or []
    columns = heads(_kind(answer, name))
    return written(columns, ([_value(row, path) for path in columns.values()] for row in rows))


@cache
def heads(kind: type[Struct]) -> dict[str, tuple[str, ...]]:
    """Each column's name, and the fields that lead to it: known from the type, whatever the figures are."""
    found: dict[str, tuple[str, ...]] = {}
    for field in structs.fields(kind):
        kinds = list(_choices(field.type))
        nested = next((one for one in kinds if isinstance(one, type) and issubclass(one, Struct)), None)
        if nested is not None:
            found |= {f"{field.name}_{name}": (field.name, *path) for name, path in heads(nested).items()}
        elif not any(get_origin(one) is list for one in kinds):
            found[field.name] = (field.name,)
    return found


def written(columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV of those rows, every cell quoted."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(columns)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def harmless(cell: Any) -> Any:
    """The cell; a text that a spreadsheet would take for a formula is marked as text."""
    return f"'{cell}" if isinstance(cell, str) and cell and cell[0] in "=+-@\t\r" else cell


def _kind(answer: Ok, name: str) -> type[Struct]:
    if name == FIGURES:
        return type(answer)
    of_list = next(field.type for field in structs.fields(answer) if field.name == name)
    inner = next(one for one in _choices(of_list) if get_origin(one) is list)
    kind: type[Struct] = get_args(inner)[0]
    return kind


def _choices(kind: Any) -> Iterator[Any]:
    yield from get_args(kind) if isinstance(kind, UnionType) else (kind,)


def _value(row: Any, path: Sequence[str]) -> Any:
    for name in path:
        row = None if row is None else getattr(row, name)
    return row
