"""Turns against a model: a list of tickets, and a list of free slots with the instant since when each is free. In
whatever order people ask, stop, wait and change the limit, the right ones are let in, with the right place."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from limiter.rules.changes import ChangeLimits
from limiter.rules.records import Session
from limiter.rules.refusals import Refusal
from limiter.rules.room import capacity, queue
from limiter.rules.sessions import Admission, Reap
from limiter.rules.turns import CLAIM_MS, LAPSE_MS
from tests.rules.world import CALM, NOW, SECOND, asked, decide, new_state, picture, stop

USERS = st.integers(0, 5).map("u{}".format)


class Turns(RuleBasedStateMachine):
    """`waiting`: user, id and when he last asked, in order; `free`: since when, oldest first; `used`: tickets that
    were once someone's."""

    @initialize(cap=st.integers(0, 3))
    def begin(self, cap: int) -> None:
        self.now, self.cap, self.live, self.free = NOW, cap, list[Session](), [0] * cap
        self.waiting: list[tuple[str, str, int]] = []
        self.used = ["nobody's"]
        self.state = new_state(MAX_CONCURRENT_BOTS=cap, MAX_BOTS_PER_USER=9, BOT_LEASE_SECONDS=86_400)

    def queue(self) -> list[tuple[str, str, int]]:
        return [one for one in self.waiting if self.now < one[2] + LAPSE_MS]

    def turn(self) -> tuple[list[str], int]:
        """Whose turn it is, and how many free slots are nobody's: each slot passes along those who have none yet."""
        line, mine, nobodys = [one[0] for one in self.queue()], [], 0
        for since in self.free:
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

    @rule(user=USERS, queue=st.booleans(), pick=st.none() | st.integers(0, 9))
    def ask(self, user: str, queue: bool, pick: int | None) -> None:
        """With his own ticket, with another's, one of yesterday or one that was used, or with none."""
        ids = [one[1] for one in self.waiting] + self.used
        ticket = None if pick is None else ids[pick % len(ids)]
        for place, (owner, name, at) in enumerate(self.waiting):
            if owner == user and name == ticket and self.now < at + LAPSE_MS and self.now - at >= SECOND:
                self.waiting[place] = owner, name, self.now
        mine, nobodys = self.turn()
        has = any(one[0] == user and one[1] == ticket for one in self.queue())
        wanted = (bool(self.free) and (user in mine if has else False)) or (bool(self.free) and nobodys > 0)
        answer: Any = decide(self.state, asked(user, queue=queue, ticket=ticket), self.now)
        assert isinstance(answer, Admission) == wanted, (answer, mine, nobodys, has)
        if isinstance(answer, Admission):
            self.live.append(answer.session)
            self.free.pop(0)
            self.used += [one[1] for one in self.waiting if one[0] == user]
            self.waiting = [one for one in self.waiting if one[0] != user]
            return
        assert isinstance(answer, Refusal) and answer.reason == "server_full"
        told = answer.shown("en").get("ticket")
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
        assert capacity(self.state, self.now).can_accept_new == (bool(self.free) and self.turn()[1] > 0)


Turns.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestTurns = Turns.TestCase
