"""One journal of what was changed, so that it can be taken back: whole, or from a mark.

Each entry is a call, of something that is there anyway, with its arguments: `(setattr, state, "paused", False)`. Taken
back newest first, so that a list only has to lose its end.
"""

from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class UndoJournal:
    """The calls that take back what was changed since `clear`, in the order of the changes."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def set(self, target: object, name: str, value: object) -> None:
        """Set an attribute."""
        self.calls.append((setattr, target, name, getattr(target, name)))
        setattr(target, name, value)

    def put(self, table: dict[K, V], key: K, value: V | None) -> None:
        """Set an entry of a table; None takes it out."""
        before = table.get(key)
        self.calls.append((table.pop, key, None) if before is None else (table.__setitem__, key, before))
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value

    def append(self, rows: list[V], row: V) -> None:
        """Put a row at the end of a list."""
        rows.append(row)
        self.calls.append((rows.pop,))

    def back(self, mark: int = 0) -> None:
        """Take back all but the first `mark` changes, newest first."""
        while len(self.calls) > mark:
            call, *values = self.calls.pop()
            call(*values)

    def clear(self) -> None:
        """What was changed stays."""
        self.calls.clear()
