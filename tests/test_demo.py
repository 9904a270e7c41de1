"""A week of demo history, up to the very end of an hour: made by the rules, the same for a seed, the whole story."""

import asyncio
import re
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import click
import pytest

from limiter import config, demo
from limiter.answers.parts import IDENTIFIER
from limiter.demo import people
from limiter.demo.history import History
from limiter.demo.live import go_on
from limiter.store.audit_head import head_of
from limiter.store.backup import copy
from tests.conftest import Limiter

UNTIL = 1_743_444_000_000  # a Monday evening, the day after the clocks changed in Paris
BOTS = 158
ENVIRONMENT = {"LIMITER_TIMEZONE": "Europe/Paris", "LIMITER_LANG": "en", "LIMITER_ENV_FILE": ""}


def fill(folder: Path, seed: int = 1) -> tuple[Path, History]:
    path = folder / "demo.db"
    settings = config.read(ENVIRONMENT)
    return path, demo.fill(f"sqlite:///{path}", settings, seed=seed, weeks=1, until=UNTIL, bots=BOTS)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, History]:
    return fill(tmp_path_factory.mktemp("demo"))


@pytest.fixture
def database(filled: tuple[Path, History]) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(filled[0])) as connection:
        yield connection


def rows(database: sqlite3.Connection, sql: str, *values: object) -> list[Any]:
    return database.execute(sql, values).fetchall()


def one(database: sqlite3.Connection, sql: str, *values: object) -> Any:
    ((value,),) = rows(database, sql, *values)
    return value


@pytest.mark.timeout(300)  # two fleets of a week, the module's and another: a minute of work
def test_a_seed_makes_the_same_rows(database: sqlite3.Connection, tmp_path: Path) -> None:
    again, _ = fill(tmp_path)
    with closing(sqlite3.connect(again)) as other:
        tables = [name for (name,) in rows(database, "SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert len(tables) > 10
        for table in tables:
            if table != "migrations":  # when the file was made
                assert rows(database, f"SELECT * FROM {table}") == rows(other, f"SELECT * FROM {table}"), table
    first, second = (people.people(Random(seed), 0, UNTIL) for seed in (1, 2))
    assert [person.user_id for person in first] != [person.user_id for person in second]


def test_nobody_was_admitted_above_a_limit_of_the_time(database: sqlite3.Connection) -> None:
    """Counted anew from starts and ends, in order, not from what the rows say they were decided on."""
    limits = rows(database, "SELECT version, json_extract(in_force, '$.MAX_CONCURRENT_BOTS[0]') FROM limit_versions")
    limit_of = dict(limits)
    happenings = []
    for number, user, started, ended, reason, version, user_max in rows(
        database, "SELECT number, user_id, started_at, ended_at, ended_reason, version, user_max FROM sessions"
    ):
        happenings.append((started, 1, number, user, version, user_max))
        if ended is not None:
            happenings.append((ended, 0, number, user, reason, 0))
    active: set[int] = set()
    held: Counter[str] = Counter()
    replaced = 0
    for _at, is_start, number, user, what, user_max in sorted(happenings):
        if is_start:
            active.add(number)
            held[user] += 1
            assert held[user] <= user_max, number
            over = len(active) > limit_of[what]
            replaced += over
        else:
            active.remove(number)
            held[user] -= 1
    assert len(active) == BOTS
    # Only a bot that takes over its own slot may start above the limit.
    taken = one(database, "SELECT count(*) FROM ended_sessions WHERE ended_reason = 'replaced'")
    assert replaced <= taken


def reboot(database: sqlite3.Connection) -> tuple[int, int]:
    """When the machine went away and when it was back: the one gap in the snapshots of a minute."""
    ats = [at for (at,) in rows(database, "SELECT at FROM snapshots WHERE step = 60 ORDER BY at")]
    (gap,) = [(before, after) for before, after in pairwise(ats) if after - before > 60_000]
    note = one(database, "SELECT at FROM notes WHERE text LIKE 'Rebooted%'")
    assert gap[0] < note - 35 * 60_000 - 540_000 + 60_000 and note - 35 * 60_000 - gap[1] < 60_000
    return note - 35 * 60_000 - 540_000, note - 35 * 60_000


def test_sessions_are_consistent(database: sqlite3.Connection) -> None:
    assert rows(database, "SELECT active, next_number, paused FROM fleet") == [
        (BOTS, one(database, "SELECT max(number) + 1 FROM sessions"), 0)
    ]
    assert one(database, "SELECT count(*) FROM active_sessions JOIN ended_sessions USING (number)") == 0
    wrong = "ended_at < started_at OR last_heartbeat_at > ended_at OR last_heartbeat_at < started_at"
    assert one(database, f"SELECT count(*) FROM ended_sessions WHERE {wrong}") == 0
    late = "ended_reason = 'lease_expired' AND ended_at != expires_at OR ended_at > expires_at"
    assert one(database, f"SELECT count(*) FROM ended_sessions WHERE {late}") == 0
    silent = "(last_heartbeat_at - started_at) % 20000 != 0 OR expires_at != last_heartbeat_at + lease_ms"
    began, ended = reboot(database)
    assert one(database, f"SELECT count(*) FROM ended_sessions WHERE ({silent}) AND ended_at NOT BETWEEN ? AND ?",
               ended, ended + 60_000) == 0  # fmt: skip
    # Each bot died with the machine; its lease was renewed at the restart, and ran out or was taken over by its next.
    died = rows(
        database, "SELECT last_heartbeat_at, ended_at, ended_reason FROM ended_sessions WHERE started_at < ? AND"
        " ended_at > ?", began, began,
    )  # fmt: skip
    at_once = [row for row in died if row[1] <= ended + 60_000]
    assert len(at_once) > 30 and all(beat <= began for beat, _, _ in at_once)
    assert {why for _, _, why in at_once} == {"lease_expired", "replaced"}
    assert all(at == ended + 60_000 for _, at, why in at_once if why == "lease_expired")
    assert one(database, "SELECT count(*) FROM sessions WHERE started_at BETWEEN ? AND ?", began, ended - 1) == 0
    again = one(database, "SELECT count(*) FROM sessions WHERE started_at BETWEEN ? AND ?", ended, ended + 600_000)
    assert again > 0.8 * len(at_once)


def test_ends_with_a_live_system(database: sqlite3.Connection, filled: tuple[Path, History]) -> None:
    assert one(database, "SELECT count(*) FROM active_sessions WHERE expires_at > ?", UNTIL) == BOTS
    assert one(database, "SELECT max(last_heartbeat_at) FROM active_sessions") <= UNTIL
    suspects = one(database, "SELECT count(*) FROM active_sessions WHERE last_heartbeat_at < ?", UNTIL - 40_000)
    assert 2 <= suspects <= 6
    assert rows(
        database, "SELECT at, bots_max, suspects_max, limit_last FROM snapshots WHERE step = 5 ORDER BY at DESC LIMIT 1"
    ) == [(UNTIL, BOTS, suspects, 200)]
    left = demo.left(filled[1])
    assert BOTS - 8 <= len(left) <= BOTS - suspects
    assert all(bot.seconds > 0 for bot in left)


def test_snapshots_are_fine_for_two_days_and_have_no_gap_but_the_reboot(database: sqlite3.Connection) -> None:
    for step, span in ((5, 48 * 3600), (60, 7 * 86400), (3600, 7 * 86400)):
        ats = [at for (at,) in rows(database, "SELECT at FROM snapshots WHERE step = ? ORDER BY at", step)]
        apart = Counter(later - earlier for earlier, later in pairwise(ats))
        assert all(gap % (step * 1000) == 0 for gap in apart)
        away = [gap for gap in apart.elements() if gap > max(step * 1000, 20_000)]
        assert len(away) == (step < 3600) and all(500_000 < gap < 660_000 for gap in away), step
        assert ats[-1] == UNTIL - UNTIL % (step * 1000)
        assert ats[0] <= UNTIL - span * 1000
    rolled = dict(rows(database, "SELECT step, sum(starts) FROM snapshots GROUP BY step"))
    assert rolled[60] == rolled[3600] == one(database, "SELECT count(*) FROM sessions")


def test_has_the_whole_story(database: sqlite3.Connection) -> None:
    refused = dict(rows(database, "SELECT reason, sum(repeats) FROM refusals GROUP BY reason"))
    assert refused.keys() == {"server_full", "user_limit", "daily_trades", "signal_rate", "token_rate", "paused"}
    assert refused["server_full"] > 50
    ends = dict(rows(database, "SELECT ended_reason, count(*) FROM ended_sessions GROUP BY ended_reason"))
    assert ends.keys() == {"stopped", "lease_expired", "replaced", "admin_stop", "reaped"}
    asked = rows(database, "SELECT count(*) FROM refusals WHERE reason = 'server_full' GROUP BY user_id")
    assert sum(times > 2 for (times,) in asked) > 5
    plan = rows(database, "SELECT changed FROM limit_versions WHERE kind = 'plan' ORDER BY version")
    assert [changed for (changed,) in plan] == [
        f'[["MAX_CONCURRENT_BOTS", {before}, {after}]]'
        for before, after in ((200, 50), (50, 100), (100, 150), (150, 200))
    ]
    steps = rows(database, "SELECT max_bots, status FROM plan_steps ORDER BY at")
    assert steps == [(50, "applied"), (100, "applied"), (150, "applied"), (200, "applied"), (250, "planned")]
    assert one(database, "SELECT max(applied_at - at) FROM plan_steps") > 60_000  # one was held by a guard
    kinds = Counter(kind for (kind,) in rows(database, "SELECT kind FROM limit_versions"))
    assert (kinds["override"], kinds["rollback"], kinds["limits"]) == (3, 1, 4)
    assert (
        one(database, "SELECT max(active - max_bots) FROM refusals WHERE reason = 'server_full'") > 0
    )  # lowered under what runs
    actions = {action for (action,) in rows(database, "SELECT action FROM audit")}
    assert actions >= {
        "plan",
        "limits",
        "override",
        "rollback",
        "pause",
        "resume",
        "reap",
        "stop",
        "note",
        "held",
        "acknowledge",
        "alert_test",
    }
    assert not rows(database, "SELECT 1 FROM limit_versions WHERE kind NOT IN ('start', 'plan') AND length(reason) < 5")
    incidents = dict(rows(database, "SELECT kind, count(*) FROM incidents GROUP BY kind"))
    assert incidents.keys() == {"capacity", "feed", "plan"}
    assert one(database, "SELECT count(*) FROM incidents WHERE resolved_at IS NULL AND kind != 'capacity'") == 0
    assert one(database, "SELECT max(json_array_length(crossings)) FROM incidents") >= 3  # 80, 95, 100 %
    assert set(rows(database, "SELECT channel, state FROM deliveries")) == {("discord", "sent"), ("e-mail", "sent")}
    assert one(database, "SELECT max(tries) FROM deliveries") > 3
    heavy = rows(database, "SELECT used FROM trade_days WHERE user_id = ? AND used >= 500", people.HEAVY)
    assert len(heavy) >= 3
    assert one(database, "SELECT count(*) FROM notes") == 7


def test_cpu_and_ram_follow_the_bots(database: sqlite3.Connection) -> None:
    quiet, busy = (
        rows(
            database,
            f"SELECT avg(cpu_sum / n), avg(ram_sum / n) FROM snapshots WHERE step = 3600 AND bots_sum / n {which}",
        )[0]
        for which in ("< 60", "> 120")
    )
    assert quiet[0] + 10 < busy[0] < 80
    assert quiet[1] + 10 < busy[1] < 85


def test_names_are_valid_identifiers(database: sqlite3.Connection) -> None:
    names = {name for row in rows(database, "SELECT user_id, bot_id FROM sessions") for name in row}
    assert all(re.match(IDENTIFIER, name) for name in names)


def test_usage_is_rolled_for_every_hour(database: sqlite3.Connection) -> None:
    """Against a sum over all sessions: what was held before the last whole hour ended."""
    last = UNTIL - UNTIL % 3_600_000
    naive: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for user, started, ended in rows(database, "SELECT user_id, started_at, coalesce(ended_at, ?) FROM sessions", last):
        if started < last:
            naive[user][0] += 1
            naive[user][1] += min(ended, last) - started
    for user, at in rows(database, "SELECT user_id, at FROM trades"):
        naive[user][2] += at < last
    for user, at, repeats in rows(database, "SELECT user_id, at, repeats FROM refusals WHERE user_id IS NOT NULL"):
        naive[user][3] += repeats if at < last else 0
    sums = "sum(starts), sum(slot_ms), sum(trades), sum(refusals)"
    rolled = rows(database, f"SELECT user_id, {sums} FROM usage_hours GROUP BY user_id")
    assert {user: figures for user, *figures in rolled} == {
        user: figures for user, figures in naive.items() if any(figures)
    }


def test_monday_evening_is_the_top_of_the_week() -> None:
    week = [datetime(2025, 3, 3 + day, hour, 30, tzinfo=UTC) for day in range(7) for hour in range(24)]
    top = max(week, key=people.busy)
    assert (top.weekday(), top.hour) == (0, 18)


def test_replaces_a_demo_and_nothing_else(
    filled: tuple[Path, History], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITER_LANG", "en")
    mine = tmp_path / "limiter.db"
    with closing(sqlite3.connect(mine)) as connection:
        connection.execute("CREATE TABLE notes (id TEXT, author TEXT)")
    before = mine.read_bytes()
    with pytest.raises(click.UsageError, match="is not a demo's database"):
        demo.main(f"sqlite:///{mine}")
    assert mine.read_bytes() == before
    (tmp_path / "text.db").write_text("not a database")
    with pytest.raises(click.UsageError):
        demo.make_room(tmp_path / "text.db")
    copy = tmp_path / "demo.db"
    copy.write_bytes(filled[0].read_bytes())
    head = head_of(f"sqlite:///{copy}").path
    head.write_text("of the demo before")
    demo.make_room(copy)
    assert not copy.exists() and not head.exists(), "else the next demo opens with an alert: its audit was cut off"
    demo.make_room(copy)


def test_a_wrong_end_or_database_is_a_sentence(tmp_path: Path) -> None:
    for url, until in (("sqlite://", None), ("postgresql://h/d", None), (f"sqlite:///{tmp_path}/x.db", "yesterday")):
        with pytest.raises(click.UsageError):
            demo.main(url, until=until)


def test_the_command_leaves_another_database_alone(limiter: Callable[..., Limiter]) -> None:
    own = limiter(LIMITER_LANG="en")
    assert own.stop() == 0
    before = own.db_path.read_bytes()
    done = own.run("demo", "--weeks", "1", "--database-url", f"sqlite:///{own.db_path}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is not a demo's database" in done.stderr
    assert own.db_path.read_bytes() == before


def test_a_limiter_takes_it_over_and_its_bots_go_on(
    limiter: Callable[..., Limiter], filled: tuple[Path, History]
) -> None:
    """Half of them leave at once: they stop over HTTP, and others come in their place."""
    path, history = filled
    own = limiter(serve=False)
    copy(path, own.db_path)  # what is still in the -wal file, too
    own.serve()
    assert own.capacity()["current_bots"] == BOTS
    bots = demo.left(history)[:60]
    leaving = [replace(bot, seconds=0.5) for bot in bots[:30]]
    deadline = time.monotonic() + 30
    seen: dict[str, int] = {}

    def alive() -> bool:
        stats = own.stats()
        seen.update(active=stats["sessions"]["active"], tokens=stats["rates"]["tokens_last_minute"])
        seen["stopped"] = sum(row["ended_reason"] == "stopped" for row in own.listed(status="ended", limit=40))
        seen["come"] = sum(row["started_at"] > "2025-04" for row in own.listed(status="active", limit=40))
        return time.monotonic() < deadline and not (seen["come"] >= 2 and seen["stopped"] >= 20 and seen["tokens"])

    asyncio.run(go_on(own.url, leaving + bots[30:], [person.user_id for person in history.crowd.everyone], alive))
    assert time.monotonic() < deadline, seen
    assert BOTS - 30 <= seen["active"] <= BOTS
