"""Hours of the day, `22:00-07:00`: from one minute of the day to another, over midnight where it comes later."""

import re
from dataclasses import dataclass
from typing import Self

from limiter.bilingual import Unreadable

DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Hours:
    """In minutes of the day; `end` itself is not among them, and two that are equal are no minute at all."""

    begin: int
    end: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises ValueError where the text is not two times of the day."""
        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d) *- *([01]\d|2[0-3]):([0-5]\d)", text, re.ASCII)
        if found is None:
            raise Unreadable(
                fr="doit être deux heures du jour, comme 22:00-07:00", en="must be two times of the day, as 22:00-07:00"
            )
        hours, minutes, end_hours, end_minutes = map(int, found.groups())
        return cls(hours * 60 + minutes, end_hours * 60 + end_minutes)

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in (self.begin, self.end))

    def __contains__(self, minute: int) -> bool:
        if self.begin <= self.end:
            return self.begin <= minute < self.end
        return minute >= self.begin or minute < self.end

    @property
    def minutes(self) -> int:
        """How many they are."""
        return (self.end - self.begin) % DAY_MINUTES
