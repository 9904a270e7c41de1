"""`python -m limiter run -- COMMAND`: an unchanged command in a slot, whatever becomes of it, of limiter or agent."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from limiter.agent.limiter_api import Channel, Refused
from limiter.agent.options import Options
from tests.agent.conftest import HEEDS_EVERY_SIGNAL, SHORT_GRACE, WAYS, Bot, Bots, at_once, lives, meanwhile
from tests.conftest import Limiter, new_user, wait_until


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", -9), ("kill -TERM $$", -15), ("exit 255", 255)],
)
def test_the_exit_status_is_the_commands_own_and_the_slot_is_given_back(bots: Bots, script: str, status: int) -> None:
    user = new_user()
    done = bots.run("sh", "-c", script, user=user)
    expected = 128 - status if bots.way == "direct" and status < 0 else status
    assert (done.returncode, done.stdout, done.stderr) == (expected, "", "")
    wait_until(lambda: not bots.holds(user), 1)
    assert bots.limiter.listed(user_id=user)[0]["ended_reason"] == "stopped"


def test_input_and_output_are_the_commands_own(bots: Bots) -> None:
    done = bots.run("sh", "-c", "cat; echo oops >&2", text="hello\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "oops\n")


def test_the_commands_own_options_are_left_alone(bots: Bots) -> None:
    assert bots.run("echo", "--user", "x", "--", "--json", "-n").stdout == "--user x -- --json -n\n"


def test_the_command_can_report_its_trades_itself(bots: Bots) -> None:
    program = (
        "import os, httpx;"
        "body = {'symbol': 'BTC', 'side': 'buy', 'quantity': 1, 'price': 1};"
        "body['session_id'] = os.environ['LIMITER_SESSION_ID'];"
        "print(httpx.post(os.environ['LIMITER_URL'] + '/api/bots/trades', json=body).status_code)"
    )
    assert bots.run(sys.executable, "-c", program).stdout == "201\n"


def test_the_environment_is_as_without_us_but_for_the_key(bots: Bots) -> None:
    env = {"PATH": "/usr/bin:/bin", "LANG": "C", "EMPTY": "", "LIMITER_AGENT_SOCKET": str(bots.socket)}
    env |= {name: bots.env[name] for name in ("PYTHONPATH", "LIMITER_URL")}
    done = subprocess.run(
        [*bots.command(new_user()), "env", "-0"], env=env | {"LIMITER_KEY": ""}, capture_output=True, check=True
    )
    found = dict(one.split("=", 1) for one in done.stdout.decode().split("\0") if one)
    assert found.pop("LIMITER_SESSION_ID")
    assert found == env


def test_the_key_is_not_handed_on(bots: Bots) -> None:
    done = bots.run("env", LIMITER_KEY=bots.limiter.admin_key)
    assert bots.limiter.admin_key not in done.stdout
    assert "LIMITER_SESSION_ID=" in done.stdout


def test_descriptors_are_the_commands_own(bots: Bots, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the file\n")
    command = " ".join(
        [*bots.command(new_user()), "sh", "-c", "'cat <&3; cat \"$0\"; ls -l /proc/$$/fd'", "<(echo secret)"]
    )
    done = subprocess.run(
        ["bash", "-c", f"{command} 3< {tmp_path}/file"], env=bots.env, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("from the file\nsecret\n"), done.stderr
    assert "socket:" not in done.stdout
    assert str(bots.socket.parent) not in done.stdout


def test_signals_that_python_ignores_have_their_default_again(bots: Bots) -> None:
    told = ["sh", "-c", "grep SigIgn /proc/$$/status"]
    assert bots.run(*told).stdout == subprocess.run(told, capture_output=True, text=True, check=True).stdout


def test_what_nohup_ignores_stays_ignored(bots: Bots) -> None:
    done = subprocess.run(
        ["nohup", *bots.command(new_user()), "sh", "-c", "kill -HUP $$; echo lives"],
        env=bots.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.endswith("lives\n"), done.stderr


IGNORES_CHILDREN = (
    "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.mark.parametrize("way", ["agent", "direct"])
def test_a_parent_that_ignores_the_end_of_its_children_is_told_the_status(
    shared_limiter: Limiter, tmp_path: Path, way: str
) -> None:
    """The command finds SIGCHLD as that parent left it; the agent is one that this start brought."""
    bots = Bots(tmp_path, way, limiter=shared_limiter)

    def done(*command: str) -> tuple[int, str, str]:
        run = [sys.executable, "-c", IGNORES_CHILDREN, *bots.command(new_user()), *command]
        ended = subprocess.run(run, env=bots.env, capture_output=True, text=True, timeout=15, check=False)
        return ended.returncode, ended.stdout, ended.stderr

    assert done("sh", "-c", "sleep 0.2; exit 3") == (3, "", "")
    status, out, _ = done("grep", "SigIgn", "/proc/self/status")
    assert (status, int(out.split()[1], 16) >> (signal.SIGCHLD - 1) & 1) == (0, 1)
    if way == "agent":
        before = bots.status()
        os.kill(before["pid"], signal.SIGKILL)  # whose end its guardian is told
        wait_until(lambda: (now := bots.status()) and now["pid"] != before["pid"], 5)
        assert bots.status()["guardian"] == before["guardian"]
    bots.close()


def test_an_env_file_of_the_bots_own_is_not_read(bots: Bots, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ALERT_THRESHOLD=0.05\nLIMITER_URL=http://127.0.0.1:1\n")
    done = subprocess.run(
        [*bots.command(new_user()), "echo", "I run"], env=bots.env, cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "I run\n", "")


def test_a_bot_folder_with_modules_named_like_pythons_does_no_harm(bots: Bots, tmp_path: Path) -> None:
    for name in ("signal", "socket", "json", "limiter_api"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    done = subprocess.run(
        [*bots.command(new_user()), "echo", "fine"], env=bots.env, cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "fine\n", "")


def test_a_refused_command_does_not_run(bots: Bots) -> None:
    user = new_user()
    held = bots.limiter.session(user)
    done = bots.run("echo", "I run", user=user)
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr == "limiter: Limit reached: 1/1 active bot for this user.\n"
    bots.limiter.end(held)


@meanwhile
def test_where_no_limiter_is_nothing_runs(bots: Bots) -> None:
    done = bots.run("echo", "I run", LIMITER_URL="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.startswith("limiter: No limiter answers at http://127.0.0.1:1")


def test_a_wrong_key_is_not_worth_trying_again(bots: Bots) -> None:
    done = bots.run("echo", "I run", LIMITER_KEY="lim_none_wrong")
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr.startswith(
        "limiter: Missing or unknown key. It is the key in LIMITER_KEY, in the environment of "
    )
    assert "limiter keys create --scope bots" in done.stderr


def test_a_key_that_is_missing_is_asked_for(bots: Bots) -> None:
    told = r"key\. Set LIMITER_KEY in the environment of this command: a key that limiter keys create "
    with closing(Channel(bots.limiter.url, "", {}, "en")) as channel, pytest.raises(Refused, match=told) as no:
        channel.post("/api/admin/pause", {"reason": "x"}, timeout=5, language="en")
    assert no.value.exit_status == 77


def test_proxies_are_not_asked_for_loopback(bots: Bots) -> None:
    nowhere = dict.fromkeys(("ALL_PROXY", "HTTP_PROXY", "http_proxy"), "socks5://127.0.0.1:1")
    assert bots.run("echo", "I run", **nowhere).stdout == "I run\n"


@pytest.mark.parametrize("name", ["ALERT_THRESHOLD", "BOT_LEASE_SECONDS", "LIMITER_PORT"])
def test_settings_of_the_server_are_not_read(bots: Bots, name: str) -> None:
    assert bots.run("echo", "I run", **{name: "nonsense"}).stdout == "I run\n"


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("no-such-command", 127, "command not found"),
        ("/etc/passwd", 126, "cannot be executed"),
        ("/", 126, "cannot be"),
    ],
)
def test_a_command_that_cannot_be_run_takes_no_slot(bots: Bots, command: str, status: int, said: str) -> None:
    user = new_user()
    done = bots.run(command, user=user)
    assert (done.returncode, done.stdout) == (status, "")
    assert f"limiter: {command}: {said}" in done.stderr
    assert not bots.limiter.listed(user_id=user)


def test_a_command_whose_interpreter_is_missing_gives_its_slot_back(bots: Bots, tmp_path: Path) -> None:
    user, script = new_user(), tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = bots.run(str(script), user=user)
    assert done.returncode == 126
    wait_until(lambda: not bots.holds(user), 1)


def test_a_script_without_a_first_line_is_the_shells(bots: Bots, tmp_path: Path) -> None:
    (tmp_path / "script").write_text("echo I run with $1\n")
    (tmp_path / "script").chmod(0o755)
    assert bots.run(str(tmp_path / "script"), "this").stdout == "I run with this\n"


@meanwhile
def test_signals_are_heard_once(bots: Bots) -> None:
    def is_heard_once(name: str) -> None:
        bot = Bot(bots, f"trap 'echo got' {name}; note 1 ready; until [ -e enough ]; do sleep 0.05; done; exit 3")
        bot.noted("ready")
        bot.process.send_signal(signal.Signals[f"SIG{name}"])
        time.sleep(0.7)  # a second one would show by now
        (bot.folder / "enough").touch()
        assert bot.end() == (3, "got\n", "")

    at_once(is_heard_once, ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"])


def test_it_is_the_command(bots: Bots) -> None:
    if bots.way == "direct":
        pytest.skip("there a parent stands beside it")
    bot = Bot(bots, "exec sleep 60")
    assert bot.noted() == bot.process.pid
    bot.process.terminate()
    assert bot.end()[0] == -15
    wait_until(lambda: not bot.holds_a_slot, 1)


def test_a_killed_bot_frees_its_slot_at_once(bots: Bots) -> None:
    bot = Bot(bots, "exec sleep 60")
    began = time.monotonic()
    os.kill(bot.noted(), signal.SIGKILL)
    while bot.holds_a_slot:
        assert time.monotonic() - began < 1
    bot.end()


@meanwhile
def test_a_beating_bot_keeps_its_slot_longer_than_a_lease(bots: Bots) -> None:
    bot = Bot(bots, "exec sleep 6.5")
    assert bot.end() == (0, "", "")
    wait_until(lambda: not bot.holds_a_slot, 1)
    assert bots.limiter.listed(user_id=bot.user)[0]["ended_reason"] == "stopped"


def test_a_lost_slot_stops_the_bot(bots: Bots) -> None:
    bot = Bot(bots, "trap 'echo closing; exit 4' TERM; note 1 ready; while :; do sleep 0.05; done")
    bot.noted("ready")
    bots.stop_by_admin(bot.user)
    status, out, err = bot.end(10)
    assert (status, out) == (4, "closing\n")
    assert bots.way != "direct" or "admin_stop" in err


@meanwhile
def test_an_end_that_is_announced_is_passed_on_by_signal_and_comes_as_sigterm_at_its_time(bots: Bots) -> None:
    script = "trap 'echo told' USR1; trap 'echo closing; exit 4' TERM; sleep 60 & while :; do sleep 0.05; done"
    bot = Bot(bots, script, env=bots.env | {"LIMITER_NOTICE_SIGNAL": "usr1"})
    wait_until(lambda: bots.holds(bot.user), 5)
    path, announced_at = f"/api/admin/users/{bot.user}/stop", time.monotonic()
    assert bots.limiter.admin("POST", path, {"reason": "move", "in_seconds": 5}).is_success
    status, out, _ = bot.end(15)
    assert (status, out) == (4, "told\nclosing\n")
    assert 4 < time.monotonic() - announced_at < 10
    wait_until(lambda: not bot.holds_a_slot, 5)


@meanwhile
def test_an_end_that_is_taken_back_does_not_come(bots: Bots) -> None:
    bot = Bot(bots, "trap 'exit 4' TERM; for n in 1 2 3 4 5 6 7; do sleep 1; done")
    wait_until(lambda: bots.holds(bot.user), 5)
    path = f"/api/admin/users/{bot.user}/stop"
    assert bots.limiter.admin("POST", path, {"reason": "move", "in_seconds": 5}).is_success
    time.sleep(2)  # a beat has told of it
    assert bots.limiter.admin("DELETE", path, {"reason": "stays"}).is_success
    assert bot.end(20)[0] == 0


def test_a_notice_signal_that_is_none_is_a_setting_that_cannot_be_read(bots: Bots) -> None:
    for name in ("NOPE", "KILL", "10"):
        done = bots.run("true", LIMITER_NOTICE_SIGNAL=name)
        assert (done.returncode, "LIMITER_NOTICE_SIGNAL" in done.stderr) == (78, True)


@meanwhile
def test_a_bot_that_ignores_its_end_is_killed_after_ten_seconds(bots: Bots) -> None:
    grace = 10 if bots.way == "direct" else SHORT_GRACE
    bot = Bot(bots, "trap '' TERM; note 1 ready; while :; do sleep 0.05; done")
    bot.noted("ready")
    bots.stop_by_admin(bot.user)
    began = time.monotonic()
    assert bot.end(20)[0] in (-9, 137)
    assert grace - 1 < time.monotonic() - began < grace + 4


def test_ten_seconds_it_is_where_no_test_says_otherwise() -> None:
    assert Options([]).grace_seconds == 10


@meanwhile
def test_keep_lets_the_bot_go_on_without_its_slot(bots: Bots) -> None:
    bot = Bot(bots, "exec sleep 4", "--on-lost", "keep")
    bots.stop_by_admin(bot.user)
    status, _, err = bot.end(8)
    assert status == 0
    assert bots.way != "direct" or "goes on without a slot" in err


@meanwhile
def test_wait_asks_until_a_slot_is_free(bots: Bots) -> None:
    user = new_user()
    held = bots.limiter.session(user)
    waiting = subprocess.Popen(
        [*bots.command(user, "--wait", "4"), "echo", "I run"], env=bots.env, stdout=subprocess.PIPE, text=True
    )
    time.sleep(1.5)
    assert waiting.poll() is None
    bots.limiter.end(held)
    assert waiting.communicate(timeout=10)[0] == "I run\n"


@pytest.mark.alone
@pytest.mark.slow
def test_who_waits_hears_the_place_in_the_queue_and_is_let_in_first(ways: dict[str, Bots]) -> None:
    one = ways["tree"].limiter
    before = one.limits()["MAX_CONCURRENT_BOTS"]
    one.set_limits(MAX_CONCURRENT_BOTS=0)

    def waits(bots: Bots) -> None:
        waiting = subprocess.run(
            [*bots.command(new_user(), "--wait", "60"), "echo", "I run"],
            env=bots.env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (waiting.returncode, waiting.stdout) == (0, "I run\n")
        assert re.search(r"^limiter: Server full: waiting, [123] of [123]\.$", waiting.stderr, re.MULTILINE)

    def room() -> None:
        try:
            wait_until(
                lambda: one.client.get("/api/admin/stats").json()["queue"]["waiting"] == len(WAYS), 20, "tickets"
            )
            time.sleep(6)  # the agent says it to who waits every 5 s
        finally:
            one.set_limits(MAX_CONCURRENT_BOTS=before)

    everybody: list[Callable[[], None]] = [room, *(partial(waits, ways[way]) for way in WAYS)]
    at_once(lambda do: do(), everybody)


def test_a_suspended_user_does_not_wait(bots: Bots) -> None:
    user, began = new_user(), time.monotonic()
    body = {"limits": {"MAX_BOTS_PER_USER": 0}, "reason": "unpaid"}
    bots.limiter.admin("PUT", f"/api/admin/users/{user}/limits", body)
    command = [*bots.command(user, "--wait", "60"), "echo", "I run"]
    done = subprocess.run(command, env=bots.env, capture_output=True, text=True, timeout=40, check=False)
    assert (done.returncode, done.stdout) == (75, "")
    assert "unpaid" in done.stderr
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_waiting(bots: Bots, number: signal.Signals) -> None:
    user = new_user()
    held = bots.limiter.session(user)
    waiting = subprocess.Popen(
        [*HEEDS_EVERY_SIGNAL, *bots.command(user, "--wait", "60"), "echo", "I run"],
        env=bots.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    path = "/api/admin/refusals"
    wait_until(lambda: bots.limiter.admin("GET", path, params={"user_id": user}).json()["items"], 10, "it has asked")
    waiting.send_signal(number)
    assert waiting.communicate(timeout=5) == (b"", b"")
    assert waiting.returncode == -number
    bots.limiter.end(held)
    time.sleep(0.5)
    assert not bots.holds(user)


LISTENS = """
import signal
signals = {signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
open("ready", "w").close()
while found := signal.sigtimedwait(signals, 1.5):
    print(signal.Signals(found.si_signo).name, file=open("heard", "a"))
"""


def at_terminal(name: str, *command: str) -> list[str]:
    """The first terminal that the leader of a new session opens becomes the one that signals it."""
    return ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', name, *command]


def test_what_is_typed_at_a_terminal_reaches_the_bot_once(bots: Bots, tmp_path: Path) -> None:
    # Taken one by one, because two that are pending at once count as one.
    program = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
open("ready", "w").close()
signal.sigwait({signal.SIGINT})
print("got")
while signal.sigtimedwait({signal.SIGINT}, 0.5):
    print("got")
print(input())
exit(3)
"""
    ours, theirs = os.openpty()
    command = at_terminal(os.ttyname(theirs), *bots.command(new_user()), sys.executable, "-c", program)
    bot = subprocess.Popen(command, cwd=tmp_path, env=bots.env, start_new_session=True)
    wait_until((tmp_path / "ready").exists, 10)
    os.write(ours, b"\x03")
    os.write(ours, b"typed\n")
    assert bot.wait(10) == 3
    output = os.read(ours, 10_000)
    os.close(ours)
    os.close(theirs)
    assert output.count(b"got") == 1
    assert output.count(b"typed") == 2  # the echo, and the command's own


def test_what_is_sent_to_a_whole_group_at_a_terminal_reaches_the_bot_once(bots: Bots, tmp_path: Path) -> None:
    """`kill %1` signals the group, a supervisor the first process, a terminal that closes the leader."""
    ours, theirs = os.openpty()
    bot = subprocess.Popen(
        at_terminal(os.ttyname(theirs), *bots.command(new_user()), sys.executable, "-c", LISTENS),
        cwd=tmp_path, env=bots.env, start_new_session=True,
    )  # fmt: skip
    wait_until((tmp_path / "ready").exists, 10)
    for send, number in ((os.killpg, signal.SIGUSR1), (os.kill, signal.SIGUSR1), (os.killpg, signal.SIGTERM)):
        send(bot.pid, number)
        time.sleep(0.5)
    os.close(theirs)
    os.close(ours)
    assert bot.wait(10) == 0
    assert (tmp_path / "heard").read_text().split() == ["SIGUSR1", "SIGUSR1", "SIGTERM", "SIGHUP"]


def test_the_bot_is_ended_before_the_lease_of_a_limiter_out_of_reach_ends(own_bots: Callable[..., Bots]) -> None:
    bots = own_bots()
    bot = Bot(bots, "exec sleep 60")
    pid, began = bot.noted(), time.monotonic()
    bots.limiter.kill()
    assert bot.end(12)[0] == -15
    assert not lives(pid)
    assert time.monotonic() - began < 5.5
