"""What bots ask: start, heartbeat, stop, trades, signals, tokens, and the limits that hold for them."""

import secrets

from limiter.api import schemas as s
from limiter.api.call import Call, good
from limiter.api.wire import Answer, decimal, identifier, iso, ok
from limiter.rules.capacity import Capacity
from limiter.rules.quotas import SIGNALS, TOKENS, LookAtUser, RecordTrade, Take, TradeCounted, Use
from limiter.rules.records import Ended, Session
from limiter.rules.sessions import Admission, Heartbeat, Start, Stop


def capacity(of: Capacity) -> s.Capacity:
    """The closed object of six fields."""
    return s.Capacity(
        of.current, of.maximum, of.percent_used, of.maximum - of.current, of.status.value, of.can_accept_new
    )


def session(of: Session, ended: Ended | None = None) -> s.BotSession:
    """A session as its own bot sees it, with its secret."""
    lease = of.lease_ms // 1000
    return s.BotSession(
        of.session_id, of.public_id, of.user_id, of.bot_id,
        str(iso(of.started_at)), str(iso(of.expires_at)), lease, lease // 3 if lease % 3 == 0 else round(lease / 3, 3),
        iso(ended.at) if ended else None, ended.reason if ended else None,
    )  # fmt: skip


def credentials(session_id: str) -> tuple[int, str]:
    """The number and the secret in a session id; what is none becomes a session that nobody knows."""
    name, _, secret = session_id.partition(".")
    digits = name[1:]
    if name[:1] == "s" and digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(digits), secret
    return 0, ""


async def start(call: Call) -> Answer:
    """Admit a bot."""
    body: s.StartBody = call.body
    key = call.headers.get(b"idempotency-key")
    request = Start(
        request_id=call.request_id,
        user_id=str(body.user_id),
        bot_id=None if body.bot_id is None else str(body.bot_id),
        made_bot=f"bot-{secrets.token_hex(6)}" if body.bot_id is None else "",
        secret=secrets.token_urlsafe(18),
        idempotency_key=None if key is None else good(identifier("Idempotency-Key", key.decode("latin-1"))),
    )
    admission: Admission = await call.decide(request)
    state, now = call.services.committer.state, call.now()
    answer = s.StartAnswer(
        session=session(admission.session),
        limits=dict(state.limits.of(request.user_id, now)),
        limits_version=state.limits.version,
        capacity=capacity(state.capacity(now)),
    )
    return ok(answer, 201 if admission.created else 200)


async def heartbeat(call: Call) -> Answer:
    """Renew a lease."""
    renewed: Session = await call.decide(Heartbeat(*credentials(call.body.session_id)))
    limits = call.services.committer.state.limits
    values = dict(limits.of(renewed.user_id, call.now()))
    return ok(s.HeartbeatAnswer(session(renewed), values, limits.version))


async def stop(call: Call) -> Answer:
    """Give a slot back."""
    ended: Ended = await call.decide(Stop(*credentials(call.body.session_id)))
    return ok(s.StopAnswer(session(ended.session, ended)))


async def trades(call: Call) -> Answer:
    """Count a trade, once."""
    body: s.TradeBody = call.body
    number, secret = credentials(body.session_id)
    request = RecordTrade(
        request_id=call.request_id,
        number=number,
        secret=secret,
        trade_id=f"t-{secrets.token_hex(8)}" if body.trade_id is None else str(body.trade_id),
        symbol=str(body.symbol),
        side=body.side,
        quantity=good(decimal("quantity", body.quantity)),
        price=good(decimal("price", body.price)),
        closes=body.closes,
    )
    counted: TradeCounted = await call.decide(request)
    trade, use = counted.trade, counted.use
    shown = s.Trade(
        trade.trade_id, trade.symbol, trade.side, trade.quantity, trade.price, trade.closes, str(iso(trade.at))
    )
    answer = s.TradeAnswer(shown, use.used, use.left or 0, use.limit or 0, str(iso(counted.resets_at)))
    return ok(answer, 201 if counted.created else 200)


async def signals(call: Call) -> Answer:
    """Take signals of the rate."""
    number, secret = credentials(call.body.session_id)
    use: Use = await call.decide(Take(call.request_id, SIGNALS, call.body.count, number, secret))
    return ok(s.UseAnswer(use.used, use.limit, use.left))


async def tokens(call: Call) -> Answer:
    """Take tokens of the rate."""
    use: Use = await call.decide(Take(call.request_id, TOKENS, call.body.count))
    return ok(s.UseAnswer(use.used, use.limit, use.left))


async def limits(call: Call) -> Answer:
    """The limits in force, for all or for one user."""
    user_id, held = call.wanted_name("user_id"), call.services.committer.state.limits
    values = dict(held.values if user_id is None else held.of(user_id, call.now()))
    return ok(s.LimitsAnswer(values, held.version))


async def usage(call: Call) -> Answer:
    """What one user uses of his limits now."""
    uses: tuple[Use, Use, Use] = await call.decide(LookAtUser(call.name("user_id")))
    return ok(s.UsageAnswer(*(s.Use(use.used, use.limit, use.left) for use in uses)))
