"""What a batch changed can be taken back, whole or from a mark, and leaves no trace; figures of the last hour and of
freed slots are what happened."""

from collections.abc import Callable

import pytest

from limiter.rules.changes import ChangeLimits, OverrideUser, SetPause, Write
from limiter.rules.quotas import RecordTrade, Take
from limiter.rules.records import Session
from limiter.rules.sessions import Admission, Reap, ReapSuspects, Stop
from limiter.rules.snapshots import TakeSnapshot
from limiter.rules.state import State
from limiter.rules.stops import StopByAdmin
from tests.rules.world import (
    CALM,
    HOUR,
    NOW,
    SECOND,
    admitted,
    asked,
    beat,
    decide,
    new_state,
    picture,
    refused,
    signal,
    start,
    stop,
    tokens,
    trade,
)

REQUESTS: dict[str, Callable[[Session], object]] = {
    "start": lambda _: asked("new"),
    "replace": lambda one: asked(one.user_id, one.bot_id, "other-key"),
    "refused start": lambda one: asked(one.user_id),
    "stop": lambda one: Stop(one.number, one.secret),
    "reap": lambda _: Reap(),
    "admin stop": lambda one: StopByAdmin((one.number,), "key-1", "tests"),
    "announced stop": lambda one: StopByAdmin((one.number,), "key-1", "tests", 60),
    "admin reap": lambda _: ReapSuspects("key-1", "tests"),
    "trade": lambda one: RecordTrade("r", one.number, one.secret, "t2", "BTC", "buy", "1", "1", False),
    "signals": lambda one: Take("r", "signals", 2, one.number, one.secret),
    "tokens": lambda _: Take("r", "tokens", 2),
    "limits": lambda _: ChangeLimits({"MAX_CONCURRENT_BOTS": 9}, "tests", None, True, "key-1", CALM, 150),
    "override": lambda one: OverrideUser(one.user_id, {"MAX_BOTS_PER_USER": 9}, None, "tests", "key-1"),
    "pause": lambda _: SetPause(True, "tests", "key-1"),
    "write": lambda _: Write("notes", {"id": "n1"}, "key-1", "note", "n1"),
    "snapshot": lambda _: TakeSnapshot(1.0, 2.0, 3.0),
}


def busy() -> tuple[State, Session]:
    """A state in which something of everything has happened, and its session that is oldest."""
    state = new_state()
    session = admitted(state, "u1", "b1", key="k1")
    for n in range(3):
        stop(state, admitted(state, f"gone-{n}", now=NOW + n), NOW + n * SECOND)
    trade(state, session, "t1")
    signal(state, session, 5)
    tokens(state, 5)
    start(state, "u1", "b2")
    state.begin()
    return state, session


@pytest.mark.parametrize("kind", REQUESTS)
def test_every_kind_of_request_is_undone_without_a_trace(kind: str) -> None:
    state, session = busy()
    before, at = picture(state), NOW + 50 * SECOND
    state.expired(at)
    request = REQUESTS[kind](session)
    request.decide(state, at)  # type: ignore[attr-defined]
    assert kind in ("refused start", "reap") or state.changes
    state.undo()
    assert picture(state) == before
    changes = state.changes
    assert not (changes.started or changes.ended or changes.trades or changes.versions or changes.overrides)
    assert not (changes.audit or changes.rows or changes.snapshots or changes.pause)
    assert not any(changes.seconds.values())


def test_a_batch_of_everything_is_undone_whole() -> None:
    state, session = busy()
    before = picture(state)
    for make in REQUESTS.values():
        make(session).decide(state, NOW + 50 * SECOND)  # type: ignore[attr-defined]
    state.undo()
    assert picture(state) == before


def test_one_request_is_undone_alone() -> None:
    state = new_state()
    state.begin()
    first = asked("u1", "b1", "k1").decide(state, NOW)
    assert isinstance(first, Admission)
    before = picture(state)
    mark = state.mark()
    for request in (asked("u1", "b1", "k2"), asked("u2"), SetPause(True, "tests", "key-1")):
        request.decide(state, NOW)
    state.undo(mark)
    assert picture(state) == before
    assert state.changes.started == [first.session]


def test_a_session_whose_end_was_undone_ends_again_when_its_lease_does() -> None:
    state = new_state()
    session = admitted(state, "u1")
    decide(state, Reap(), session.expires_at)
    state.undo()
    assert state.sessions == {session.number: session}
    state.begin()
    assert Reap().decide(state, session.expires_at) == 1


def test_a_heartbeat_is_not_undone() -> None:
    state = new_state()
    session = admitted(state, "u1")
    beat(state, session, NOW + 30 * SECOND)
    state.undo()
    assert session.expires_at == NOW + 90 * SECOND


def test_everyone_is_renewed_in_full_with_his_own_lease() -> None:
    state = new_state()
    long = admitted(state, "u1")
    state.limits = new_state(BOT_LEASE_SECONDS=10).limits
    short = admitted(state, "u2")
    state.renew_all(NOW + HOUR)
    assert long.last_heartbeat_at == short.last_heartbeat_at == NOW  # nobody was heard
    assert not long.suspect(NOW + HOUR + 40 * SECOND) and long.suspect(NOW + HOUR + 40 * SECOND + 1)
    assert (long.expires_at, short.expires_at) == (NOW + HOUR + 60 * SECOND, NOW + HOUR + 10 * SECOND)
    assert state.expired(NOW + HOUR) == []
    assert [one.number for one in state.expired(NOW + HOUR + 60 * SECOND)] == [short.number, long.number]


# -- the advice when to try again


def freed(gaps: list[float]) -> int | None:
    """What a refused start is advised after slots were freed with these gaps in seconds."""
    state, now = new_state(MAX_CONCURRENT_BOTS=1), NOW
    for gap in [0.0, *gaps]:
        now += int(gap * SECOND)
        stop(state, admitted(state, "u1", now=now), now)
    admitted(state, "u1", now=now)
    return refused(start(state, "u2", now=now), "server_full").retry_after_seconds


@pytest.mark.parametrize(
    ("gaps", "seconds"),
    [
        ([], 30),
        ([100.0], 30),
        ([40.0, 50.0], 45),
        ([50.0, 50.0, 50.0], 50),
        ([1.0, 1.0], 30),
        ([59.0] * 20 + [40.0] * 11, 40),
        ([40.0] * 11 + [59.0] * 20, 59),
    ],
)
def test_the_advice_is_the_median_of_the_last_20_gaps_between_30_and_600_seconds(
    gaps: list[float], seconds: int
) -> None:
    assert freed(gaps) == seconds


def test_the_advice_is_at_most_600_seconds() -> None:
    state = new_state()
    state.freed.extend([NOW, NOW + HOUR, NOW + 2 * HOUR])
    assert state.retry_after() == 600


# -- figures


def test_figures_of_the_last_hour() -> None:
    state = new_state(MAX_CONCURRENT_BOTS=1)
    admitted(state, "u1")
    for n in range(3):
        start(state, "u2", now=NOW + n * SECOND)
    assert state.last_hour("starts", NOW + HOUR) == 1
    assert state.last_hour("refused:server_full", NOW + HOUR) == 3
    assert state.last_hour("starts", NOW + HOUR + SECOND) == 0
    assert state.last_hour("never", NOW) == 0


def test_ends_are_counted_by_their_reason_at_their_instant() -> None:
    state = new_state()
    admitted(state, "u1")
    decide(state, Reap(), NOW + HOUR)
    assert state.last_hour("ended:lease_expired", NOW + HOUR) == 1
    assert state.last_hour("ended:lease_expired", NOW + HOUR + 61 * SECOND) == 0


# -- what lives as long as the process does not grow


def test_dates_of_sessions_that_are_over_do_not_pile_up() -> None:
    state = new_state(BOT_LEASE_SECONDS=86_400)
    alive = admitted(state, "alive")
    for n in range(5000):
        stop(state, admitted(state, "u1", now=NOW + n), NOW + n)
    assert len(state.due) < 1100
    assert state.expired(alive.expires_at) == [alive]


def test_a_new_day_forgets_what_is_over() -> None:
    state = new_state()
    for n in range(5):
        session = admitted(state, f"u{n}")
        trade(state, session, "t1")
        signal(state, session)
    session = admitted(state, "late", now=NOW + 12 * HOUR)
    signal(state, session, now=NOW + 12 * HOUR)
    trade(state, session, "t1", NOW + 12 * HOUR)
    assert set(state.trade_days) == {("late", "2026-01-02")}
    assert {user for kind, user in state.windows if kind == "signals"} == {"", "late"}
