"""What bots ask: start, heartbeat, stop, trades, signals, tokens, and the limits that hold for them."""

import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterator

from limiter.answers import bots as s
from limiter.answers.limits import LimitsAnswer
from limiter.answers.parts import LimitValues
from limiter.answers.users import UsageAnswer
from limiter.answers.users import Use as UseShown
from limiter.api.capacity import shown
from limiter.http.call import Ask, Call, good
from limiter.http.wire import Answer, Once, decimal, identifier, iso, ok
from limiter.rules.limits import Limits
from limiter.rules.quotas import SIGNALS, TOKENS, RecordTrade, Take, TradeCounted, Use, uses_of
from limiter.rules.records import Drain, Ended, RefusalRecord, Session
from limiter.rules.refusals import Refusal
from limiter.rules.room import capacity
from limiter.rules.sessions import Admission, Heartbeat, Heartbeats, Start, Stop


def heartbeat_seconds(lease: int) -> int | float:
    """How often a bot beats under a lease of so many seconds."""
    return lease // 3 if lease % 3 == 0 else round(lease / 3, 3)


def session(of: Session, ended: Ended | None = None) -> s.BotSession:
    """A session as its own bot sees it, with its secret."""
    lease = of.lease_ms // 1000
    return s.BotSession(
        of.session_id, of.public_id, of.user_id, of.bot_id,
        str(iso(of.started_at)), str(iso(of.expires_at)), lease, heartbeat_seconds(lease),
        iso(ended.at) if ended else None, ended.reason if ended else None,
    )  # fmt: skip


def notice_of(of: Session, drain: Drain | None) -> s.Notice | None:
    """What will end the session, as its bot and operators are told: of its own stop and a drain what comes first."""
    own = of.notice
    first = own is None or (drain is not None and drain.stop_at is not None and drain.stop_at <= own.at)
    if drain is not None and first:
        return s.Notice("drain", iso(drain.stop_at), drain.reason)
    return None if own is None else s.Notice("stop", iso(own.at), own.reason)


_of_all = Once()


def _secrets() -> Iterator[str]:
    """Secrets of sessions without end, each 144 random bits in 24 characters: the system is asked for many at once."""
    while True:
        texts = urlsafe_b64encode(os.urandom(64 * 18)).decode()
        yield from (texts[at : at + 24] for at in range(0, len(texts), 24))


_fresh = _secrets()


def _limits(limits: Limits, user_id: str, now: int) -> LimitValues:
    """What holds for the user: a new dictionary only where limits of the user alone hold."""
    values = limits.of(user_id, now)
    told: LimitValues = _of_all(values) if values is limits.values else dict(values)
    return told


def credentials(session_id: str) -> tuple[int, str]:
    """The number and the secret in a session id; what is none becomes a session that nobody knows."""
    name, _, secret = session_id.partition(".")
    digits = name[1:]
    if name[:1] == "s" and digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(digits), secret
    return 0, ""


ASKED = frozenset(("/api/bots/start", "/api/bots/stop", "/api/bots/trades", "/api/bots/signals", "/api/feed/tokens"))
"""Where a bot asks for something that the next heartbeat does not bring: undecided, it is kept."""


def undecided(call: Call, reason: str) -> RefusalRecord:
    """The record of a bot's request that no rule has decided; whose it was is known where its body was read."""
    state = call.services.committer.state
    user_id, bot_id = getattr(call.body, "user_id", None), getattr(call.body, "bot_id", None)
    if session_id := getattr(call.body, "session_id", None):
        number, secret = credentials(session_id)
        session = state.sessions.get(number)
        if session is not None and session.secret == secret:
            user_id, bot_id = session.user_id, session.bot_id
    return RefusalRecord(
        call.request_id, call.now(), None if user_id is None else str(user_id), None if bot_id is None else str(bot_id),
        reason, None, None, None, state.limits.version, None,
    )  # fmt: skip


def start(call: Call) -> Ask:
    """Admit a bot."""
    body: s.StartBody = call.body
    key = call.http.headers.get(b"idempotency-key")
    process = None if body.process is None else str(body.process)
    if process is not None and (watch := call.services.strangers) is not None:
        watch.asks(process)
    request = Start(
        request_id=call.request_id,
        user_id=str(body.user_id),
        bot_id=None if body.bot_id is None else str(body.bot_id),
        made_bot=f"bot-{secrets.token_hex(6)}" if body.bot_id is None else "",
        secret=next(_fresh),
        idempotency_key=None if key is None else good(identifier("Idempotency-Key", key.decode("latin-1"))),
        process=process,
        queue=body.queue,
        ticket=None if body.ticket is None else str(body.ticket),
    )
    return Ask(request, _admitted)


def _admitted(call: Call, admission: Admission) -> Answer:
    if call.body.process is not None and (watch := call.services.strangers) is not None:
        watch.admitted(str(call.body.process))
    state, now = call.services.committer.state, call.now()
    answer = s.StartAnswer(
        session=session(admission.session),
        limits=_limits(state.limits, admission.session.user_id, now),
        limits_version=state.limits.version,
        capacity=shown(capacity(state, now)),
    )
    return ok(answer, 201 if admission.created else 200)


def heartbeat(call: Call) -> Ask:
    """Renew a lease."""
    return Ask(_beat(call.body), _renewed)


def _beat(of: s.HeartbeatBody | s.Beat) -> Heartbeat:
    number, secret = credentials(of.session_id)
    return Heartbeat(number, secret, of.memory_bytes, of.cpu_seconds, None if of.process is None else str(of.process))


def _renewed(call: Call, renewed: Session) -> Answer:
    state = call.services.committer.state
    limits, notice = state.limits, notice_of(renewed, state.drain)
    values = _limits(limits, renewed.user_id, call.now())
    return ok(s.HeartbeatAnswer(session(renewed), values, limits.version, notice))


def heartbeats(call: Call) -> Ask:
    """Renew the leases of many bots."""
    body: s.HeartbeatsBody = call.body
    return Ask(Heartbeats([_beat(one) for one in body.beats]), _all_renewed)


def _all_renewed(call: Call, results: list[Session | Refusal]) -> Answer:
    state = call.services.committer.state
    limits = state.limits
    every = heartbeat_seconds(limits.whole("BOT_LEASE_SECONDS"))
    return ok(
        s.HeartbeatsAnswer(
            [_result(one, state.drain) for one in results], _of_all(limits.values), limits.version, every
        )
    )


def _result(of: Session | Refusal, drain: Drain | None) -> s.BeatResult:
    if isinstance(of, Session):
        return s.BeatResult(True, str(iso(of.expires_at)), notice_of(of, drain))
    if of.reason == "session_unknown":
        return s.BeatResult(False, reason="session_unknown")
    ended_at, how = str(iso(of.facts["ended_at"])), of.facts["ended_reason"]
    return s.BeatResult(False, reason="session_ended", ended_at=ended_at, ended_reason=how)


def stop(call: Call) -> Ask:
    """Give a slot back."""
    return Ask(Stop(*credentials(call.body.session_id), call.request_id), _stopped)


def _stopped(_: Call, ended: Ended) -> Answer:
    return ok(s.StopAnswer(session(ended.session, ended)))


def trades(call: Call) -> Ask:
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
    return Ask(request, _counted)


def _counted(_: Call, counted: TradeCounted) -> Answer:
    trade, use = counted.trade, counted.use
    shown = s.Trade(
        trade.trade_id, trade.symbol, trade.side, trade.quantity, trade.price, trade.closes, str(iso(trade.at))
    )
    answer = s.TradeAnswer(shown, use.used, use.left or 0, use.limit or 0, str(iso(counted.resets_at)))
    return ok(answer, 201 if counted.created else 200)


def signals(call: Call) -> Ask:
    """Take signals of the rate."""
    number, secret = credentials(call.body.session_id)
    return Ask(Take(call.request_id, SIGNALS, call.body.count, number, secret), _taken)


def tokens(call: Call) -> Ask:
    """Take tokens of the rate; a bot says whose they are by its session."""
    whose = (None, "") if call.body.session_id is None else credentials(call.body.session_id)
    return Ask(Take(call.request_id, TOKENS, call.body.count, *whose), _taken)


def _taken(_: Call, use: Use) -> Answer:
    return ok(s.UseAnswer(use.used, use.limit, use.left))


async def limits(call: Call) -> Answer:
    """The limits in force, for all or for one user."""
    user_id, held = call.wanted_name("user_id"), call.services.committer.state.limits
    values = dict(held.values if user_id is None else held.of(user_id, call.now()))
    return ok(LimitsAnswer(values, held.version))


async def usage(call: Call) -> Answer:
    """What one user uses now: bots, trades today, signals of the last minute, each against its limit."""
    uses = uses_of(call.services.committer.state, call.name("user_id"), call.now())
    return ok(UsageAnswer(*(UseShown(use.used, use.limit, use.left) for use in uses)))
