"""Refusals on their way to rows: each with its facts, as long as nobody floods; from then on, the rest of a minute
shares a row that counts it. So every refusal is counted, and a flood does not grow the database without bound.
"""

from dataclasses import dataclass, field
from typing import Any

from limiter.rules.records import RefusalRecord
from limiter.store.rows import refusal_row
from limiter.units import MINUTE_MS

SINGLE_REFUSALS_PER_USER = 100  # a minute and reason
SINGLE_REFUSALS = 2_000  # a minute, all users

Key = tuple[int, str | None, str]  # minute, user (None: all), reason ("": all)


@dataclass(slots=True)
class Flood:
    """What was kept one by one in the running minute, and which rows are shared. A new one comes of each batch, so
    that one which cannot be committed is forgotten with it."""

    next_id: int = 1
    singles: dict[Key, int] = field(default_factory=dict)
    shared: dict[Key, int] = field(default_factory=dict)

    def place(self, refused: list[RefusalRecord]) -> tuple["Flood", list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """What is known after them, rows to insert, and rows to update (their values, then their id)."""
        minute = refused[-1].at // MINUTE_MS
        after = Flood(
            self.next_id,
            {key: n for key, n in self.singles.items() if key[0] >= minute},
            {key: number for key, number in self.shared.items() if key[0] >= minute},
        )
        inserts: dict[int, tuple[Any, ...]] = {}
        updates: dict[int, tuple[Any, ...]] = {}
        for one in refused:
            number, repeats = after._row_of(one)
            if repeats:  # a shared row: its latest refusal, and one more
                rows = inserts if number in inserts else updates
                before = rows[number][-1] if number in rows else 0
                rows[number] = refusal_row(one, before + 1)
            else:
                inserts[number] = refusal_row(one, 1)
        return (
            after,
            [(number, *row) for number, row in inserts.items()],
            [(*row, number) for number, row in updates.items()],
        )

    def _row_of(self, one: RefusalRecord) -> tuple[int, bool]:
        """The row that a refusal goes to, and whether others are in it already."""
        minute = one.at // MINUTE_MS
        everyone: Key = (minute, None, "")
        key: Key = (minute, one.user_id, one.reason)
        crowded = self.singles.get(everyone, 0) >= SINGLE_REFUSALS
        if crowded:
            key = (minute, None, one.reason)
        if not crowded and self.singles.get(key, 0) < SINGLE_REFUSALS_PER_USER:
            self.singles[key] = self.singles.get(key, 0) + 1
            self.singles[everyone] = self.singles.get(everyone, 0) + 1
        elif key in self.shared:
            return self.shared[key], True
        else:
            self.shared[key] = self.next_id
        self.next_id += 1
        return self.next_id - 1, False
