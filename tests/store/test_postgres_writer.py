"""Several limiters on one PostgreSQL database: one cap, one memory, whoever was asked, and whatever happens to one."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from limiter.rules import elsewhere
from limiter.rules.changes import OverrideUser, SetPause
from limiter.rules.quotas import Take
from limiter.rules.records import Notice
from limiter.rules.refusals import Refusal
from limiter.rules.sessions import Admission, Heartbeat, Heartbeats, Reap
from limiter.rules.snapshots import Trim
from limiter.rules.stops import StartDrain, StopByAdmin, TakeDrainBack, TakeStopBack
from limiter.store import journal, schema
from limiter.store.journal_reader import AWAY_MS
from limiter.store.postgres import IDLE_MS
from limiter.store.postgres_writer import LEADER_MS, PostgresWriter
from limiter.store.rows import session_row
from tests.conftest import new_database
from tests.rules.world import MINUTE, NOW, SECOND, asked, picture
from tests.store.book import DAY, SAMPLE, Book, beat, change, stop, trade

pytestmark = pytest.mark.postgres
SHOWN = ("limits", "sessions", "bots", "repeats", "users", "next_number", "paused", "trade_days", "freed")


@pytest.fixture
def books() -> Iterator[Callable[..., list[Book]]]:
    """`books(2, MAX_CONCURRENT_BOTS=3)`: so many processes' books of one new database."""
    made: list[Book] = []

    def make(many: int, **limits: int) -> list[Book]:
        url = new_database()
        made.extend(Book(url, **limits) for _ in range(many))
        return made[-many:]

    yield make
    for one in made:
        one.close()


def look(book: Book, now: int) -> dict[str, Any]:
    """What the process has in memory once it has caught up, as far as the database knows it too."""
    writer = shared(book)
    book.now = now
    book.state.begin()
    writer.begin()
    assert writer.catch_up(book.state)
    writer.release()
    seen = picture(book.state, now)
    rates = {key: n for key, n in seen["windows"].items() if key[0] != "hour"}
    return {name: seen[name] for name in SHOWN} | {"rates": rates}


def shared(book: Book) -> PostgresWriter:
    """Its writer."""
    assert isinstance(book.writer, PostgresWriter)
    return book.writer


def outsider(book: Book) -> "psycopg.Connection[Any]":
    """A connection of an operator to the same database."""
    return psycopg.connect(book.url.replace("+psycopg", ""), autocommit=True)


def test_what_one_process_commits_all_decide_on(books: Callable[..., list[Book]]) -> None:
    one, two = books(2, MAX_CONCURRENT_BOTS=2)
    first = one.start("u1", "b1", "k1")
    assert two.start("u1", "b1", "k1").secret == first.secret, "the other process has its answer"
    two.start("u2")
    (full,) = one.ask(NOW, asked("u3"))
    assert isinstance(full, Refusal) and full.reason == "server_full"
    two.ask(NOW, stop(first))
    assert one.ask(NOW, beat(first))[0].reason == "session_ended"
    assert one.start("u3").number == 3, "numbers go on over all of them"


def test_the_starts_of_all_processes_count_together(books: Callable[..., list[Book]]) -> None:
    one, two = books(2, MAX_STARTS_PER_MINUTE=2)
    one.start("u1", "b1")
    two.start("u1", "b1")
    two.start("u2")
    assert one.ask(NOW, asked("u3"))[0].reason == "start_rate"
    assert look(one, NOW)["rates"] == look(two, NOW)["rates"] == {("starts", ""): 2}


def test_slots_are_reserved_in_every_process(books: Callable[..., list[Book]]) -> None:
    one, two = books(2, MAX_CONCURRENT_BOTS=2, RESERVED_SLOTS=1)
    one.ask(NOW, OverrideUser("vip", {}, None, "t", "k", reserve=True))
    two.start("u1")
    assert one.ask(NOW, asked("u2"))[0].reason == two.ask(NOW, asked("u2"))[0].reason == "server_full"
    two.start("vip")


def test_who_waits_at_one_process_is_the_next_at_every_other(books: Callable[..., list[Book]]) -> None:
    one, two = books(2, MAX_CONCURRENT_BOTS=1)
    holder = one.start("u1")
    (waits,) = one.ask(NOW, asked("u2", queue=True))
    two.ask(NOW, stop(holder))
    assert two.ask(NOW, asked("u3"))[0].reason == "server_full"
    assert two.ask(NOW, asked("u2", ticket=waits.facts["ticket"]["id"]))[0].created
    look(one, NOW)
    assert not one.state.tickets


def test_a_heartbeat_at_one_process_keeps_the_lease_at_the_others(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    kept, lost = one.start("u1"), one.start("u2")
    for second in range(10, 51, 10):
        one.ask(NOW + second * SECOND, SAMPLE)  # a process that is there
    one.ask(NOW + 59 * SECOND, beat(kept))
    two.ask(NOW + 61 * SECOND, Reap())
    assert list(two.state.sessions) == [kept.number]
    assert two.ask(NOW + 61 * SECOND, beat(lost))[0].reason == "session_ended"


def test_what_one_process_is_told_of_a_bot_all_know(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    bot, other = one.start("u1"), one.start("u2")
    for second, memory in ((20, 9_000), (40, 8_000)):
        beats = [Heartbeat(bot.number, bot.secret, memory, second / 10), beat(other)]
        one.ask(NOW + second * SECOND, Heartbeats(beats))
    two.ask(NOW + 41 * SECOND, beat(bot))
    assert one.ask(NOW + 42 * SECOND, SAMPLE)[0].costs == two.ask(NOW + 42 * SECOND, SAMPLE)[0].costs
    seen = two.state.sessions[bot.number]
    assert (seen.memory_bytes, seen.memory_peak, seen.cpu_seconds, seen.cpu_percent) == (8_000, 9_000, 4.0, 10)
    assert two.state.sessions[other.number].memory_bytes is None


def test_a_stop_announced_at_one_process_is_told_and_kept_by_all(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    bot, other = one.start("u1"), one.start("u2")
    two.ask(NOW, StopByAdmin((bot.number, other.number), "key-1", "move", 30))
    (told,) = one.ask(NOW + SECOND, beat(bot))
    assert told.notice == Notice(NOW + 30 * SECOND, "move")
    one.ask(NOW + 2 * SECOND, TakeStopBack((other.number,), "key-1", "stays"))
    two.ask(NOW + 31 * SECOND, Reap())
    assert list(two.state.sessions) == [other.number]
    assert one.ask(NOW + 31 * SECOND, beat(bot))[0].shown("en")["ended_at"] == NOW + 30 * SECOND


def test_a_drain_begun_at_one_process_is_one_of_all(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    one.start("u1")
    one.ask(NOW, StartDrain("key-1", "move", 30))
    assert two.ask(NOW + SECOND, asked("u2"))[0].reason == "draining"
    two.ask(NOW + 31 * SECOND, Reap())
    one.ask(NOW + 31 * SECOND, TakeDrainBack("key-1", "done"))
    assert two.start("u2", now=NOW + 32 * SECOND).number == 2 and len(two.state.sessions) == 1


def test_a_process_of_the_program_before_is_understood(books: Callable[..., list[Book]]) -> None:
    """Limiters are upgraded one after the other; the rows of its journal had no figures."""
    (one,) = books(1)
    bot = one.start("u1")
    row = session_row(bot)[:15]
    started = [(9, *row[1:2], "u9", *row[3:])]
    journal.follow(one.state, NOW + SECOND, {"started": started, "beaten": [(bot.number, NOW + SECOND, 60_000)]})
    assert (one.state.sessions[9].user_id, one.state.sessions[9].memory_bytes) == ("u9", None)
    assert bot.last_heartbeat_at == NOW + SECOND


def test_a_bot_that_trades_before_it_beats_keeps_the_lease_that_a_restart_gave_it(
    books: Callable[..., list[Book]],
) -> None:
    one, two = books(2)
    bot = one.start("u1")
    one.restart(NOW + 50 * SECOND)
    one.ask(NOW + 50 * SECOND, trade(bot, "t1"))
    two.ask(NOW + 51 * SECOND, Reap())
    (known,) = two.state.sessions.values()
    assert (known.last_heartbeat_at, known.expires_at) == (NOW, NOW + 110 * SECOND)


def test_changes_of_operators_reach_the_next_decision_of_every_process(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    one.ask(NOW, change(MAX_CONCURRENT_BOTS=1))
    assert two.ask(NOW, asked("u1"), asked("u2"))[1].reason == "server_full"
    two.ask(NOW, SetPause(True, "t", "k"))
    assert one.ask(NOW, asked("u3"))[0].reason == "paused"
    one.ask(NOW, SetPause(False, "t", "k"), OverrideUser("u1", {"MAX_BOTS_PER_USER": 0}, None, "t", "k"))
    assert two.ask(NOW, asked("u1"))[0].reason == "user_limit"


def test_the_audit_of_all_processes_is_one_chain_and_refusals_have_ids_of_their_own(
    books: Callable[..., list[Book]],
) -> None:
    one, two = books(2)
    for n in range(3):
        one.ask(NOW + n, SetPause(True, f"t{n}", "k"), asked("u1"))
        two.ask(NOW + n, asked("u1"), SetPause(False, f"t{n}", "k"))
    rows = one.rows(schema.audit)
    assert [row.id for row in rows] == list(range(1, 7))
    assert len({row.hash for row in rows}) == 6
    assert sorted(row.id for row in one.rows(schema.refusals)) == list(range(1, 7))


def steps() -> st.SearchStrategy[Callable[[Book], Any]]:
    """What is asked, of a session that the asked process knows where one is needed."""

    def of_session(ask: Callable[..., Any], *more: st.SearchStrategy[Any]) -> st.SearchStrategy[Callable[[Book], Any]]:
        def step(pick: int, *given: Any) -> Callable[[Book], Any]:
            def about(book: Book) -> Any:
                known = sorted(book.state.sessions)
                return ask(book.state.sessions[known[pick % len(known)]], *given) if known else Reap()

            return about

        return st.builds(step, st.integers(0, 9), *more)

    def always(ask: Callable[..., Any], *more: st.SearchStrategy[Any]) -> st.SearchStrategy[Callable[[Book], Any]]:
        return st.builds(lambda *given: lambda _: ask(*given), *more)

    return st.one_of(
        always(asked, st.sampled_from(["u1", "u2", "u3"]), st.sampled_from([None, "b1", "b2"])),
        of_session(beat),
        of_session(stop),
        of_session(trade, st.sampled_from(["t1", "t2", "t3"])),
        of_session(lambda one, n: Take("request", "signals", n, one.number, one.secret), st.integers(1, 20)),
        always(lambda n: change(MAX_CONCURRENT_BOTS=n), st.integers(0, 6)),
        always(lambda paused: SetPause(paused, "t", "k"), st.booleans()),
        st.just(lambda _: SAMPLE),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 12), st.lists(steps(), min_size=1, max_size=5)), max_size=15)
)
def test_all_processes_have_the_same_memory_and_it_is_the_databases(
    books: Callable[..., list[Book]], batches: list[tuple[int, int, list[Callable[[Book], Any]]]]
) -> None:
    """Whatever is asked of whom: after each batch all three agree, and a fourth that begins then agrees with them."""
    processes = books(3, MAX_CONCURRENT_BOTS=4, MAX_BOTS_PER_USER=2)
    now = NOW
    for who, seconds, asks in batches:
        now += seconds * SECOND
        look(processes[who], now)
        processes[who].ask(now, *(ask(processes[who]) for ask in asks))
        seen = [look(book, now) for book in processes]
        assert seen[0] == seen[1] == seen[2]
        assert len(seen[0]["sessions"]) <= 6, "the highest limit that is set"
    fresh = Book(processes[0].url, MAX_CONCURRENT_BOTS=4, MAX_BOTS_PER_USER=2)
    try:
        fresh.now = now
        shared(fresh).reader.revision = None
        assert look(fresh, now)["sessions"].keys() == look(processes[0], now)["sessions"].keys()
    finally:
        fresh.close()


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_that_race_for_the_last_slots_never_pass_the_limit(
    books: Callable[..., list[Book]], processes: int
) -> None:
    cap = 50
    admitted: list[int] = []
    made = books(processes, MAX_CONCURRENT_BOTS=cap, MAX_BOTS_PER_USER=cap)
    begin = threading.Barrier(processes)

    def ask_on(book: Book) -> None:
        begin.wait()
        while True:
            answers = book.ask(NOW, *(asked("u1") for _ in range(3)))
            admitted.extend(answer.session.number for answer in answers if isinstance(answer, Admission))
            if not all(isinstance(answer, Admission) for answer in answers):
                return

    threads = [threading.Thread(target=ask_on, args=(book,)) for book in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(admitted) == list(range(1, cap + 1))
    assert made[0].count(schema.active_sessions) == cap


def test_a_server_that_drops_a_connection_loses_nothing_and_gives_nothing_twice(
    books: Callable[..., list[Book]],
) -> None:
    one, two = books(2, MAX_CONCURRENT_BOTS=2)
    first = one.start("u1")
    one.decide(NOW, asked("u2"))
    with outsider(one) as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(DBAPIError):
        one.writer.save(one.state)
    one.writer.rollback()
    one.state.undo()
    with pytest.raises(DBAPIError):
        two.start("u3")
    two.writer.rollback()
    assert two.start("u3").number == 2, "the slot that was not committed is free"
    assert one.ask(NOW, asked("u4"))[0].reason == "server_full"
    assert one.ask(NOW, beat(first))[0].number == 1


def test_a_server_that_is_gone_at_the_end_of_a_batch_that_changed_nothing_is_an_outage(
    books: Callable[..., list[Book]],
) -> None:
    (one,) = books(1)
    one.decide(NOW, Reap())
    with outsider(one) as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with pytest.raises(DBAPIError):
        shared(one).release()
    one.writer.rollback()
    assert one.start("u1").number == 1


def test_a_process_that_stops_in_its_batch_holds_the_others_up_for_seconds_only(
    books: Callable[..., list[Book]],
) -> None:
    one, two = books(2, MAX_CONCURRENT_BOTS=1)
    one.decide(NOW, asked("u1"))  # and nothing more of it
    with pytest.raises(DBAPIError):
        two.start("u2")  # waits its turn for 1.5 s
    two.writer.rollback()
    threading.Event().wait(IDLE_MS / 1000)
    assert two.start("u2").number == 1
    with pytest.raises(DBAPIError):
        one.writer.save(one.state)
    one.writer.rollback()
    one.state.undo()
    assert one.ask(NOW, asked("u1"))[0].reason == "server_full"


def test_a_start_of_one_process_renews_every_lease_at_all_of_them(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    session, later = one.start("u1"), NOW + 50 * SECOND
    one.ask(later - SECOND, SAMPLE)
    two.restart(later)
    assert look(one, later)["sessions"] == look(two, later)["sessions"]
    assert one.state.sessions[session.number].expires_at == later + MINUTE
    assert [row.expires_at for row in one.rows(schema.active_sessions)] == [later + MINUTE]


def test_an_outage_of_all_processes_ends_no_lease(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    session = one.start("u1")
    later = NOW + 10 * MINUTE
    two.ask(later, Reap())
    assert two.state.sessions[session.number].expires_at == later + MINUTE
    assert one.ask(later + 1, beat(session))[0].number == session.number


def test_a_process_alone_that_was_away_finds_what_the_others_did(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    session, now = one.start("u1"), NOW
    while now < NOW + 3 * journal.KEEP_MS:
        now += 5 * SECOND
        two.ask(now, SAMPLE)
    assert two.count(schema.journal) <= journal.KEEP_MS // (5 * SECOND) + 2, "the journal is trimmed"
    assert one.ask(now, beat(session))[0].reason == "session_ended", "its lease ran out while others were there"


def test_one_process_leads_and_another_follows_it(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)

    def leads() -> list[bool]:
        return [shared(book).leads for book in (one, two) if look(book, now)]

    now = NOW
    assert leads() == [True, False]
    now += 5 * SECOND
    two.ask(now, SAMPLE)
    assert leads() == [True, False]
    now = NOW + LEADER_MS + 1
    two.ask(now, SAMPLE)
    assert leads() == [False, True]
    two.close()
    two.open(now)
    one.ask(now, SAMPLE)
    assert leads()[0] or shared(two).leads


def test_counts_that_differ_are_read_anew(books: Callable[..., list[Book]]) -> None:
    (one,) = books(1)
    session = one.start("u1")
    elsewhere.end(one.state, session.number, NOW, "lost")  # a memory that is wrong
    writer = shared(one)
    writer.begin()
    assert not writer.catch_up(one.state)
    writer.read_anew()
    assert writer.catch_up(one.state)
    assert list(one.state.sessions) == [session.number]
    writer.release()


def test_time_is_the_databases_and_does_not_go_back(books: Callable[..., list[Book]]) -> None:
    one, two = books(2)
    one.ask(NOW + MINUTE, SAMPLE)
    two.decide(NOW, Reap())
    assert shared(two).now == NOW + MINUTE
    shared(two).release()
    assert AWAY_MS < MINUTE


def test_after_a_lost_connection_history_is_trimmed_by_the_new_one(books: Callable[..., list[Book]]) -> None:
    (one,) = books(1)
    one.ask(NOW, stop(one.start("ana")))
    one.writer.rollback()
    later = NOW + 500 * DAY
    for _ in range(20):
        one.ask(later, Trim())
    assert not one.count(schema.ended_sessions)
