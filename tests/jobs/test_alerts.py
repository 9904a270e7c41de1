"""Alerts on their whole way, in one process: real commits to a real file, real posts to a server on this machine."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from limiter.channels import open_channels
from limiter.clock import Clock
from limiter.committer import Committer
from limiter.jobs import alerts as module
from limiter.jobs.alerts import Alerts, room_under
from limiter.jobs.sampler import Sampler
from limiter.rules.hours import Hours
from limiter.rules.incidents import Acknowledge, SendTest
from limiter.rules.limits import Setting, defaults
from limiter.rules.records import Delivery
from limiter.rules.refusals import Refusal
from limiter.rules.reminders import PERHAPS, ReminderPolicy
from limiter.rules.sessions import Admission, Heartbeat, Stop
from limiter.store import read
from limiter.store.engine import open_reader, open_writer, reading
from limiter.store.sqlite_writer import SqliteWriter
from tests.rules.world import NOW, SECOND, asked
from tests.webhook import Webhook

# Apprise's mail plugin imports a module that Python deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

THRESHOLD, URGENT, FULL = "⚠️ Capacité à 80 % !", "🚨 URGENT : Presque plein !", "❌ SERVEUR PLEIN !"


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A server that takes what channels post."""
    with Webhook() as server:
        yield server


class Limiter:
    """A committer on a real file with a job that delivers; time passes when the test says so."""

    def __init__(self, path: Path, addresses: list[str], link: str = "") -> None:
        self.path = path
        self.seconds = 0.0
        channels = open_channels(addresses)
        clock = Clock(lambda: NOW / SECOND, lambda: self.seconds)
        limits = {**defaults(), "MAX_CONCURRENT_BOTS": Setting(20, "environment")}
        writer = SqliteWriter(open_writer(f"sqlite:///{path}"))
        self.committer = Committer(writer.restore(limits, UTC, clock.now(), channels), writer, clock)
        self.sampler = Sampler(self.committer)
        self.alerts = Alerts(self.committer, self.sampler, channels, path.parent, link)

    async def start(self, bots: int) -> None:
        for answer in await asyncio.gather(*(self.committer.submit(asked(f"u{n}")) for n in range(bots))):
            assert isinstance(answer, Admission), answer

    async def stop(self, bots: int) -> None:
        for session in list(self.committer.state.sessions.values())[:bots]:
            await self.committer.submit(Stop(session.number, session.secret))

    async def deliver(self, seconds: float = 0) -> None:
        """A round of the job after so many seconds, and whatever it began, to its end."""
        self.seconds += seconds
        await self.alerts.round()
        await asyncio.gather(*self.alerts._sending.values())

    def kept(self) -> list[Delivery]:
        """Every delivery as the file has it."""
        engine = open_reader(f"sqlite:///{self.path}")
        with reading(engine) as connection:
            found = read.incidents.numbered(connection, list(range(1, 100)))
        engine.dispose()
        return found

    async def close(self) -> None:
        await self.committer.close()


Test = Callable[[Limiter], Coroutine[Any, Any, None]]


def run(test: Test, path: Path, *addresses: str, link: str = "") -> None:
    """The test's coroutine, with a limiter that is closed at its end."""

    async def whole() -> None:
        limiter = Limiter(path, list(addresses), link)
        try:
            await test(limiter)
        finally:
            await limiter.close()

    asyncio.run(whole())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "limiter.db"


def test_each_crossing_arrives_once(path: Path, webhook: Webhook) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.start(20)  # in few batches: none hides a crossing
        await limiter.deliver()
        await limiter.deliver()

    run(test, path, webhook.address("/hook"))
    assert webhook.titles("/hook") == [THRESHOLD, URGENT, FULL]
    assert [post["type"] for post in webhook.posts("/hook")] == ["warning", "failure", "failure"]
    assert webhook.posts("/hook")[2]["message"] == "20/20 bots actifs (100,0 %), 0 place libre."


def test_every_message_ends_with_the_link(path: Path, webhook: Webhook) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.start(16)
        await limiter.deliver()

    run(test, path, webhook.address("/hook"), link="https://bots.example/admin")
    assert webhook.posts("/hook")[0]["message"].endswith("\nhttps://bots.example/admin")


def test_a_quiet_hour_holds_what_is_not_critical_until_it_is_over(path: Path, webhook: Webhook) -> None:
    async def test(limiter: Limiter) -> None:
        limiter.alerts.manners = ReminderPolicy(quiet=Hours.read("11:30-20:00"))
        await limiter.start(20)
        await limiter.deliver()
        assert webhook.titles("/hook") == [URGENT, FULL]
        await limiter.deliver(8 * 3600)
        assert THRESHOLD in webhook.titles("/hook")

    run(test, path, webhook.address("/hook"))
    assert "Vrai à 12:00 ;" in next(post["message"] for post in webhook.posts("/hook") if post["title"] == THRESHOLD)


def test_a_full_server_that_nobody_looks_after_is_told_again(path: Path, webhook: Webhook) -> None:
    async def test(limiter: Limiter) -> None:
        limiter.alerts.manners = ReminderPolicy(repeat_minutes=1)
        await limiter.start(20)
        await limiter.deliver()
        for _ in range(3):
            limiter.seconds += 50  # within the lease
            for session in list(limiter.committer.state.sessions.values()):
                await limiter.committer.submit(Heartbeat(session.number, session.secret))
            limiter.alerts._observed_at = float("-inf")  # it looks each 5 s of real time
            await limiter.deliver()
        told = [title for title in webhook.titles("/hook") if title.startswith("🔁")]
        assert told == [f"🔁 Toujours, depuis {minutes} min : {FULL}" for minutes in (1, 2)]

    run(test, path, webhook.address("/hook"))


@pytest.mark.parametrize("status", [500, 429])
def test_one_channel_that_fails_or_wants_less_does_not_hold_up_another(
    path: Path, webhook: Webhook, status: int
) -> None:
    webhook.statuses["/bad"] = status

    async def test(limiter: Limiter) -> None:
        await limiter.start(20)
        await limiter.deliver()
        for _ in range(2):
            await limiter.deliver(1)
        assert webhook.titles("/hook") == [THRESHOLD, URGENT, FULL]
        assert webhook.titles("/bad") == [THRESHOLD, URGENT, FULL], "each is tried at once"
        webhook.statuses["/bad"] = 200
        await limiter.deliver(7.9)
        assert len(webhook.titles("/bad")) == 3, "then the channel rests for 8 s"
        await limiter.deliver(0.2)
        assert webhook.titles("/bad") == [THRESHOLD, URGENT, FULL] * 2
        assert webhook.titles("/hook") == [THRESHOLD, URGENT, FULL]

    run(test, path, webhook.address("/hook"), webhook.address("/bad"))


def test_the_outcome_is_in_the_database_without_secrets(path: Path, webhook: Webhook) -> None:
    webhook.statuses["/hush-hush-token"] = 401

    async def test(limiter: Limiter) -> None:
        await limiter.start(16)
        await limiter.deliver()
        (one,) = limiter.kept()
        assert (one.channel, one.state, one.tries, one.next_try_at) == ("json", "pending", 1, NOW + 2 * SECOND)
        assert one.answer is not None and "401" in one.answer and "hush" not in one.answer

    run(test, path, webhook.address("/hush-hush-token"))
    assert "hush" not in path.read_bytes().decode("latin-1")


def test_what_waits_survives_a_restart_and_what_was_told_is_not_told_again(path: Path, webhook: Webhook) -> None:
    webhook.statuses["/bad"] = 500
    addresses = (webhook.address("/hook"), webhook.address("/bad"))

    async def before(limiter: Limiter) -> None:
        await limiter.start(16)
        await limiter.deliver()

    async def after(limiter: Limiter) -> None:
        assert limiter.committer.state.incidents["capacity"].rank == 1
        assert limiter.committer.state.channels["json-2"].failures == 1
        webhook.statuses["/bad"] = 200
        await limiter.start(0)
        await limiter.deliver(10)
        await limiter.stop(1)
        await limiter.deliver(10)

    run(before, path, *addresses)
    run(after, path, *addresses)
    assert webhook.titles("/hook") == [THRESHOLD]
    assert webhook.titles("/bad") == [THRESHOLD, THRESHOLD]


def test_an_incident_that_is_over_can_be_acknowledged(path: Path) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.start(16)
        await limiter.stop(2)
        answer = await limiter.committer.submit(Acknowledge(1, "seen", "ana"))
        assert (answer.status, answer.acknowledged_by) == ("resolved", "ana")
        assert isinstance(await limiter.committer.submit(Acknowledge(2, "seen", "ana")), Refusal)

    run(test, path)


def test_a_dead_and_a_silent_channel_delay_no_decision(path: Path, webhook: Webhook) -> None:
    webhook.delays["/silent"] = 3.0
    webhook.delays["/slow"] = 0.5

    async def test(limiter: Limiter) -> None:
        await limiter.start(16)
        await limiter.alerts.round()
        worst = 0.0
        for n in range(200):
            began = time.perf_counter()
            await limiter.committer.submit(asked(f"v{n}"))
            worst = max(worst, time.perf_counter() - began)
        assert worst < 0.5
        assert not limiter.alerts._sending["json"].done(), "still waiting for its answer"
        await asyncio.gather(*limiter.alerts._sending.values())

    run(test, path, webhook.address("/silent"), webhook.address("/slow"), "json://127.0.0.1:9/dead-channel")


def test_a_channel_that_answers_late_is_told_once(
    path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limiter.channels.TRY_SECONDS", 0.2)
    webhook.delays["/silent"] = 1.0

    async def test(limiter: Limiter) -> None:
        await limiter.start(16)
        await limiter.alerts.round()
        while not (one := limiter.kept()[0]).tries:
            await asyncio.sleep(0.01)
        assert (one.state, one.answer) == ("pending", "no answer for 0 s")
        for user in ("late-1", "late-2", "late-3"):
            await limiter.committer.submit(asked(user))
        await limiter.deliver(300)
        states = [(one.state, one.answer) for one in limiter.kept()]
        assert states == [("sent", None), ("pending", None)], "another message does not come between"
        webhook.delays.clear()
        await limiter.deliver(300)
        assert [(one.state, one.tries) for one in limiter.kept()][1] == ("sent", 1)

    run(test, path, webhook.address("/silent"))
    assert webhook.titles("/silent") == [THRESHOLD, URGENT]


def test_what_is_on_its_way_at_the_end_is_recorded_and_not_told_again(path: Path, webhook: Webhook) -> None:
    webhook.delays["/slow"] = 0.3

    async def before(limiter: Limiter) -> None:
        await limiter.start(16)
        job = asyncio.create_task(limiter.alerts.run())
        while not webhook.came:
            await asyncio.sleep(0.01)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        (one,) = limiter.kept()
        assert one.state == "sent"

    async def after(limiter: Limiter) -> None:
        await limiter.deliver(300)

    run(before, path, webhook.address("/slow"))
    run(after, path, webhook.address("/slow"))
    assert webhook.titles("/slow") == [THRESHOLD]


def test_what_was_on_its_way_at_a_kill_is_told_again_and_says_that_it_may_have_arrived(
    path: Path, webhook: Webhook
) -> None:
    webhook.delays["/slow"] = 0.3

    async def before(limiter: Limiter) -> None:
        await limiter.start(16)
        await limiter.alerts.round()
        while not webhook.came:
            await asyncio.sleep(0.01)
        for task in limiter.alerts._sending.values():  # as SIGKILL does: nothing is recorded any more
            task.cancel()
        (one,) = limiter.kept()
        assert (one.state, one.tries, one.answer) == ("pending", 0, "being sent")

    async def after(limiter: Limiter) -> None:
        await limiter.deliver(1)
        await limiter.deliver(300)
        (one,) = limiter.kept()
        assert (one.state, one.tries, one.answer) == ("sent", 1, None)

    run(before, path, webhook.address("/slow"))
    run(after, path, webhook.address("/slow"))
    first, second = (post["message"] for post in webhook.posts("/slow"))
    assert second == f"{first} {PERHAPS.fr}"


def test_a_test_message_reaches_every_channel_once(path: Path, webhook: Webhook) -> None:
    webhook.statuses["/bad"] = 404

    async def test(limiter: Limiter) -> None:
        await limiter.committer.submit(SendTest("ana"))
        await limiter.deliver()
        await limiter.deliver(600)
        assert [(one.channel, one.state, one.tries) for one in limiter.kept()] == [
            ("json", "sent", 1),
            ("json-2", "failed", 1),
        ]

    run(test, path, webhook.address("/hook"), webhook.address("/bad"))
    assert webhook.titles("/hook") == ["🔔 Message d'essai du limiteur"]


def test_an_outage_is_told_from_memory_once_and_recorded_afterwards(
    path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OUTAGE_SECONDS", 0.1)
    monkeypatch.setattr(module, "OBSERVE_SECONDS", 0.0)

    async def test(limiter: Limiter) -> None:
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        assert isinstance(await limiter.committer.submit(asked("u1")), Refusal)
        deadline = time.monotonic() + 20
        while not webhook.titles("/hook"):
            assert time.monotonic() < deadline
            await limiter.deliver(1)
        await limiter.deliver(1)
        other.rollback()
        other.close()
        while limiter.committer.failing_since is not None:
            await limiter.deliver(1)
        await limiter.deliver(1)
        engine = open_reader(f"sqlite:///{path}")
        with reading(engine) as connection:
            (incident,) = read.incidents.incidents(connection)
        engine.dispose()
        assert (incident.kind, incident.status) == ("storage", "resolved")
        assert incident.resolved_at is not None and incident.resolved_at > incident.opened_at

    run(test, path, webhook.address("/hook"))
    assert webhook.titles("/hook") == ["⛔ Base de données indisponible : démarrages refusés"]


def test_a_full_disk_is_told_once_and_recorded_when_there_is_room(
    path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OUTAGE_SECONDS", 0.0)
    monkeypatch.setattr(module, "OBSERVE_SECONDS", 0.0)
    monkeypatch.setattr(module, "room_under", lambda _folder: None)

    async def test(limiter: Limiter) -> None:
        limiter.committer.full_since = time.monotonic()
        assert isinstance(await limiter.committer.submit(asked("u1")), Refusal)
        await limiter.deliver(1)
        await limiter.deliver(1)
        limiter.committer.full_since = None
        await limiter.deliver(1)
        await limiter.deliver(1)

    run(test, path, webhook.address("/hook"))
    told = "⛔ Disque plein : démarrages refusés, les bots peuvent s'arrêter. Fais de la place"
    assert webhook.titles("/hook") == [told]


def test_a_message_whose_record_waits_for_the_database_is_not_told_again_when_it_is_back(
    path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OUTAGE_SECONDS", 0.1)
    monkeypatch.setattr(module, "TRY_SECONDS", 0.1)
    monkeypatch.setattr(module, "PERIOD_SECONDS", 4.0)  # for which the record waits once it was refused
    webhook.delays["/slow"] = 0.3

    async def test(limiter: Limiter) -> None:
        await limiter.start(16)
        await limiter.alerts.round()
        while not webhook.came:
            await asyncio.sleep(0.01)
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        while len(webhook.titles("/slow")) < 2:
            await limiter.alerts.round()
            await asyncio.sleep(0.05)
        assert isinstance(await limiter.committer.submit(asked("late")), Refusal), "so the record was refused too"
        other.rollback()
        other.close()
        while limiter.committer.state.deliveries:
            await limiter.alerts.round()
            await asyncio.sleep(0.05)
        await limiter.deliver(300)

    run(test, path, webhook.address("/slow"))
    assert webhook.titles("/slow") == [THRESHOLD, "⛔ Base de données indisponible : démarrages refusés"]


def test_a_fault_in_the_alerts_stops_no_decision(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(state: object, now: int) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("limiter.committer.watch", broken)

    async def test(limiter: Limiter) -> None:
        await limiter.start(20)

    run(test, path)


def test_the_room_on_the_disk(tmp_path: Path) -> None:
    free = room_under(tmp_path)
    assert free is not None and free > 0
    assert room_under(None) is None
    assert room_under(tmp_path / "nowhere") is None


def test_no_thread_outlives_its_try(path: Path, webhook: Webhook) -> None:
    async def test(limiter: Limiter) -> None:
        await limiter.start(20)
        await limiter.deliver()

    run(test, path, webhook.address("/hook"))
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("alert-") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
