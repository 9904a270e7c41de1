"""The commands on the database, by their own process: beside a running limiter, and while none runs."""

import json
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from limiter import config
from limiter.maintenance import backup
from limiter.store.location import StoreError
from tests.conftest import Limiter, granted, refused, wait_until

Start = Callable[..., Limiter]


@pytest.fixture
def limiter(limiter: Start) -> Start:
    """One whose commands speak English; French is the default, and tests/test_command_line.py's matter."""
    return partial(limiter, LIMITER_LANG="en")


def done(one: Limiter, *arguments: str) -> str:
    """What a command that must succeed says."""
    ran = one.run(*arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def failed(one: Limiter, *arguments: str) -> str:
    """The one sentence of a command that must fail."""
    ran = one.run(*arguments)
    assert (ran.returncode, ran.stdout) == (1, ""), (ran.stdout, ran.stderr)
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    return ran.stderr


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def change(path: Path, *statements: str) -> None:
    """What somebody does to the file behind the limiter's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def listed(one: Limiter) -> dict[str, Any]:
    """Keys by name."""
    return {key["name"]: key for key in json.loads(done(one, "keys", "list", "--json"))}


# -- keys --------------------------------------------------------------------------------------------------------------
def test_keys_are_made_and_revoked_by_the_running_limiter_which_stays_the_one_writer(limiter: Start) -> None:
    one = limiter()
    key = done(one, "keys", "create", "--scope", "admin:read", "--name", "grafana").strip()
    granted(one.client.get("/api/admin/capacity", headers=bearer(key)))
    assert listed(one)["grafana"]["scope"] == "admin:read"
    done(one, "keys", "revoke", key.split("_")[1])
    refused(one.client.get("/api/admin/capacity", headers=bearer(key)), 401, "unauthorized")
    entries = granted(one.admin("GET", "/api/admin/audit"))["items"]
    assert [entry["action"] for entry in entries[:2]] == ["revoke", "key"]
    assert "no key has the id" in failed(one, "keys", "revoke", "00000000")


def test_keys_are_made_and_revoked_while_no_limiter_runs(limiter: Start) -> None:
    one = limiter(serve=False)
    key = done(one, "keys", "create", "--scope", "bots", "--name", "farm").strip()
    other = done(one, "keys", "create", "--scope", "bots", "--name", "old").strip()
    done(one, "keys", "revoke", other.split("_")[1])
    assert listed(one)["old"]["revoked_at"] is not None
    one.serve()
    granted(one.start(**bearer(key)), 201)
    refused(one.start(**bearer(other)), 401, "unauthorized")
    assert "sound" in done(one, "check")


def test_a_limiter_that_holds_the_file_and_does_not_answer_is_said(limiter: Start) -> None:
    one = limiter(serve=False)
    done(one, "migrate")
    from limiter.store.lock import Lock

    lock = Lock(one.db_path)
    lock.acquire(url="http://127.0.0.1:1", key="lim_local_x")
    try:
        assert "does not answer" in failed(one, "keys", "create", "--scope", "bots")
    finally:
        lock.release()


# -- backup and restore ------------------------------------------------------------------------------------------------
def test_a_backup_under_load_holds_all_that_was_acknowledged_before_and_fails_no_start(
    limiter: Start, tmp_path: Path
) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=100000, LIMITER_BACKUP_DIR="none")
    stop, statuses, started = threading.Event(), set[int](), list[str]()

    def load(number: int) -> None:
        with httpx.Client(base_url=one.url, timeout=10) as client:
            for turn in range(1_000_000):
                answer = client.post("/api/bots/start", json={"user_id": f"u{number}.{turn}"})
                statuses.add(answer.status_code)
                started.append(answer.json()["session"]["user_id"])
                if stop.is_set():
                    return

    threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(started) > 200, 30, "load")
    before = list(started)
    target = tmp_path / "backup.db"
    assert "checked" in done(one, "backup", str(target))
    stop.set()
    for thread in threads:
        thread.join()
    assert statuses == {201}
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(sqlite3.connect(target)) as copy:
        kept = {user for (user,) in copy.execute("SELECT user_id FROM active_sessions")}
        assert copy.execute("SELECT active FROM fleet").fetchone() == (len(kept),), "one instant"
    assert set(before) <= kept
    assert "exists already" in failed(one, "backup", str(target))


def test_restore_drill(limiter: Start, tmp_path: Path) -> None:
    """The machine is lost a while after the backup: what was told before it is all there, and bots go on."""
    one = limiter(MAX_BOTS_PER_USER=2)
    kept, ended = one.session("u1", "b1"), one.session("u2", "b1")
    one.end(ended)
    granted(one.trade(kept, trade_id="t1"), 201)
    one.set_limits(MAX_CONCURRENT_BOTS=7)
    key = one.new_key("bots")
    target = tmp_path / "backup.db"
    done(one, "backup", str(target))
    late = granted(one.start("u3", "b1", **bearer(key)), 201)["session"]

    assert "one writer" in failed(one, "restore", str(target))
    granted(one.post("/api/bots/heartbeat", {"session_id": late["session_id"]}, **bearer(key)))
    assert one.stop() == 0
    one.db_path.write_bytes(b"\xff" * 8192)
    damaged = limiter(serve=False, LIMITER_DATABASE_URL=one.env["LIMITER_DATABASE_URL"])
    assert damaged.exit_status() == 1
    assert "restore a backup" in damaged.log

    began = time.monotonic()
    aside = done(one, "restore", str(target)).strip().rpartition(" ")[2]
    assert Path(aside).read_bytes() == b"\xff" * 8192, "what was there is kept"
    assert "sound" in done(one, "check")
    one.client = one.new_client()
    one.serve()
    print(f"restored and serving after {time.monotonic() - began:.1f} s")
    headers = bearer(key)
    granted(one.post("/api/bots/heartbeat", {"session_id": kept["session_id"]}, **headers))
    refused(one.post("/api/bots/heartbeat", {"session_id": ended["session_id"]}, **headers), 410, "session_ended")
    refused(one.post("/api/bots/heartbeat", {"session_id": late["session_id"]}, **headers), 404, "session_unknown")
    granted(one.start("u3", "b1", **headers), 201)
    answer = one.admin("GET", "/api/admin/capacity").json()["capacity"]
    assert (answer["current_bots"], answer["max_bots"]) == (2, 7)
    used = one.client.get("/api/users/u1/usage", headers=headers).json()["trades"]["used"]
    assert used == 1, "the day's count is not forgotten"


def test_a_backup_into_a_folder_that_cannot_be_is_a_sentence(limiter: Start, tmp_path: Path) -> None:
    one = limiter()
    assert "is no folder: make it first" in failed(one, "backup", str(tmp_path / "none" / "copy.db"))
    (tmp_path / "taken.db").touch()
    assert "exists already" in failed(one, "backup", str(tmp_path / "taken.db"))


@pytest.mark.skipif(os.geteuid() != 0, reason="to become another user takes root")
def test_a_backup_into_a_folder_of_others_names_the_folder(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(StoreError, match=f"may not write into {theirs}: name another folder"):
            backup(config.read({}), theirs / "copy.db")
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="to give files away takes root")
def test_what_root_restores_stays_the_limiters(limiter: Start, tmp_path: Path) -> None:
    one = limiter()
    done(one, "backup", str(tmp_path / "copy.db"))
    assert one.stop() == 0
    os.chown(one.db_path, 65534, 65533)
    one.db_path.chmod(0o640)
    done(one, "restore", str(tmp_path / "copy.db"))
    for path, mode in ((one.db_path, 0o640), (one.db_path.with_name("limiter.db.lock"), 0o600)):
        found = path.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65533, mode), path


def test_restore_puts_nothing_unsound_in_place(limiter: Start, tmp_path: Path) -> None:
    one = limiter()
    session = one.session("u1")
    assert one.stop() == 0
    (tmp_path / "text.db").write_text("not a database")
    for source in ("text.db", "nothing.db"):
        failed(one, "restore", str(tmp_path / source))
    change(tmp_path / "other.db", "CREATE TABLE t (a)")
    failed(one, "restore", str(tmp_path / "other.db"))
    assert not list(tmp_path.glob("limiter.db.before-*")) and not list(tmp_path.glob("*.restoring*"))
    one.client = one.new_client()
    one.serve()
    granted(one.beat(session))


@pytest.mark.parametrize("gone", [False, True])
def test_an_old_write_ahead_log_never_meets_the_restored_file(limiter: Start, tmp_path: Path, gone: bool) -> None:
    one = limiter(MAX_CONCURRENT_BOTS=50)
    session = one.session("u1")
    target = tmp_path / "backup.db"
    done(one, "backup", str(target))
    one.fill(5)
    one.kill()
    assert one.db_path.with_name("limiter.db-wal").exists()
    if gone:
        one.db_path.unlink()
    done(one, "restore", str(target))
    assert not one.db_path.with_name("limiter.db-wal").exists()
    one.client = one.new_client()
    one.serve()
    granted(one.beat(session))
    assert one.capacity()["current_bots"] == 1


# -- check -------------------------------------------------------------------------------------------------------------
def test_check_is_quiet_on_a_sound_database_running_or_not(limiter: Start) -> None:
    one = limiter()
    one.fill(3)
    one.set_limits(MAX_BOTS_PER_USER=2)
    assert "sound" in done(one, "check")
    assert one.stop() == 0
    assert "sound" in done(one, "check")


def test_check_names_a_changed_row_of_the_audit(limiter: Start) -> None:
    one = limiter()
    for bots in range(2, 6):
        one.set_limits(MAX_BOTS_PER_USER=bots)
    assert one.stop() == 0
    change(
        one.db_path,
        "DROP TRIGGER audit_no_update",
        "UPDATE audit SET actor = 'somebody else' WHERE id = 3",
    )
    ran = one.run("check")
    assert ran.returncode == 1
    assert ran.stdout.startswith("audit: row 3 ")


def test_check_names_a_row_that_was_taken_out_of_the_audit(limiter: Start) -> None:
    one = limiter()
    for bots in range(2, 6):
        one.set_limits(MAX_BOTS_PER_USER=bots)
    assert one.stop() == 0
    change(one.db_path, "DROP TRIGGER audit_no_delete", "DELETE FROM audit WHERE id = 3")
    ran = one.run("check")
    assert (ran.returncode, ran.stdout.startswith("audit: row 4 ")) == (1, True)


def cut(path: Path, rows: str) -> None:
    """Rows of the audit, taken out by somebody with a hand on the file."""
    change(path, "DROP TRIGGER audit_no_delete", f"DELETE FROM audit WHERE {rows}")


def audited(one: Limiter) -> list[Any]:
    """The audit, oldest first."""
    found: list[Any] = granted(one.admin("GET", "/api/admin/audit"))["items"]
    return found[::-1]


def test_newest_rows_that_were_cut_off_are_told_by_all_that_look_until_a_person_says_why(limiter: Start) -> None:
    one = limiter(LIMITER_LANG="en")
    for bots in range(2, 6):
        one.set_limits(MAX_BOTS_PER_USER=bots)
    newest = len(audited(one))
    assert one.stop() == 0
    cut(one.db_path, f"id > {newest - 2}")
    told = f"rows {newest - 1} to {newest} are missing at the end"
    ran = one.run("check")
    assert (ran.returncode, ran.stdout.startswith(f"audit: {told}")) == (1, True), ran.stdout
    one.client = one.new_client()
    one.serve()
    health = wait_until(lambda: (h := one.client.get("/api/admin/health").json())["status"] == "degraded" and h, 10)
    assert told in health["checks"]["audit"]["detail"]
    wait_until(lambda: any(row["kind"] == "audit" for row in one.admin("GET", "/api/admin/alerts").json()["items"]), 15)
    for bots in (6, 7, 8, 9):
        one.set_limits(MAX_BOTS_PER_USER=bots)  # the place of what is gone is taken again: it is told all the same
    assert one.stop() == 0
    ran = one.run("check")
    assert (ran.returncode, f"row {newest} is not the one that was written" in ran.stdout) == (1, True), ran.stdout
    assert f"row {newest} is not" in one.run("doctor").stdout
    assert "sound" in done(one, "check", "--accept", "taken out for the tax office")
    one.client = one.new_client()
    one.serve()
    assert one.client.get("/api/admin/health").json()["checks"]["audit"]["ok"]
    row = audited(one)[-1]
    assert (row["action"], row["reason"]) == ("audit_accepted", "taken out for the tax office")
    assert row["detail"]["head"]["row"] == newest


def test_rows_that_are_cut_off_under_a_running_limiter_are_told_by_check(limiter: Start) -> None:
    one = limiter()
    for bots in range(2, 6):
        one.set_limits(MAX_BOTS_PER_USER=bots)
    newest = len(audited(one))
    cut(one.db_path, f"id > {newest - 2}")
    assert "missing at the end" in one.run("check").stdout
    one.set_limits(MAX_BOTS_PER_USER=9)
    ran = one.run("check")
    assert (ran.returncode, f"row {newest + 1} does not follow row {newest - 2}" in ran.stdout) == (1, True), ran.stdout


def test_an_older_backup_is_said_to_be_one_and_an_older_copy_put_there_by_hand_is_not(
    limiter: Start, tmp_path: Path
) -> None:
    one = limiter(LIMITER_LANG="en")
    done(one, "backup", str(tmp_path / "older.db"))
    for bots in range(2, 6):
        one.set_limits(MAX_BOTS_PER_USER=bots)
    newest = len(audited(one))
    assert one.stop() == 0
    kept = {name: (tmp_path / name).read_bytes() for name in ("limiter.db", "limiter.db.audit-head")}
    one.db_path.write_bytes((tmp_path / "older.db").read_bytes())
    assert "missing at the end" in one.run("check").stdout
    for name, data in kept.items():
        (tmp_path / name).write_bytes(data)
    done(one, "restore", str(tmp_path / "older.db"))
    assert done(one, "check").strip() == "sound: integrity, count and audit chain"
    one.client = one.new_client()
    one.serve()
    row = audited(one)[-1]
    assert (row["action"], row["target"], row["detail"]["head"]["row"]) == ("restore", "older.db", newest)
    assert one.client.get("/api/admin/health").json()["checks"]["audit"]["ok"]


def test_check_tells_a_count_that_drifted(limiter: Start) -> None:
    one = limiter()
    one.fill(2)
    assert one.stop() == 0
    change(one.db_path, "UPDATE fleet SET active = active + 1")
    ran = one.run("check")
    assert ran.returncode == 1
    assert ran.stdout.startswith("count: 2 live sessions, but the counter says 3")


def test_check_tells_damage(limiter: Start) -> None:
    one = limiter()
    one.fill(20)
    assert one.stop() == 0
    with one.db_path.open("r+b") as file:
        file.seek(-3 * 4096, 2)
        file.write(b"\xff" * 2 * 4096)
    ran = one.run("check")
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert ran.stdout.startswith("integrity: ") or "damaged" in ran.stderr
