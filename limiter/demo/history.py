"""Weeks of made-up history, decided by the real rules on a virtual clock and written by the real writer.

Promises: the same seed, zone and end give the same rows; whatever is in the database was admitted or refused by the
rules at that instant, in time order; at the end exactly `bots` hold a slot. Does not promise: one row of the rate
windows a second (signals and tokens come in handfuls), nor snapshots closer than a minute before the last 48 hours.
"""

from collections.abc import Callable, Iterable
from datetime import tzinfo

from limiter.demo.agenda import Agenda
from limiter.demo.box import Box
from limiter.demo.crowd import Crowd
from limiter.demo.market import Market
from limiter.rules.changes import Write
from limiter.rules.guards import Readings
from limiter.rules.quotas import TOKENS
from limiter.rules.snapshots import TakeSnapshot
from limiter.store.writer import Writer
from limiter.units import HOUR_MS, SECOND_MS

FINE_MS = 48 * HOUR_MS  # from here on a snapshot every 5 s, as long as those are kept
MARK = "demo"  # the id of the note by which a demo's database is known


def mark(seed: int, since: int) -> dict[str, object]:
    """The note that says, to people and to the next demo, that all of it is made up."""
    return {
        "id": MARK,
        "at": since,
        "text": f"Demo: made-up history, seed {seed}",
        "author": "demo",
        "created_at": since,
    }


class History:
    """The simulation: people, market and box of a few weeks, each on the same agenda."""

    def __init__(
        self,
        writer: Writer,
        zone: tzinfo,
        channels: Iterable[str] = (),
        *,
        seed: int,
        since: int,
        until: int,
        bots: int,
    ) -> None:
        agenda = self.agenda = Agenda(writer, zone, channels, seed=seed, since=since, until=until)
        self.market = Market(agenda)
        self.crowd = Crowd(agenda, self.market, bots)
        self.box = Box()
        agenda.decide(Write("notes", mark(seed, since), "demo", "note", MARK))
        agenda.save()
        agenda.at(since + HOUR_MS, self._hour)
        agenda.at(since, self._minute)
        agenda.at(since, self.snap)

    def run(self, tick: Callable[[int], object]) -> None:
        """From the first instant to the last; `tick` is told each hour that is written (UTC ms)."""
        self._tick = tick
        agenda = self.agenda
        agenda.run()
        self.crowd.land()
        self.snap()
        agenda.save(agenda.until - HOUR_MS if agenda.until % HOUR_MS == 0 else None)
        tick(agenda.until)

    def _hour(self) -> None:
        now = self.agenda.now
        self.crowd.forget()
        self.agenda.save(now - HOUR_MS)
        self._tick(now)
        self.agenda.at(now + HOUR_MS, self._hour)

    def _minute(self) -> None:
        self.agenda.after(60, self._minute)
        self.crowd.minute()
        self.market.minute()

    def snap(self) -> None:
        """A snapshot, as the sampler takes it."""
        agenda, box = self.agenda, self.box
        fine = agenda.now >= agenda.until - FINE_MS
        agenda.at(agenda.now + (5 if fine else 60) * SECOND_MS, self.snap)
        box.follow(len(agenda.state.sessions), self.market.down, agenda.chance)
        agenda.decide(TakeSnapshot(box.cpu, box.ram, box.p99))

    def readings(self) -> Readings:
        """What the guards look at."""
        box, state = self.box, self.agenda.state
        tokens = state.window(TOKENS).used(self.agenda.now // 1000)
        return Readings(box.cpu, box.ram, tokens, state.last_token_at, box.p99, 3.0, len(state.sessions))
