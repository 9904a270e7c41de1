"""What a fault is, and what it reports."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


class Missing(Exception):
    """What this fault needs is not here; the text says what, and how to get it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One counted or measured thing. `most` is the worst that is acceptable; None: shown, not judged."""

    title: str
    value: float
    most: float | None = None
    unit: str = ""

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return self.most is None or self.value <= self.most


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `run(folder, rounds)` works in an empty folder; tests run it `short`, `make drill` runs it `long`.

    A `short` of 0: another test has the fault in its short form.
    """

    name: str
    what: str
    run: Callable[[Path, int], Iterable[Figure]]
    short: int
    long: int
