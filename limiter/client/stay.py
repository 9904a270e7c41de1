"""A bot's stay, without IO: take a slot, beat, report, give it back. The twins of sessions.py drive it.

Promises: `lost` is set as soon as any answer says that the session has ended (410), and, where the limiter is out of
reach, at five sixths of the lease: before it could give the slot to another bot. What is safe to repeat is repeated,
with back-off and jitter: a start by its Idempotency-Key, a trade by its trade_id, beats, stops. A signal or token
counts each time that it arrives: it is sent again only where it surely did not count.
The slot is that of the process that took it. A forked child may report by its copy, which has connections of its own;
the copy neither beats nor stops, and its `lost` is set by what the child's own calls hear.
Does not promise: to end the bot's own work (look at `lost`), nor to follow a bot that becomes a daemon (open it then).

What is asked and when is written once, as flows: generators that yield a Call or a Pause and are sent the reply.
"""

import asyncio
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from typing import Any, Literal

import httpx

from limiter import processes
from limiter.calling import (
    GONE,
    MAY_COME_TRUE,
    NOTHING_DECIDED,
    PATIENCE_SECONDS,
    STOP_PATIENCE_SECONDS,
    answer_timeout,
    delays,
    pause,
    spread,
)
from limiter.calling.start import SlotRequest
from limiter.client.own_cost import OwnCost
from limiter.client.wire import Answer, Connection, Refused, Reply

WHOLE_DIGITS, DECIMALS = 20, 18  # of a quantity or price, as the API takes them

log = logging.getLogger("limiter.client")

Number = Decimal | float | str
Side = Literal["buy", "sell"]


@dataclass(frozen=True, slots=True)
class Call:
    """One POST. `repeatable`: sending it twice counts once, so it is tried again even where its answer was lost."""

    path: str
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Flow = Generator[Call | Pause, Reply | None, Any]


def plain(number: Number) -> str:
    """A quantity or price as the API takes it: digits, no exponent, rounded to 18 decimals. A text goes as it is.

    Takes every number that `Decimal(str(number))` takes, those of numpy too. Raises ValueError where it is no number
    above 0 with at most 20 digits before the point.
    """
    if isinstance(number, str):
        return number
    try:
        exact = Decimal(str(number))
        if exact.is_finite() and -exact.as_tuple().exponent > DECIMALS:  # type: ignore[operator]  # finite: an int
            exact = exact.quantize(Decimal(1).scaleb(-DECIMALS), context=Context(prec=WHOLE_DIGITS + DECIMALS))
        if 0 < exact < 10**WHOLE_DIGITS:
            return format(exact, "f")
    except ArithmeticError:  # no number, NaN, or too long
        pass
    raise ValueError(number)


def _did_not_count(reply: Reply, refused: Refused) -> bool:
    """Whether it is sure that a call was not counted: it never left, or was turned away before anything was decided.

    A proxy's 502, 503 or 504 does not say so: the limiter may have had the call, and its answer been lost. A 429 does.
    """
    if isinstance(reply, httpx.Response):
        return refused.reason not in MAY_COME_TRUE or reply.status_code == 429
    return isinstance(reply, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)


class Stay:
    """What a bot knows of its session, and the flows that both twins drive. Options of both:

    `user_id`; `bot_id`, a new one where None; `wait_seconds`: how long to ask again where there is no slot;
    `on_notice`: called once for each end that is announced, with `kind`, `at` and `reason`, by the thread that beats;
    `notice` is what is announced now, None again where it was taken back.
    `url`, `key`, `language`: the environment's LIMITER_URL, LIMITER_KEY, LIMITER_LANG where None.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        user_id: str,
        bot_id: str | None = None,
        key: str | None = None,
        wait_seconds: float = 0.0,
        language: str | None = None,
        on_notice: Callable[[Answer], object] | None = None,
    ) -> None:
        self.connection = Connection(url, key, language)
        self.user_id, self.bot_id, self.wait_seconds = user_id, bot_id, wait_seconds
        self.session: Answer = {}
        self.limits: Answer = {}
        self.notice: Answer | None = None
        self._on_notice = on_notice
        self.limits_version = 0
        self.capacity: Answer = {}
        self._because: Refused | None = None
        self._cost = OwnCost()
        self._idempotency_key = uuid.uuid4().hex
        self._taken_in = os.getpid()
        self._process: dict[str, str] = {}
        self._hold_until = 0.0  # monotonic seconds
        self._open()

    def _open(self) -> None:
        """Makes what the twin drives its flows with, and `lost`."""
        self.lost: threading.Event | asyncio.Event = threading.Event()

    @property
    def lost_because(self) -> Refused | None:
        """Why the session is lost; None exactly as long as `lost` is not set."""
        return self._because if self.lost.is_set() else None

    def _lose(self, because: Refused) -> None:
        """The slot is another's from now on. Any thread may say so; the first reason stays."""
        self._because = self._because or because
        self.lost.set()

    @property
    def session_id(self) -> str:
        """The secret that beats, trades and the stop are sent with."""
        return str(self.session.get("session_id", ""))

    @property
    def public_id(self) -> str:
        """The session's name that may be shown."""
        return str(self.session.get("public_id", ""))

    @property
    def _is_anothers(self) -> bool:
        """Whether this is a forked child's copy of a session that its parent opened, or took the slot with."""
        return self._taken_in != os.getpid()

    def _answered(self, call: Call, until: float, *, insist: bool = False) -> Flow:
        """The answer, tried for until then while none comes or nothing was decided. Raises Refused.

        `insist`: try again whatever is said, unless the session is gone.
        """
        for delay in delays():
            timeout = min(call.timeout, answer_timeout(until - time.monotonic()))
            reply = yield replace(call, timeout=timeout)
            assert reply is not None
            refused = self.connection.refusal(reply)
            if refused is None:
                assert isinstance(reply, httpx.Response)
                return reply.json()
            wanted = refused.reason not in GONE if insist else refused.reason in NOTHING_DECIDED
            harmless = call.repeatable or _did_not_count(reply, refused)
            wait = pause(delay, refused.retry_after, until - time.monotonic())
            if not (wanted and harmless) or time.monotonic() + wait >= until:
                raise refused
            yield Pause(wait)

    def _starting(self) -> Flow:
        """Take a slot, asking for `wait_seconds` where there is none, in turn with others who wait. Raises Refused."""
        self._taken_in = os.getpid()
        # So that the limiter, on the same machine, knows this process from bots that ask nobody.
        self._process = {"process": known} if (known := processes.identity()) else {}
        request = SlotRequest(
            self.user_id, self.bot_id, self._process, wait_seconds=self.wait_seconds, now=time.monotonic()
        )
        headers = {"Idempotency-Key": self._idempotency_key}
        while True:
            timeout = request.attempt(time.monotonic())
            reply = yield Call("/api/bots/start", request.body, headers, timeout=timeout)
            assert reply is not None
            refused = self.connection.refusal(reply)
            if refused is None:
                break
            seconds = request.refused(refused.reason, refused.retry_after, refused.extra, time.monotonic())
            if seconds is None:
                raise refused
            yield Pause(seconds)
        assert isinstance(reply, httpx.Response)
        answer = reply.json()
        self.bot_id, self.capacity = answer["session"]["bot_id"], answer["capacity"]
        self._renewed(answer, request.held_since(answer["session"]["lease_seconds"]))

    def _beating(self) -> Flow:
        """Beat three times a lease, until the session is gone or can no longer be renewed in time; then say why."""
        while True:
            yield Pause(spread(self.session["heartbeat_seconds"], 0.9))
            asked_at = time.monotonic()
            body = {"session_id": self.session_id} | self._process | self._cost.figures(asked_at)
            call = Call("/api/bots/heartbeat", body)
            try:
                answer = yield from self._answered(call, self._hold_until, insist=True)
            except Refused as refused:
                if refused.reason not in GONE:
                    yield Pause(max(0.0, self._hold_until - time.monotonic()))
                return refused
            self._renewed(answer, asked_at)
            self._told(answer.get("notice"))

    def _told(self, notice: Answer | None) -> None:
        """What is announced now. Whatever the bot makes of it, its beats go on."""
        before, self.notice = self.notice, notice
        if notice is None or notice == before or self._on_notice is None:
            return
        try:
            self._on_notice(notice)
        except Exception:
            log.exception("on_notice of %s failed", self.public_id)

    def _renewed(self, answer: Answer, asked_at: float) -> None:
        """The lease runs from an instant after `asked_at`; a sixth of it is kept in hand, to end the bot's work in."""
        self.session, self.limits, self.limits_version = answer["session"], answer["limits"], answer["limits_version"]
        self._hold_until = asked_at + self.session["lease_seconds"] * 5 / 6

    def _asking(self, path: str, body: Answer, *, repeatable: bool) -> Flow:
        """A call of the holder of a slot. Raises Refused, at once where the session is lost."""
        if self.lost_because is not None:
            raise self.lost_because
        call = Call(path, body, repeatable=repeatable)
        try:
            return (yield from self._answered(call, time.monotonic() + PATIENCE_SECONDS))
        except Refused as refused:
            if refused.reason in GONE:
                self._lose(refused)
            raise

    def _trading(
        self, symbol: str, side: Side, quantity: Number, price: Number, trade_id: str | None, closes: bool
    ) -> Flow:
        body = {
            "session_id": self.session_id,
            "symbol": symbol,
            "side": side,
            "quantity": self._amount("quantity", quantity),
            "price": self._amount("price", price),
            "trade_id": trade_id or uuid.uuid4().hex,
            "closes": closes,
        }
        return self._asking("/api/bots/trades", body, repeatable=True)

    def _amount(self, name: str, number: Number) -> str:
        try:
            return plain(number)
        except ValueError:
            most = f"{WHOLE_DIGITS} / {DECIMALS}"
            sentence = self.connection.text(
                fr=f"{name} : {number} n'est pas un nombre positif (chiffres / décimales au plus : {most}).",
                en=f"{name}: {number} is no positive number (digits / decimals at most: {most}).",
            )
            raise ValueError(sentence) from None

    def _signalling(self, count: int) -> Flow:
        return self._asking("/api/bots/signals", {"session_id": self.session_id, "count": count}, repeatable=False)

    def _feeding(self, count: int) -> Flow:
        whose = {"session_id": self.session_id} if self.session else {}  # the feed may begin before the bot
        return self._asking("/api/feed/tokens", {**whose, "count": count}, repeatable=False)

    def _stopping(self) -> Flow:
        """Give the slot back: the session with its end, or None where it was gone or the limiter is out of reach."""
        if not self.session or (self.lost_because is not None and self.lost_because.reason in GONE):
            return None
        call = Call("/api/bots/stop", {"session_id": self.session_id})
        patience = STOP_PATIENCE_SECONDS if self.lost_because is None else 0.0
        try:
            answer = yield from self._answered(call, time.monotonic() + patience)
        except Refused:
            return None
        return answer["session"]
