"""Start, heartbeat, stop, reap: what admits, what repeats, what replaces, what refuses, and in which order."""

import gc

import pytest

from limiter.rules.changes import SetPause
from limiter.rules.limits import Override
from limiter.rules.records import Ended, Notice, Session
from limiter.rules.room import capacity
from limiter.rules.sessions import Admission, Heartbeat, Heartbeats, Reap, ReapSuspects, Stop
from limiter.rules.state import State
from limiter.rules.stops import StopByAdmin
from tests.rules.world import (
    HOUR,
    NOW,
    SECOND,
    admitted,
    asked,
    beat,
    decide,
    new_state,
    override,
    refused,
    start,
    stop,
)

LEASE = 60 * SECOND


# -- start


def test_a_start_is_given_a_slot_for_one_lease() -> None:
    state = new_state()
    session = admitted(state, "u1", "b1")
    assert (session.user_id, session.bot_id, session.public_id) == ("u1", "b1", "s1")
    assert session.session_id == f"s1.{session.secret}"
    assert (session.started_at, session.expires_at) == (NOW, NOW + LEASE)
    assert capacity(state, NOW).current == 1


def test_pythons_collector_does_not_walk_the_sessions() -> None:
    """A hundred thousand of them held every answer up for 15 ms each time."""
    state = new_state()
    session = admitted(state, "u1", "b1")
    session.measure(NOW + LEASE, 1_000_000, 2.0)
    state.announce(session, Notice(NOW + HOUR, "new version"))
    assert not gc.is_tracked(session)


def test_a_bot_without_a_name_gets_a_new_one_each_time() -> None:
    state = new_state(MAX_BOTS_PER_USER=2)
    first, second = admitted(state, "u1"), admitted(state, "u1")
    assert first.bot_id != second.bot_id
    assert (first.asked_bot, second.asked_bot) == (None, None)


def test_the_slot_after_the_last_is_refused_with_the_figures() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=2)
    admitted(state, "u1"), admitted(state, "u2")
    refusal = refused(start(state, "u3"), "server_full")
    assert refusal.sentence("fr") == "Serveur complet (2/2 bots actifs). Réessaie dans quelques minutes."
    assert refusal.shown("en")["capacity"] == capacity(state, NOW).as_dict()
    assert refusal.retry_after_seconds == 30


def test_a_user_at_his_limit_is_refused_with_the_figures() -> None:
    state = new_state()
    admitted(state, "u1", "b1")
    refusal = refused(start(state, "u1", "b2"), "user_limit")
    assert refusal.shown("en") == {"active": 1, "limit": 1}
    assert refusal.retry_after_seconds and refusal.retry_after_seconds > 0


def test_the_users_limit_is_told_before_the_systems() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    admitted(state, "u1")
    refused(start(state, "u1"), "user_limit")
    refused(start(state, "u2"), "server_full")


def test_draining_is_told_before_paused_and_paused_before_the_limits() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    admitted(state, "u1")
    decide(state, SetPause(True, "tests", "tests"))
    refused(start(state, "u1"), "paused")
    state.draining = True
    refusal = refused(start(state, "u1"), "draining")
    assert refusal.retry_after_seconds and refusal.retry_after_seconds > 0


def test_a_users_own_limit_goes_over_the_systems() -> None:
    state = new_state(overrides={"vip": override(NOW + 10 * SECOND, MAX_BOTS_PER_USER=3)})
    admitted(state, "vip"), admitted(state, "vip")
    assert refused(start(state, "vip", now=NOW + 10 * SECOND), "user_limit").shown("en") == {"active": 2, "limit": 1}
    admitted(state, "vip", now=NOW + 9 * SECOND)
    assert refused(start(state, "vip", now=NOW + 9 * SECOND), "user_limit").shown("en") == {"active": 3, "limit": 3}


@pytest.mark.parametrize(
    ("state", "reason"),
    [(new_state(MAX_CONCURRENT_BOTS=0), "server_full"), (new_state(MAX_BOTS_PER_USER=0), "user_limit")],
)
def test_a_limit_of_0_refuses_every_new_start(state: State, reason: str) -> None:
    refused(start(state, "u1"), reason)
    assert not capacity(state, NOW).can_accept_new


def test_a_suspended_user_hears_that_and_why_and_when_it_ends() -> None:
    braces = Override({"MAX_BOTS_PER_USER": 0}, "unpaid {limit}", None, NOW, "tests")
    own = {"gone": override(MAX_BOTS_PER_USER=0), "back": override(NOW + 90_500, MAX_BOTS_PER_USER=0), "odd": braces}
    state = new_state(overrides=own)
    refusal = refused(start(state, "gone", "b1"), "user_limit")
    assert refusal.sentence("fr") == "Ce compte est suspendu. Motif : tests"
    assert refusal.sentence("en") == "This account is suspended. Reason: tests"
    assert refusal.shown("en") == {"active": 0, "limit": 0}
    assert refusal.retry_after_seconds is None
    assert (
        refused(start(state, "odd"), "user_limit").sentence("en") == "This account is suspended. Reason: unpaid {limit}"
    )
    assert refused(start(state, "back"), "user_limit").retry_after_seconds == 91
    admitted(state, "back", now=NOW + 91_000)


def test_who_has_no_suspension_of_his_own_hears_no_reason_and_no_end() -> None:
    other = override(NOW + HOUR, MAX_TRADES_PER_DAY=3)
    over = override(NOW, MAX_BOTS_PER_USER=0)
    twice = override(NOW + HOUR, MAX_BOTS_PER_USER=0)
    state = new_state(overrides={"u1": other, "u2": over, "u3": twice}, MAX_BOTS_PER_USER=0)
    for user in ("u1", "u2", "new"):
        refusal = refused(start(state, user), "user_limit")
        assert (refusal.sentence("en"), refusal.retry_after_seconds) == ("This account is suspended.", None)
    refusal = refused(start(state, "u3"), "user_limit")
    assert refusal.retry_after_seconds is None, "the end of his own brings nothing: the system's limit is 0 too"


def test_a_replacement_is_no_way_around_a_suspension() -> None:
    state = new_state()
    admitted(state, "u1", "b1")
    state.limits = new_state(overrides={"u1": override(MAX_BOTS_PER_USER=0)}).limits
    refusal = refused(start(state, "u1", "b1"), "user_limit")
    assert refusal.shown("en") == {"active": 1, "limit": 0}
    assert len(state.sessions) == 1


def test_whether_the_next_start_of_a_new_user_is_admitted_is_what_capacity_says() -> None:
    for paused in (False, True):
        for maximum in (0, 1, 2):
            for per_user in (0, 1):
                state = new_state(MAX_CONCURRENT_BOTS=2)
                admitted(state, "u1")
                state.limits = new_state(MAX_CONCURRENT_BOTS=maximum, MAX_BOTS_PER_USER=per_user).limits
                state.paused = paused
                said = capacity(state, NOW).can_accept_new
                assert said == isinstance(start(state, "new"), Admission), (paused, maximum, per_user)


def test_a_lowered_limit_ends_no_session_and_admits_none() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=3)
    for user in ("u1", "u2", "u3"):
        admitted(state, user)
    state.limits = new_state(MAX_CONCURRENT_BOTS=2).limits
    assert refused(start(state, "u4"), "server_full").sentence("en").startswith("Server full (3/2 active bots)")
    assert len(state.sessions) == 3


# -- the same start again


def test_a_repeated_key_gets_the_same_session_in_every_state() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    first = admitted(state, "u1", "b1", key="k1")
    state.paused = state.draining = True
    state.limits = new_state(MAX_BOTS_PER_USER=0).limits
    again = start(state, "u1", "b1", key="k1")
    assert again == Admission(first, created=False)


def test_a_repeated_key_without_a_bot_both_times_is_the_same_start() -> None:
    state = new_state()
    first = admitted(state, "u1", key="k1")
    assert start(state, "u1", key="k1") == Admission(first, created=False)


def test_a_key_with_another_user_or_bot_is_a_separate_start() -> None:
    state = new_state(MAX_BOTS_PER_USER=9)
    sessions = [
        admitted(state, user, bot, "k1") for user, bot in (("u1", "b1"), ("u1", "b2"), ("u1", None), ("u2", "b1"))
    ]
    assert len({session.number for session in sessions}) == 4


def test_the_name_that_was_made_is_not_the_name_that_was_asked() -> None:
    state = new_state()
    made = admitted(state, "u1", key="k1")
    again = admitted(state, "u1", made.bot_id, key="k1")  # asks for the made name: another start, of the same bot
    assert again.number != made.number
    assert list(state.sessions) == [again.number]


def test_a_key_is_free_again_when_its_session_is_over() -> None:
    state = new_state()
    first = admitted(state, "u1", "b1", key="k1")
    stop(state, first)
    assert admitted(state, "u1", "b1", key="k1").number != first.number


# -- the newest wins


def test_another_start_of_an_active_bot_takes_over_its_slot_also_when_full() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    old = admitted(state, "u1", "b1", key="k1")
    new = admitted(state, "u1", "b1", key="k2", now=NOW + 1)
    assert list(state.sessions) == [new.number]
    assert state.ended[old.number] == Ended(old, NOW + 1, "replaced")
    gone = refused(Heartbeat(old.number, old.secret).decide(state, NOW + 2), "session_ended")
    assert gone.shown("en") == {"ended_at": NOW + 1, "ended_reason": "replaced"}


def test_a_replacement_needs_no_slot() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    admitted(state, "u1", "b1")
    state.limits = new_state(MAX_CONCURRENT_BOTS=0).limits
    admitted(state, "u1", "b1")


def test_of_the_limits_only_a_suspended_user_stops_a_replacement() -> None:
    state = new_state()
    admitted(state, "u1", "b1")
    state.limits = new_state(MAX_BOTS_PER_USER=0).limits
    refused(start(state, "u1", "b1"), "user_limit")


def test_a_replacement_frees_no_slot_for_the_advice_to_wait() -> None:
    state = new_state()
    for n in range(5):
        admitted(state, "u1", "b1", now=NOW + n)
    assert not state.freed


# -- heartbeat


def test_a_heartbeat_renews_the_lease_with_the_length_in_force() -> None:
    state = new_state()
    session = admitted(state, "u1")
    state.limits = new_state(BOT_LEASE_SECONDS=10).limits
    assert session.expires_at == NOW + LEASE
    assert beat(state, session, NOW + 20 * SECOND) is session
    assert (session.expires_at, session.lease_ms) == (NOW + 30 * SECOND, 10 * SECOND)
    refused(beat(state, session, NOW + 30 * SECOND), "session_ended")


@pytest.mark.parametrize("request_type", [Heartbeat, Stop])
def test_a_session_never_known_or_with_another_secret_is_unknown(request_type: type[Heartbeat | Stop]) -> None:
    state = new_state()
    session = admitted(state, "u1")
    refused(decide(state, request_type(99, session.secret)), "session_unknown")
    refused(decide(state, request_type(session.number, "guess")), "session_unknown")
    state.begin()
    state.end(session, NOW, "stopped")
    refused(request_type(session.number, "guess").decide(state, NOW), "session_unknown")


def test_many_heartbeats_are_each_answered_as_if_alone() -> None:
    state = new_state()
    first, second, third = (admitted(state, f"u{n}") for n in range(3))
    over = stop(state, second, NOW + 1)
    beats = [Heartbeat(99, "x"), *(Heartbeat(one.number, one.secret) for one in (third, second, first, third))]
    state.begin()
    state.ended[second.number] = over
    answers = Heartbeats(beats).decide(state, NOW + 20 * SECOND)
    assert [answers[1], answers[3], answers[4]] == [third, first, third]
    refused(answers[0], "session_unknown")
    assert refused(answers[2], "session_ended").shown("en") == {"ended_at": NOW + 1, "ended_reason": "stopped"}
    assert {one.expires_at for one in (first, third)} == {NOW + 20 * SECOND + LEASE}


# -- what a bot costs


def told(session: Session, state: State, seconds: float, memory: int | None, cpu: float | None) -> None:
    """A heartbeat so many seconds after the start, with these figures."""
    answer = decide(state, Heartbeat(session.number, session.secret, memory, cpu), NOW + round(seconds * SECOND))
    assert answer is session


def test_the_latest_and_the_highest_memory_are_kept() -> None:
    state = new_state()
    session = admitted(state, "u1")
    assert (session.memory_bytes, session.memory_peak, session.cpu_seconds, session.measured_at) == (None,) * 4
    for second, memory in enumerate((50, 90, 70), 1):
        told(session, state, second, memory, None)
    assert (session.memory_bytes, session.memory_peak, session.measured_at) == (70, 90, NOW + 3 * SECOND)
    told(session, state, 4, None, None)
    assert (session.memory_bytes, session.measured_at) == (70, NOW + 3 * SECOND), "what is not told is not forgotten"
    told(session, state, 5, 0, 1.5)
    assert (session.memory_bytes, session.memory_peak, session.cpu_seconds) == (0, 90, 1.5)


def test_the_load_of_a_bot_is_of_one_core_over_the_last_minute() -> None:
    state = new_state()
    session = admitted(state, "u1")
    assert session.cpu_percent is None
    told(session, state, 20, None, 10.0)
    assert session.cpu_percent is None, "one reading says nothing"
    told(session, state, 40, None, 12.0)
    assert session.cpu_percent == 10
    for minute in range(1, 4):  # a core and a half from here on
        for second in (0, 20, 40):
            told(session, state, 60 * minute + second, None, 12.0 + 1.5 * (60 * minute + second - 40))
    assert session.cpu_percent == 150
    told(session, state, 240, None, 12.0 + 1.5 * 180)
    assert session.cpu_percent == 100, "the last minute: 40 s of work and 20 s of none"


@pytest.mark.parametrize(("age", "cost"), [(44, None), (60, 2.4), (180, 2.4), (181, None)])
def test_what_a_start_cost_is_the_first_reading_of_a_young_bot(age: int, cost: float | None) -> None:
    state = new_state(BOT_LEASE_SECONDS=600)
    session = admitted(state, "u1")
    told(session, state, age, None, 2.4)
    told(session, state, age + 15, None, 2.5)
    assert session.start_cpu_seconds == cost


def test_a_process_is_told_with_the_start_or_a_heartbeat_and_not_forgotten() -> None:
    state = new_state()
    session = admitted(state, "u1")
    assert session.process is None
    for process, known in (("1.2.boot", "1.2.boot"), (None, "1.2.boot"), ("3.4.boot", "3.4.boot")):
        decide(state, Heartbeat(session.number, session.secret, process=process), NOW + SECOND)
        assert session.process == known


def test_a_measurer_that_begins_anew_never_makes_the_load_negative() -> None:
    state = new_state()
    session = admitted(state, "u1")
    told(session, state, 20, None, 500.0)
    told(session, state, 40, None, 1.0)
    assert (session.cpu_seconds, session.cpu_percent) == (1.0, None)
    told(session, state, 60, None, 2.0)
    assert session.cpu_percent == 5


def test_a_bot_that_beats_without_end_has_few_readings_and_a_true_load() -> None:
    state = new_state()
    session = admitted(state, "u1")
    for n in range(20_000):
        told(session, state, n / 100, 1, n / 200)
    assert len(session.cpu_readings) <= 40
    assert session.cpu_percent == pytest.approx(50, rel=0.01)
    told(session, state, 199.99, 1, 99.995)
    told(session, state, 199.99, 1, 99.995)
    assert session.cpu_percent == pytest.approx(50, rel=0.01), "several in one millisecond"


def test_a_lease_of_hours_has_its_load_from_the_heartbeat_before() -> None:
    state = new_state(BOT_LEASE_SECONDS=86_400)
    session = admitted(state, "u1")
    for hours in (8, 16):
        told(session, state, hours * 3600, None, hours * 360.0)
    assert session.cpu_percent == 10


# -- stop


def test_a_stop_frees_the_slot() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    session = admitted(state, "u1")
    assert stop(state, session, NOW + 5) == Ended(session, NOW + 5, "stopped")
    admitted(state, "u2", now=NOW + 5)


def test_a_stop_of_an_ended_session_tells_its_own_end() -> None:
    state = new_state()
    session = admitted(state, "u1")
    state.begin()
    first = state.end(session, NOW + 1, "admin_stop")
    assert Stop(session.number, session.secret).decide(state, NOW + 9) == first
    assert refused(Heartbeat(session.number, session.secret).decide(state, NOW + 9), "session_ended").shown("en") == {
        "ended_at": NOW + 1,
        "ended_reason": "admin_stop",
    }


# -- leases


def test_a_session_counts_until_its_lease_ends_and_not_after() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    session = admitted(state, "u1")
    end = session.expires_at
    assert capacity(state, end - 1).current == 1
    assert capacity(state, end).current == 0, "reaped or not"
    refused(start(state, "u2", now=end - 1), "server_full")
    admitted(state, "u2", now=end)
    assert state.ended[session.number] == Ended(session, end, "lease_expired")


def test_an_end_by_lease_is_the_instant_of_the_lease_whenever_it_is_noticed() -> None:
    state = new_state()
    session = admitted(state, "u1")
    assert decide(state, Stop(session.number, session.secret), NOW + HOUR) == Ended(
        session, NOW + LEASE, "lease_expired"
    )


def test_leases_end_one_by_one_in_their_order() -> None:
    state = new_state()
    sessions = [admitted(state, f"u{n}", now=NOW + n * SECOND) for n in range(5)]
    beat(state, sessions[0], NOW + 30 * SECOND)
    state.begin()
    assert Reap().decide(state, NOW + LEASE + 3 * SECOND) == 3
    assert [ended.session for ended in state.changes.ended] == sessions[1:4]
    assert sorted(state.sessions) == [sessions[0].number, sessions[4].number]


def test_a_lease_that_was_shortened_ends_at_its_new_end_and_only_once() -> None:
    state = new_state()
    session = admitted(state, "u1")
    state.limits = new_state(BOT_LEASE_SECONDS=5).limits
    beat(state, session, NOW + SECOND)
    state.begin()
    assert Reap().decide(state, NOW + 6 * SECOND) == 1
    state.begin()
    assert Reap().decide(state, NOW + HOUR) == 0


def test_a_new_lease_length_does_not_touch_running_leases() -> None:
    state = new_state()
    session = admitted(state, "u1")
    state.limits = new_state(BOT_LEASE_SECONDS=5).limits
    state.begin()
    assert Reap().decide(state, NOW + LEASE - 1) == 0
    assert session.expires_at == NOW + LEASE


def test_the_reaper_asks_for_a_commit_only_where_refusals_wait() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=0)
    state.begin()
    Reap().decide(state, NOW)
    assert not state.changes
    start(state, "u1")
    assert not state.changes, "a refusal alone costs no disk"
    state.begin()
    Reap().decide(state, NOW)
    assert state.changes


# -- operators


def test_an_operator_stops_one_session_and_it_is_kept_who_did() -> None:
    state = new_state()
    session = admitted(state, "u1", "b1")
    (ended,) = decide(state, StopByAdmin((session.number,), "key-1", "drill"))
    assert ended == Ended(session, NOW, "admin_stop")
    (entry,) = state.changes.audit
    assert (entry.actor, entry.action, entry.target, entry.reason) == ("key-1", "stop", session.public_id, "drill")
    assert StopByAdmin((session.number,), "key-1", "again").decide(state, NOW + 1) == [ended]
    refused(decide(state, StopByAdmin((99,), "key-1", "drill")), "session_unknown")


def test_reaping_ends_every_suspect_and_nobody_else() -> None:
    state = new_state()
    silent, alive = admitted(state, "u1"), admitted(state, "u2")
    beat(state, alive, NOW + 30 * SECOND)
    ended = decide(state, ReapSuspects("key-1", "cleaning"), NOW + 50 * SECOND)
    assert ended == [Ended(silent, NOW + 50 * SECOND, "reaped")]
    assert list(state.sessions) == [alive.number]
    assert state.changes.audit[0].detail == {"sessions": [silent.public_id]}


# -- refusals are kept with the facts of their instant


def test_a_refusal_keeps_what_it_was_decided_on() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    admitted(state, "u1")
    request = asked("u2", "b9")
    decide(state, request)
    (kept,) = state.refused
    assert (kept.request_id, kept.at, kept.user_id, kept.bot_id) == (request.request_id, NOW, "u2", "b9")
    assert (kept.reason, kept.limit, kept.value, kept.count, kept.version) == (
        "server_full",
        "MAX_CONCURRENT_BOTS",
        1,
        1,
        1,
    )
    assert kept.facts is not None
    assert (kept.facts.active, kept.facts.max_bots, kept.facts.user_active, kept.facts.user_max) == (1, 1, 0, 1)
