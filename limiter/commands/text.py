"""How answers are written for a person."""

from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under their heads, as wide as what is in them."""
    cells = [[str("-" if cell is None else cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def written(limit: float | None) -> str:
    """The value of a limit for a person."""
    return "none" if limit is None else str(limit)
