"""An incident, and the messages that tell of it. Instants are UTC milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Crossing:
    """One upward step of an incident: when, to which level, with how many bots against which limit."""

    at: int
    level: str
    bots: int
    limit: int


@dataclass(frozen=True, slots=True)
class Incident:
    """From the first crossing until all is well again. `rank` counts the levels that are open now: 0 once resolved.

    `facts` fill the sentence of the last crossing's level (rules/incidents.py); `message` is that sentence itself, of
    an incident from before facts were kept. `peak` is the most bots at once, `peak_limit` the limit at that instant;
    `refusals` counts by reason.
    """

    number: int
    kind: str
    rank: int
    facts: Mapping[str, Any]
    opened_at: int
    crossings: tuple[Crossing, ...]
    peak: int
    peak_limit: int
    refusals: Mapping[str, int] = field(default_factory=dict)
    resolved_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    acknowledged_reason: str | None = None
    message: str = ""

    @property
    def status(self) -> Literal["open", "acknowledged", "resolved"]:
        """Where it stands."""
        if self.resolved_at is not None:
            return "resolved"
        return "open" if self.acknowledged_at is None else "acknowledged"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one channel; `answer` is what the last try brought. A test belongs to no incident.

    `reached` names those of several recipients of the channel's address who have it, where others do not.
    """

    number: int
    incident: int | None
    at: int
    level: str
    title: str
    body: str
    channel: str
    state: Literal["pending", "sent", "failed"]
    tries: int
    answer: str | None
    tried_at: int | None
    next_try_at: int | None
    reached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """How an alert channel fares: tries that failed in a row, the last answer, its last try, when it last worked."""

    failures: int = 0
    answer: str | None = None
    tried_at: int | None = None
    sent_at: int | None = None
