"""How often operators are told, and when they are left alone.

Promises: an incident that nobody acknowledged is told again each so many minutes while it is open, over restarts too;
in quiet hours only what is critical is sent, and the rest when they end. Not promised: a reminder of the minutes in
which the limiter was away. Without settings nothing is told again and no hour is quiet.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from limiter.rules.alerts import ALERTS, message
from limiter.rules.deliveries import TEST, tell
from limiter.rules.hours import Hours
from limiter.rules.incidents import body
from limiter.rules.records import Delivery
from limiter.rules.state import State
from limiter.units import MINUTE_MS

CRITICAL = "failure"  # the severity that no quiet hour holds
LATE_MS = 10 * MINUTE_MS  # a message that is sent later than that says when it was
AGAIN = {"fr": "🔁 Toujours, depuis {minutes} min : {message}", "en": "🔁 Still, for {minutes} min: {message}"}


@dataclass(frozen=True, slots=True)
class ReminderPolicy:
    """What the settings say: minutes between reminders (0: none), and quiet hours of the day in a zone."""

    repeat_minutes: int = 0
    quiet: Hours | None = None
    zone: tzinfo = UTC

    def holds(self, level: str, now: int) -> bool:
        """Whether a message of that level waits for the end of the quiet hours."""
        if self.quiet is None or level == TEST or ALERTS[level].severity == CRITICAL:
            return False
        at = self._local(now)
        return at.hour * 60 + at.minute in self.quiet

    @property
    def quiet_ms(self) -> int:
        """How long they last."""
        return self.quiet.minutes * MINUTE_MS if self.quiet is not None else 0

    def text(self, delivery: Delivery, now: int) -> str:
        """The body of a message, with its time where it is sent late."""
        if now - delivery.at < LATE_MS:
            return delivery.body
        return f"{delivery.body} ({self._local(delivery.at):%Y-%m-%d %H:%M})"

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1000, self.zone)


@dataclass(frozen=True, slots=True)
class Remind:
    """The job's request, every few seconds; `since` is the instant of its last one, so that each minute counts once."""

    manners: ReminderPolicy
    since: int

    def decide(self, state: State, now: int) -> list[Delivery]:
        """One message a channel for each incident whose time it is."""
        period = self.manners.repeat_minutes * MINUTE_MS
        told: list[Delivery] = []
        for incident in tuple(state.incidents.values()) if period else ():
            last = incident.crossings[-1]
            again = (now - last.at) // period > max(0, self.since - last.at) // period
            if not again or incident.acknowledged_at is not None or self.manners.holds(last.level, now):
                continue
            minutes = (now - incident.opened_at) // MINUTE_MS
            title = AGAIN[state.language].format(minutes=minutes, message=message(incident, state.language))
            told += tell(state, now, incident.number, last.level, title, body(state.capacity(now), state.language))
        return told
