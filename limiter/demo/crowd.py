"""People come and go: they start bots as their keenness says, are refused and ask again, and end as fate has it.

Beats are not simulated one by one (there would be 10 million): a bot's next is its last one, known when it starts.
"""

import math
from base64 import urlsafe_b64encode
from bisect import bisect_left
from functools import partial
from itertools import accumulate

from limiter.demo import people
from limiter.demo.agenda import Agenda
from limiter.demo.box import costs
from limiter.demo.market import Market
from limiter.demo.people import Bot, Person, poisson
from limiter.rules.lease import EDGES_MS
from limiter.rules.records import Session
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Heartbeat, Start, Stop
from limiter.rules.state import State
from limiter.units import HOUR_MS, MINUTE_MS, SECOND_MS

BEAT_MS = 20 * SECOND_MS
BLEND_MS, LANDING_MS = 4 * HOUR_MS, 20 * MINUTE_MS  # how long before the end its number of bots is steered to
SUSPECTS = 3
SUPERVISED_SECONDS = 20, 240  # after a reboot, until a bot is started again
MANY_DRAWS = 60  # after so many in vain, look for somebody one by one
FATES = {"stops": 90, "crashes": 5, "comes back": 5}  # of 100 stays


class Crowd:
    """Everyone, and the bots they run. `landing`: how many of these hold a slot at the end."""

    def __init__(self, agenda: Agenda, market: Market, landing: int) -> None:
        self.agenda, self.chance = agenda, agenda.chance
        self.market, self.landing = market, landing
        self.everyone = people.people(agenda.chance, agenda.since, agenda.until)
        self._keenness = list(accumulate(person.keenness for person in self.everyone))
        self.bots: dict[int, Bot] = {}
        self.waiting: set[Person] = set()  # who was refused and will ask again

    @property
    def state(self) -> State:
        """The limiter's: another one after a restart."""
        return self.agenda.state

    def forget(self) -> None:
        """Those that hold no slot any more."""
        self.bots = {number: bot for number, bot in self.bots.items() if number in self.state.sessions}

    def minute(self) -> None:
        """Plan who comes, and near the end who goes, in the next 60 s."""
        left = self.agenda.until - self.agenda.now
        wish = people.wanted(self.agenda.now + 10 * MINUTE_MS, self.agenda.since, self.agenda.until, self.agenda.zone)
        wish += (self.landing - wish) * max(0.0, 1 - left / BLEND_MS)
        missing = wish - len(self.state.sessions) - len(self.waiting)
        patience = 8.0 if left > LANDING_MS else max(1.0, left / MINUTE_MS / 4)
        for _ in range(poisson(self.chance, max(0.0, missing) / patience)):
            self.agenda.after(self.chance.uniform(0, 60), self.arrive)
        if left <= LANDING_MS:
            for _ in range(poisson(self.chance, max(0.0, -missing) / patience)):
                self.agenda.after(self.chance.uniform(0, 60), self._depart)
        if self.state.sessions and self.chance.random() < len(self.state.sessions) / 9000:
            self.agenda.after(self.chance.uniform(0, 60), self._second_bot)

    def _may_come(self, person: Person) -> bool:
        return (
            person.joined_at <= self.agenda.now
            and person.away_until <= self.agenda.now
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
        if held is not None and held.last_heartbeat_at > self.agenda.now:  # it lives, and is about to be replaced
            self.beat(held, self.agenda.now)
        answer = self.agenda.decide(
            Start(self.agenda.name(), person.user_id, bot_id, f"bot-{self.agenda.name(8)}", secret)
        )
        self.waiting.discard(person)
        if not isinstance(answer, Refusal):
            self._stay(person, answer.session)
        elif self.chance.random() < person.patience:
            self.waiting.add(person)
            seconds = answer.retry_after_seconds or 60
            patient = self.chance.random() < 0.6
            wait = seconds * self.chance.uniform(1, 2) if patient else self.chance.uniform(5, 30)
            self.agenda.after(wait, lambda: self.ask(person, bot_id))
        else:
            person.away_until = self.agenda.now + int(self.chance.uniform(15, 60) * MINUTE_MS)

    def _stay(self, person: Person, session: Session) -> None:
        minutes = self.chance.lognormvariate(math.log(person.stay_minutes), 0.9)
        (fate,) = self.chance.choices(tuple(FATES), tuple(FATES.values()))
        bot = Bot(person, session, self.agenda.now + int(max(0.5, minutes) * MINUTE_MS), fate)
        self.bots[session.number] = bot
        self.beat(session, bot.leaves)
        self.agenda.at(bot.leaves, lambda: self._leave(bot))
        self.agenda.after(self.chance.expovariate(person.trades_per_hour / 3600), lambda: self.market.trade(bot))

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
            self.agenda.after(self.chance.uniform(3, 38), lambda: self.ask(bot.person, again))
        bot.person.away_until = self.agenda.now + int(self.chance.lognormvariate(3, 1) * MINUTE_MS)

    def stop(self, session: Session) -> None:
        """The bot gives its slot back."""
        self.beat(session, self.agenda.now)
        self.agenda.decide(Stop(session.number, session.secret))

    def die(self, away_seconds: float) -> None:
        """All bots end with their machine, and once it is back, their supervisors start them within minutes."""
        for bot in [bot for number, bot in self.bots.items() if number in self.state.sessions]:
            bot.fate, bot.leaves = "crashes", self.agenda.now
            self.beat(bot.session, self.agenda.now)
            again = partial(self.ask, bot.person, bot.session.asked_bot)
            self.agenda.after(away_seconds + self.chance.uniform(*SUPERVISED_SECONDS), again)

    def _depart(self) -> None:
        """Somebody leaves earlier than meant."""
        if self.state.sessions:
            self.stop(self.chance.choice(list(self.state.sessions.values())))

    def _second_bot(self) -> None:
        """Somebody who runs all the bots that they may tries one more."""
        person = self.chance.choice(list(self.bots.values())).person
        if person not in self.waiting and person.wanted == 1:
            self.ask(person, "bot-2" if person.named else None)

    def land(self) -> None:
        """Exactly as many as were wanted at the end, all of them with a fresh beat but a few."""
        while len(self.state.sessions) > self.landing:
            self._depart()
        while len(self.state.sessions) < self.landing and self.arrive():
            pass
        sessions = list(self.state.sessions.values())
        silent = [session for session in sessions if session.started_at < self.agenda.until - 10 * MINUTE_MS][
            :: len(sessions) // SUSPECTS
        ]
        for session in sessions:
            self.beat(session, self.agenda.until)
        for session in silent[:SUSPECTS]:
            Heartbeat(session.number, session.secret).decide(
                self.state, self.agenda.until - self.chance.randint(42_000, 55_000)
            )
