"""How often operators are told, and when they are left alone.

Promises: an incident that nobody acknowledged is told again each so many minutes while it is open, over restarts too;
in quiet hours only what is critical is sent, and the rest when they end. Not promised: a reminder of the minutes in
which the limiter was away. Without settings nothing is told again and no hour is quiet.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from limiter.rules.alerts import ALERTS, LEVELS, RESOLVED
from limiter.rules.deliveries import TEST, may_have_arrived, tell
from limiter.rules.headlines import Reader, headline
from limiter.rules.hours import Hours
from limiter.rules.incidents import body
from limiter.rules.records import Delivery
from limiter.rules.room import capacity
from limiter.rules.state import State
from limiter.rules.words import Words, day
from limiter.units import MINUTE_MS

CRITICAL = "failure"  # the severity that no quiet hour holds
LATE_MS = MINUTE_MS  # a message that is sent later than that says when it was true, and whether it is over
LATE = Words("Vrai {time} ; {state}.", "True at {time}; {state}.")
OVER = Words("c'est terminé", "it is over")
STILL = Words("ça dure encore", "it still is")
WHEN = Words("C'était {time}.", "That was at {time}.")
TIME, DATED = Words("à {time}", "{time}"), Words("le {day} à {time}", "{day} {time}")
PERHAPS = Words("(Peut-être déjà reçu.)", "(It may have arrived before.)")
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

    def text(self, delivery: Delivery, state: State, now: int) -> str:
        """The body of a message: where it is sent late, with when it was true and whether it is over; where nobody
        knows what came of its last try, with that it may have arrived."""
        perhaps = f" {PERHAPS.told(state.language)}" if may_have_arrived(delivery) else ""
        return self._with_its_time(delivery, state, now) + perhaps

    def _with_its_time(self, delivery: Delivery, state: State, now: int) -> str:
        if now - delivery.at < LATE_MS:
            return delivery.body
        time = self._told(delivery.at, now, state.language)
        over = is_over(delivery, state)
        words = WHEN if over is None else LATE
        still = (OVER if over else STILL).told(state.language)
        return f"{delivery.body} {words.filled(time=time, state=still).told(state.language)}"

    def _told(self, at: int, now: int, language: str) -> str:
        """The time, with the day where it is another one than today."""
        local = self._local(at)
        words = TIME if local.date() == self._local(now).date() else DATED
        return words.filled(day=day(local, language), time=f"{local:%H:%M}").told(language)

    def _local(self, at: int) -> datetime:
        return datetime.fromtimestamp(at / 1000, self.zone)


def is_over(delivery: Delivery, state: State) -> bool | None:
    """Whether what the message says is not so any more; None where it says of no condition."""
    if delivery.incident is None or delivery.level == RESOLVED.name:
        return None
    incident = next((one for one in state.incidents.values() if one.number == delivery.incident), None)
    ranks = {level.name: number for number, level in enumerate(LEVELS, 1)}
    return incident is None or incident.rank < ranks.get(delivery.level, 0)


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
            reader = Reader(state.language, state.zone, now, capacity(state, now))
            minutes = (now - incident.opened_at) // MINUTE_MS
            title = AGAIN[state.language].format(minutes=minutes, message=headline(incident, reader))
            told += tell(state, now, incident.number, last.level, title, body(capacity(state, now), state.language))
        return told
