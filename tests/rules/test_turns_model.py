"""The door against a model: a list of tickets, a list of free slots with the instant since when each is free, and the
instants of starts. In whatever order people ask, stop, wait and change limits, the right ones are let in, with the
right place: beside a reserve that people join and leave, a limit per user, one on starts a minute and a busy box."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limiter.rules.changes import ChangeLimits, OverrideUser
from limiter.rules.door import READING_MS, Load
from limiter.rules.limits import Override
from limiter.rules.records import Session
from limiter.rules.refusals import Refusal
from limiter.rules.room import capacity, queue
from limiter.rules.sessions import Admission, Reap
from limiter.rules.turns import CLAIM_MS, LAPSE_MS
from tests.rules.world import CALM, NOW, SECOND, asked, decide, new_state, picture, stop

USERS = st.integers(0, 5).map("u{}".format)
RESERVE = {user: Override({}, "t", None, NOW, "t", reserve=True) for user in ("u0", "u1")}
MOST_CPU = 80


class Turns(RuleBasedStateMachine):
    """`waiting`: user, id and when he last asked, in order; `free`: since when, oldest first; `used`: tickets that
    were once someone's; `starts`: seconds of those that took a slot; `load`: when the box was read, and its CPU."""

    @initialize(
        cap=st.integers(0, 3), reserved=st.integers(0, 2), own=st.sampled_from((9, 9, 1, 2)),
        starts=st.sampled_from((None, None, 1, 3)),
    )  # fmt: skip
    def begin(self, cap: int, reserved: int, own: int, starts: int | None) -> None:
        self.now, self.cap, self.live, self.free = NOW, cap, list[Session](), [NOW] * cap
        self.waiting: list[tuple[str, str, int]] = []
        self.used, self.starts, self.load = ["nobody's"], list[int](), (0, 0.0)
        self.reserved, self.own, self.most_starts = reserved, own, starts
        self.reserve: dict[str, int | None] = dict.fromkeys(RESERVE)
        self.state = new_state(
            overrides=RESERVE, MAX_CONCURRENT_BOTS=cap, MAX_BOTS_PER_USER=own, BOT_LEASE_SECONDS=86_400,
            RESERVED_SLOTS=reserved, MAX_STARTS_PER_MINUTE=starts, MAX_CPU_PERCENT=MOST_CPU,
        )  # fmt: skip

    def queue(self) -> list[tuple[str, str, int]]:
        return [one for one in self.waiting if self.now < one[2] + LAPSE_MS]

    def kept(self) -> int:
        """Free slots that are for the reserve alone."""
        return max(0, self.reserved - sum(one.user_id in self.reserve for one in self.live))

    def room(self, user: str | None) -> int:
        """Free slots that are for this user too."""
        others = user not in self.reserve
        return len(self.free) - (self.kept() if others else 0)

    def bar(self, user: str) -> str | None:
        """Why a user is refused, whatever is free."""
        at, cpu = self.load
        recent = sum(second >= self.now // SECOND - 60 for second in self.starts)
        if sum(one.user_id == user for one in self.live) >= self.own:
            return "user_limit"
        if self.most_starts is not None and recent >= self.most_starts:
            return "start_rate"
        return "box_busy" if self.now - at <= READING_MS and cpu > MOST_CPU else None

    def turn(self, user: str | None) -> tuple[list[str], int]:
        """Whose turn it is of those who wait for the same slots as this user, and how many free slots are nobody's:
        each slot passes along those who have none yet. While reserved slots are free, two queues wait apart."""
        line, kept, slots = [one[0] for one in self.queue()], self.kept(), len(self.free)
        if kept:
            line = [one for one in line if (one in self.reserve) == (user in self.reserve)]
            slots = min(slots, kept) if user in self.reserve else slots - kept
        mine, nobodys = list[str](), 0
        for since in self.free[len(self.free) - slots :] if slots > 0 else ():
            passed = (self.now - since) // CLAIM_MS
            if passed < len(line):
                mine.append(line.pop(passed))
            else:
                nobodys += 1
        return mine, nobodys

    @rule(cap=st.integers(1, 3), users=st.integers(2, 6))
    def many_ask_of_a_full_server(self, cap: int, users: int) -> None:
        """So that turns are passed on among several."""
        for n in range(users):
            self.ask(f"u{n}", True, None)
        self.the_limit_is_changed(cap)

    @rule(ms=st.sampled_from((1, SECOND, 10 * SECOND, CLAIM_MS - 1, CLAIM_MS, 2 * CLAIM_MS, LAPSE_MS)))
    def time_passes(self, ms: int) -> None:
        self.now += ms
        for end in sorted(end for end in self.reserve.values() if end is not None and end <= self.now):
            self.reserve = {user: until for user, until in self.reserve.items() if until != end}
            self.room_is_made(end)

    def room_is_made(self, at: int) -> None:
        """Where slots are reserved: who is of the reserve has changed then."""
        if self.reserved:
            self.free = [max(at, since) for since in self.free]

    @rule(user=USERS, queue=st.booleans(), pick=st.none() | st.integers(0, 9))
    def ask(self, user: str, queue: bool, pick: int | None) -> None:
        """With his own ticket, with another's, one of yesterday or one that was used, or with none."""
        ids = [one[1] for one in self.waiting] + self.used
        ticket = None if pick is None else ids[pick % len(ids)]
        for place, (owner, name, at) in enumerate(self.waiting):
            if owner == user and name == ticket and self.now < at + LAPSE_MS and self.now - at >= SECOND:
                self.waiting[place] = owner, name, self.now
        mine, nobodys = self.turn(user)
        has = any(one[0] == user and one[1] == ticket for one in self.queue())
        bar, fits = self.bar(user), self.room(user) > 0 and (nobodys > 0 or (has and user in mine) or not self.queue())
        answer: Any = decide(self.state, asked(user, queue=queue, ticket=ticket), self.now)
        assert isinstance(answer, Admission) == (bar is None and fits), (answer, bar, mine, nobodys, has)
        if isinstance(answer, Admission):
            self.live.append(answer.session)
            self.free.pop(0)
            self.starts.append(self.now // SECOND)
            self.used += [one[1] for one in self.waiting if one[0] == user]
            self.waiting = [one for one in self.waiting if one[0] != user]
            return
        assert isinstance(answer, Refusal) and answer.reason == (bar or "server_full")
        told = answer.shown("en").get("ticket")
        if bar is not None:
            assert told is None
            return
        assert (told is not None) == (queue or has)
        if told is None:
            return
        if all(one[0] != user for one in self.queue()):
            self.waiting = [*(one for one in self.waiting if one[0] != user), (user, told["id"], self.now)]
        users = [one[0] for one in self.queue()]
        assert (told["position"], told["of"]) == (users.index(user) + 1, len(users))

    @precondition(lambda self: self.live)
    @rule(pick=st.integers(0, 9))
    def one_stops(self, pick: int) -> None:
        stop(self.state, self.live.pop(pick % len(self.live)), self.now)
        if len(self.live) < self.cap:
            self.free.append(self.now)

    @rule(cap=st.integers(0, 3))
    def the_limit_is_changed(self, cap: int) -> None:
        decide(self.state, ChangeLimits({"MAX_CONCURRENT_BOTS": cap}, "t", None, False, "k", CALM, 500), self.now)
        if cap != self.cap:
            self.cap, self.free = cap, [self.now] * max(0, cap - len(self.live))

    @rule(reserved=st.integers(0, 3))
    def the_reserve_is_changed(self, reserved: int) -> None:
        decide(self.state, ChangeLimits({"RESERVED_SLOTS": reserved}, "t", None, False, "k", CALM, 500), self.now)
        if reserved != self.reserved:
            self.reserved, self.free = reserved, [self.now] * len(self.free)

    @rule(user=USERS, reserve=st.booleans(), lasts=st.none() | st.sampled_from((SECOND, CLAIM_MS, LAPSE_MS)))
    def who_is_of_the_reserve_is_changed(self, user: str, reserve: bool, lasts: int | None) -> None:
        until = None if lasts is None or not reserve else self.now + lasts
        decide(self.state, OverrideUser(user, {}, until, "t", "k", reserve), self.now)
        if (user in self.reserve) != reserve:
            self.room_is_made(self.now)
        self.reserve.pop(user, None)
        if reserve:
            self.reserve[user] = until

    @rule(cpu=st.sampled_from((10.0, 80.0, 95.0)))
    def the_box_is_read(self, cpu: float) -> None:
        self.load = self.now, cpu
        self.state.load = Load(self.now, cpu, 10.0)

    @rule()
    def a_batch_fails(self) -> None:
        decide(self.state, Reap(), self.now)
        before, mark = picture(self.state, self.now), self.state.mark()
        for user in ("u1", "u7"):
            asked(user, queue=True).decide(self.state, self.now)
        self.state.undo(mark)
        assert picture(self.state, self.now) == before

    @invariant()
    def never_over_the_limit_and_one_ticket_a_user(self) -> None:
        assert len(self.state.sessions) == len(self.live)
        assert len(self.free) == max(0, self.cap - len(self.live))
        assert [one.user_id for one in queue(self.state, self.now)] == [one[0] for one in self.queue()]
        open_to_all = self.room(None) > 0 and (self.turn(None)[1] > 0 or not self.queue())
        can = capacity(self.state, self.now).can_accept_new
        assert can == (open_to_all and self.bar("a new one") is None)


Turns.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestTurns = Turns.TestCase
