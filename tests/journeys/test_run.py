"""`python -m limiter run -- COMMAND`: an unchanged command in a slot, whatever becomes of it, wrapper or limiter."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Limiter, new_user, wait_until

Start = Callable[..., Limiter]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """A limiter with the shortest lease, and English sentences."""
    shared = Limiter(tmp_path_factory.mktemp("run"), {"BOT_LEASE_SECONDS": 5, "LIMITER_LANG": "en"})
    try:
        shared.serve()
        yield shared
        shared.close()
    finally:
        shared.kill()


def heeds_every_signal() -> None:
    """A shell starts what runs in its background deaf to these two, and a trap cannot undo that."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


class Wrapped:
    """A wrapper that runs, and the pid that its command wrote."""

    def __init__(self, limiter: Limiter, folder: Path, script: str, *options: str) -> None:
        self.limiter, self.user, self.pid_file = limiter, new_user(), folder / "pid"
        self.process = subprocess.Popen(
            [
                *wrapper(self.user, *options),
                "sh",
                "-c",
                f"echo $$ > {self.pid_file}.new; mv {self.pid_file}.new {self.pid_file}; {script}",
            ],
            env=limiter.env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heeds_every_signal,  # noqa: PLW1509 - it takes no lock that a thread might hold
        )
        wait_until(lambda: self.pid_file.exists() or self.process.poll() is not None, 10, "the command runs")

    @property
    def command_pid(self) -> int:
        return int(self.pid_file.read_text())

    def end(self, within: float = 15) -> tuple[int, str, str]:
        """Exit status, output and errors."""
        out, err = self.process.communicate(timeout=within)
        return self.process.returncode, out, err

    @property
    def holds_a_slot(self) -> bool:
        return bool(self.limiter.listed(user_id=self.user, status="active"))


def wrapper(user: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "limiter", "run", "--user", user, *options, "--"]


def run(limiter: Limiter, *command: str, user: str | None = None, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*wrapper(user or new_user()), *command],
        env=limiter.env, cwd=limiter.folder, input=text, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


def lives(pid: int) -> bool:
    """Whether that process still does anything: one that ended, but that nobody waited for yet, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143), ("exit 255", 255)],
)
def test_the_exit_status_is_the_commands_own_and_the_slot_is_given_back(one: Limiter, script: str, status: int) -> None:
    user = new_user()
    done = run(one, "sh", "-c", script, user=user)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")
    (row,) = one.listed(user_id=user)
    assert (row["status"], row["ended_reason"]) == ("ended", "stopped")


def test_input_and_output_are_the_commands_own(one: Limiter) -> None:
    done = run(one, "sh", "-c", "cat; echo oops >&2", text="hello\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "oops\n")


def test_the_commands_own_options_are_left_alone(one: Limiter) -> None:
    assert run(one, "echo", "--user", "x", "--", "--json", "-n").stdout == "--user x -- --json -n\n"


def test_the_command_can_report_its_trades_itself(one: Limiter) -> None:
    program = (
        "import os, httpx;"
        "body = {'symbol': 'BTC', 'side': 'buy', 'quantity': 1, 'price': 1};"
        "body['session_id'] = os.environ['LIMITER_SESSION_ID'];"
        "print(httpx.post(os.environ['LIMITER_URL'] + '/api/bots/trades', json=body).status_code)"
    )
    assert run(one, sys.executable, "-c", program).stdout == "201\n"


def test_a_refused_command_does_not_run(one: Limiter) -> None:
    user = new_user()
    held = one.session(user)
    done = run(one, "echo", "I run", user=user)
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr == "limiter: Limit reached: 1/1 active bot for this user.\n"
    one.end(held)


def test_where_no_limiter_is_nothing_runs(one: Limiter) -> None:
    done = subprocess.run(
        [*wrapper("u1", "--url", "http://127.0.0.1:1"), "echo", "I run"],
        env=one.env, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (75, "")
    assert "http://127.0.0.1:1" in done.stderr


@pytest.mark.parametrize(("command", "status"), [("no-such-command", 127), ("/etc/passwd", 126)])
def test_a_command_that_cannot_be_run_gives_its_slot_back(one: Limiter, command: str, status: int) -> None:
    user = new_user()
    done = run(one, command, user=user)
    assert done.returncode == status
    assert command in done.stderr
    assert one.listed(user_id=user)[0]["ended_reason"] == "stopped"


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"])
def test_signals_are_passed_on_once(one: Limiter, tmp_path: Path, name: str) -> None:
    bot = Wrapped(
        one, tmp_path, f"trap 'echo got' {name}; touch ready; until [ -e enough ]; do sleep 0.05; done; exit 3"
    )
    wait_until((tmp_path / "ready").exists, 5)
    bot.process.send_signal(signal.Signals[f"SIG{name}"])
    time.sleep(0.5)  # a second one would show by now
    (tmp_path / "enough").touch()
    assert bot.end() == (3, "got\n", "")


def test_a_signal_that_ends_the_command_ends_the_wrapper_and_frees_the_slot(one: Limiter, tmp_path: Path) -> None:
    bot = Wrapped(one, tmp_path, "exec sleep 60")
    assert bot.holds_a_slot
    bot.process.terminate()
    assert bot.end()[0] == 143
    assert not bot.holds_a_slot


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's")
def test_a_killed_wrapper_takes_the_command_with_it_and_the_lease_frees_the_slot(one: Limiter, tmp_path: Path) -> None:
    bot = Wrapped(one, tmp_path, "exec sleep 60")
    assert lives(bot.command_pid)
    bot.process.kill()
    bot.end()
    wait_until(lambda: not lives(bot.command_pid), 5, "the command is gone too")
    assert bot.holds_a_slot
    wait_until(lambda: not bot.holds_a_slot, 7, "the lease frees the slot")


def test_a_beating_command_keeps_its_slot_longer_than_a_lease(one: Limiter, tmp_path: Path) -> None:
    bot = Wrapped(one, tmp_path, "exec sleep 6.5")
    assert bot.end() == (0, "", "")
    assert one.listed(user_id=bot.user)[0]["ended_reason"] == "stopped"


def test_a_lost_slot_stops_the_command(one: Limiter, tmp_path: Path) -> None:
    bot = Wrapped(one, tmp_path, "trap 'echo closing; exit 4' TERM; while :; do sleep 0.05; done")
    (row,) = one.listed(user_id=bot.user)
    one.admin("POST", f"/api/admin/sessions/{row['public_id']}/stop", {"reason": "test"})
    status, out, err = bot.end(10)
    assert (status, out) == (4, "closing\n")
    assert "admin_stop" in err


@pytest.mark.slow
def test_a_command_that_ignores_its_end_is_killed_after_ten_seconds(one: Limiter, tmp_path: Path) -> None:
    bot = Wrapped(one, tmp_path, "trap '' TERM; while :; do sleep 0.05; done")
    (row,) = one.listed(user_id=bot.user)
    one.admin("POST", f"/api/admin/sessions/{row['public_id']}/stop", {"reason": "test"})
    began = time.monotonic()
    assert bot.end(20)[0] == 137
    assert 9 < time.monotonic() - began < 14


def test_keep_lets_the_command_go_on_without_its_slot(one: Limiter, tmp_path: Path) -> None:
    bot = Wrapped(one, tmp_path, "exec sleep 4", "--on-lost", "keep")
    (row,) = one.listed(user_id=bot.user)
    one.admin("POST", f"/api/admin/sessions/{row['public_id']}/stop", {"reason": "test"})
    status, _, err = bot.end(8)
    assert status == 0
    assert "goes on without a slot" in err


def test_the_command_is_stopped_before_the_lease_of_a_limiter_out_of_reach_ends(limiter: Start, tmp_path: Path) -> None:
    away = limiter(BOT_LEASE_SECONDS=5)
    (tmp_path / "bot").mkdir()
    bot = Wrapped(away, tmp_path / "bot", "exec sleep 60")
    began = time.monotonic()
    away.kill()
    assert bot.end(12)[0] == 143
    assert time.monotonic() - began < 5.5


def test_wait_asks_until_a_slot_is_free(one: Limiter, tmp_path: Path) -> None:
    user = new_user()
    held = one.session(user)
    waiting = subprocess.Popen(
        [*wrapper(user, "--wait", "4"), "echo", "I run"], env=one.env, stdout=subprocess.PIPE, text=True
    )
    time.sleep(1.5)
    assert waiting.poll() is None
    one.end(held)
    assert waiting.communicate(timeout=10)[0] == "I run\n"


def test_a_signal_ends_the_waiting(one: Limiter) -> None:
    user = new_user()
    held = one.session(user)
    waiting = subprocess.Popen([*wrapper(user, "--wait", "60"), "echo", "I run"], env=one.env, stdout=subprocess.PIPE)
    refusals = lambda: one.admin("GET", "/api/admin/refusals", params={"user_id": user}).json()["items"]  # noqa: E731
    wait_until(refusals, 10, "it has asked")
    waiting.terminate()
    assert waiting.communicate(timeout=5)[0] == b""
    assert waiting.returncode == 143
    one.end(held)


def test_what_is_typed_at_a_terminal_reaches_the_command_once(one: Limiter, tmp_path: Path) -> None:
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
    # The first terminal that the leader of a new session opens becomes the one that signals it.
    at_terminal = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(theirs), *wrapper(new_user())]
    bot = subprocess.Popen(
        [*at_terminal, sys.executable, "-c", program], cwd=tmp_path, env=one.env, start_new_session=True
    )
    wait_until((tmp_path / "ready").exists, 10)
    os.write(ours, b"\x03")
    os.write(ours, b"typed\n")
    assert bot.wait(10) == 3
    output = os.read(ours, 10_000)
    os.close(ours)
    os.close(theirs)
    assert output.count(b"got") == 1
    assert output.count(b"typed") == 2  # the echo, and the command's own
