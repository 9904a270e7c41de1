"""Weeks of made-up history, decided by the real rules on a virtual clock and written by the real writer.

Promises: the same seed, zone and end give the same rows; whatever is in the database was admitted or refused by the
rules at that instant, in time order; at the end exactly `bots` hold a slot. Does not promise: one row of the rate
windows a second (signals and tokens come in handfuls), nor snapshots closer than a minute before the last 48 hours.

Beats are not simulated one by one (there would be 10 million): a bot's next is its last one, known when it starts.
"""

import math
from base64 import urlsafe_b64encode
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo
from heapq import heappop, heappush
from itertools import accumulate, count
from random import Random
from typing import Any

from limiter.committer import Request
from limiter.demo import people
from limiter.demo.box import Box, costs
from limiter.demo.people import SYMBOLS, Person, poisson
from limiter.rules.changes import Write
from limiter.rules.guards import Readings
from limiter.rules.incidents import watch
from limiter.rules.lease import EDGES_MS
from limiter.rules.limits import defaults
from limiter.rules.quotas import SIGNALS, TOKENS, RecordTrade, Take
from limiter.rules.records import Session
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Heartbeat, Reap, Start, Stop
from limiter.rules.snapshots import TakeSnapshot
from limiter.store.usage import roll
from limiter.store.writer import Writer
from limiter.units import HOUR_MS, MINUTE_MS, SECOND_MS

BEAT_MS = 20 * SECOND_MS
FINE_MS = 48 * HOUR_MS  # from here on a snapshot every 5 s, as long as those are kept
BLEND_MS, LANDING_MS = 4 * HOUR_MS, 20 * MINUTE_MS  # how long before the end its number of bots is steered to
SUSPECTS = 3
MANY_DRAWS = 60  # after so many in vain, look for somebody one by one
MARK = "demo"  # the id of the note by which a demo's database is known
FATES = {"stops": 90, "crashes": 5, "comes back": 5}  # of 100 stays


def mark(seed: int, since: int) -> dict[str, object]:
    """The note that says, to people and to the next demo, that all of it is made up."""
    return {
        "id": MARK,
        "at": since,
        "text": f"Demo: made-up history, seed {seed}",
        "author": "demo",
        "created_at": since,
    }


@dataclass(slots=True, eq=False)
class Bot:
    """One stay: whose, until when, and how it will end."""

    person: Person
    session: Session
    leaves: int
    fate: str
    invested: bool = False


class History:
    """The simulation: an agenda of happenings, the state they are decided on, and the writer that keeps it."""

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
        self.writer, self.zone, self.since, self.until, self.bots = writer, zone, since, until, bots
        self.now = since
        self.chance = Random(seed)
        self.state = writer.restore(defaults(), zone, since, channels)
        self.everyone = people.people(self.chance, since, until)
        self._keenness = list(accumulate(person.keenness for person in self.everyone))
        self.crowd: dict[int, Bot] = {}
        self.waiting: set[Person] = set()  # who was refused and will ask again
        self.prices = dict(SYMBOLS)
        self.feed_down = False
        self.box = Box()
        self._trade_ids = count(1)
        self._agenda: list[tuple[int, int, Callable[[], object]]] = []
        self._order = count()
        self.state.begin()
        self.decide(Write("notes", mark(seed, since), "demo", "note", MARK))
        self._save()
        self.at(since + HOUR_MS, self._hour)
        self.at(since, self._minute)
        self.at(since, self.snap)

    # -- the clock

    def at(self, instant: int, happening: Callable[[], object]) -> None:
        """Have it happen at `instant` (UTC ms); what is planned for after the end never does."""
        if instant < self.until:
            heappush(self._agenda, (instant, next(self._order), happening))

    def after(self, seconds: float, happening: Callable[[], object]) -> None:
        """Have it happen so many seconds from now."""
        self.at(self.now + int(seconds * 1000), happening)

    def run(self, tick: Callable[[int], object]) -> None:
        """From the first instant to the last; `tick` is told each hour that is written (UTC ms)."""
        self._tick = tick
        while self._agenda:
            self.now, _, happening = heappop(self._agenda)
            if Reap().decide(self.state, self.now):
                watch(self.state, self.now)
            happening()
            watch(self.state, self.now)
        self.now = self.until
        Reap().decide(self.state, self.now)
        self._land()
        self.snap()
        self._save(self.until - HOUR_MS if self.until % HOUR_MS == 0 else None)
        tick(self.until)

    def decide(self, request: Request) -> Any:
        """What the rules say to it now."""
        return request.decide(self.state, self.now)

    def _save(self, hour: int | None = None) -> None:
        self.writer.begin()
        self.writer.save(self.state)
        if hour is not None:
            roll(self.writer.connection, hour)
        self.writer.commit()
        self.writer.committed(self.state)
        self.state.begin()

    def _hour(self) -> None:
        self.crowd = {number: bot for number, bot in self.crowd.items() if number in self.state.sessions}
        self._save(self.now - HOUR_MS)
        self._tick(self.now)
        self.at(self.now + HOUR_MS, self._hour)

    def name(self, length: int = 16) -> str:
        """A random hexadecimal name."""
        return f"{self.chance.getrandbits(4 * length):0{length}x}"

    # -- people come and go

    def _minute(self) -> None:
        self.after(60, self._minute)
        left = self.until - self.now
        wish = people.wanted(self.now + 10 * MINUTE_MS, self.since, self.until, self.zone)
        wish += (self.bots - wish) * max(0.0, 1 - left / BLEND_MS)
        missing = wish - len(self.state.sessions) - len(self.waiting)
        patience = 8.0 if left > LANDING_MS else max(1.0, left / MINUTE_MS / 4)
        for _ in range(poisson(self.chance, max(0.0, missing) / patience)):
            self.after(self.chance.uniform(0, 60), self.arrive)
        if left <= LANDING_MS:
            for _ in range(poisson(self.chance, max(0.0, -missing) / patience)):
                self.after(self.chance.uniform(0, 60), self._depart)
        if self.state.sessions and self.chance.random() < len(self.state.sessions) / 9000:
            self.after(self.chance.uniform(0, 60), self._second_bot)
        self._feed()

    def _may_come(self, person: Person) -> bool:
        return (
            person.joined_at <= self.now
            and person.away_until <= self.now
            and person not in self.waiting
            and self.state.users.get(person.user_id, 0) < person.wanted
        )

    def arrive(self) -> bool:
        """Somebody who may have one more bot starts one; False where nobody is left."""
        for _ in range(MANY_DRAWS):
            (person,) = self.chance.choices(self.everyone, cum_weights=self._keenness)
            if self._may_come(person):
                break
        else:
            away = [person for person in self.everyone if self._may_come(person)]
            if not away:
                return False
            person = self.chance.choice(away)
        names = (f"bot-{number}" for number in range(1, person.wanted + 1))
        free = (name for name in names if (person.user_id, name) not in self.state.bots)
        self.ask(person, next(free) if person.named else None)
        return True

    def ask(self, person: Person, bot_id: str | None) -> None:
        """One start, and what comes of it."""
        secret = urlsafe_b64encode(self.chance.randbytes(18)).decode()
        held = self.state.bots.get((person.user_id, bot_id)) if bot_id is not None else None
        if held is not None and held.last_heartbeat_at > self.now:  # it lives, and is about to be replaced
            self.beat(held, self.now)
        answer = self.decide(Start(self.name(), person.user_id, bot_id, f"bot-{self.name(8)}", secret))
        self.waiting.discard(person)
        if not isinstance(answer, Refusal):
            self._stay(person, answer.session)
        elif self.chance.random() < person.patience:
            self.waiting.add(person)
            seconds = answer.retry_after_seconds or 60
            patient = self.chance.random() < 0.6
            wait = seconds * self.chance.uniform(1, 2) if patient else self.chance.uniform(5, 30)
            self.after(wait, lambda: self.ask(person, bot_id))
        else:
            person.away_until = self.now + int(self.chance.uniform(15, 60) * MINUTE_MS)

    def _stay(self, person: Person, session: Session) -> None:
        minutes = self.chance.lognormvariate(math.log(person.stay_minutes), 0.9)
        (fate,) = self.chance.choices(tuple(FATES), tuple(FATES.values()))
        bot = Bot(person, session, self.now + int(max(0.5, minutes) * MINUTE_MS), fate)
        self.crowd[session.number] = bot
        self.beat(session, bot.leaves)
        self.at(bot.leaves, lambda: self._leave(bot))
        self.after(self.chance.expovariate(person.trades_per_hour / 3600), lambda: self._trade(bot))

    def beat(self, session: Session, until: int) -> None:
        """Its last beats, at the end of the last whole beat intervals of the session before `until`."""
        last = until - (until - session.started_at) % BEAT_MS
        gaps = self.state.gaps.copy()
        gaps[bisect_left(EDGES_MS, BEAT_MS)] += max(0, last - session.last_heartbeat_at) // BEAT_MS
        for at in (max(session.started_at, last - 3 * BEAT_MS), last):
            told = costs(session.number, (at - session.started_at) / 1000)
            Heartbeat(session.number, session.secret, *told).decide(self.state, at)
        self.state.gaps = gaps  # as if it had beaten all the time, and not as these two say

    def _leave(self, bot: Bot) -> None:
        if bot.session.number not in self.state.sessions:
            return
        if bot.fate == "stops":
            self.stop(bot.session)
        elif bot.fate == "comes back":  # at once, so in the slot it still holds where it has a name, else refused
            again = bot.session.asked_bot
            self.after(self.chance.uniform(3, 38), lambda: self.ask(bot.person, again))
        bot.person.away_until = self.now + int(self.chance.lognormvariate(3, 1) * MINUTE_MS)

    def stop(self, session: Session) -> None:
        """The bot gives its slot back."""
        self.beat(session, self.now)
        self.decide(Stop(session.number, session.secret))

    def _depart(self) -> None:
        """Somebody leaves earlier than meant."""
        if self.state.sessions:
            self.stop(self.chance.choice(list(self.state.sessions.values())))

    def _second_bot(self) -> None:
        """Somebody who runs all the bots that they may tries one more."""
        person = self.chance.choice(list(self.crowd.values())).person
        if person not in self.waiting and person.wanted == 1:
            self.ask(person, "bot-2" if person.named else None)

    # -- what bots do

    def _trade(self, bot: Bot) -> None:
        if bot.session.number not in self.state.sessions or self.now >= bot.leaves:
            return
        wait = self.chance.expovariate(bot.person.trades_per_hour / 3600)
        if not self.feed_down:
            symbol = self.chance.choice(tuple(SYMBOLS))
            price = self.prices[symbol] = self.prices[symbol] * math.exp(self.chance.gauss(0, 0.0008))
            quantity = self.chance.lognormvariate(3, 1) / price
            answer = self.decide(
                RecordTrade(
                    self.name(), bot.session.number, bot.session.secret, f"t{next(self._trade_ids)}", symbol,
                    "sell" if bot.invested else "buy", f"{quantity:.5f}", f"{price:.{2 if price > 10 else 4}f}",
                    bot.invested,
                )
            )  # fmt: skip
            if isinstance(answer, Refusal):
                wait = self.chance.uniform(1200, 3600)
            else:
                bot.invested = not bot.invested
        self.after(wait, lambda: self._trade(bot))

    def _feed(self) -> None:
        """A minute of the feed, and of the signals that bots take from it; now and then a burst too many."""
        tokens = self.chance.randrange(3) if self.feed_down else max(20, round(self.chance.gauss(390, 45)))
        burst = self.chance.random()
        if tokens:
            self.decide(Take(self.name(), TOKENS, tokens))
        if burst < 0.0006 and not self.feed_down:
            self.decide(Take(self.name(), TOKENS, 640))
        bots = len(self.state.sessions)
        if bots and not self.feed_down:
            for _ in range(2):
                self.after(self.chance.uniform(0, 60), lambda: self._signal(1 + poisson(self.chance, bots / 10)))
        if 0.001 < burst < 0.0025:
            self.after(self.chance.uniform(0, 60), lambda: self._signal(self.chance.randint(55, 90)))

    def _signal(self, n: int) -> None:
        if self.state.sessions:
            session = self.chance.choice(list(self.state.sessions.values()))
            self.decide(Take(self.name(), SIGNALS, n, session.number, session.secret))

    # -- the box

    def snap(self) -> None:
        """A snapshot, as the sampler takes it."""
        fine = self.now >= self.until - FINE_MS
        self.at(self.now + (5 if fine else 60) * SECOND_MS, self.snap)
        self.box.follow(len(self.state.sessions), self.feed_down, self.chance)
        self.decide(TakeSnapshot(self.box.cpu, self.box.ram, self.box.p99))

    def readings(self) -> Readings:
        """What the guards look at."""
        box, bots = self.box, len(self.state.sessions)
        tokens = self.state.window(TOKENS).used(self.now // 1000)
        return Readings(box.cpu, box.ram, tokens, self.state.last_token_at, box.p99, 3.0, bots)

    def _land(self) -> None:
        """Exactly `bots` of them at the end, all of them with a fresh beat but a few."""
        while len(self.state.sessions) > self.bots:
            self._depart()
        while len(self.state.sessions) < self.bots and self.arrive():
            pass
        sessions = list(self.state.sessions.values())
        silent = [session for session in sessions if session.started_at < self.until - 10 * MINUTE_MS][
            :: len(sessions) // SUSPECTS
        ]
        for session in sessions:
            self.beat(session, self.until)
        for session in silent[:SUSPECTS]:
            Heartbeat(session.number, session.secret).decide(
                self.state, self.until - self.chance.randint(42_000, 55_000)
            )
