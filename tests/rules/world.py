"""A state without a database, and the requests that tests ask it most. Time is an argument: `NOW` and what is added."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from itertools import count
from typing import Any

from limiter.rules.guards import Readings
from limiter.rules.limits import Limits, Override, Setting, defaults
from limiter.rules.quotas import RecordTrade, Take, TradeCounted, Use
from limiter.rules.records import Ended, Session
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Admission, Heartbeat, Start, Stop, reap
from limiter.rules.state import State
from limiter.system_limits import Value

NOW = 1_767_268_800_000  # 2026-01-01T12:00:00Z
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
CALM = Readings(10.0, 20.0, 100, None, 1.0, 2.0, 0)
"""Readings that hold nothing back."""

_numbers = count(1)


def limits(overrides: Mapping[str, Override] | None = None, **values: Value) -> Limits:
    """Limits of version 1: the defaults, and these live values."""
    settings = {**defaults(), **{name: Setting(value, "live") for name, value in values.items()}}
    return Limits(1, settings, defaults(), overrides or {})


def override(until: int | None = None, **values: Value) -> Override:
    """A user's own limits."""
    return Override(values, "tests", until, NOW, "tests")


def new_state(zone: tzinfo = UTC, overrides: Mapping[str, Override] | None = None, **values: Value) -> State:
    """An empty fleet under these limits."""
    return State(limits(overrides, **values), zone)


def decide(state: State, request: Any, now: int = NOW) -> Any:
    """One request in a batch of its own, as the committer does it."""
    state.begin()
    reap(state, now)
    return request.decide(state, now)


def asked(
    user_id: str, bot_id: str | None = None, key: str | None = None, *, queue: bool = False, ticket: str | None = None
) -> Start:
    """A start request with fresh names."""
    number = next(_numbers)
    names = f"request-{number}", user_id, bot_id, f"made-{number}", f"secret-{number}", key
    return Start(*names, queue=queue, ticket=ticket)


def start(state: State, user_id: str, bot_id: str | None = None, key: str | None = None, now: int = NOW) -> Any:
    """What a start is answered."""
    return decide(state, asked(user_id, bot_id, key), now)


def admitted(state: State, user_id: str, bot_id: str | None = None, key: str | None = None, now: int = NOW) -> Session:
    """The session of a start that must be admitted."""
    answer = start(state, user_id, bot_id, key, now)
    assert isinstance(answer, Admission) and answer.created, answer
    return answer.session


def refused(answer: Any, reason: str) -> Refusal:
    """The answer, which must be a refusal for this reason."""
    assert isinstance(answer, Refusal), answer
    assert answer.reason == reason
    return answer


def stop(state: State, session: Session, now: int = NOW) -> Ended:
    """The end of a session that its bot stops."""
    ended = decide(state, Stop(session.number, session.secret), now)
    assert isinstance(ended, Ended), ended
    return ended


def beat(state: State, session: Session, now: int) -> Any:
    """What a heartbeat is answered."""
    return decide(state, Heartbeat(session.number, session.secret), now)


def trade_request(session: Session, trade_id: str, **fields: Any) -> RecordTrade:
    """That trade, not decided yet; `fields` go over a plain buy."""
    told: dict[str, Any] = {
        "symbol": "BTC/USDT",
        "side": "buy",
        "quantity": "1",
        "price": "100",
        "closes": False,
    } | fields
    return RecordTrade(f"request-{trade_id}", session.number, session.secret, trade_id, **told)


def trade(state: State, session: Session, trade_id: str, now: int = NOW, **fields: Any) -> Any:
    """What a trade is answered."""
    return decide(state, trade_request(session, trade_id, **fields), now)


def counted(answer: Any) -> TradeCounted:
    """The answer, which must be a counted trade."""
    assert isinstance(answer, TradeCounted), answer
    return answer


def signal(state: State, session: Session, n: int = 1, now: int = NOW) -> Any:
    """What taking signals is answered."""
    return decide(state, Take("request", "signals", n, session.number, session.secret), now)


def tokens(state: State, n: int = 1, now: int = NOW) -> Any:
    """What taking tokens is answered."""
    return decide(state, Take("request", "tokens", n), now)


def taken(answer: Any) -> Use:
    """The answer, which must be a use."""
    assert isinstance(answer, Use), answer
    return answer


def picture(state: State, now: int = NOW) -> dict[str, Any]:
    """Everything that decisions at `now` depend on, as plain values: two states with the same picture decide alike."""
    state.day(now)  # forgets what is over
    return {
        "limits": state.limits,
        "sessions": {
            n: (s.user_id, s.bot_id, s.idempotency_key, s.expires_at, s.notice) for n, s in state.sessions.items()
        },
        "bots": {key: session.number for key, session in state.bots.items()},
        "repeats": {key: session.number for key, session in state.repeats.items()},
        "users": dict(state.users),
        "next_number": state.next_number,
        "paused": state.paused,
        "tickets": dict(state.tickets),
        "drain": state.drain,
        "plan": state.plan,
        "schedule": state.schedule,
        "rising": dict(state.rising),
        "freed": list(state.freed),
        "trade_days": {key: n for key, n in state.trade_days.items() if n},
        "windows": {key: window.total for key, window in state.windows.items() if window.used(now // SECOND)},
        "totals": {name: n for name, n in state.totals.items() if n},
        "refused": list(state.refused),
    }
