"""Trades (a user and a trade day) and rates (tokens and signals in any 60 s).

A rate never passes more than its limit in any 60 s, at one-second resolution: the running second and the 60 before it.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from limiter.rules import sessions
from limiter.rules.holding import run_out
from limiter.rules.records import Ended, RefusalRecord, Session, Trade
from limiter.rules.refusals import Refusal, invalid
from limiter.rules.state import State

Rate = Literal["tokens", "signals"]
TOKENS: Rate = "tokens"
SIGNALS: Rate = "signals"


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is used. `limit` and `left` are None where there is none."""

    used: int
    limit: int | None

    @property
    def left(self) -> int | None:
        """What is left, never below 0."""
        return None if self.limit is None else max(0, self.limit - self.used)

    def as_dict(self) -> dict[str, int | None]:
        """The three fields of the contract."""
        return {"used": self.used, "limit": self.limit, "left": self.left}


@dataclass(frozen=True, slots=True)
class TradeCounted:
    """The answer to a trade. `created` is False where the same trade was counted before."""

    trade: Trade
    use: Use
    resets_at: int
    created: bool


@dataclass(frozen=True, slots=True)
class RecordTrade:
    """A bot reports a trade. `quantity` and `price` are decimal texts, valid by construction."""

    request_id: str
    number: int
    secret: str
    trade_id: str
    symbol: str
    side: Literal["buy", "sell"]
    quantity: str
    price: str
    closes: bool

    def decide(self, state: State, now: int) -> TradeCounted | Refusal:
        """Count it once; a trade that closes a position is never refused for the daily limit."""
        session = sessions.find(state, self.number, self.secret)
        if isinstance(session, Refusal):
            return session
        if isinstance(session, Ended):
            return sessions.gone(session)
        user_id = session.user_id
        known = state.trades.get((user_id, self.trade_id))
        if known is not None and not self._same(known):
            return Refusal("trade_conflict")
        day = state.day(now)
        limit = state.limits.of(user_id, now)["MAX_TRADES_PER_DAY"]
        assert isinstance(limit, int)
        used = state.trades_today(user_id, now)
        if known is not None:
            return TradeCounted(known, Use(used, limit), day.ends, created=False)
        if used >= limit and not self.closes:
            wait = -(-(day.ends - now) // 1000)
            told = {"limit": limit, "used": used, "resets_at": day.ends}
            version = state.limits.version
            refused = RefusalRecord(
                self.request_id, now, user_id, session.bot_id, "daily_trades",
                "MAX_TRADES_PER_DAY", limit, used, version, None,
            )  # fmt: skip
            return state.refuse(Refusal("daily_trades", told, wait), refused)
        trade = Trade(
            self.trade_id, user_id, self.number, self.symbol, self.side,
            self.quantity, self.price, self.closes, now, day.name,
        )  # fmt: skip
        state.record_trade(trade)
        state.use(session, now)
        return TradeCounted(trade, Use(used + 1, limit), day.ends, created=True)

    def _same(self, known: Trade) -> bool:
        return (
            (known.symbol, known.side, known.closes) == (self.symbol, self.side, self.closes)
            and Decimal(known.quantity) == Decimal(self.quantity)
            and Decimal(known.price) == Decimal(self.price)
        )


def rate_uses(state: State, kind: Rate, user_id: str | None, now: int) -> list[tuple[str, str, Use]]:
    """Each limit that holds for a rate: its name, whose window it counts, and its use."""
    system = "MAX_TOKENS_PER_MINUTE" if kind == TOKENS else "MAX_SIGNALS_PER_MINUTE"
    second = now // 1000
    uses = [(system, "", Use(state.window(kind).used(second), state.limits.whole(system)))]
    if kind == SIGNALS and user_id is not None:
        own = state.limits.of(user_id, now)["MAX_SIGNALS_PER_MINUTE_PER_USER"]
        if isinstance(own, int):
            window = state.windows.get((kind, user_id))
            use = Use(window.used(second) if window else 0, own)
            uses.append(("MAX_SIGNALS_PER_MINUTE_PER_USER", user_id, use))
    return uses


def tightest(uses: list[tuple[str, str, Use]]) -> tuple[str, str, Use]:
    """The limit with the least left."""
    return min(uses, key=lambda row: row[2].left or 0)


def uses_of(state: State, user_id: str, now: int) -> tuple[Use, Use, Use]:
    """What one user uses of each limit that holds for a user: bots, trades of the day, signals of the last minute. Of
    memory, which has every trade of the running day."""
    limits = state.limits.of(user_id, now)
    bots, trades, signals = (
        limits[name] for name in ("MAX_BOTS_PER_USER", "MAX_TRADES_PER_DAY", "MAX_SIGNALS_PER_MINUTE_PER_USER")
    )
    assert isinstance(bots, int) and isinstance(trades, int) and not isinstance(signals, float)
    window = state.windows.get((SIGNALS, user_id))
    over = sum(ended.session.user_id == user_id for ended in run_out(state, now))
    return (
        Use(state.user_active(user_id) - over, bots),
        Use(state.trades_today(user_id, now), trades),
        Use(window.used(now // 1000) if window else 0, signals),
    )


@dataclass(frozen=True, slots=True)
class Take:
    """`count` signals of a session's user, or tokens of the feed: a user's where a session that lives is named. All or
    none."""

    request_id: str
    kind: Rate
    count: int
    number: int | None = None  # of the session; None: tokens of nobody's bot
    secret: str = ""

    def decide(self, state: State, now: int) -> Use | Refusal:
        """Take them where every limit that holds leaves room."""
        too_many = self._above(rate_uses(state, self.kind, None, now))
        if too_many is not None:
            return too_many
        user_id, bot_id, session = None, None, None
        if self.kind == SIGNALS or self.number is not None:
            found = sessions.find(state, self.number or 0, self.secret)
            if isinstance(found, Refusal):
                return found
            if isinstance(found, Session):
                session, user_id, bot_id = found, found.user_id, found.bot_id
            elif self.kind == SIGNALS:
                return sessions.gone(found)  # but what the feed brought it brought, whose bot has ended or not
        uses = rate_uses(state, self.kind, user_id, now)
        refusal = self._above(uses) or self._refuse(state, now, uses, user_id, bot_id)
        if refusal is not None:
            return refusal
        state.take(self.kind, "", now, self.count)
        if user_id is not None:
            state.take(self.kind, user_id, now, self.count)
        if session is not None:
            state.use(session, now)
        if self.kind == TOKENS:
            state.last_token_at = now
        return tightest(rate_uses(state, self.kind, user_id, now))[2]

    def _above(self, uses: list[tuple[str, str, Use]]) -> Refusal | None:
        for name, _, use in uses:
            if use.limit is not None and self.count > use.limit:
                return invalid("count", f"must not be above {name} ({use.limit})", f"dépasse {name} ({use.limit})")
        return None

    def _refuse(
        self, state: State, now: int, uses: list[tuple[str, str, Use]], user_id: str | None, bot_id: str | None
    ) -> Refusal | None:
        full = [row for row in uses if self.count > (row[2].left or 0)]
        if not full:
            return None
        name, _, use = tightest(full)
        second = now // 1000
        wait = max(
            state.window(self.kind, whose).wait(second, self.count + of.used - (of.limit or 0)) for _, whose, of in full
        )
        reason = "token_rate" if self.kind == TOKENS else "signal_rate"
        refused = RefusalRecord(
            self.request_id, now, user_id, bot_id, reason, name, use.limit, use.used, state.limits.version, None
        )
        return state.refuse(Refusal(reason, {"limit": use.limit, "used": use.used}, wait), refused)
