"""One thing that asks for a hand, and how much."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum


class Urgency(IntEnum):
    """What comes before what: the worst is lowest. Up to OLD_BACKUP it presses; what follows is in time."""

    FAILURE = 1  # an alert of the worst kind: full, flat, a disk that fills up, a damaged database
    CLOSED = 2  # an operator has shut the door
    DEGRADED = 3  # a check of health that is not well
    OVERLOADED = 4  # bots feel that the box is too small, or slow
    STRANGERS = 5  # bots that no limit counts
    SILENT = 6
    HELD = 7  # a launch step that a guard holds
    ALERT = 8
    OLD_BACKUP = 9
    NO_CHANNEL = 10
    NO_BACKUP = 11
    ADVICE = 12
    FORECAST = 13
    COMING = 14


@dataclass(frozen=True, slots=True)
class Task:
    """What asks for a hand, with the page where it is done, its part of it, and the label of the way there."""

    urgency: Urgency
    text: str
    page: str
    label: str
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def pressing(self) -> bool:
        """Whether it is to be done now."""
        return self.urgency <= Urgency.OLD_BACKUP
