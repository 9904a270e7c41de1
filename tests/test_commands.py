"""The commands over HTTP: what a person reads, what a program reads, and how it goes wrong."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from limiter.answers.capacity import Capacity, CapacityAnswer
from limiter.answers.deciding import ForecastAnswer, ForecastPoint
from limiter.answers.limits import PreviewAnswer, Replay
from limiter.cli import main
from limiter.client import Refused
from limiter.commands.capacity import show_capacity
from limiter.commands.deciding import show_forecast
from limiter.commands.limits import show_preview, value
from limiter.commands.local import local_key
from limiter.commands.over_http import sentence
from limiter.commands.text import HEADS, table, word
from limiter.store.lock import Lock
from tests.conftest import ROOT, Limiter, from_now, granted, new_user, refused, served, wait_until


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """A limiter of 4 bots; the environment holds its admin key."""
    with served(Limiter(tmp_path_factory.mktemp("cli"), {"MAX_CONCURRENT_BOTS": 4, "LIMITER_LANG": "en"})) as shared:
        shared.set_env({"LIMITER_KEY": shared.admin_key})
        yield shared


@pytest.fixture(autouse=True)
def in_its_folder(one: Limiter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `.env` would be read from."""
    monkeypatch.chdir(one.folder)


def run(limiter: Limiter, *arguments: str) -> Result:
    """The command in this process, which is many times faster; test_run.py has it in its own."""
    scrubbed: dict[str, str | None] = {name: None for name in os.environ if name not in limiter.env}
    return CliRunner().invoke(main, arguments, prog_name="python -m limiter", env=scrubbed | limiter.env)


def said(limiter: Limiter, *arguments: str) -> str:
    """What a command that must succeed writes."""
    done = run(limiter, *arguments)
    assert (done.exit_code, done.stderr) == (0, ""), done.stderr
    return done.stdout


def answered(limiter: Limiter, *arguments: str) -> Any:
    answer = json.loads(said(limiter, *arguments, "--json"))
    assert answer["success"] is True
    return answer


def failed(limiter: Limiter, *arguments: str, status: int = 1) -> str:
    """The one sentence of a command that must fail."""
    done = run(limiter, *arguments)
    assert (done.exit_code, done.stdout) == (status, ""), (done.stdout, done.stderr)
    return done.stderr


def test_capacity_is_the_line_of_the_operators_guide(one: Limiter) -> None:
    held = [one.session() for _ in range(3)]
    assert said(one, "capacity").splitlines()[0] == "Active Bots: 3 / 4 slots (75.0%)"
    assert answered(one, "capacity")["capacity"]["status"] == "HEALTHY"
    for session in held:
        one.end(session)


def test_limits_are_listed_with_their_source(one: Limiter) -> None:
    rows = {line.split()[0]: line.split()[1:] for line in said(one, "limits", "get").splitlines()[2:]}
    assert rows["MAX_CONCURRENT_BOTS"] == ["4", "bots", "environment"]
    assert rows["MAX_TRADES_PER_DAY"] == ["500", "trades", "default"]
    assert {limit["name"] for limit in answered(one, "limits", "get")["limits"]} == set(rows)


def test_limits_are_set_listed_as_versions_and_rolled_back(one: Limiter) -> None:
    before = answered(one, "limits", "get")["version"]
    out = said(one, "limits", "set", "MAX_TRADES_PER_DAY=400", "ALERT_THRESHOLD=70%", "--reason", "calmer")
    assert f"Version {before + 1}" in out
    assert "MAX_TRADES_PER_DAY 500 → 400" in out
    assert "ALERT_THRESHOLD 80 → 70" in out
    assert one.limit("ALERT_THRESHOLD")["value"] == 70
    assert "calmer" in said(one, "limits", "history")
    out = said(one, "limits", "rollback", str(before), "--reason", "back")
    assert "MAX_TRADES_PER_DAY 400 → 500" in out
    said(one, "limits", "set", "MAX_SIGNALS_PER_MINUTE_PER_USER=10", "--reason", "spam")
    said(one, "limits", "set", "MAX_SIGNALS_PER_MINUTE_PER_USER=none", "--reason", "no spam")
    assert one.limit("MAX_SIGNALS_PER_MINUTE_PER_USER")["value"] is None
    said(one, "limits", "set", "MAX_SIGNALS_PER_MINUTE_PER_USER=null", "--reason", "as it was")
    assert one.limit("MAX_SIGNALS_PER_MINUTE_PER_USER")["source"] == "default"
    said(one, "limits", "set", "MAX_TRADES_PER_DAY=null", "ALERT_THRESHOLD=null", "--reason", "as it was")
    assert "nothing changed" in said(one, "limits", "set", "MAX_TRADES_PER_DAY=null", "--reason", "as it was")


def test_a_preview_says_what_a_change_would_do_and_does_nothing(one: Limiter) -> None:
    held, before = one.session(), answered(one, "limits", "get")["version"]
    refused(one.start(held["user_id"]), 429, "user_limit")
    out = said(one, "limits", "preview", "MAX_CONCURRENT_BOTS=1", "MAX_BOTS_PER_USER=2").splitlines()
    assert out[0] == "Slots: 1 / 1 (100.0%), FULL"
    told = r"The \d+ starts of 7 days, decided again: \d+ were refused, \d+ would be \(\d+ users? affected\)\."
    assert re.fullmatch(told, out[-1]), out[-1]  # tests before it have asked for slots too
    replay = answered(one, "limits", "preview")["replay"]
    assert replay["refused_now"] == replay["refused_then"] >= 1
    assert "from 0 to 10000" in failed(one, "limits", "preview", "MAX_BOTS_PER_USER=-1")
    assert answered(one, "limits", "get")["version"] == before
    one.end(held)


def test_a_version_that_was_shown_keeps_others_changes(one: Limiter) -> None:
    """Each command that replaces or takes back says no where another version stands than the one it names."""
    far = (datetime.now(UTC).hour + 12) % 24  # so that no window opens meanwhile, which would be a version too
    step, peak = "2099-01-01T08:00:00Z=50", f"daily@{far:02}:00-{far:02}:30=90"
    for shown, sets, clears in (
        (("plan", "show"), ("plan", "set", step), ("plan", "clear")),
        (("windows", "show"), ("windows", "set", peak), ("windows", "clear")),
        (("limits", "get"), ("users", "limits", "u1", "MAX_BOTS_PER_USER=2"), ("users", "limits", "u1", "--clear")),
        (("limits", "get"), ("limits", "set", "MAX_TRADES_PER_DAY=400"), ("limits", "rollback", "1")),
    ):
        version = said(one, *shown).splitlines()[0].removeprefix("Version ")
        told = "--version", version, "--reason", "x"
        said(one, *sets, *told)
        assert "meanwhile" in failed(one, *sets, *told) and "meanwhile" in failed(one, *clears, *told)
        said(one, *clears, "--version", str(int(version) + 1), "--reason", "x")


def test_a_raise_that_is_held_names_the_option_that_goes_over_the_guard() -> None:
    held = Refused("guard_held", 409, "Raise held back: CPU 95 % > 80 %")
    assert sentence(held).startswith("Raise held back: CPU 95 % > 80 % (--override-guard")
    assert sentence(Refused("not_found", 404, "Not found.")) == "Not found."


@pytest.mark.parametrize(("spoken", "name"), [("fr", "serveur complet"), ("en", "server_full")])
def test_a_reason_is_named_as_the_reader_speaks(monkeypatch: pytest.MonkeyPatch, spoken: str, name: str) -> None:
    monkeypatch.setenv("LIMITER_LANG", spoken)
    assert word("server_full") == name


def test_a_raise_over_a_guard_is_asked_for_by_name(one: Limiter) -> None:
    said(one, "limits", "set", "MAX_CONCURRENT_BOTS=5", "--reason", "more", "--override-guard")
    assert one.limit("MAX_CONCURRENT_BOTS")["value"] == 5
    said(one, "limits", "set", "MAX_CONCURRENT_BOTS=null", "--reason", "as it was")


def test_sessions_are_listed_and_stopped(one: Limiter) -> None:
    user = new_user()
    session = one.session(user, "b1")
    row = next(line for line in said(one, "sessions", "list").splitlines() if session["public_id"] in line)
    assert {user, "b1", "active"} <= set(row.split())
    one.post("/api/bots/heartbeat", {"session_id": session["session_id"], "memory_bytes": 5 * 2**20 + 2**19})
    heads, row, *_ = said(one, "sessions", "list", "--order", "memory").splitlines()
    shown = dict(zip(heads.split(), row.split(), strict=True))
    assert (shown["PUBLIC_ID"], shown["MB"], shown["CPU_%"]) == (session["public_id"], "5.5", "-")
    assert shown["LAST_HEARTBEAT"] > shown["SINCE"]
    assert session["session_id"] not in row
    stop = ("sessions", "stop", session["public_id"], "--reason", "test")
    for told, what in ((("--in", "600"), "ends"), (("--back",), "goes on")):
        assert what in said(one, *stop, *told)
    for told, what in ((("--in", "600"), "ends"), (("--back",), "goes on")):
        assert what in said(one, "users", "stop", user, "--reason", "test", *told)
    assert "admin_stop" in said(one, *stop)
    assert said(one, "users", "stop", user, "--reason", "test") == "No session holds a slot.\n"
    refused(one.beat(session), 410, "session_ended")
    assert answered(one, "sessions", "list", "--user", user)["items"] == []
    for status in ("all", "ended"):
        (item,) = answered(one, "sessions", "list", "--status", status, "--user", user)["items"]
        assert (item["ended_reason"], item["memory_peak_mb"]) == ("admin_stop", 5.5)
    assert "admin_stop" in said(one, "sessions", "list", "--status", "ended", "--user", user)
    one.end(one.session())
    assert "More: --cursor" in said(one, "sessions", "list", "--status", "ended", "--limit", "1")
    said(one, "sessions", "reap", "--reason", "test")


def test_a_drain_is_followed_to_its_end_and_taken_back(one: Limiter) -> None:
    session = one.session()
    assert run(one, "drain").exit_code == 2, "a reason is needed"
    assert run(one, "drain", "--cancel", "--status").exit_code == 2
    assert "1 bot left, nobody is ended" in said(one, "drain", "--reason", "move")
    done = run(one, "drain", "--reason", "move", "--stop-in", "1", "--wait")
    assert (done.exit_code, "left" in done.stderr) == (0, True) and ": 0 bots left" in done.stdout
    refused(one.beat(session), 410, "session_ended")
    assert answered(one, "drain", "--status")["drain"]["reason"] == "move"
    assert said(one, "drain", "--cancel", "--reason", "done") == "No drain: starts are admitted.\n"


def test_starts_are_paused_and_resumed(one: Limiter) -> None:
    said(one, "pause", "--reason", "maintenance")
    refused(one.start(), 503, "paused")
    said(one, "resume", "--reason", "done")
    one.end(one.session())


def test_what_the_box_carries_is_said_in_a_sentence_with_the_costs_below(one: Limiter) -> None:
    session = one.session()
    assert said(one, "box").startswith("No bot is measured")
    granted(one.post("/api/bots/heartbeat", {"session_id": session["session_id"], "memory_bytes": 59 * 1024**2}))
    lines = said(one, "box").splitlines()
    assert lines[0].startswith("This box carries about ") and "the guide's table says" in lines[0]
    assert lines[1].split() == ["A", "BOT", "MEDIAN", "MEAN", "P90"]
    assert lines[2].split() == ["MB", "59.0", "59.0", "59.0"]
    assert "LIMITER_BOT_PATTERN is not set" in lines[-1]
    assert answered(one, "box")["measured_bots"] == 1
    one.end(session)


def test_a_refusal_is_explained_from_the_facts_of_its_instant(one: Limiter) -> None:
    user = new_user()
    held = one.session(user)
    request_id = refused(one.start(user), 429, "user_limit")["request_id"]
    out = said(one, "explain", request_id)
    assert f"{user} was refused: Limit reached: 1/1 active bot for this user." in out
    assert "MAX_BOTS_PER_USER was 1" in out
    assert "With MAX_BOTS_PER_USER of 2 or more it would have been admitted." in out and "HELD LONGEST" in out
    assert f"{user}" in said(one, "state")
    assert "it takes 14 days of history and 50 demands" in said(one, "sizing")
    assert "a forecast needs 14 days of history, there are 0" in said(one, "forecast")
    one.end(held)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("limits", "set", "MAX_CONCURRENT_BOTS=-1", "--reason", "x"), "MAX_CONCURRENT_BOTS"),
        (("limits", "set", "NO_SUCH_LIMIT=1", "--reason", "x"), "NO_SUCH_LIMIT"),
        (("limits", "rollback", "999", "--reason", "x"), ""),
        (("sessions", "stop", "s999999", "--reason", "x"), ""),
        (("explain", "no-such-request"), ""),
        (("capacity", "--url", "http://127.0.0.1:1"), "http://127.0.0.1:1"),
    ],
)
def test_what_goes_wrong_is_one_sentence(one: Limiter, arguments: tuple[str, ...], sentence: str) -> None:
    error = failed(one, *arguments)
    assert error.startswith("Error: ")
    assert sentence in error
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("limits", "set", "MAX_CONCURRENT_BOTS", "--reason", "x"),
        ("limits", "set", "MAX_CONCURRENT_BOTS=1"),
        ("limits", "set", "--reason", "x"),
        ("limits", "rollback", "one", "--reason", "x"),
        ("pause",),
        ("run", "--", "true"),
        ("run", "--user", "u1"),
        ("run", "--user", "u1", "--wait", "-1", "--", "true"),
        ("run", "--user", "u1", "--on-lost", "panic", "--", "true"),
        ("capacity", "--url", "http://127.0.0.1:no"),
        ("no-such-command",),
    ],
)
def test_a_wrong_command_line_ends_with_status_2(one: Limiter, arguments: tuple[str, ...]) -> None:
    assert "Usage: python -m limiter" in failed(one, *arguments, status=2)


def test_of_a_folders_settings_only_those_of_a_client_are_read(one: Limiter) -> None:
    settings = one.folder / ".env"
    try:
        settings.write_text("LIMITER_PORT=many\nALERT_THRESHOLD=0.05\nLIMITER_LANG=xx\n")
        said(one, "capacity")
        settings.write_bytes(b"\xff\xfe not text")
        said(one, "capacity")
        settings.write_text(f"LIMITER_URL={one.url}\nLIMITER_KEY={one.admin_key}\n")
        one.set_env({"LIMITER_URL": None, "LIMITER_KEY": None})
        assert answered(one, "pause", "--reason", "test")
        assert answered(one, "resume", "--reason", "test")
    finally:
        one.set_env({"LIMITER_URL": one.url, "LIMITER_KEY": one.admin_key})
        settings.unlink()


def test_a_file_of_settings_that_is_named_must_be_there(one: Limiter) -> None:
    one.set_env({"LIMITER_ENV_FILE": str(one.folder / "none.env")})
    try:
        assert "LIMITER_ENV_FILE" in failed(one, "capacity", status=2)
    finally:
        one.set_env({"LIMITER_ENV_FILE": None})


def test_on_the_limiters_own_machine_no_key_has_to_be_given(one: Limiter) -> None:
    one.set_env({"LIMITER_KEY": None})
    try:
        said(one, "pause", "--reason", "x")
        said(one, "resume", "--reason", "x", "--url", one.url.replace("127.0.0.1", "localhost"))
        assert {row["actor"] for row in answered(one, "audit", "--limit", "2")["items"]} == {"local#local"}
    finally:
        one.set_env({"LIMITER_KEY": one.admin_key})


def test_a_change_without_a_key_names_the_file_with_one(one: Limiter) -> None:
    """The local key is for the limiter that holds the file, and no other is told it."""
    there = one.folder / "elsewhere"
    one.set_env({"LIMITER_KEY": None, "LIMITER_DATABASE_URL": f"sqlite:///{there}/limiter.db"})
    try:
        assert f"LIMITER_KEY=$(cat {there}/admin.key)" in failed(one, "pause", "--reason", "x")
        said(one, "capacity")  # reading is open to this machine
    finally:
        one.set_env({"LIMITER_KEY": one.admin_key, "LIMITER_DATABASE_URL": f"sqlite:///{one.db_path}"})


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:5001", "http://127.0.0.1:5002", "http://10.0.0.1:5001", "http://127.0.0.1.evil:5001"]
)
def test_the_local_key_goes_nowhere_else(tmp_path: Path, url: str) -> None:
    lock = Lock(tmp_path / "limiter.db")
    lock.acquire()
    lock.describe(url="http://127.0.0.1:5001", key="lim_local_x")
    database = f"sqlite:///{tmp_path}/limiter.db"
    assert local_key(database, "http://localhost:5001") == "lim_local_x"
    assert local_key(database, url) == ""
    lock.release()
    assert local_key(database, "http://localhost:5001") == "", "of a limiter that has ended"


def test_what_a_live_change_hides_is_shown(one: Limiter) -> None:
    said(one, "limits", "set", "MAX_CONCURRENT_BOTS=3", "--reason", "fewer")
    rows = {line.split()[0]: line.split()[1:] for line in said(one, "limits", "get").splitlines()[2:]}
    assert rows["MAX_CONCURRENT_BOTS"] == ["3", "bots", "live,", "hides", "4"]
    said(one, "limits", "set", "MAX_CONCURRENT_BOTS=null", "--reason", "as it was", "--override-guard")


def test_windows_are_set_shown_and_cleared(one: Limiter) -> None:
    assert said(one, "windows", "show").endswith("\nNo windows.\n")
    out = said(one, "windows", "set", "sat-mon@23:00-02:00=300", "daily@04:00-04:30=90", "--reason", "peak")
    assert [line.split() for line in out.splitlines()[2:4]] == [
        ["mon,sat,sun", "23:00", "02:00", "300"], ["mon,tue,wed,thu,fri,sat,sun", "04:00", "04:30", "90"],
    ]  # fmt: skip
    assert answered(one, "windows", "show")["windows"][1]["MAX_CONCURRENT_BOTS"] == 90
    for wrong in ("mon@18:00=200", "monday@18:00-19:00=2", "mon@18:00-19:00=many"):
        assert "DAYS@FROM-TO=BOTS" in failed(one, "windows", "set", wrong, "--reason", "x", status=2)
    said(one, "windows", "clear", "--reason", "no peak")
    assert answered(one, "windows", "show")["windows"] == []


def test_a_value_is_explained_by_its_source_and_what_comes(one: Limiter) -> None:
    assert said(one, "limits", "explain", "MAX_TRADES_PER_DAY").startswith("MAX_TRADES_PER_DAY 500: default")
    assert said(one, "limits", "explain").startswith("MAX_CONCURRENT_BOTS 4: environment")
    one.set_env({"LIMITER_LANG": "fr"})
    assert said(one, "limits", "explain").startswith("MAX_CONCURRENT_BOTS 4 : environnement")
    one.set_env({"LIMITER_LANG": "en"})
    said(one, "windows", "set", "daily@00:00-00:00=4", "--reason", "all day")
    wait_until(lambda: answered(one, "limits", "explain")["window"], 30, "the window opens")
    first, opened, *_ = said(one, "limits", "explain").splitlines()
    assert first.startswith("MAX_CONCURRENT_BOTS 4: window, by a window at 20")
    assert opened.startswith("Open until 20") and opened.endswith(": 4 (applied), then 4")
    said(one, "windows", "clear", "--reason", "over")
    wait_until(lambda: not answered(one, "limits", "explain")["window"], 30, "the window ends")
    assert "MAX_STARTS" in failed(one, "limits", "explain", "MAX", status=2)


def test_a_change_is_put_on_probation_and_confirmed(one: Limiter) -> None:
    out = said(one, "limits", "set", "MAX_TRADES_PER_DAY=400", "--reason", "try", "--confirm-within", "600")
    version = answered(one, "limits", "get")["version"]
    assert f"Version {version} is on probation" in out
    assert f"limits confirm {version}" in said(one, "limits", "get")
    assert "it stays" in said(one, "limits", "confirm", str(version), "--reason", "fine")
    assert "not on probation" in failed(one, "limits", "confirm", str(version), "--reason", "fine")
    said(one, "limits", "rollback", str(version - 1), "--reason", "back", "--confirm-within", "60", "--override-guard")


def test_a_launch_is_planned_shown_and_cleared(one: Limiter) -> None:
    out = said(one, "plan", "set", "2099-01-01T08:00:00Z=50", "2099-01-03T08:00:00Z=100", "--reason", "launch")
    assert out == said(one, "plan", "show")
    assert [line.split()[1:3] for line in out.splitlines()[2:]] == [["50", "planned"], ["100", "planned"]]
    assert "AT=BOTS" in failed(one, "plan", "set", "2099-01-01=many", "--reason", "x", status=2)
    said(one, "plan", "clear", "--reason", "no launch")
    assert said(one, "plan", "show").endswith("\nNothing is planned.\n")
    assert answered(one, "plan", "show")["steps"] == []


def test_a_users_own_limits_are_set_shown_and_taken_back(one: Limiter) -> None:
    user = new_user()
    assert "no limits of their own" in said(one, "users", "limits", user)
    out = said(
        one, "users", "limits", user, "MAX_BOTS_PER_USER=2", "--until", "2099-01-01T00:00:00Z", "--reason", "vip"
    )
    assert "MAX_BOTS_PER_USER  2" in out and "vip" in out and "2099" in out
    assert said(one, "usage", user).splitlines()[1].split() == ["bots", "0", "2", "2"]
    assert answered(one, "usage", user)["bots"]["limit"] == 2
    assert "reserve            yes" in said(one, "users", "limits", user, "--reserve", "--reason", "pays")
    own = answered(one, "users", "limits", user, "MAX_BOTS_PER_USER=3", "--reason", "more")
    assert (own["limits"], own["reserve"], own["until"]) == ({"MAX_BOTS_PER_USER": 3}, True, None), "no place is lost"
    own = answered(one, "users", "limits", user, "--no-reserve", "--reason", "no more")
    assert (own["limits"], own["reserve"]) == ({"MAX_BOTS_PER_USER": 3}, False)
    said(one, "users", "limits", user, "--reserve", "--until", from_now(1), "--reason", "for a second")
    assert wait_until(lambda: answered(one, "users", "limits", user)["expired"], within=5)
    own = answered(one, "users", "limits", user, "MAX_BOTS_PER_USER=3", "--reason", "again")
    assert (own["reserve"], own["until"]) == (False, None), "a place that is over comes back by --reserve alone"
    assert "--reason" in failed(one, "users", "limits", user, "MAX_BOTS_PER_USER=2", status=2)
    for alone in (["--reason", "x"], ["--version", "1"]):
        assert "--clear" in failed(one, "users", "limits", user, *alone, status=2)
    for more in (["MAX_BOTS_PER_USER=2"], ["--reserve"], ["--until", from_now(60)]):
        said_ = failed(one, "users", "limits", user, "--clear", *more, "--reason", "x", status=2)
        assert "--clear goes alone" in said_, "no option is passed over"
    assert "no limits of their own" in said(one, "users", "limits", user, "--clear", "--reason", "over")


def test_notes_are_written_and_listed_and_the_audit_tells_who_did_what(one: Limiter) -> None:
    assert "a new provider" in said(one, "notes", "add", "a new provider", "--at", "2026-01-02T03:04:05Z")
    listed = said(one, "notes", "list", "--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z")
    assert "2026-01-02T03:04:05" in listed and "a new provider" in listed
    assert said(one, "notes", "list", "--to", "2020-01-01T00:00:00Z", "--from", "2019-01-01T00:00:00Z") == "No note.\n"
    assert "More: --cursor" in said(one, "audit", "--limit", "1")
    assert answered(one, "audit", "--limit", "1")["items"]


def test_figures_and_advice_are_told(one: Limiter) -> None:
    out = said(one, "stats")
    assert "/ 4 (" in out and "recommended limit" in out
    assert answered(one, "stats")["capacity"]["max_bots"] == 4
    assert "bots are recommended" in said(one, "advice")
    assert answered(one, "advice")["recommended_max_bots"] > 0


def test_every_head_of_a_table_is_known_in_french() -> None:
    paths = [*(ROOT / "limiter/commands").glob("*.py"), *(ROOT / "limiter/cli").glob("*.py")]
    source = "".join(path.read_text(encoding="utf-8") for path in paths)
    lists = re.findall(r"(?:table\(|heads = )\[(.*?)\]", source, re.DOTALL)
    assert len(lists) > 15
    assert {head for found in lists for head in re.findall(r'"([A-Z][^"a-z]+)"', found)} <= HEADS.keys()


def test_a_screen_is_in_one_language(one: Limiter) -> None:
    """French where LIMITER_LANG does not say English: heads, labels, codes, and the API's sentences between them."""
    user = new_user()
    session = one.session(user)
    request_id = refused(one.start(user), 429, "user_limit")["request_id"]
    shown = [
        ("capacity", "libre", "free"),
        ("stats", "démarrages, une heure", "last hour"),
        ("advice", "recommandés", "recommended"),
        ("limits get", "environnement", "VALUE"),
        ("sessions list", "DERNIER_BATTEMENT", "HEARTBEAT"),
        ("plan show", "Rien n'est prévu", "planned"),
        ("users limits nobody", "celles du système valent", "hold"),
        (f"usage {user}", "trades du jour", "LEFT"),
        ("notes list --from 2019-01-01T00:00:00Z --to 2019-02-01T00:00:00Z", "Aucune note", "No note"),
        ("alerts list", "Aucun canal", "OPENED"),
        ("audit", "MOTIF", "REASON"),
        ("drain --status", "Aucun vidage", "admitted"),
        ("state", " des limites)", "held"),
        (f"explain {request_id}", "a été refusé", "LONGEST"),
        (f"sessions stop {session['public_id']} --reason test", "arrêtée par un exploitant", "BOT_ID"),
        ("keys list", "PORTÉE", "SCOPE"),
        ("check", "sain : intégrité", "sound"),
    ]
    one.set_env({"LIMITER_LANG": None})
    try:
        for command, french, english in shown:
            out = said(one, *command.split())
            assert french in out and english not in out, out
        assert re.search(r"^CPU % +(-|\d+,\d)$", said(one, "stats"), re.M)
        assert failed(one, "explain", "no-such-request").startswith("Erreur : ")
    finally:
        one.set_env({"LIMITER_LANG": "en"})


@pytest.mark.parametrize(
    ("text", "taken"),
    [("250", 250), ("-1", -1), ("0.5", 0.5), ("80%", "80%"), ("5s", "5s"), ("none", "none"), ("null", None)],
)
def test_values_of_limits_are_numbers_or_spellings(text: str, taken: object) -> None:
    assert value(text) == taken


@pytest.mark.parametrize(
    ("free", "french", "english"),
    [
        (0, "0 libre", "0 free"),
        (1, "1 libre", "1 free"),
        (2, "2 libres", "2 free"),
        (-3, "3 au-dessus de la limite", "3 above the limit"),
    ],
)
def test_free_slots_are_counted_as_the_language_does(
    free: int, french: str, english: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = CapacityAnswer(Capacity(10 - free, 10, 50.0, free, "LOW", True))
    for language, text in (("fr", french), ("en", english)):
        monkeypatch.setenv("LIMITER_LANG", language)
        assert show_capacity(answer).endswith(f"LOW, {text}")


def test_a_forecast_has_a_row_for_each_day_that_is_known_and_whole_instants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITER_LANG", "en")
    hours = [("2026-11-06T17", 4.0), ("2026-11-06T18", 9.0), ("2026-11-08T17", 5.0), ("2026-11-09T16", 3.0)]
    points = [ForecastPoint(f"{at}:00:00.000Z", bots, 0.0, 20.0) for at, bots in hours]
    local_midnight = "2026-11-05T23:00:00.000Z"  # in Paris, where it is the 6th
    told = show_forecast(ForecastAnswer(14, points, 80, 1.0, 1.0, None, local_midnight, 0, "Wrong by 1.", None))
    assert f"The level has changed since {local_midnight}." in told
    assert re.findall(r"^(2\S+) +(\d+)", told, re.M) == [
        ("2026-11-06T18:00:00.000Z", "9"),
        ("2026-11-08T17:00:00.000Z", "5"),
    ]


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert table(["A", "BB"], [["long one", None], ["x", 3]]) == "A         BB\nlong one  -\nx         3"


@pytest.mark.parametrize(("language", "figures"), [("fr", "Mo\n2,5"), ("en", "MB\n2.5")])
def test_figures_have_the_comma_or_the_point_of_the_language(
    language: str, figures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMITER_LANG", language)
    assert table(["MB"], [[2.5]]) == figures


def test_what_only_asks_stays_light() -> None:
    program = "import limiter.cli, sys; print(sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for heavy in ("sqlalchemy", "starlette", "uvicorn", "streamlit", "pandas"):
        assert f"'{heavy}'" not in loaded


def test_it_runs_as_a_module(one: Limiter) -> None:
    done = one.run("capacity")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Active Bots: ")


def test_a_preview_of_fewer_days_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITER_LANG", "en")
    full = Capacity(1, 1, 100.0, 0, "FULL", False)
    said_of = [show_preview(PreviewAnswer(full, 0, [], [], Replay(days, 9, 1, 1, 0))) for days in (7, 6)]
    assert [text.endswith("so it is cut to whole days.") for text in said_of] == [False, True]
