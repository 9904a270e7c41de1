"""Bots without a slot, with real processes: found where they hold none, and where they hold one passed over."""

import asyncio
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import psutil
import pytest

from limiter import processes
from limiter.clock import Clock
from limiter.committer import Committer
from limiter.jobs.alerts import Alerts
from limiter.jobs.sampler import Sampler
from limiter.jobs.strangers import ASKING_SECONDS, MARK, Holders, StrangerWatch, look
from limiter.rules.alerts import message
from limiter.rules.limits import defaults
from limiter.rules.records import Session
from limiter.rules.sessions import Heartbeat, Start, Stop
from limiter.rules.strangers import Reports, Stranger
from limiter.store.engine import open_writer
from limiter.store.sqlite_writer import SqliteWriter
from tests.conftest import wait_until
from tests.rules.world import NOW, SECOND, asked

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
Spawn = Callable[..., subprocess.Popen[bytes]]
NAME = f"bot-{secrets.token_hex(4)}"
PATTERN = re.compile(rf"^{NAME}\b")


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """`spawn("60")`: /bin/sleep under the name that the pattern matches; `program` and `environ` as wanted."""
    made: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str, program: str = "sleep", **environ: str) -> subprocess.Popen[bytes]:
        made.append(
            subprocess.Popen(
                [NAME, *arguments], executable=shutil.which(program), env=os.environ | environ, start_new_session=True
            )
        )
        wait_until(lambda: NAME in " ".join(psutil.Process(made[-1].pid).cmdline()), 5)  # it is the program by now
        return made[-1]

    yield start
    for one in made:
        os.killpg(one.pid, signal.SIGKILL)
        one.wait()


def found(*holders: frozenset[str]) -> list[Stranger]:
    return look(PATTERN, Holders(*holders), os.getpid())


def test_a_bot_without_a_slot_is_found_with_what_an_operator_needs(spawn: Spawn) -> None:
    bot = spawn("60")
    (one,) = found()
    assert (one.pid, one.command) == (bot.pid, f"{NAME} 60")
    assert one.name in ("sleep", "coreutils")
    assert 0 < one.memory_bytes < 8 * 1024**2
    assert one.since == int(psutil.Process(bot.pid).create_time() * 1000)


def test_one_whose_name_and_words_are_bytes_of_no_text_is_shown_with_marks(spawn: Spawn) -> None:
    """Neither JSON nor a database takes them as the kernel has them."""
    bot = spawn("-c", "printf 'b\\377\\001' >/proc/$$/comm; sleep 60 & wait", os.fsdecode(b"w\xff"), program="bash")
    wait_until(lambda: Path(f"/proc/{bot.pid}/comm").read_bytes().startswith(b"b\xff"), 5)
    (one,) = found()
    assert one.name == "b\ufffd\ufffd" and one.command.endswith(" w\ufffd")


def test_one_that_carries_a_live_session_is_none_and_one_of_an_ended_session_is(spawn: Spawn) -> None:
    bot = spawn("60", **{MARK: "s1.secret"})
    assert found(frozenset({"s1.secret", "s2.other"})) == []
    assert [one.pid for one in found(frozenset({"s2.other"}))] == [bot.pid]


def test_one_whose_session_told_its_identity_is_none(spawn: Spawn) -> None:
    bot = spawn("60")
    identity = processes.identity(bot.pid)
    assert identity is not None
    assert found(frozenset(), frozenset({identity})) == []
    assert len(found(frozenset(), frozenset({identity.replace(".", ".1", 1)}))) == 1, "the pid of another time"


def test_what_a_holder_started_is_none_whatever_its_environment(spawn: Spawn) -> None:
    script = f"env -i bash -c 'exec -a {NAME}-worker sleep 60' & wait"
    spawn("-c", script, program="bash", **{MARK: "s1.secret"})
    children = wait_until(
        lambda: [
            one
            for one in psutil.process_iter(["cmdline"])
            if f"{NAME}-worker" in str(one.info["cmdline"]) and len(one.info["cmdline"]) == 2
        ],
        5,
    )
    assert len(children) == 1 and MARK not in children[0].environ()
    assert found(frozenset({"s1.secret"})) == []
    (one,) = found()
    assert one.pid == children[0].ppid(), "the topmost alone"
    assert one.memory_bytes > found_memory(children[0].pid)


def found_memory(pid: int) -> int:
    """Bytes of no file that one process holds."""
    lines = processes.text(f"{pid}/status").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "VmSwap")))


def test_the_limiter_itself_is_none() -> None:
    own = psutil.Process()
    pattern = re.compile(re.escape(" ".join(own.cmdline())[:60]))
    assert own.pid not in [one.pid for one in look(pattern, Holders(), own.pid)]


def test_a_process_that_is_gone_has_no_identity() -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    assert processes.identity(done.pid) is None
    assert processes.identity() == processes.identity(os.getpid())


def test_the_identity_is_the_same_inside_and_outside_of_a_container() -> None:
    told = "from limiter.processes import identity; print(identity(), flush=True); input()"
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", told]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as outer:
        assert outer.stdout is not None and outer.stdin is not None
        identity = outer.stdout.readline().decode().strip()
        try:
            if not identity:
                pytest.skip("no new namespace of pids may be made here")
            (child,) = psutil.Process(outer.pid).children()
            assert identity.startswith("1.")
            assert processes.identity(child.pid) == identity
        finally:
            outer.stdin.close()


# -- the job


Test = Callable[[Committer, StrangerWatch], Any]


class Time:
    """Monotonic seconds that pass when the test says so."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def run(path: Path, test: Test, time: Time | None = None, beforehand: Callable[[Committer], Any] | None = None) -> None:
    """The test with a committer on a real file and a watch."""

    async def whole() -> None:
        clock = Clock(lambda: NOW / SECOND, lambda: 0.0)
        writer = SqliteWriter(open_writer(f"sqlite:///{path / 'limiter.db'}"))
        committer = Committer(writer.restore(defaults(), UTC, clock.now()), writer, clock)
        try:
            if beforehand is not None:
                await beforehand(committer)
            await test(committer, StrangerWatch(committer, PATTERN, time or Time()))
        finally:
            await committer.close()

    asyncio.run(whole())


async def admit(committer: Committer, process: str | None = None) -> Session:
    start = asked("u1")
    told = Start(start.request_id, "u1", None, start.made_bot, start.secret, process=process)
    session: Session = (await committer.submit(told)).session
    return session


def test_two_looks_tell_and_one_that_sees_none_ends_it(tmp_path: Path, spawn: Spawn) -> None:
    async def test(committer: Committer, watch: StrangerWatch) -> None:
        alerts = Alerts(committer, Sampler(committer), {}, strangers=watch)

        async def told() -> str | None:
            alerts._observed_at = float("-inf")
            await alerts.round()
            incident = committer.state.incidents.get("strangers")
            return message(incident, "fr") if incident is not None else None

        bot = spawn("60")
        assert (watch.lasting, await told()) == (None, None)
        await watch.look()
        assert watch.seen is not None and [one.pid for one in watch.seen] == [bot.pid]
        assert (watch.lasting, await told()) == (None, None), "it may ask for a slot yet"
        await watch.refresh(0)
        assert watch.lasting is None, "what the API asks for is no second look"
        await watch.look()
        assert watch.lasting == watch.seen
        assert f"1, dont le processus {bot.pid}" in (await told() or "")
        assert f"limiter run --adopt {bot.pid} --user" in (await told() or "")
        session = await admit(committer, processes.identity(bot.pid))
        await watch.look()
        assert (watch.seen, watch.lasting, await told()) == ((), (), None)
        await committer.submit(Stop(session.number, session.secret))
        await watch.look()
        await watch.look()
        assert await told() is not None, "its slot is given back and it runs on"

    run(tmp_path, test)


def test_what_agents_tell_is_over_when_they_have_had_the_time_to_say_it_again(tmp_path: Path, spawn: Spawn) -> None:
    """What they said is not kept over a restart: it would be over, and begin anew within half a minute."""
    far = Stranger(7, "python3", "u1/b1", 1, NOW, "far")

    async def test(committer: Committer, _: StrangerWatch) -> None:
        async def told(reports: Reports) -> bool:
            alerts = Alerts(committer, Sampler(committer), {}, reports=reports)
            await alerts.round()
            return "strangers" in committer.state.incidents

        began, now = Reports(time.monotonic()), time.monotonic()
        assert not await told(began)
        began.tell(("far", "a", "k"), [far], now)
        assert await told(began)
        assert await told(Reports(time.monotonic())), "after a restart"
        assert not await told(Reports())

    run(tmp_path, test)


def test_one_that_waits_for_a_slot_is_none_for_as_long_as_it_asks(tmp_path: Path, spawn: Spawn) -> None:
    time = Time()

    async def test(_: Committer, watch: StrangerWatch) -> None:
        watch.asks(processes.identity(spawn("60").pid) or "")
        await watch.look()
        assert watch.seen == ()
        time.seconds += ASKING_SECONDS
        await watch.look()
        assert watch.seen is not None and len(watch.seen) == 1

    run(tmp_path, test, time)


def test_after_a_restart_nobody_is_told_of_before_every_bot_could_beat(tmp_path: Path, spawn: Spawn) -> None:
    time, bot = Time(), spawn("60")

    async def test(committer: Committer, watch: StrangerWatch) -> None:
        (session,) = committer.state.sessions.values()
        assert session.process is None
        await watch.look()
        assert watch.seen is None
        await committer.submit(Heartbeat(session.number, session.secret, process=processes.identity(bot.pid)))
        time.seconds += session.lease_ms / 2000
        await watch.look()
        assert watch.seen == ()

    run(tmp_path, test, time, beforehand=admit)
