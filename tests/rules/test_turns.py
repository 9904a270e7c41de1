"""Turns: who waits gets the next slots in order, and nobody is let in before those who wait."""

import random
from datetime import time
from typing import Any

from limiter.rules.changes import ChangeLimits, OverrideUser, SetPause
from limiter.rules.peaks import FollowSchedule, SetWindows
from limiter.rules.room import capacity
from limiter.rules.schedule import DAYS, PeakWindow
from limiter.rules.sessions import Admission, Reap
from limiter.rules.state import State
from limiter.rules.turns import CLAIM_MS, LAPSE_MS, Free, Ticket, claims
from tests.rules.world import CALM, MINUTE, NOW, SECOND, admitted, asked, decide, new_state, refused, start, stop

CLAIM = CLAIM_MS


def ask(state: State, user: str, ticket: str | None = None, now: int = NOW) -> Any:
    """What a start that asks for a turn is answered."""
    return decide(state, asked(user, ticket=ticket, queue=True), now)


def place(state: State, user: str, ticket: str | None = None, now: int = NOW) -> dict[str, Any]:
    """The ticket in the refusal of a start that must be refused."""
    shown: dict[str, Any] = refused(ask(state, user, ticket, now), "server_full").shown("en")["ticket"]
    return shown


def full(slots: int = 1, **values: Any) -> tuple[State, list[Any]]:
    """A fleet without room, and its sessions."""
    state = new_state(MAX_CONCURRENT_BOTS=slots, BOT_LEASE_SECONDS=86_400, **values)
    return state, [admitted(state, f"holder{n}") for n in range(slots)]


def test_who_asks_for_a_turn_is_given_a_place_and_keeps_it() -> None:
    state, _ = full()
    first, second = place(state, "u1"), place(state, "u2")
    assert (first["position"], first["of"], first["expires_at"]) == (1, 1, NOW + LAPSE_MS)
    assert (second["position"], second["of"]) == (2, 2)
    again = place(state, "u1", first["id"], NOW + MINUTE)
    assert again == {"id": first["id"], "position": 1, "of": 2, "expires_at": NOW + MINUTE + LAPSE_MS}
    assert place(state, "u1")["id"] == first["id"], "one ticket a user"
    assert "ticket" not in refused(start(state, "u3"), "server_full").shown("en"), "who does not ask has none"


def test_a_freed_slot_is_the_first_tickets_for_30_seconds_then_the_nexts_then_anybodys() -> None:
    state, (holder,) = full()
    first, second = place(state, "u1")["id"], place(state, "u2")["id"]
    stop(state, holder)
    assert not capacity(state, NOW).can_accept_new
    refused(start(state, "u3"), "server_full")
    assert place(state, "u2", second, NOW + CLAIM - 1)["position"] == 2
    refused(ask(state, "u1", first, NOW + CLAIM), "server_full")
    refused(start(state, "u3", now=NOW + 2 * CLAIM - 1), "server_full")
    assert not capacity(state, NOW + 2 * CLAIM - 1).can_accept_new
    assert capacity(state, NOW + 2 * CLAIM).can_accept_new
    session = ask(state, "u2", second, NOW + 2 * CLAIM - 1).session
    assert list(state.tickets) == ["u1"]
    stop(state, session, NOW + 2 * CLAIM)
    admitted_first = ask(state, "u1", first, NOW + 2 * CLAIM + 1)
    assert isinstance(admitted_first, Admission), "who let a turn pass is still the first for the next slot"
    assert not state.tickets


def test_a_slot_that_all_let_pass_is_anybodys() -> None:
    state, (holder,) = full()
    place(state, "u1")
    stop(state, holder)
    admitted(state, "u3", now=NOW + CLAIM)


def test_more_free_slots_than_tickets_let_others_in() -> None:
    state, holders = full(3)
    ticket = place(state, "u1")["id"]
    stop(state, holders[0]), stop(state, holders[1])
    assert capacity(state, NOW).can_accept_new
    admitted(state, "u2")
    refused(start(state, "u3"), "server_full")
    assert isinstance(ask(state, "u1", ticket), Admission)


def test_a_raised_limit_gives_its_slots_out_in_order_too() -> None:
    state, _ = full(2)
    tickets = {f"u{n}": place(state, f"u{n}", now=NOW + n)["id"] for n in range(4)}
    later = NOW + 4 * MINUTE
    for user, ticket in tickets.items():
        place(state, user, ticket, later)
    decide(state, ChangeLimits({"MAX_CONCURRENT_BOTS": 4}, "t", None, False, "k", CALM, 150), later)
    refused(start(state, "u9", now=later), "server_full")
    refused(ask(state, "u2", tickets["u2"], later), "server_full")
    for user in ("u1", "u0"):
        assert isinstance(ask(state, user, tickets[user], later), Admission)
    assert len(state.sessions) == 4


def test_the_end_of_a_low_window_gives_its_slots_out_in_order_too() -> None:
    """What comes back with it is a value that was set long before."""
    state = new_state(MAX_CONCURRENT_BOTS=3, BOT_LEASE_SECONDS=86_400)
    low = PeakWindow(DAYS, time(12, 1), time(12, 20), 1)
    decide(state, SetWindows((low,), "t", "k"), NOW)
    decide(state, FollowSchedule(CALM, CALM, 150), NOW + MINUTE)
    admitted(state, "holder", now=NOW + MINUTE)
    over = NOW + 20 * MINUTE
    tickets = {user: place(state, user, now=over - MINUTE)["id"] for user in ("u1", "u2", "u3")}
    decide(state, FollowSchedule(CALM, CALM, 150), over)
    assert (state.limits.max_bots, state.limits.room_since) == (3, over)
    refused(start(state, "u9", now=over + CLAIM - 1), "server_full")
    refused(ask(state, "u3", tickets["u3"], over + CLAIM - 1), "server_full")
    for user in ("u1", "u2"):
        assert isinstance(ask(state, user, tickets[user], over + CLAIM - 1), Admission)


def of_reserve(state: State, user: str, now: int, *, until: int | None = None, reserve: bool = True) -> None:
    """Put the user into the reserve, or take him out."""
    decide(state, OverrideUser(user, {}, until, "t", "k", reserve=reserve), now)


def test_who_leaves_the_reserve_gives_no_older_slot_away() -> None:
    """A slot is the first ticket's for 30 s from when the room was last changed, also where it is changed back: by
    taking somebody out of the reserve, and by the end of the time for which somebody was of it."""
    for until in (None, NOW + 5 * SECOND):
        state, holders = full(3)
        first, second = place(state, "u1")["id"], place(state, "u2")["id"]
        stop(state, holders[0]), stop(state, holders[2])
        decide(state, ChangeLimits({"RESERVED_SLOTS": 1}, "t", None, False, "k", CALM, 150), NOW + SECOND)
        of_reserve(state, "holder1", NOW + 2 * SECOND, until=until)
        left = NOW + 5 * SECOND
        if until is None:
            of_reserve(state, "holder1", left, reserve=False)
        assert state.limits.room_made(left) == left
        refused(ask(state, "u2", second, left + CLAIM - 1), "server_full")
        assert isinstance(ask(state, "u1", first, left + CLAIM - 1), Admission)
        of_reserve(state, "holder1", left + CLAIM, reserve=False)
        assert state.limits.room_made(left + CLAIM) == left, "no member any more: nothing has changed"


def test_what_makes_no_room_gives_nobody_more_time() -> None:
    state, (holder,) = full()
    first, second = place(state, "u1")["id"], place(state, "u2")["id"]
    stop(state, holder)
    half = NOW + CLAIM // 2
    decide(state, ChangeLimits({"MAX_TRADES_PER_DAY": 7}, "t", None, False, "k", CALM, 150), half)
    decide(state, OverrideUser("u5", {"MAX_BOTS_PER_USER": 2}, None, "t", "k"), half)
    of_reserve(state, "vip", half)  # no slot is reserved
    refused(ask(state, "u1", first, NOW + CLAIM), "server_full")
    assert isinstance(ask(state, "u2", second, NOW + CLAIM), Admission)


def test_anothers_ticket_an_old_one_and_a_used_one_are_none() -> None:
    state, (holder,) = full()
    first = place(state, "u1")["id"]
    stop(state, holder)
    refused(ask(state, "u2", first), "server_full")
    session = ask(state, "u1", first).session
    fresh = place(state, "u3", first)
    assert fresh["id"] != first
    assert fresh["position"] == 2, "behind u2"
    stop(state, session, NOW + SECOND)
    assert place(state, "u1", first, NOW + SECOND)["id"] != first, "used: a new one, at the end"
    day = NOW + 86_000 * SECOND
    assert place(state, "u4", fresh["id"], NOW + SECOND)["position"] == 4
    decide(state, Reap(), day)
    assert not state.tickets
    assert isinstance(ask(state, "u3", fresh["id"], day), Admission), "of yesterday: nobody waits, and there is room"


def test_a_ticket_lapses_five_minutes_after_it_was_last_asked_with() -> None:
    state, (holder,) = full()
    first, second = place(state, "u1")["id"], place(state, "u2")["id"]
    place(state, "u2", second, NOW + 4 * MINUTE)
    stop(state, holder, NOW + LAPSE_MS)
    assert list(state.tickets) == ["u2"]
    refused(ask(state, "u1", first, NOW + LAPSE_MS), "server_full")
    assert isinstance(ask(state, "u2", second, NOW + LAPSE_MS), Admission)


def test_asking_keeps_the_ticket_also_where_another_reason_refuses() -> None:
    state, _ = full()
    ticket = place(state, "u1")["id"]
    decide(state, SetPause(True, "t", "k"))
    refused(ask(state, "u1", ticket, NOW + 4 * MINUTE), "paused")
    assert state.tickets["u1"].expires_at == NOW + 4 * MINUTE + LAPSE_MS
    assert state.changes.tickets, "and that is written"


def test_a_replacement_takes_nobodys_turn_and_needs_none() -> None:
    state, (holder,) = full()
    ticket = place(state, "u1")["id"]
    admitted(state, holder.user_id, holder.bot_id)
    stop(state, state.bots[holder.user_id, holder.bot_id])
    assert isinstance(ask(state, "u1", ticket), Admission)


def test_reserved_slots_do_not_go_to_who_waits_without_being_of_the_reserve() -> None:
    state, holders = full(2)
    decide(state, OverrideUser("vip", {}, None, "t", "k", reserve=True))
    waits = place(state, "u1")["id"]
    decide(state, ChangeLimits({"RESERVED_SLOTS": 1}, "t", None, False, "k", CALM, 150))
    stop(state, holders[0])
    refused(ask(state, "u1", waits), "server_full")
    admitted(state, "vip")
    stop(state, holders[1])
    refused(start(state, "u2"), "server_full")
    assert isinstance(ask(state, "u1", waits), Admission)


def test_a_batch_that_fails_leaves_the_queue_as_it_was() -> None:
    state, (holder,) = full()
    ticket = place(state, "u1")["id"]
    before = dict(state.tickets)
    stop(state, holder)
    state.begin()
    assert isinstance(asked("u1", ticket=ticket, queue=True).decide(state, NOW + SECOND), Admission)
    asked("u2", queue=True).decide(state, NOW + SECOND)
    state.undo()
    assert state.tickets == before


def test_a_hundred_race_for_one_freed_slot_and_the_first_ticket_gets_it_a_thousand_times() -> None:
    chance, state = random.Random(7), new_state(MAX_CONCURRENT_BOTS=1, MAX_BOTS_PER_USER=2, BOT_LEASE_SECONDS=86_400)
    holder, now = admitted(state, "holder"), NOW
    users = [f"u{n}" for n in range(100)]
    tickets = {user: place(state, user, None, now)["id"] for user in users}
    over = 0
    for _ in range(1000):
        now += 2 * SECOND
        first = min(state.tickets.values(), key=lambda one: one.number).user_id
        stop(state, holder, now)
        racing = [*chance.sample(users, len(users)), "stranger"]
        answers = {}
        state.begin()
        for user in racing:
            answers[user] = asked(user, ticket=tickets.get(user), queue=user != "stranger").decide(state, now)
            over += len(state.sessions) > 1
        (winner,) = [user for user, answer in answers.items() if isinstance(answer, Admission)]
        assert winner == first
        won = answers[winner]
        assert isinstance(won, Admission)
        holder = won.session
        tickets = {user: one.id for user, one in state.tickets.items()}
        tickets[winner] = place(state, winner, None, now)["id"]  # for a second bot
    assert over == 0


def test_slots_of_one_instant_go_to_as_many_tickets_and_each_to_one() -> None:
    waiting = [Ticket(str(n), f"u{n}", n, NOW) for n in range(4)]
    assert claims(waiting, Free(2, (NOW, NOW), 0), NOW) == ({"u0", "u1"}, 0)
    assert claims(waiting, Free(2, (NOW - CLAIM, NOW), 0), NOW) == ({"u1", "u0"}, 0), "the first for the newer slot"
    assert claims(waiting, Free(6, (NOW,) * 6, 0), NOW) == ({one.user_id for one in waiting}, 2)
    assert claims(waiting, Free(10**6, (NOW,) * 21, NOW), NOW) == ({one.user_id for one in waiting}, 10**6 - 4)
    assert claims(waiting, Free(-3, (NOW,), 0), NOW) == (set(), 0)
    assert claims([], Free(2, (), 0), NOW) == (set(), 2)
