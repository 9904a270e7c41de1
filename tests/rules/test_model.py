"""The rules against a model that is a few dicts and lists, under a clock that the test pushes: in whatever order
requests come, the state admits, refuses, counts and forgets as the model does, and a batch that fails leaves no trace.

Every step is one batch as the committer makes it: fetch, reap, decide, and where it fails, undo.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limiter.rules.changes import Changed, ChangeLimits, OverrideUser, SetPause
from limiter.rules.quotas import RecordTrade, Take, TradeCounted, Use, uses_of
from limiter.rules.records import Ended, Session, Trade
from limiter.rules.refusals import Refusal
from limiter.rules.room import capacity
from limiter.rules.sessions import Admission, Heartbeat, Heartbeats, Reap, ReapSuspects, Stop, reap
from limiter.rules.snapshots import TakeSnapshot
from limiter.rules.stops import StartDrain, StopByAdmin, TakeDrainBack, TakeStopBack
from limiter.rules.windows import day_of
from tests.rules.world import CALM, HOUR, NOW, SECOND, asked, new_state, picture

USERS = st.sampled_from(("u1", "u2", "u3"))
PICK = st.integers(0, 10**6)
TRADE_IDS = st.sampled_from(("t1", "t2", "t3", "t4"))
STARTS = "MAX_STARTS_PER_MINUTE"
TOKENS, SIGNALS, OWN_SIGNALS = "MAX_TOKENS_PER_MINUTE", "MAX_SIGNALS_PER_MINUTE", "MAX_SIGNALS_PER_MINUTE_PER_USER"


@dataclass
class Stay:
    """A live session as the model sees it."""

    user: str
    bot: str
    asked: str | None
    key: str | None
    until: int
    lease: int
    beaten: int
    memory: int | None = None
    peak: int = -1
    cpu: list[tuple[int, int]] = field(default_factory=list)
    told: int | None = None

    @property
    def ends(self) -> int:
        return self.until if self.told is None else min(self.until, self.told)


class Model(RuleBasedStateMachine):
    """The state beside its model. `stored_*` is what a store would bring back for a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.live: dict[int, Stay] = {}
        self.known: list[Session] = []
        self.stored_ends: dict[int, Ended] = {}
        self.stored_trades: dict[tuple[str, str], Trade] = {}
        self.days: Counter[tuple[str, str]] = Counter()
        self.granted: list[tuple[str, str, int, int]] = []
        self.own: dict[str, tuple[int, int]] = {}
        self.reserve: set[str] = set()
        self.paused = False
        self.drains = False
        self.drain_at: int | None = None
        self.version = 1

    @initialize(
        bots=st.integers(1, 4), per_user=st.integers(1, 3), lease=st.sampled_from((5, 30, 60)), trades=st.integers(1, 3)
    )
    def begin(self, bots: int, per_user: int, lease: int, trades: int) -> None:
        self.limits: dict[str, Any] = {
            "MAX_CONCURRENT_BOTS": bots, "MAX_BOTS_PER_USER": per_user, "BOT_LEASE_SECONDS": lease,
            "MAX_TRADES_PER_DAY": trades, TOKENS: 7, SIGNALS: 6, OWN_SIGNALS: 4, STARTS: None,
            "RESERVED_SLOTS": 0,
        }  # fmt: skip
        self.state = new_state(**self.limits)

    # -- the model

    def fetch(self) -> None:
        """The beginning of a batch, everything that it might name fetched."""
        self.state.begin()
        self.state.ended.update(self.stored_ends)
        self.state.trades.update(self.stored_trades)

    def ask(self, request: Any) -> Any:
        for number, stay in list(self.live.items()):
            at = self.ends(stay)
            if at <= self.now:
                how = "drained" if at == self.drain_at else "admin_stop" if at == stay.told else "lease_expired"
                self.finish(number, how, at)
        self.fetch()
        reap(self.state, self.now)
        return request.decide(self.state, self.now)

    def finish(self, number: int, reason: str, at: int) -> None:
        del self.live[number]
        session = next(one for one in self.known if one.number == number)
        self.stored_ends[number] = Ended(session, at, reason)

    def ends(self, stay: Stay) -> int:
        return stay.ends if self.drain_at is None else min(stay.ends, self.drain_at)

    def of(self, user: str) -> list[int]:
        return [number for number, stay in self.live.items() if stay.user == user and self.ends(stay) > self.now]

    def user_max(self, user: str) -> int:
        value, until = self.own.get(user, (0, 0))
        return value if self.now < until else self.limits["MAX_BOTS_PER_USER"]

    def wanted(self, user: str, bot: str | None, key: str | None) -> str:
        """What a start must be answered: `repeat`, `replace`, `admit` or the reason of its refusal."""
        live = [stay for stay in self.live.values() if self.ends(stay) > self.now]
        if key is not None and any((one.user, one.asked, one.key) == (user, bot, key) for one in live):
            return "repeat"
        replaces = any((one.user, one.bot) == (user, bot) for one in live)
        if self.drains or self.paused:
            return "draining" if self.drains else "paused"
        if self.user_max(user) == 0 or (not replaces and len(self.of(user)) >= self.user_max(user)):
            return "user_limit"
        if replaces:
            return "replace"
        if self.limits[STARTS] is not None and self.used("starts") >= self.limits[STARTS]:
            return "start_rate"
        reserve = {one for one in self.reserve if self.now < self.own[one][1]}
        kept = max(0, self.limits["RESERVED_SLOTS"] - sum(one.user in reserve for one in live))
        most = self.limits["MAX_CONCURRENT_BOTS"] - (0 if user in reserve else kept)
        return "admit" if len(live) < most else "server_full"

    def used(self, kind: str, user: str | None = None) -> int:
        """What the last minute holds of a rate, at one-second resolution."""
        since = self.now // SECOND - 60
        return sum(n for k, u, at, n in self.granted if k == kind and user in (None, u) and at // SECOND >= since)

    def any_session(self, pick: int) -> Session:
        return self.known[pick % len(self.known)]

    # -- time

    @rule(ms=st.integers(0, 90 * SECOND))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(hours=st.integers(1, 30))
    def much_time_passes(self, hours: int) -> None:
        self.now += hours * HOUR

    @rule()
    def the_reaper_comes(self) -> None:
        due = sum(self.ends(stay) <= self.now for stay in self.live.values())
        before = len(self.state.sessions)
        self.ask(Reap())
        assert before - len(self.state.sessions) == due

    # -- bots

    @rule(user=USERS, bot=st.sampled_from((None, "b1", "b2")), key=st.sampled_from((None, "k1", "k2")))
    def start(self, user: str, bot: str | None, key: str | None) -> None:
        wanted = self.wanted(user, bot, key)
        answer = self.ask(asked(user, bot, key))
        if isinstance(answer, Refusal):
            assert answer.reason == wanted
            suspended = wanted == "user_limit" and self.user_max(user) == 0
            assert answer.sentence("en").startswith("This account is suspended.") == suspended
            return
        assert isinstance(answer, Admission)
        session = answer.session
        replaced = [number for number, stay in self.live.items() if (stay.user, stay.bot) == (user, session.bot_id)]
        assert wanted == ("repeat" if not answer.created else "replace" if replaced else "admit")
        if answer.created:
            for number in replaced:
                self.finish(number, "replaced", self.now)
            self.known.append(session)
            lease = self.limits["BOT_LEASE_SECONDS"] * SECOND
            self.live[session.number] = Stay(user, session.bot_id, bot, key, self.now + lease, lease, self.now)
        assert session.number in self.live
        if wanted == "admit":
            self.granted.append(("starts", user, self.now, 1))
            assert len(self.live) <= self.limits["MAX_CONCURRENT_BOTS"]
            assert len(self.of(user)) <= self.user_max(user)

    @precondition(lambda self: self.known)
    @rule(pick=PICK)
    def heartbeat(self, pick: int) -> None:
        session = self.any_session(pick)
        self.check_beat(session, self.ask(Heartbeat(session.number, session.secret)), None, None)

    @precondition(lambda self: self.known)
    @rule(beats=st.lists(st.tuples(PICK, st.none() | st.integers(0, 3), st.none() | st.integers(0, 9)), min_size=1))
    def heartbeats(self, beats: list[tuple[int, int | None, int | None]]) -> None:
        """Of some sessions, one twice maybe, and of one that nobody knows."""
        named = [(self.any_session(pick), memory, cpu) for pick, memory, cpu in beats]
        asks = [Heartbeat(one.number, one.secret, memory, cpu) for one, memory, cpu in named]
        answers = self.ask(Heartbeats([*asks, Heartbeat(10**6, "nobody")]))
        for (session, memory, cpu), answer in zip(named, answers[:-1], strict=True):
            self.check_beat(session, answer, memory, cpu)
        assert answers[-1].reason == "session_unknown"

    def check_beat(self, session: Session, answer: Any, memory: int | None, cpu: int | None) -> None:
        if session.number not in self.live:
            end = self.stored_ends[session.number]
            assert answer.shown("en") == {"ended_at": end.at, "ended_reason": end.reason}
            return
        assert answer is session
        stay = self.live[session.number]
        stay.lease, stay.beaten = self.limits["BOT_LEASE_SECONDS"] * SECOND, self.now
        stay.until = self.now + stay.lease
        if memory is not None:
            stay.memory, stay.peak = memory, max(stay.peak, memory)
        if cpu is not None:
            stay.cpu.append((self.now, cpu))

    @precondition(lambda self: self.known)
    @rule(pick=PICK, by_admin=st.booleans())
    def stop(self, pick: int, by_admin: bool) -> None:
        session = self.any_session(pick)
        stop = Stop(session.number, session.secret)
        answer = self.ask(StopByAdmin((session.number,), "key-1", "tests") if by_admin else stop)
        if session.number in self.live:
            self.finish(session.number, "admin_stop" if by_admin else "stopped", self.now)
        assert answer == ([self.stored_ends[session.number]] if by_admin else self.stored_ends[session.number])

    @precondition(lambda self: self.known)
    @rule(picks=st.lists(PICK, min_size=1, max_size=3), seconds=st.none() | st.integers(1, 90), unknown=st.booleans())
    def an_operator_announces_stops(self, picks: list[int], seconds: int | None, unknown: bool) -> None:
        """Or takes them back; where one was never known, nothing."""
        numbers = tuple(self.any_session(pick).number for pick in picks)
        chosen = (*numbers, 10**6) if unknown else numbers
        self.check_stops(chosen, seconds, numbers, unknown=unknown)

    @rule(user=USERS, seconds=st.none() | st.integers(1, 90))
    def an_operator_announces_stops_of_a_user(self, user: str, seconds: int | None) -> None:
        self.check_stops(user, seconds, tuple(self.of(user)), unknown=False)

    def check_stops(self, chosen: Any, seconds: int | None, numbers: tuple[int, ...], *, unknown: bool) -> None:
        request = (
            TakeStopBack(chosen, "key-1", "tests")
            if seconds is None
            else StopByAdmin(chosen, "key-1", "tests", seconds)
        )
        answer = self.ask(request)
        if unknown:
            assert isinstance(answer, Refusal) and answer.reason == "session_unknown"
            return
        assert sorted(getattr(one, "session", one).number for one in answer) == sorted(set(numbers))
        for number in numbers:
            if number in self.live:
                self.live[number].told = None if seconds is None else self.now + seconds * SECOND

    @rule()
    def an_operator_reaps(self) -> None:
        ended = self.ask(ReapSuspects("key-1", "tests"))
        suspects = [number for number, stay in self.live.items() if 3 * (self.now - stay.beaten) > 2 * stay.lease]
        assert sorted(one.session.number for one in ended) == sorted(suspects)
        for number in suspects:
            self.finish(number, "reaped", self.now)

    # -- quotas and rates

    @precondition(lambda self: self.known)
    @rule(pick=PICK, name=TRADE_IDS, price=st.sampled_from(("1", "1.0", "2")), closes=st.booleans())
    def trade(self, pick: int, name: str, price: str, closes: bool) -> None:
        session = self.any_session(pick)
        user, day = session.user_id, day_of(self.now, self.state.zone).name
        request = RecordTrade("r", session.number, session.secret, name, "BTC", "buy", "1", price, closes)
        answer = self.ask(request)
        used, known = self.days[user, day], self.stored_trades.get((user, name))
        if session.number not in self.live:
            wanted = "session_ended"
        elif known is not None:
            same = (float(known.price), known.closes) == (float(price), closes)
            wanted = "again" if same else "trade_conflict"
        else:
            wanted = "daily_trades" if used >= self.limits["MAX_TRADES_PER_DAY"] and not closes else "counted"
        if isinstance(answer, Refusal):
            assert answer.reason == wanted
            return
        assert isinstance(answer, TradeCounted)
        assert wanted == ("counted" if answer.created else "again")
        if answer.created:
            self.days[user, day] += 1
            self.stored_trades[user, name] = answer.trade
        assert answer.use.used == self.days[user, day]

    @rule(n=st.integers(1, 8))
    def take_tokens(self, n: int) -> None:
        self.check_rate(self.ask(Take("r", "tokens", n)), "tokens", "", n, [(self.used("tokens"), self.limits[TOKENS])])

    @precondition(lambda self: self.known)
    @rule(pick=PICK, n=st.integers(1, 8))
    def take_signals(self, pick: int, n: int) -> None:
        session = self.any_session(pick)
        answer = self.ask(Take("r", "signals", n, session.number, session.secret))
        user = session.user_id
        if n <= self.limits[SIGNALS] and session.number not in self.live:
            assert isinstance(answer, Refusal) and answer.reason == "session_ended"
            return
        uses = [(self.used("signals"), self.limits[SIGNALS]), (self.used("signals", user), self.limits[OWN_SIGNALS])]
        self.check_rate(answer, "signals", user, n, uses)

    def check_rate(self, answer: Any, kind: str, user: str, n: int, uses: list[tuple[int, int]]) -> None:
        if any(n > limit for _, limit in uses):
            assert isinstance(answer, Refusal) and answer.reason == "invalid_request"
        elif any(used + n > limit for used, limit in uses):
            assert isinstance(answer, Refusal) and answer.reason == f"{kind.removesuffix('s')}_rate"
            assert answer.retry_after_seconds is not None and 1 <= answer.retry_after_seconds <= 60
        else:
            self.granted.append((kind, user, self.now, n))
            assert isinstance(answer, Use) and answer.limit is not None
            assert answer.left == min(limit - used - n for used, limit in uses)

    @rule(user=USERS)
    def look_at_a_user(self, user: str) -> None:
        bots, trades, signals = uses_of(self.state, user, self.now)
        assert (bots.used, bots.limit) == (len(self.of(user)), self.user_max(user))
        assert trades.used == self.days[user, day_of(self.now, self.state.zone).name]
        assert (signals.used, signals.limit) == (self.used("signals", user), self.limits[OWN_SIGNALS])

    # -- operators

    @rule(bots=st.integers(0, 4), per_user=st.integers(0, 3), lease=st.sampled_from((5, 60)), stale=st.booleans())
    def change_limits(self, bots: int, per_user: int, lease: int, stale: bool) -> None:
        changes = {"MAX_CONCURRENT_BOTS": bots, "MAX_BOTS_PER_USER": per_user, "BOT_LEASE_SECONDS": lease}
        version = self.version - stale
        answer = self.ask(ChangeLimits(changes, "tests", version, False, "key-1", CALM, 150))
        if stale:
            assert isinstance(answer, Refusal) and answer.shown("en") == {"version": self.version}
            return
        assert isinstance(answer, Changed)
        assert {row[0] for row in answer.changed} == {name for name, n in changes.items() if self.limits[name] != n}
        self.version += bool(answer.changed)
        self.limits |= changes

    @rule(starts=st.none() | st.integers(0, 3), reserved=st.integers(0, 3))
    def change_who_may_start(self, starts: int | None, reserved: int) -> None:
        changes = {STARTS: starts, "RESERVED_SLOTS": reserved}
        answer = self.ask(ChangeLimits(changes, "tests", None, False, "key-1", CALM, 150))
        self.version += bool(answer.changed)
        self.limits |= changes

    @rule(user=USERS, value=st.integers(0, 3), seconds=st.integers(1, 600), reserve=st.booleans())
    def give_a_user_a_limit_for_a_while(self, user: str, value: int, seconds: int, reserve: bool) -> None:
        until = self.now + seconds * SECOND
        self.ask(OverrideUser(user, {"MAX_BOTS_PER_USER": value}, until, "tests", "key-1", reserve))
        self.own[user] = value, until
        (self.reserve.add if reserve else self.reserve.discard)(user)
        self.version += 1

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.ask(SetPause(paused, "tests", "key-1"))
        self.paused = paused

    @rule(seconds=st.none() | st.integers(0, 90))
    def an_operator_drains(self, seconds: int | None) -> None:
        drain = self.ask(StartDrain("key-1", "tests", seconds))
        self.drains, self.drain_at = True, None if seconds is None else self.now + seconds * SECOND
        assert drain.stop_at == self.drain_at and drain.since <= self.now

    @precondition(lambda self: self.drains)
    @rule()
    def an_operator_ends_the_drain(self) -> None:
        self.ask(TakeDrainBack("key-1", "tests"))
        self.drains, self.drain_at = False, None

    # -- failure

    def mixed(self, user: str, pick: int) -> list[Any]:
        """A batch of everything that can be undone."""
        requests: list[Any] = [
            asked(user, "b1", "k1"), asked(user, "b1", "k9"), asked(user), asked("new", "b1"), Take("r", "tokens", 2),
            asked("late", queue=True),
            ChangeLimits({"MAX_CONCURRENT_BOTS": 9}, "t", None, False, "k", CALM, 150), ReapSuspects("k", "t"),
            StartDrain("k", "t", 5),
            SetPause(not self.paused, "t", "k"), OverrideUser(user, {}, None, "t", "k"), TakeSnapshot(None, None, None),
        ]  # fmt: skip
        if self.known:
            one = self.any_session(pick)
            requests += [
                RecordTrade("r", one.number, one.secret, "t9", "BTC", "buy", "1", "1", True),
                Take("r", "signals", 1, one.number, one.secret), Stop(one.number, one.secret),
                StopByAdmin(one.user_id, "k", "t", 5), TakeStopBack((one.number,), "k", "t"),
            ]  # fmt: skip
        return requests

    @rule(user=USERS, pick=PICK, order=st.randoms(use_true_random=False))
    def a_batch_fails(self, user: str, pick: int, order: Any) -> None:
        before = picture(self.state, self.now)
        self.fetch()
        reap(self.state, self.now)
        requests = self.mixed(user, pick)
        order.shuffle(requests)
        for request in requests:
            request.decide(self.state, self.now)
        self.state.undo()
        assert picture(self.state, self.now) == before

    @rule(user=USERS, pick=PICK, order=st.randoms(use_true_random=False))
    def a_request_fails_in_the_middle(self, user: str, pick: int, order: Any) -> None:
        self.ask(Reap())
        before = picture(self.state, self.now)
        mark = self.state.mark()
        requests = self.mixed(user, pick)
        order.shuffle(requests)
        for request in requests:
            request.decide(self.state, self.now)
        self.state.undo(mark)
        assert picture(self.state, self.now) == before

    @rule()
    def everyone_is_renewed(self) -> None:
        self.ask(Reap())
        self.state.renew_all(self.now)
        for stay in self.live.values():
            stay.beaten, stay.until = self.now, self.now + stay.lease

    # -- what always holds

    @invariant()
    def the_live_sessions_are_the_models(self) -> None:
        assert {n: one.expires_at for n, one in self.state.sessions.items()} == {
            n: stay.until for n, stay in self.live.items()
        }
        told = {n: one.notice.at for n, one in self.state.sessions.items() if one.notice is not None}
        assert told == {n: stay.told for n, stay in self.live.items() if stay.told is not None}

    @invariant()
    def what_bots_cost_is_what_was_told(self) -> None:
        for number, stay in self.live.items():
            one = self.state.sessions[number]
            assert (one.memory_bytes, one.memory_peak) == (stay.memory, stay.peak if stay.peak >= 0 else None)
            assert one.cpu_seconds == (stay.cpu[-1][1] if stay.cpu else None)
            told = [1000 * (n - m) / max(t - s, 1) for (s, m), (t, n) in combinations(stay.cpu, 2)]
            assert one.cpu_percent is None or 0 <= one.cpu_percent <= 100 * max(told) + 1e-9

    @invariant()
    def one_count_everywhere(self) -> None:
        active = sum(self.ends(stay) > self.now for stay in self.live.values())
        assert capacity(self.state, self.now).current == active

    @invariant()
    def the_indexes_are_the_sessions(self) -> None:
        sessions = self.state.sessions.values()
        assert self.state.users == Counter(one.user_id for one in sessions)
        assert self.state.bots == {(one.user_id, one.bot_id): one for one in sessions}
        repeats = {(one.user_id, one.asked_bot, one.idempotency_key): one for one in sessions if one.idempotency_key}
        assert self.state.repeats == repeats

    @invariant()
    def capacity_says_whether_a_new_user_is_admitted(self) -> None:
        wanted = not self.paused and self.wanted("nobody", None, None) == "admit"
        assert capacity(self.state, self.now).can_accept_new == wanted

    @invariant()
    def never_more_than_the_limit_in_any_60_seconds(self) -> None:
        for kind, limit in (("tokens", self.limits[TOKENS]), ("signals", self.limits[SIGNALS])):
            taken = [(at, n) for k, _, at, n in self.granted if k == kind]
            for begin, _ in taken[-8:]:
                assert sum(n for at, n in taken if begin - 60 * SECOND < at <= begin) <= limit


Model.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestModel = Model.TestCase
