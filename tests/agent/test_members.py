"""What is a bot: all that descends from its command. The slot is held while any of it lives, and ends all of it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from limiter.agent import cgroups, processes
from limiter.agent.members import Look, Members, Watcher, now_in_ticks
from tests.agent.conftest import Bot, Bots, all_of, at_once, groups_may_be_made, lives, meanwhile
from tests.conftest import wait_until

DOUBLE_FORK = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(3): os.close(number)
        with open("last.new", "w") as file: file.write(str(os.getpid()))
        os.rename("last.new", "last")
        time.sleep(1000)
    os._exit(0)
os.wait()
time.sleep(float(sys.argv[1]))
"""
POOL = """
import multiprocessing, os, signal, time
def work(_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)
if __name__ == "__main__":
    pool = multiprocessing.get_context("fork").Pool(3)
    work_on = pool.map_async(work, range(3))
    with open("last.new", "w") as file: file.write(str(pool._pool[-1].pid))
    os.rename("last.new", "last")
    work_on.get()
"""
CLUSTER = """
const cluster = require("cluster"), fs = require("fs");
if (cluster.isPrimary) {
  const worker = [1, 2, 3].map(() => cluster.fork()).pop();
  fs.writeFileSync("last.new", String(worker.process.pid)); fs.renameSync("last.new", "last");
}
setInterval(() => {}, 1000);
"""
SHAPES = {
    "shell": "sleep 1000 & note $! last; wait; true",
    "orphan": "(sleep 1000 & note $! last); sleep 1000; true",
    "double fork": f"{sys.executable} -c '{DOUBLE_FORK}' 1000; true",
    "setsid": "setsid -f sh -c 'echo $$ > last; exec sleep 1000'; sleep 1000; true",
    "environment cleared": "env -i setsid sleep 1000 & note $! last; wait; true",
    "pool of workers": f"{sys.executable} -c '{POOL}'; true",
    "xargs": "echo x x x | xargs -P3 -n1 sh -c 'echo $$ > last; sleep 1000'; true",
    "nohup": "exec nohup sh -c 'echo $$ > last; exec sleep 1000'",
    "su": "chmod 777 .; su nobody -s /bin/sh -c 'echo $$ > last; exec sleep 1000'; true",
    "sudo": "chmod 777 .; sudo -u nobody sh -c 'echo $$ > last; exec sleep 1000'; true",
    "node cluster": f"echo '{CLUSTER}' > cluster.js; node cluster.js; true",
}
TREES_AT_ONCE = 3  # in each of the ways, and of both checks
NEEDS = {"su": "su", "sudo": "sudo", "node cluster": "node"}
"""The program that a shape needs; in CI each is there."""


def shapes() -> list[str]:
    """Those that can be had here."""
    had = [one for one in SHAPES if one not in NEEDS or shutil.which(NEEDS[one]) or "CI" in os.environ]
    return [one for one in had if one not in ("su", "sudo") or os.geteuid() == 0]


@meanwhile
def test_where_the_slot_is_lost_all_of_it_ends(bots: Bots) -> None:
    def ends(shape: str) -> None:
        bot = Bot(bots, SHAPES[shape], "--on-lost", "stop")
        assert lives(bot.noted("last"))
        bots.stop_by_admin(bot.user)
        wait_until(lambda: not all_of(bot), 20, f"all of {shape} ends")
        bot.end(5)

    at_once(ends, shapes(), at_most=TREES_AT_ONCE)


@meanwhile
def test_the_slot_is_held_until_the_last_of_it_has_ended(bots: Bots) -> None:
    def is_held(shape: str) -> None:
        bot = Bot(bots, SHAPES[shape])
        last = bot.noted("last")
        time.sleep(1.2)  # a look at a tree, which is all that there is without a control group
        first = bot.noted()
        os.kill(first, signal.SIGKILL)
        if last != first:
            wait_until(lambda: not lives(first), 5)
            time.sleep(0.3)
            assert bot.holds_a_slot
            for pid in all_of(bot) - {bot.process.pid, last}:
                kill(pid)
            time.sleep(0.3)
            assert not lives(last) or bot.holds_a_slot
            for pid in all_of(bot) - {bot.process.pid}:
                kill(pid)
        wait_until(lambda: not bot.holds_a_slot, 2, "the slot is free")
        bot.end(5)

    at_once(is_held, shapes(), at_most=TREES_AT_ONCE)


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # its parent has taken it along
        os.kill(pid, signal.SIGKILL)


def test_what_a_bot_starts_to_end_well_is_left_to_work(bots: Bots) -> None:
    script = "trap 'sh -c \"sleep 1; echo closed > orders\"; exit 0' TERM; note 1 ready; while :; do sleep 0.05; done"
    bot = Bot(bots, script)
    bot.noted("ready")
    bots.stop_by_admin(bot.user)
    assert bot.end()[0] == 0
    assert (bot.folder / "orders").read_text() == "closed\n"


def test_a_bot_that_stands_is_ended_too(bots: Bots) -> None:
    bot = Bot(bots, "trap 'exit 0' TERM; kill -STOP $$; sleep 1000")
    pid = bot.noted()
    wait_until(lambda: processes.read(pid).state == "T", 5)  # type: ignore[union-attr]
    bots.stop_by_admin(bot.user)
    wait_until(lambda: not lives(pid), 5)
    bot.end(5)


def test_a_bot_in_a_bot_holds_both_slots(bots: Bots) -> None:
    if bots.way == "direct":
        pytest.skip("a direct bot stops what is in it by its own parent")
    inner = " ".join(bots.command("inner"))
    bot = Bot(bots, f"{inner} sh -c 'echo $$ > last; exec sleep 1000'; true")
    bot.noted("last")
    wait_until(lambda: bots.holds("inner"), 5)
    bots.stop_by_admin(bot.user)
    wait_until(lambda: not all_of(bot) and not bots.holds("inner"), 5)
    bot.end(5)


# Members alone


@pytest.fixture
def sleeper() -> Iterator[Callable[..., "subprocess.Popen[bytes]"]]:
    made = list[subprocess.Popen[bytes]]()

    def start(**env: str) -> "subprocess.Popen[bytes]":
        made.append(subprocess.Popen(["sleep", "1000"], env=os.environ | env))
        return made[-1]

    yield start
    for one in made:
        one.kill()
        one.wait()


def test_a_pid_that_is_used_again_is_no_member(sleeper: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    other = sleeper()
    process = processes.read(other.pid)
    assert process is not None
    members = Members("mark", None, Watcher(), lambda: None, now_in_ticks())
    members.add(other.pid, process.start - 1)  # what the book says of one that has ended
    assert not members.alive()
    members.kill()
    assert other.poll() is None


def test_what_was_there_before_is_no_member(sleeper: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    before = sleeper(LIMITER_SESSION_ID="mark")
    time.sleep(0.05)
    members = Members("mark", None, Watcher(), lambda: None, now_in_ticks())
    time.sleep(0.05)
    after = sleeper(LIMITER_SESSION_ID="mark")
    wait_until(lambda: processes.mark(after.pid) == "mark", 5)
    Look().take([members])
    assert before.pid not in members.pids()
    assert members.pids() == {after.pid}
    members.close()


def test_a_process_that_ends_is_told(sleeper: Callable[..., "subprocess.Popen[bytes]"]) -> None:
    one, told = sleeper(), list[str]()
    process, watcher = processes.read(one.pid), Watcher()
    assert process is not None
    members = Members("mark", None, watcher, lambda: told.append("changed"), process.start)
    members.add(one.pid, process.start)
    watcher.run()
    assert members.alive()
    assert not told
    one.kill()
    one.wait()
    watcher.run()
    assert told
    assert not members.alive()


# What is never a bot, whatever speaks for it: a wrong signal there would end the machine, a container, a whole test run

OWN_LINE = """
import os, sys, time
from limiter.agent import cgroups, processes
from limiter.agent.members import Look, Members, Watcher
above = os.getpid()
if os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
group = cgroups.made_for([above, os.getpid()], f"test-{above}") if sys.argv[1] == "group" else None
assert group is not None or sys.argv[1] == "tree"
members = Members("mark", group, Watcher(), lambda: None, 0)
assert {0, 1, above, os.getpid()} <= processes.own_line()  # 1 is not tried: where this fails, it would end
for pid in (above, os.getpid()):
    members.add(pid, processes.read(pid).start)
Look().take([members])
members.terminate()
members.kill()
time.sleep(0.2)
if group is not None:
    home = cgroups.Cgroup(os.path.dirname(group.folder))
    for pid in (above, os.getpid()):
        home.add(pid)
    assert group.remove()
"""


@pytest.mark.parametrize("way", ["group", "tree"])
def test_neither_the_agent_nor_what_it_descends_from_is_ever_signalled(way: str) -> None:
    if way == "group" and not groups_may_be_made():
        pytest.skip("this user may not make control groups")
    done = subprocess.run([sys.executable, "-c", OWN_LINE, way], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")
FROM_OUTSIDE = """
import os, sys
from limiter.agent import cgroups, processes
from limiter.agent.guards import left_behind
from limiter.agent.members import Look, Members, Watcher
others = [one for one in processes.everything().values() if one.name == "sleep"]
assert [(one.group, one.session) for one in others] == [(0, 0)], others
group = cgroups.Cgroup(sys.argv[1])
assert group.pids() == {0}
members = Members("mark", group, Watcher(), lambda: None, 0)
Look().take([members])
print(members.pids(), left_behind(0, "mark"))
"""


@pytest.mark.skipif(os.geteuid() != 0 or not groups_may_be_made(), reason="needs root, and control groups")
def test_what_is_outside_of_a_container_does_not_speak_for_what_is_inside() -> None:
    """Seen from inside, each group, session or parent that is outside has the number 0."""
    outside = subprocess.Popen(["sleep", "60"])
    group = cgroups.made_for([outside.pid], "of-a-test")
    assert group is not None
    try:
        inside = 'sleep 60 & "$@"; kill $!'
        done = subprocess.run(
            [*NAMESPACE, "sh", "-c", inside, "sh", sys.executable, "-c", FROM_OUTSIDE, group.folder],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.stderr.startswith("unshare"):
            pytest.skip("a pid namespace may not be made here")
        assert (done.stdout, done.stderr) == ("set() []\n", "")
    finally:
        outside.kill()
        outside.wait()
        wait_until(group.remove, 5)


def test_memory_is_what_nobody_shares(tmp_path: Path) -> None:
    program = (
        "import os, time\n"
        "held = bytearray(os.urandom(1024)) * 40 * 1024\n"
        "children = [os.fork() for _ in range(2)]\n"
        "if 0 not in children: open('ready', 'w').close()\n"
        "time.sleep(1000)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, start_new_session=True)
    try:
        wait_until((tmp_path / "ready").exists, 10)
        process = processes.read(parent.pid)
        assert process is not None
        members = Members("mark", None, Watcher(), lambda: None, process.start)
        members.add(parent.pid, process.start)
        Look().take([members])
        assert len(members.pids()) == 4
        assert 40 < (members.memory_bytes() or 0) / 1024**2 < 60  # and not four times 40
        members.close()
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
