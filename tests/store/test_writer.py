"""What is saved is what comes back: a limiter that is killed after any commit goes on where it was."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Row, func, select, text

from limiter.rules.changes import OverrideUser, Rollback, SetPause, Write
from limiter.rules.counts import Recount
from limiter.rules.limits import Setting, defaults
from limiter.rules.quotas import Take, uses_of
from limiter.rules.records import Drain, Notice, Session, Slice
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Heartbeat, Heartbeats, Reap
from limiter.rules.snapshots import TakeSnapshot, Trim
from limiter.rules.stops import StartDrain, StopByAdmin, TakeDrainBack, TakeStopBack
from limiter.rules.windows import day_of
from limiter.store import flood, read, schema, sqlite_writer
from limiter.store.retention import Retention, trims
from limiter.store.rows import link
from limiter.store.schema import HOUR_STEP, MINUTE_STEP, RAW_STEP, STEPS
from tests.conftest import new_database
from tests.rules.world import CALM, HOUR, MINUTE, NOW, SECOND, asked, picture
from tests.store.book import DAY, SAMPLE, Book, beat, change, stop, trade


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def book(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Book]:
    """An empty one."""
    made = Book(new_database() if request.param == "postgres" else f"sqlite:///{tmp_path}/limiter.db")
    yield made
    made.close()


@pytest.fixture
def file_book(tmp_path: Path) -> Iterator[Book]:
    """An empty one that is the only one of its file: what it may do alone, one of several may not."""
    made = Book(f"sqlite:///{tmp_path}/limiter.db")
    yield made
    made.close()


def measured(session: Session, memory_bytes: int | None, cpu_seconds: float | None) -> Heartbeat:
    """A heartbeat that says what its bot costs."""
    return Heartbeat(session.number, session.secret, memory_bytes, cpu_seconds)


# -- the start


def test_a_first_start_is_empty_and_keeps_the_limits_as_version_1(book: Book) -> None:
    assert (len(book.state.sessions), book.state.next_number, book.state.limits.version) == (0, 1, 1)
    (version,) = book.rows(schema.limit_versions)
    assert (version.kind, version.reason, version.actor) == ("start", "", "start")
    assert json.loads(version.in_force)["MAX_CONCURRENT_BOTS"] == [200, "default"]
    assert {row.name: row.value for row in book.rows(schema.limits)} == {n: s.value for n, s in defaults().items()}


def test_everything_that_decisions_depend_on_comes_back(file_book: Book) -> None:
    file_book.ask(NOW, change(MAX_BOTS_PER_USER=3, MAX_SIGNALS_PER_MINUTE_PER_USER=50))
    sessions = [file_book.start("u1", "b1", "k1"), file_book.start("u1"), file_book.start("u2", "b1")]
    for n in range(25):
        gone = file_book.start(f"gone-{n}", now=NOW + n * SECOND)
        file_book.ask(NOW + n * SECOND, stop(gone))
    at = NOW + 30 * SECOND
    sessions[2] = file_book.start("u2", "b1", now=at)
    file_book.ask(at, trade(sessions[0], "t1"), trade(sessions[1], "t2"), trade(sessions[2], "t1"))
    file_book.ask(at, Take("r", "signals", 7, sessions[0].number, sessions[0].secret), Take("r", "tokens", 9))
    file_book.ask(
        at, OverrideUser("u2", {"MAX_BOTS_PER_USER": 5}, at + HOUR, "tests", "key-1"), SetPause(True, "t", "key-1")
    )
    file_book.ask(at, SAMPLE)
    before = file_book.state
    file_book.restart(at + 10 * SECOND)
    before.renew_all(at + 10 * SECOND)
    then, now = picture(before, at + 10 * SECOND), picture(file_book.state, at + 10 * SECOND)
    for figures in (then, now):
        figures["windows"] = {key: n for key, n in figures["windows"].items() if key[0] != "hour"}
        del figures["totals"]
    assert now == then
    assert [vars_of(one) for one in file_book.state.sessions.values()] == [
        vars_of(one) for one in before.sessions.values()
    ]
    assert file_book.state.last_hour("starts", at) == 29
    assert file_book.state.last_token_at is not None


def vars_of(session: Session) -> dict[str, Any]:
    """All its fields."""
    return {name: getattr(session, name) for name in Session.__struct_fields__}


def test_every_lease_is_renewed_in_full_however_long_the_limiter_was_away(book: Book) -> None:
    session = book.start("u1")
    book.restart(NOW + DAY)
    (kept,) = book.state.sessions.values()
    assert (kept.expires_at, kept.secret) == (NOW + DAY + 60 * SECOND, session.secret)
    assert book.ask(NOW + DAY + 59 * SECOND, beat(session)) == [kept]


def test_an_end_that_was_told_is_not_undone_by_a_restart(book: Book) -> None:
    stopped, replaced = book.start("u1", "b1"), book.start("u2", "b1")
    book.ask(NOW, stop(stopped))
    book.start("u2", "b1", now=NOW + 1)
    book.restart(NOW + MINUTE)
    answers = book.ask(NOW + MINUTE, beat(stopped), beat(replaced), stop(stopped))
    assert [one.facts["ended_reason"] for one in answers[:2]] == ["stopped", "replaced"]
    assert (answers[2].at, answers[2].reason) == (NOW, "stopped")
    assert len(book.state.sessions) == 1


def test_numbers_are_never_given_twice(book: Book) -> None:
    first = book.start("u1")
    book.ask(NOW, stop(first))
    book.restart(NOW)
    assert book.start("u1").number == first.number + 1


def test_the_last_minute_of_a_rate_is_kept(book: Book) -> None:
    book.ask(NOW, change(MAX_TOKENS_PER_MINUTE=10))
    book.ask(NOW, Take("r", "tokens", 4))
    book.ask(NOW + 500, Take("r", "tokens", 2))
    book.restart(NOW + 30 * SECOND)
    assert isinstance(book.ask(NOW + 60 * SECOND, Take("r", "tokens", 5))[0], Refusal)
    assert book.ask(NOW + 61 * SECOND, Take("r", "tokens", 10))[0].left == 0


def test_the_last_minute_of_starts_is_kept_and_a_replacement_is_none(book: Book) -> None:
    book.ask(NOW, change(MAX_STARTS_PER_MINUTE=3))
    gone = book.start("u1", "b1")
    book.ask(NOW, stop(gone))
    book.start("u2", "b1", now=NOW + 500)
    book.start("u2", "b1", now=NOW + 2 * SECOND)
    book.restart(NOW + 30 * SECOND)
    book.start("u3", now=NOW + 30 * SECOND)
    assert book.ask(NOW + 60 * SECOND, asked("u4"))[0].reason == "start_rate"
    book.start("u4", now=NOW + 61 * SECOND)


def test_who_waits_keeps_the_place_over_a_restart(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=1))
    holder = book.start("u1")
    first, second = (one.facts["ticket"] for one in book.ask(NOW, asked("u2", queue=True), asked("u3", queue=True)))
    book.restart(NOW + 30 * SECOND)
    book.ask(NOW + 30 * SECOND, stop(holder))
    again, other = book.ask(
        NOW + 31 * SECOND, asked("u3", ticket=second["id"], queue=True), asked("u2", ticket=first["id"], queue=True)
    )
    assert again.facts["ticket"] | {"expires_at": 0} == second | {"expires_at": 0}
    assert other.created
    book.restart(NOW + 32 * SECOND)
    assert list(book.state.tickets) == ["u3"]
    assert book.state.tickets["u3"].asked_at == NOW + 31 * SECOND


def test_a_clock_that_went_back_gives_no_second_minute(file_book: Book) -> None:
    file_book.ask(NOW, change(MAX_TOKENS_PER_MINUTE=10))
    file_book.ask(NOW, Take("r", "tokens", 10))
    back = NOW - HOUR
    file_book.restart(back)
    assert isinstance(file_book.ask(back + 59 * SECOND, Take("r", "tokens", 1))[0], Refusal)
    assert file_book.ask(back + 61 * SECOND, Take("r", "tokens", 1))[0].left == 9


def test_a_clock_that_went_back_gives_no_second_trade_day(book: Book) -> None:
    session = book.start("u1", now=NOW + DAY)
    book.ask(NOW, change(MAX_TRADES_PER_DAY=1))
    book.ask(NOW, trade(session, "t1"))
    book.restart(NOW + DAY)
    book.ask(NOW + DAY, trade(session, "t2"))
    book.restart(NOW)
    assert book.ask(NOW, trade(session, "t3"))[0].reason == "daily_trades"


def test_the_pause_is_kept(book: Book) -> None:
    book.ask(NOW, SetPause(True, "incident", "key-1"))
    book.restart(NOW)
    assert book.ask(NOW, asked("u1"))[0].reason == "paused"


# -- limits


def test_a_live_change_goes_over_the_environment_after_a_restart_too(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=250))
    book.configured["MAX_CONCURRENT_BOTS"] = Setting(300, "environment")
    book.restart(NOW + HOUR)
    limits = book.state.limits
    assert (limits.values["MAX_CONCURRENT_BOTS"], limits.settings["MAX_CONCURRENT_BOTS"].source) == (250, "live")
    assert (limits.settings["MAX_CONCURRENT_BOTS"].changed_at, limits.hidden("MAX_CONCURRENT_BOTS")) == (NOW, True)
    assert limits.version == 2, "no value in force has changed"
    book.ask(NOW + HOUR, change(MAX_CONCURRENT_BOTS="back"))
    assert book.state.limits.values["MAX_CONCURRENT_BOTS"] == 300


def test_a_changed_environment_is_a_version_of_its_own(book: Book) -> None:
    book.configured["MAX_BOTS_PER_USER"] = Setting(3, "environment")
    book.restart(NOW + HOUR)
    assert book.state.limits.version == 2
    version = book.rows(schema.limit_versions)[-1]
    assert (version.reason, json.loads(version.changed)) == ("", [["MAX_BOTS_PER_USER", 1, 3]])
    book.restart(NOW + HOUR)
    assert book.state.limits.version == 2


def test_none_and_fractions_come_back_as_they_were(book: Book) -> None:
    book.ask(NOW, change(WEBSOCKET_RECONNECT=0.1, MAX_SIGNALS_PER_MINUTE_PER_USER=5))
    book.ask(NOW, change(MAX_SIGNALS_PER_MINUTE_PER_USER=None))
    book.restart(NOW)
    assert book.state.limits.values["WEBSOCKET_RECONNECT"] == 0.1
    assert book.state.limits.values["MAX_SIGNALS_PER_MINUTE_PER_USER"] is None
    assert isinstance(book.state.limits.values["MAX_CONCURRENT_BOTS"], int)


def test_a_rollback_finds_any_version_after_a_restart(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=250))
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=100, BOT_LEASE_SECONDS=30))
    book.restart(NOW)
    (answer,) = book.ask(NOW, Rollback(2, "tests", False, "key-1", CALM, 150))
    assert set(answer.changed) == {("MAX_CONCURRENT_BOTS", 100, 250), ("BOT_LEASE_SECONDS", 30, 60)}
    assert book.ask(NOW, Rollback(99, "tests", False, "key-1", CALM, 150))[0].reason == "not_found"


def test_own_limits_of_a_user_are_kept_and_taken_back(book: Book) -> None:
    book.ask(
        NOW, OverrideUser("vip", {"MAX_BOTS_PER_USER": 5, "MAX_SIGNALS_PER_MINUTE_PER_USER": None}, None, "t", "k")
    )
    book.restart(NOW)
    assert book.state.limits.of("vip", NOW)["MAX_BOTS_PER_USER"] == 5
    book.ask(NOW, OverrideUser("vip", {}, None, "over", "k"))
    book.restart(NOW)
    assert book.state.limits.overrides == {}
    assert book.state.limits.version == 3


# -- sessions and trades


def test_a_batch_in_which_a_bot_starts_over_and_over_is_saved(book: Book) -> None:
    book.start("u1", "b1")
    answers = book.ask(NOW, asked("u1", "b1"), asked("u1", "b1"), asked("u1", "b1"))
    (active,) = book.rows(schema.active_sessions)
    assert active.number == answers[-1].session.number
    assert [row.ended_reason for row in book.rows(schema.ended_sessions)] == ["replaced"] * 3
    assert book.rows(schema.fleet)[0].active == 1


def test_live_and_ended_sessions_are_one_view(book: Book) -> None:
    first = book.start("u1")
    book.ask(NOW, stop(first))
    book.start("u1")
    rows = book.writer.connection.exec_driver_sql("SELECT number, ended_reason FROM sessions ORDER BY number").all()
    assert [tuple(row) for row in rows] == [(1, "stopped"), (2, None)]
    book.writer.connection.rollback()


def test_what_a_bot_costs_is_written_and_comes_back(book: Book) -> None:
    first, second = book.start("u1"), book.start("u2")
    for n, memory in enumerate((7_000, 9_000, 8_000), 1):
        beats = [measured(first, memory, n * 2.5), Heartbeat(second.number, second.secret)]
        book.ask(NOW + 20 * n * SECOND, Heartbeats(beats))
    _, shot = book.ask(NOW + MINUTE, Take("r", "tokens", 1), SAMPLE)
    assert shot.costs == (1, 8_000, 1, pytest.approx(12.5))
    told, silent = book.rows(schema.active_sessions)
    assert (told.memory_bytes, told.memory_peak, told.cpu_seconds) == (8_000, 9_000, 7.5)
    assert (silent.memory_bytes, silent.memory_peak, silent.cpu_seconds) == (None, None, None)
    book.restart(NOW + 2 * MINUTE)
    back = book.state.sessions[first.number]
    assert (back.memory_bytes, back.memory_peak, back.cpu_seconds, back.cpu_percent) == (8_000, 9_000, 7.5, None)
    book.ask(NOW + 2 * MINUTE, measured(back, 2**53, 1e9), stop(back))
    (row,) = book.rows(schema.ended_sessions)
    assert (row.memory_bytes, row.memory_peak, row.cpu_seconds) == (2**53, 2**53, 1e9)


def test_heartbeats_are_written_with_the_next_snapshot(file_book: Book) -> None:
    session = file_book.start("u1")
    file_book.decide(NOW + 20 * SECOND, beat(session))
    assert not file_book.state.changes, "a heartbeat alone costs no disk"
    assert file_book.rows(schema.active_sessions)[0].last_heartbeat_at == NOW
    file_book.ask(NOW + 21 * SECOND, SAMPLE)
    (row,) = file_book.rows(schema.active_sessions)
    assert (row.last_heartbeat_at, row.expires_at) == (NOW + 20 * SECOND, NOW + 80 * SECOND)


def test_the_operators_stop_finds_an_ended_session(book: Book) -> None:
    session = book.start("u1")
    book.ask(NOW, stop(session))
    book.restart(NOW)
    assert book.ask(NOW, StopByAdmin((session.number,), "key-1", "t"))[0][0].reason == "stopped"
    assert book.ask(NOW, StopByAdmin((99,), "key-1", "t"))[0].reason == "session_unknown"


def test_an_announced_stop_is_kept_and_ends_its_session_at_its_instant(book: Book) -> None:
    told, kept = book.start("u1"), book.start("u2")
    book.ask(NOW, StopByAdmin((told.number, kept.number), "key-1", "move", 90))
    book.ask(NOW + SECOND, TakeStopBack((kept.number,), "key-1", "stays"))
    book.restart(NOW + 50 * SECOND)
    notices = [book.state.sessions[one.number].notice for one in (told, kept)]
    assert notices == [Notice(NOW + 90 * SECOND, "move"), None]
    book.ask(NOW + 80 * SECOND, beat(told), beat(kept))
    book.ask(NOW + 100 * SECOND, Reap())
    (row,) = book.rows(schema.ended_sessions)
    assert (row.number, row.ended_at, row.ended_reason) == (told.number, NOW + 90 * SECOND, "admin_stop")
    book.restart(NOW + 101 * SECOND)
    assert list(book.state.sessions) == [kept.number]


def test_a_stop_that_came_due_while_nobody_was_there_was_at_its_instant(book: Book) -> None:
    session = book.start("u1")
    book.ask(NOW, StopByAdmin("u1", "key-1", "move", 30))
    book.restart(NOW + HOUR)
    (told,) = book.ask(NOW + HOUR, beat(session))
    assert told.shown("en") == {"ended_at": NOW + 30 * SECOND, "ended_reason": "admin_stop"}


def test_a_drain_is_kept_and_ends_who_is_left_at_its_instant(book: Book) -> None:
    session = book.start("u1")
    book.ask(NOW, StartDrain("key-1", "move", 90))
    book.restart(NOW + 50 * SECOND)
    assert book.state.drain == Drain(NOW, NOW + 90 * SECOND, "move")
    assert book.ask(NOW + 60 * SECOND, asked("u2"))[0].reason == "draining"
    book.ask(NOW + 80 * SECOND, beat(session))
    book.ask(NOW + 100 * SECOND, Reap())
    (row,) = book.rows(schema.ended_sessions)
    assert (row.ended_at, row.ended_reason) == (NOW + 90 * SECOND, "drained")
    book.restart(NOW + 101 * SECOND)
    assert book.ask(NOW + 101 * SECOND, asked("u2"))[0].reason == "draining", "until it is taken back"
    book.ask(NOW + 102 * SECOND, TakeDrainBack("key-1", "done"))
    book.restart(NOW + 103 * SECOND)
    assert book.state.drain is None
    book.start("u2", now=NOW + 103 * SECOND)


def test_trades_of_today_are_counted_over_a_restart_and_over_midnight(book: Book) -> None:
    late = NOW + 12 * HOUR - SECOND
    session = book.start("u1", now=late)
    book.ask(late, trade(session, "t1"), trade(session, "t2"))
    book.restart(late)
    assert book.ask(late, trade(session, "t3"))[0].use.used == 3
    assert book.ask(late + SECOND, trade(session, "t4"))[0].use.used == 1
    assert {(row.day, row.used) for row in book.rows(schema.trade_days)} == {("2026-01-01", 3), ("2026-01-02", 1)}


def test_a_trade_of_any_age_is_known_again(book: Book) -> None:
    session = book.start("u1")
    book.ask(NOW, trade(session, "t1", quantity="1.50", closes=True))
    book.restart(NOW + 3 * DAY)
    (again,) = book.ask(NOW + 3 * DAY, trade(session, "t1", quantity="1.5", closes=True))
    assert (again.created, again.trade.quantity, again.trade.closes) == (False, "1.50", True)
    assert again.use.used == 0
    assert book.ask(NOW + 3 * DAY, trade(session, "t1"))[0].reason == "trade_conflict"
    assert book.count(schema.trades) == 1


def test_named_trades_are_found_by_their_index_however_many_there_are(file_book: Book) -> None:
    connection = file_book.writer.connection
    asked = text(f"EXPLAIN QUERY PLAN {sqlite_writer.NAMED_TRADES.text}")
    plan = connection.execute(asked, {"named": '[["u1", "t1"]]'}).all()
    connection.rollback()
    assert any("trades USING INDEX trades_id" in step[-1] for step in plan), plan


def test_the_same_trade_twice_in_a_batch_is_counted_once(book: Book) -> None:
    session = book.start("u1")
    one, two = book.ask(NOW, trade(session, "t1"), trade(session, "t1"))
    assert (one.created, two.created, two.use.used) == (True, False, 1)


def test_what_a_user_uses_is_known_after_a_restart(book: Book) -> None:
    session = book.start("u1")
    book.ask(NOW, trade(session, "t1"))
    book.restart(NOW)
    assert uses_of(book.state, "u1", NOW)[1].used == 1
    assert uses_of(book.state, "nobody", NOW)[1].used == 0


def test_ids_that_look_like_numbers_or_json_stay_texts(book: Book) -> None:
    session = book.start("12345678901234567890", "007")
    book.ask(NOW, trade(session, "1"), trade(session, "01"), trade(session, "1.0"))
    book.restart(NOW)
    assert book.ask(NOW, trade(session, "1"))[0].created is False
    assert book.ask(NOW, trade(session, "1.00"))[0].created is True
    assert book.state.bots.keys() == {("12345678901234567890", "007")}


# -- refusals


def test_a_refusal_is_kept_with_its_facts(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=1))
    book.start("u1")
    request = asked("u2", "b2")
    book.ask(NOW + 5, request, Reap())
    (row,) = book.rows(schema.refusals)
    assert row._asdict() == {
        "id": 1, "request_id": request.request_id, "at": NOW + 5, "user_id": "u2", "bot_id": "b2",
        "reason": "server_full", "limit_name": "MAX_CONCURRENT_BOTS", "value": 1, "count": 1, "version": 2,
        "active": 1, "max_bots": 1, "user_active": 0, "user_max": 1, "repeats": 1,
    }  # fmt: skip
    assert book.state.refused == []


def test_refusals_wait_for_the_next_commit_and_are_not_lost_by_one_that_fails(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=0))
    book.decide(NOW, asked("u1"))
    assert not book.state.changes
    book.decide(NOW + 1, asked("u2"), SetPause(True, "t", "k"))
    book.writer.begin()
    book.writer.save(book.state)
    book.writer.rollback()
    book.state.undo()
    assert [one.user_id for one in book.state.refused] == ["u1"]
    book.ask(NOW + 2, Reap())
    assert [row.user_id for row in book.rows(schema.refusals)] == ["u1"]


def test_ids_of_refusals_go_on_after_a_restart(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=0))
    for n in range(3):
        book.ask(NOW + n, asked("u1"))
        book.restart(NOW + n)
    assert [row.id for row in book.rows(schema.refusals)] == [1, 2, 3]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["u1", "u2", "u3", "u4"]), st.integers(1, 60)), min_size=1, max_size=6),
        min_size=1, max_size=12,
    ),
    st.integers(0, 40),
)  # fmt: skip
def test_a_flood_stays_bounded_and_its_counts_stay_exact(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, int]]], wait: int
) -> None:
    """Floods of a few users in batches over some minutes: every refusal is counted once, and rows are bounded."""
    folder = tmp_path_factory.mktemp("flood")
    book = Book(f"sqlite:///{folder}/limiter.db", MAX_CONCURRENT_BOTS=0)
    sent: Counter[tuple[int, str]] = Counter()
    now = NOW
    for batch in batches:
        now += wait * SECOND
        requests = [asked(user) for user, n in batch for _ in range(n)]
        book.ask(now, *requests)
        sent.update((now // MINUTE, request.user_id) for request in requests)
    rows = book.rows(schema.refusals)
    kept: Counter[tuple[int, str]] = Counter()
    for row in rows:
        kept[row.at // MINUTE, row.user_id] += row.repeats
    assert kept == sent
    singles = Counter((row.at // MINUTE, row.user_id) for row in rows if row.repeats == 1)
    assert all(n <= flood.SINGLE_REFUSALS_PER_USER + 1 for n in singles.values())
    book.close()


def test_a_flood_of_a_hundred_thousand_refusals_is_some_two_thousand_rows(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=0))
    for batch in range(200):
        book.ask(NOW + batch, *(asked(f"u{n}") for n in range(500)))
    rows = book.rows(schema.refusals)
    assert sum(row.repeats for row in rows) == 100_000
    assert len(rows) <= flood.SINGLE_REFUSALS + flood.SINGLE_REFUSALS // flood.SINGLE_REFUSALS_PER_USER + 1
    assert len({row.id for row in rows}) == len(rows)


def test_a_shared_row_explains_the_request_that_it_names(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=0))
    for batch in range(5):
        requests = [asked(f"u{n}") for n in range(500)]
        book.ask(NOW + batch, *requests)
    last = requests[-1]
    (row,) = book.rows(schema.refusals, schema.refusals.c.request_id == last.request_id)
    assert (row.user_id, row.at, row.repeats) == (last.user_id, NOW + 4, 500)


def test_closing_folds_the_log_into_the_file(tmp_path: Path) -> None:
    book = Book(f"sqlite:///{tmp_path}/limiter.db")
    book.ask(NOW, asked("u1"))
    book.close()
    assert [path.name for path in tmp_path.iterdir()] == ["limiter.db"], "whoever copies the file has all of it"


# -- snapshots


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 4000),
            st.integers(0, 3),
            st.one_of(st.none(), st.floats(0, 100)),
            st.one_of(st.none(), st.floats(0, 1e4)),
            st.integers(0, 5),
            st.none() | st.integers(0, 2**50),
        ),
        min_size=1, max_size=20,
    )
)  # fmt: skip
def test_rollups_are_sums_least_and_most_of_the_snapshots(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, float | None, float | None, int, int | None]]
) -> None:
    folder = tmp_path_factory.mktemp("rollups")
    book = Book(f"sqlite:///{folder}/limiter.db", MAX_CONCURRENT_BOTS=3, MAX_BOTS_PER_USER=9, BOT_LEASE_SECONDS=86_400)
    shots, now = [], NOW
    for wait, starts, cpu, p99, tokens, memory in steps:
        now += wait * SECOND
        requests: list[Any] = [asked("u1") for _ in range(starts)]
        if tokens:
            requests.append(Take("r", "tokens", tokens))
        if len(book.state.sessions) == 3:
            requests.append(stop(next(iter(book.state.sessions.values()))))
        beats = [measured(one, memory, now / 1000) for one in list(book.state.sessions.values())[1:]]
        if memory is not None:
            requests.append(Heartbeats(beats))
        *_, shot = book.ask(now, *requests, TakeSnapshot(cpu, None, p99))
        shots.append(shot)
    for step in STEPS:
        of: defaultdict[int, list[Any]] = defaultdict(list)
        parts: defaultdict[int, list[Slice]] = defaultdict(list)
        wanted: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for shot in shots:
            of[shot.at - shot.at % (step * 1000)].append(shot)
            for part in shot.slices:
                bucket = part.at - part.at % (step * 1000)
                parts[bucket].append(part)
                refused = {name[8:]: n for name, n in part.counts.items() if name.startswith("refused:")}
                wanted[bucket].update(refused)
        found: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for count in book.rows(schema.refusal_counts, schema.refusal_counts.c.step == step):
            found[count.at][count.reason] = count.n
        for row in book.rows(schema.snapshots, schema.snapshots.c.step == step):
            check_rollup(row, of[row.at], parts[row.at])
            assert found[row.at] == wanted[row.at]
        seen = book.rows(schema.snapshots, schema.snapshots.c.step == step)
        assert sum(row.n for row in seen) == len(shots)
    book.close()


def check_rollup(row: Row[Any], of: list[Any], parts: list[Slice]) -> None:
    """One row against the snapshots taken in it, and the slices of what happened in it."""
    cpu = [shot.cpu_percent for shot in of if shot.cpu_percent is not None]
    p99 = [shot.p99_ms for shot in of if shot.p99_ms is not None]
    assert row.n == len(of)
    bots = [shot.bots for shot in of]
    assert row.bots_min == min([*bots, *(part.low for part in parts)])
    assert row.bots_max == max([*bots, *(part.high for part in parts)])
    spent = [sum(times) for times in zip(*(part.status_ms for part in parts), strict=True)]
    assert [row.low_ms, row.healthy_ms, row.warning_ms, row.full_ms] == (spent or [0, 0, 0, 0])
    assert row.bots_sum == sum(shot.bots for shot in of)
    assert row.limit_last == 3
    assert (row.cpu_n, row.cpu_max) == (len(cpu), max(cpu, default=None))
    assert row.cpu_sum == pytest.approx(sum(cpu))
    assert (row.ram_n, row.ram_sum, row.ram_max) == (0, 0.0, None)
    assert row.p99_max == max(p99, default=None)
    for name in ("tokens", "signals", "trades", "starts", "ended"):
        assert getattr(row, name) == sum(part.counts.get(name, 0) for part in parts)
    sums = [sum(figures) for figures in zip(*(shot.costs for shot in of), strict=True)] or [0, 0, 0, 0.0]
    found = row.bots_memory_n, row.bots_memory_sum, row.bots_cpu_n, row.bots_cpu_sum
    assert list(found) == [*sums[:3], pytest.approx(sums[3])]


def test_counts_of_the_last_hour_come_back(file_book: Book) -> None:
    file_book.ask(NOW, change(MAX_CONCURRENT_BOTS=2))
    file_book.start("u1"), file_book.start("u2")
    file_book.ask(NOW, asked("u3"), asked("u4"))
    file_book.ask(NOW + SECOND, SAMPLE)
    file_book.ask(NOW + 2 * MINUTE, Reap())
    file_book.restart(NOW + 3 * MINUTE)
    state, now = file_book.state, NOW + 3 * MINUTE
    assert state.last_hour("starts", now) == 2
    assert state.last_hour("refused:server_full", now) == 2
    assert state.last_hour("ended:lease_expired", now) == 2
    assert state.last_hour("starts", NOW + 2 * HOUR) == 0


# -- what is trimmed


def test_rows_are_trimmed_slice_by_slice_when_their_time_is_over(book: Book) -> None:
    book.retention = Retention(raw_hours=1, minutes_days=1, refusals_days=1, sessions_days=2, trades_days=2)
    book.restart(NOW)
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=1))
    session = book.start("u1")
    book.ask(NOW, trade(session, "t1"), asked("u2"), Take("r", "tokens", 1), SAMPLE)
    book.ask(NOW, stop(session))
    tables = (schema.refusals, schema.ended_sessions, schema.trades, schema.rate_seconds)

    def kept(at: int) -> list[int]:
        book.ask(at, SAMPLE)
        for _ in range(5 * len(list(trims()))):
            book.ask(at, Trim())
        steps = Counter(row.step for row in book.rows(schema.snapshots, schema.snapshots.c.at < NOW + MINUTE))
        counts = Counter(row.step for row in book.rows(schema.refusal_counts))
        assert steps.keys() == counts.keys()
        return [*(steps[step] for step in (RAW_STEP, MINUTE_STEP, HOUR_STEP)), *map(book.count, tables)]

    # What was between two samples is known, in the width of raw rows: twelve to the minute.
    assert kept(NOW + 59 * MINUTE) == [12, 1, 1, 1, 1, 1, 0]
    assert kept(NOW + 61 * MINUTE) == [0, 1, 1, 1, 1, 1, 0]
    assert kept(NOW + DAY + MINUTE) == [0, 0, 1, 0, 1, 1, 0]
    assert kept(NOW + 2 * DAY + MINUTE) == [0, 0, 1, 0, 0, 0, 0]
    assert book.count(schema.audit) and book.count(schema.limit_versions), "these are kept for ever"


def test_refusals_are_trimmed_to_their_number_too(book: Book) -> None:
    book.retention = replace(book.retention, refusals_rows=100)
    book.restart(NOW)
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=0))
    for minute in range(10):
        book.ask(NOW + minute * MINUTE, *(asked(f"u{n}") for n in range(50)))
    for _ in range(20):
        book.ask(NOW + 10 * MINUTE, Trim())
    rows = book.rows(schema.refusals)
    assert len(rows) == 100
    assert min(row.at for row in rows) == NOW + 8 * MINUTE


# -- the audit


def test_the_audit_is_a_chain_over_restarts(book: Book) -> None:
    book.ask(NOW, change(MAX_CONCURRENT_BOTS=250), SetPause(True, "t", "k"))
    book.restart(NOW)
    book.ask(NOW, SetPause(False, "t", "k"))
    session = book.start("u1")
    book.ask(NOW, StopByAdmin((session.number,), "key-1", "drill"), Write("notes", note("n1"), "key-1", "note", "n1"))
    rows = book.rows(schema.audit)
    assert [row.id for row in rows] == [1, 2, 3, 4, 5]
    assert [row.action for row in rows] == ["limits", "pause", "resume", "stop", "note"]
    head = ""
    for row in rows:
        head = link(head, tuple(row)[:-1])
        assert row.hash == head


def test_a_batch_that_fails_leaves_no_gap_in_the_audit(book: Book) -> None:
    book.decide(NOW, SetPause(True, "t", "k"))
    book.writer.begin()
    book.writer.save(book.state)
    book.writer.rollback()
    book.state.undo()
    book.ask(NOW, SetPause(True, "again", "k"))
    assert [(row.id, row.reason) for row in book.rows(schema.audit)] == [(1, "again")]


def note(name: str) -> dict[str, Any]:
    """A note's row."""
    return {"id": name, "at": NOW, "text": "deployed", "author": "key-1", "created_at": NOW}


# -- one count


def test_the_count_of_the_fleet_is_the_count_of_its_rows(book: Book) -> None:
    book.ask(NOW, change(MAX_BOTS_PER_USER=9))
    sessions = [book.start("u1", f"b{n % 3}", now=NOW + n) for n in range(7)]
    book.ask(NOW + 9, stop(sessions[-1]), asked("u2"), asked("u2", "b1"))
    active = book.writer.connection.execute(select(func.count()).select_from(schema.active_sessions)).scalar_one()
    assert book.rows(schema.fleet)[0].active == active == len(book.state.sessions) == 4


# -- the count


def test_counts_that_drifted_are_repaired_and_said(book: Book) -> None:
    kept, lost = book.start("u1"), book.start("u2")
    assert book.ask(NOW, Recount()) == [0] and book.state.drift == 0
    live, connection = schema.active_sessions, book.writer.connection
    (row,) = book.rows(live, live.c.number == lost.number)
    connection.execute(live.delete().where(live.c.number == lost.number))
    connection.execute(live.insert(), {**row._mapping, "number": 900, "bot_id": "stranger"})
    connection.execute(schema.fleet.update().values(active=2))
    connection.commit()
    assert book.ask(NOW, Recount()) == [1], "as many, but not the same"
    assert [one.number for one in book.rows(live)] == [kept.number, lost.number]
    (over,) = book.rows(schema.ended_sessions)
    assert (over.number, over.ended_reason) == (900, "reaped")
    assert book.ask(NOW, asked("u3"), Recount(), stop(kept))[1] == 0, "what the batch itself does is no drift"
    book.state.users["u2"] = 5
    assert book.ask(NOW, Recount()) == [4] and book.state.user_active("u2") == 1
    book.restart(NOW)
    assert sorted(book.state.users) == ["u2", "u3"]


def test_what_each_session_and_each_trade_day_used_is_kept(book: Book) -> None:
    book.zone = ZoneInfo("Asia/Kathmandu")
    book.restart(NOW)
    book.ask(NOW, change(BOT_LEASE_SECONDS=86_400))
    book.start("quiet")
    busy = book.start("busy")
    midnight = book.state.day(NOW).ends
    last = midnight - SECOND
    book.ask(last, Take("r", "signals", 3, busy.number, busy.secret), Take("r", "tokens", 4))
    book.ask(last, Take("r", "tokens", 5, busy.number, busy.secret), SAMPLE)
    book.ask(midnight, Take("r", "signals", 2, busy.number, busy.secret), SAMPLE)
    book.restart(midnight + SECOND)
    assert [one.used_at for one in book.state.sessions.values()] == [None, midnight]
    with book.writer.connection.begin():
        connection = book.writer.connection
        found = [read.usage.rates_of_day(connection, f"{day_of(at, book.zone).name}") for at in (last, midnight)]
        idle = [[row.user_id for row in read.sessions.idle(connection, at)] for at in (NOW - 1, NOW, midnight)]
    busy_day = {("signals", "busy"): 3, ("signals", ""): 3, ("tokens", "busy"): 5, ("tokens", ""): 9}
    assert found == [busy_day, {("signals", "busy"): 2, ("signals", ""): 2}]
    assert idle == [[], ["quiet"], ["quiet", "busy"]]
    book.ask(midnight + 2 * SECOND, stop(busy))
    assert [row.used_at for row in book.rows(schema.ended_sessions)] == [midnight]
