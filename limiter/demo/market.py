"""The exchange: its feed of tokens, the signals that bots take from it, and what they trade."""

import math
from itertools import count

from limiter.demo.agenda import Agenda
from limiter.demo.people import SYMBOLS, Bot, poisson
from limiter.rules.quotas import SIGNALS, TOKENS, RecordTrade, Take
from limiter.rules.refusals import Refusal
from limiter.rules.state import State


class Market:
    """Prices and the feed; while it is `down`, hardly a token comes and nobody trades."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda, self.chance = agenda, agenda.chance
        self.down = False
        self.prices = dict(SYMBOLS)
        self._trade_ids = count(1)

    @property
    def state(self) -> State:
        """The limiter's: another one after a restart."""
        return self.agenda.state

    def trade(self, bot: Bot) -> None:
        """One trade of a bot that is still there, and its next one later; none while the feed is down."""
        if bot.session.number not in self.state.sessions or self.agenda.now >= bot.leaves:
            return
        wait = self.chance.expovariate(bot.person.trades_per_hour / 3600)
        if not self.down:
            symbol = self.chance.choice(tuple(SYMBOLS))
            price = self.prices[symbol] = self.prices[symbol] * math.exp(self.chance.gauss(0, 0.0008))
            quantity = self.chance.lognormvariate(3, 1) / price
            answer = self.agenda.decide(
                RecordTrade(
                    self.agenda.name(), bot.session.number, bot.session.secret, f"t{next(self._trade_ids)}", symbol,
                    "sell" if bot.invested else "buy", f"{quantity:.5f}", f"{price:.{2 if price > 10 else 4}f}",
                    bot.invested,
                )
            )  # fmt: skip
            if isinstance(answer, Refusal):
                wait = self.chance.uniform(1200, 3600)
            else:
                bot.invested = not bot.invested
        self.agenda.after(wait, lambda: self.trade(bot))

    def minute(self) -> None:
        """A minute of the feed, and of the signals that bots take from it; now and then a burst too many."""
        tokens = self.chance.randrange(3) if self.down else max(20, round(self.chance.gauss(390, 45)))
        burst = self.chance.random()
        if tokens:
            self.agenda.decide(Take(self.agenda.name(), TOKENS, tokens))
        if burst < 0.0006 and not self.down:
            self.agenda.decide(Take(self.agenda.name(), TOKENS, 640))
        bots = len(self.state.sessions)
        if bots and not self.down:
            for _ in range(2):
                self.agenda.after(self.chance.uniform(0, 60), lambda: self._signal(1 + poisson(self.chance, bots / 10)))
        if 0.001 < burst < 0.0025:
            self.agenda.after(self.chance.uniform(0, 60), lambda: self._signal(self.chance.randint(55, 90)))

    def _signal(self, n: int) -> None:
        if self.state.sessions:
            session = self.chance.choice(list(self.state.sessions.values()))
            self.agenda.decide(Take(self.agenda.name(), SIGNALS, n, session.number, session.secret))
