"""Whatever becomes of agent, guardian, limiter, folder or version: a sentence, and nothing leaked on either side."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from limiter.agent import cgroups, processes
from tests.agent.conftest import Bot, Bots, all_of, groups_may_be_made, lives
from tests.conftest import ROOT, Limiter, new_user, wait_until

Own = Callable[..., Bots]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def bots(tmp_path: Path, shared_limiter: Limiter) -> Iterator[Bots]:
    """An agent for one test, behind the limiter of all."""
    one = Bots(tmp_path, limiter=shared_limiter)
    yield one
    one.close()


def another(bots: Bots, before: int) -> int | None:
    """The pid of an agent that is not the one before."""
    status = bots.status()
    return status["pid"] if status and status["pid"] != before else None


@pytest.mark.parametrize("groups", [True, False], ids=["group", "tree"])
def test_a_killed_agent_comes_back_and_takes_its_bots_over(bots: Bots, groups: bool) -> None:
    bots.agent(*([] if groups else ["--no-groups"]))
    bot, ends = Bot(bots, "sleep 1000 & wait; true"), Bot(bots, "exec sleep 1000")
    time.sleep(1.2)
    before = bots.status()["pid"]
    os.kill(before, signal.SIGKILL)
    os.kill(ends.noted(), signal.SIGKILL)  # while nobody looks
    wait_until(lambda: another(bots, before), 5, "the agent is back")
    wait_until(lambda: not ends.holds_a_slot, 1)
    bots.renewed(bot.user)
    assert bot.process.poll() is None
    assert bot.holds_a_slot
    (row,) = bots.status()["bots"]
    assert row["pid"] == bot.noted()
    assert row["processes"] == 2
    bots.stop_by_admin(bot.user)
    bot.end(12)
    ends.end()


def test_a_killed_guardian_is_replaced(bots: Bots) -> None:
    bot = Bot(bots, "exec sleep 1000")
    for _ in range(3):
        before = bots.status()
        os.kill(before["guardian"], signal.SIGKILL)
        after = wait_until(partial(another, bots, before["pid"]), 5, "another agent")
        status = bots.status()
        assert status["guardian"] == before["pid"]  # the agent became it
        assert status["pid"] == after
    assert bot.holds_a_slot
    os.kill(bot.noted(), signal.SIGTERM)
    bot.end()
    wait_until(lambda: not bot.holds_a_slot, 1)


def test_where_both_are_killed_the_next_run_brings_the_agent_back(own_bots: Own) -> None:
    bots = own_bots(lease=60)
    bot = Bot(bots, "exec sleep 1000")
    before = bots.status()
    os.kill(before["guardian"], signal.SIGSTOP)
    os.kill(before["pid"], signal.SIGKILL)
    os.kill(before["guardian"], signal.SIGKILL)
    wait_until(lambda: not lives(before["guardian"]), 5)
    assert bots.status() is None
    assert bots.run("echo", "I run").stdout == "I run\n"
    wait_until(lambda: listed(bots) == [bot.noted()], 5)
    bot.process.kill()
    bot.end()


def test_bots_that_start_while_the_agent_is_killed_have_each_one_slot(own_bots: Own) -> None:
    bots = own_bots(lease=60)
    bots.run("true")
    users = [new_user() for _ in range(12)]
    runs = list[subprocess.Popen[bytes]]()
    for user in users:
        runs.append(subprocess.Popen([*bots.command(user), "sleep", "1000"], env=bots.env))
        time.sleep(0.02)
        status = bots.status()
        if status:
            os.kill(status["pid"], signal.SIGKILL)
    wait_until(lambda: all(bots.holds(user) for user in users), 20, "each has its slot")
    status = wait_until(bots.status, 5)
    wait_until(lambda: len(bots.status()["bots"]) == len(runs), 5)
    assert {row["pid"] for row in bots.status()["bots"]} == {run.pid for run in runs}
    for run in runs:
        run.kill()
        run.wait()
    wait_until(lambda: bots.limiter.capacity()["current_bots"] == 0, 5, "no slot is left")


def test_a_run_that_is_killed_before_its_slot_comes_leaves_none(own_bots: Own) -> None:
    bots = own_bots(lease=60)
    bots.run("true")
    for after in (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08):
        run = subprocess.Popen([*bots.command(new_user()), "sleep", "1000"], env=bots.env)
        time.sleep(after)
        run.kill()
        run.wait()
    wait_until(lambda: bots.limiter.capacity()["current_bots"] == 0, 3, "no slot is left")


@pytest.mark.slow
def test_a_limiter_that_is_away_for_longer_than_a_lease(own_bots: Own) -> None:
    bots = own_bots()
    ended = [Bot(bots, "sleep 1000 & wait; true") for _ in range(3)]
    kept = Bot(bots, "exec sleep 1000", "--on-lost", "keep")
    bots.limiter.kill()
    for bot in ended:
        assert bot.end(6)[0] in (-15, 0)
    time.sleep(1)
    assert kept.process.poll() is None
    (row,) = [row for row in bots.status()["bots"] if row["state"] != "ended"]
    assert row["pid"] == kept.noted()
    bots.limiter.client = bots.limiter.new_client()
    bots.limiter.serve()

    def beaten_for() -> bool:
        (row,) = [row for row in bots.status()["bots"] if row["pid"] == kept.noted()]
        return row["beat_seconds_ago"] is not None and row["beat_seconds_ago"] < 2

    wait_until(beaten_for, 10)
    assert kept.holds_a_slot
    kept.process.kill()
    kept.end()


@pytest.mark.slow
def test_a_limiter_that_is_away_for_a_moment_costs_no_bot(own_bots: Own) -> None:
    bots = own_bots(lease=10)
    bot = Bot(bots, "exec sleep 1000")
    bots.limiter.restart(kill=True)
    bots.renewed(bot.user)
    assert bot.holds_a_slot
    assert bot.process.poll() is None
    bot.process.kill()
    bot.end()


@AS_ROOT
def test_what_may_not_be_signalled_keeps_its_slot(own_bots: Own, tmp_path: Path) -> None:
    bots = own_bots()
    for path in [tmp_path, *tmp_path.parents[:-1]]:
        path.chmod(path.stat().st_mode | 0o011)
    bots.socket.parent.mkdir(0o700)
    shutil.chown(bots.socket.parent, "nobody")
    becomes_root = tmp_path / "becomes-root"
    shutil.copy("/usr/bin/setpriv", becomes_root)
    becomes_root.chmod(0o4755)
    as_nobody = ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all"]
    ours = [*as_nobody, "/usr/bin/python3", "-m", "limiter"]
    env = bots.env | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    if subprocess.run([*ours, "run", "--help"], env=env, capture_output=True, check=False).returncode:
        pytest.skip("another user may not read this checkout, or has no Python for it")

    def asked(*options: str) -> str:
        done = subprocess.run([*ours, "agent", *options], env=env, capture_output=True, text=True, check=False)
        return done.stdout or done.stderr

    user = new_user()
    command = [*ours, "run", "--user", user, str(becomes_root), "--reuid=0", "sleep", "30"]
    process = subprocess.Popen(command, env=env)
    try:
        wait_until(lambda: (found := processes.read(process.pid)) is not None and found.name == "sleep", 10)
        bots.limiter.kill()  # no renewal: it would be ended
        wait_until(lambda: "may not be signalled: sleep" in asked("--status"), 20)
        bots.limiter.client = bots.limiter.new_client()
        bots.limiter.serve()
        wait_until(lambda: bots.holds(user), 3)
        bots.renewed(user)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not bots.holds(user), 7)
    assert asked("--stop", "--force") == "The agent has ended.\n"


@pytest.mark.parametrize("terminal", [False, True], ids=["", "at a terminal"])
def test_where_the_parent_of_direct_is_killed_its_guard_ends_the_bot(
    shared_limiter: Limiter, tmp_path: Path, terminal: bool
) -> None:
    bots = Bots(tmp_path, "direct", limiter=shared_limiter)
    script = (
        "trap 'echo closed > orders; exit 0' TERM HUP; (trap '' TERM; exec setsid sleep 1000) & note $! deaf;"
        "note 1 ready; while :; do sleep 0.05; done"
    )
    ours, theirs = os.openpty()
    options = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "text": None} if terminal else {}
    bot = Bot(bots, script, **options, **({"start_new_session": True, "preexec_fn": takes_it} if terminal else {}))
    try:
        bot.noted("ready")
        bot.process.kill()
        bot.process.communicate()
        wait_until(lambda: not all_of(bot), 5, "all of it ends")
        assert (bot.folder / "orders").read_text() == "closed\n"
        wait_until(lambda: not bot.holds_a_slot, 7, "the lease gives the slot back")
    finally:
        os.close(ours)
        os.close(theirs)


def takes_it() -> None:
    """Makes the terminal of the input that of the new session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_what_was_before_a_reboot_is_given_back_and_nobody_is_signalled(bots: Bots) -> None:
    """Pid, start and control group of another boot are another's by now."""
    bots.agent("--no-groups")
    bot = Bot(bots, "trap 'echo heard > heard' TERM INT HUP; note 1 ready; while :; do sleep 0.05; done")
    bot.noted("ready")
    status = bots.status()
    for pid in (status["guardian"], status["pid"]):
        os.kill(pid, signal.SIGKILL)  # the guardian first, which brings the other back
    assert bots.foreground is not None
    bots.foreground.communicate()
    wait_until(lambda: bots.status() is None or bots.status()["pid"] != status["pid"], 5)
    bots.ask_agent("--stop")  # refused; the one that came back is killed with its guardian, too
    while (status := bots.status()) is not None:
        os.kill(status["guardian"], signal.SIGSTOP)
        os.kill(status["pid"], signal.SIGKILL)
        os.kill(status["guardian"], signal.SIGKILL)
        time.sleep(0.1)
    (page,) = (bots.socket.parent / "bots").glob("*.json")
    kept = json.loads(page.read_text())
    page.write_text(json.dumps(kept | {"boot": "6c2d7a5e-0000-4000-8000-000000000000"}))
    bots.agent("--no-groups")
    wait_until(lambda: not bot.holds_a_slot, 5, "its slot is given back")
    wait_until(lambda: not page.exists(), 5)
    assert bots.status()["bots"] == []
    time.sleep(0.5)
    assert bot.process.poll() is None
    assert not (bot.folder / "heard").exists()
    bot.process.kill()
    bot.end()


HIDING = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'


@AS_ROOT
def test_where_proc_hides_what_is_of_others_a_bot_is_known_and_ended(shared_limiter: Limiter, tmp_path: Path) -> None:
    """hidepid=2, or systemd's ProtectProc=invisible: a user sees no process but its own."""
    bots = Bots(tmp_path, limiter=shared_limiter)
    for path in [tmp_path, *tmp_path.parents[:-1]]:
        path.chmod(path.stat().st_mode | 0o011)
    for folder in (bots.socket.parent, tmp_path / "bot"):
        folder.mkdir(0o700)
        shutil.chown(folder, "nobody")
    as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-m", "limiter"]
    env = bots.env | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    hidden = ["unshare", "--mount", "sh", "-c", HIDING, "sh", *as_nobody]
    if subprocess.run([*hidden, "run", "--help"], env=env, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted, or another user may not read this checkout")
    user, script = new_user(), "setsid sleep 1000 & ls -d /proc/[0-9]* > seen; wait"
    bot = subprocess.Popen([*hidden, "run", "--user", user, "sh", "-c", script], env=env, cwd=tmp_path / "bot")
    try:
        wait_until((tmp_path / "bot" / "seen").exists, 10)
        assert "/proc/1" not in (tmp_path / "bot" / "seen").read_text().split()
        told = subprocess.run([*as_nobody, "agent", "--status", "--json"], env=env, capture_output=True, check=True)
        wait_until(lambda: bots.holds(user), 5)
        (row,) = json.loads(told.stdout)["bots"]
        assert row["pid"] == bot.pid
        bots.renewed(user)
        bots.stop_by_admin(user)
        assert bot.wait(10) == -signal.SIGTERM
        wait_until(lambda: not sleepers_in(tmp_path / "bot"), 5, "what it had started has ended too")
        wait_until(lambda: not bots.holds(user), 5)
    finally:
        bot.kill()
        bot.wait()
        subprocess.run([*as_nobody, "agent", "--stop", "--force"], env=env, capture_output=True, check=False)


def sleepers_in(folder: Path) -> list[int]:
    """Those whose working folder it is."""
    return [pid for pid, one in processes.everything().items() if one.name == "sleep" and in_folder(pid, folder)]


def in_folder(pid: int, folder: Path) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/cwd") == str(folder)
    except OSError:
        return False


@pytest.mark.skipif(not groups_may_be_made(), reason="this user may not make control groups")
def test_an_empty_group_of_a_killed_agent_is_taken_away(bots: Bots) -> None:
    first = Bot(bots, "exec sleep 1000")
    of_first = Path(str(cgroups.folder_of(first.noted())))
    assert of_first.name.startswith("limiter-bot-")
    left = of_first.with_name("limiter-bot-left-behind")
    left.mkdir()
    os.kill(before := bots.status()["pid"], signal.SIGKILL)
    wait_until(lambda: another(bots, before), 5)
    second = Bot(bots, "exec sleep 1000")
    assert not left.exists()
    assert of_first.exists()
    for bot in (first, second):
        assert bot.holds_a_slot
        bot.process.kill()
        bot.end()
    wait_until(lambda: not of_first.exists(), 5)


# Folder and version


@AS_ROOT
def test_a_folder_of_somebody_else_is_refused(bots: Bots) -> None:
    bots.socket.parent.mkdir(0o700)
    shutil.chown(bots.socket.parent, "nobody")
    done = bots.run("echo", "I run")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == f"limiter: The agent's socket {bots.socket} cannot be used: its folder is somebody else's.\n"
    bots.socket.parent.rmdir()


def test_a_folder_that_others_may_change_is_refused(bots: Bots) -> None:
    bots.socket.parent.mkdir()
    bots.socket.parent.chmod(0o777)
    done = bots.run("echo", "I run")
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.endswith("cannot be used: others may change its folder (777).\n")
    bots.socket.parent.chmod(0o700)


def test_a_link_in_its_place_is_refused(bots: Bots, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    bots.socket.parent.symlink_to(tmp_path / "elsewhere")
    assert bots.run("echo", "I run").returncode == 78
    bots.socket.parent.unlink()


def test_a_folder_that_is_taken_away_is_made_again(bots: Bots) -> None:
    bot = Bot(bots, "exec sleep 1000")
    before = bots.status()
    shutil.rmtree(bots.socket.parent)
    status = wait_until(bots.status, 5, "the agent is found again")
    assert [row["pid"] for row in status["bots"]] == [bot.noted()]
    wait_until(lambda: not lives(before["guardian"]), 5)
    os.kill(status["pid"], signal.SIGKILL)  # the book is whole, too
    wait_until(lambda: another(bots, status["pid"]), 5)
    bots.renewed(bot.user)
    assert bot.holds_a_slot
    bot.process.kill()
    bot.end()


def test_however_long_the_path_is(bots: Bots, tmp_path: Path) -> None:
    (tmp_path / ("long" * 40)).mkdir()
    bots.env["LIMITER_AGENT_SOCKET"] = str(tmp_path / ("long" * 40) / "agent" / "agent.sock")
    assert bots.run("echo", "I run").stdout == "I run\n"
    wait_until(lambda: listed(bots) == [], 5)


def test_what_the_agent_keeps_is_for_its_user_alone(bots: Bots) -> None:
    bot = Bot(bots, "exec sleep 1000", umask=0)
    folder = bots.socket.parent
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path
    bot.process.kill()
    bot.end()


def listed(bots: Bots) -> list[int]:
    """The pids that the agent looks after; one that has just ended may still be among them for a moment."""
    return [row["pid"] for row in bots.status()["bots"]]


def newer(folder: Path) -> dict[str, str]:
    """The environment of a program that speaks a newer protocol."""
    for name in ("agent", "calling"):
        shutil.copytree(ROOT / "limiter" / name, folder / "limiter" / name)
    for name in ("__init__.py", "__main__.py", "processes.py"):
        shutil.copy(ROOT / "limiter" / name, folder / "limiter" / name)
    message = folder / "limiter" / "agent" / "message.py"
    message.write_text(message.read_text().replace("PROTOCOL = 1\n", "PROTOCOL = 2\n"))
    return {"PYTHONPATH": str(folder)}


def test_an_older_agent_makes_place_with_its_bots(bots: Bots, tmp_path: Path) -> None:
    bot = Bot(bots, "exec sleep 1000")
    before = bots.status()
    done = bots.run("echo", "I run", **newer(tmp_path / "newer"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "I run\n", "")
    status = bots.status()
    assert status["pid"] not in (before["pid"], before["guardian"])
    wait_until(lambda: listed(bots) == [bot.noted()], 5)
    assert bots.run("echo", "I run too").stdout == "I run too\n"  # an older run with a newer agent
    bot.process.kill()
    bot.end()


def test_an_agent_that_stays_older_is_told(bots: Bots, tmp_path: Path) -> None:
    program = (
        "import limiter.agent.message as message, sys; message.PROTOCOL = 2;"
        "from limiter.agent.run import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--user", "u1", "echo", "I run"], env=bots.env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr == "limiter: The agent that runs is of another version.\n"


# Its life


def test_it_refuses_to_end_while_it_holds_bots(bots: Bots) -> None:
    bot = Bot(bots, "trap 'echo closing; exit 0' TERM; sleep 1000 & note 1 ready; wait")
    bot.noted("ready")
    done = bots.ask_agent("--stop")
    assert done.returncode == 1
    assert done.stderr.startswith("limiter: It still looks after bots (1): end them first, or --force")
    assert bots.status()["bots"]
    assert bots.ask_agent("--stop", "--force").stdout == "The agent has ended.\n"
    assert bot.end()[1] == "closing\n"
    assert not bot.holds_a_slot
    assert bots.status() is None
    assert bots.ask_agent("--status").stderr == "limiter: No agent runs.\n"
    assert not list((bots.socket.parent / "bots").glob("*.json"))


def test_asked_to_end_it_goes_when_the_last_bot_has_gone(bots: Bots) -> None:
    bot = Bot(bots, "exec sleep 1000")
    status = bots.status()
    os.kill(status["guardian"], signal.SIGTERM)
    wait_until(lambda: bots.status()["leaving"], 5)
    assert bot.holds_a_slot
    bot.process.kill()
    bot.end()
    wait_until(lambda: not lives(status["pid"]) and not lives(status["guardian"]), 5)
    assert not bot.holds_a_slot


def test_it_goes_by_itself_when_nothing_was_asked_for_long(bots: Bots) -> None:
    bots.agent("--away", "--idle", "0.5")
    assert bots.foreground is not None
    assert bots.foreground.wait(10) == 0


def test_one_agent_a_folder(bots: Bots) -> None:
    bots.agent()
    runs = [subprocess.Popen([*bots.command(new_user()), "sleep", "1000"], env=bots.env) for _ in range(10)]
    wait_until(lambda: len(listed(bots)) == 10, 15)
    for language, told in (("en", "An agent runs already"), ("fr", "Un agent tourne déjà")):
        bots.env["LIMITER_LANG"] = language
        second = bots.ask_agent()
        assert (second.returncode, second.stderr) == (78, f"limiter: {told}: {bots.socket}\n")
    for run in runs:
        run.kill()
        run.wait()


def test_an_agent_that_a_run_started_gives_way_to_one_in_the_foreground(bots: Bots) -> None:
    """It lives in that bot's unit, and would end with it and keep it from ending."""
    bot = Bot(bots, "exec sleep 1000")
    before = bots.status()
    bots.agent()
    status = wait_until(lambda: (told := bots.status()) and told["pid"] != before["pid"] and told, 10)
    assert bots.foreground is not None
    assert status["guardian"] == bots.foreground.pid
    assert [row["pid"] for row in status["bots"]] == [bot.noted()]
    wait_until(lambda: not lives(before["pid"]) and not lives(before["guardian"]), 5)
    bots.renewed(bot.user)
    bot.process.kill()
    bot.end()
    wait_until(lambda: not bot.holds_a_slot, 2)


def test_a_run_that_waits_outlives_the_agent(bots: Bots) -> None:
    """Longer than an agent that does not answer is waited for, which is a second here."""
    program = "import limiter.agent.run as run, sys; run.START_SECONDS = 1; sys.exit(run.main(sys.argv[1:]))"
    user = new_user()
    held = bots.limiter.session(user)
    bots.run("true")
    waiting = subprocess.Popen(
        [sys.executable, "-c", program, "--user", user, "--wait", "60", "echo", "I run"],
        env=bots.env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def refusals() -> int:
        answer = bots.limiter.admin("GET", "/api/admin/refusals", params={"user_id": user})
        return len(answer.json()["items"])

    wait_until(lambda: refusals() == 1, 10, "it has asked")
    time.sleep(1.2)
    os.kill(bots.status()["pid"], signal.SIGKILL)
    wait_until(lambda: refusals() == 2, 5, "it has asked the next agent")
    assert waiting.poll() is None
    waiting.terminate()
    waiting.communicate(timeout=5)
    bots.limiter.end(held)


def test_the_agent_holds_nothing_of_the_bot_that_started_it(bots: Bots, tmp_path: Path) -> None:
    command = " ".join([*bots.command(new_user()), "echo", "I run"])
    done = subprocess.run(  # would hang until the agent ends, if it held the pipes
        ["bash", "-c", f"{command} 5> >(cat; echo closed)"], env=bots.env, capture_output=True, text=True, timeout=10,
        check=True,
    )  # fmt: skip
    assert sorted(done.stdout.split("\n")) == ["", "I run", "closed"]
    pid = bots.status()["pid"]
    environment = Path(f"/proc/{pid}/environ").read_text()
    assert "LIMITER_KEY" not in environment
    assert "LIMITER_SESSION_ID" not in environment
    assert processes.read(pid).session != os.getsid(0)  # type: ignore[union-attr]
