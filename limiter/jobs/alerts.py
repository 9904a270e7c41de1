"""Tells operators: shows readings to the rules of incidents, hands what they say to the channels, records the outcome.

Promises: only what is durable is sent, within a second or two of its commit; each channel has its own pace, so a dead
or slow one delays neither another nor a decision; what waits survives a restart; a server that answers late is told
once, and so is one that was being told when the limiter was stopped. While the database is away nothing can be
recorded: that is told once, from memory. Not promised: that a limiter which was killed between a message and its record
does not tell it again; then it says that it may have.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from limiter import processes
from limiter.channels import TRY_SECONDS, Channel
from limiter.committer import Committer
from limiter.jobs.audit_watch import AuditWatch
from limiter.jobs.file_watch import FileWatch
from limiter.jobs.integrity import Integrity
from limiter.jobs.sampler import Sampler
from limiter.jobs.strangers import StrangerWatch
from limiter.rules.alerts import ALERTS, FULL_DISK, OUTAGE, Alert
from limiter.rules.deliveries import Outgoing, Tried, Trying
from limiter.rules.incidents import Observe
from limiter.rules.records import Delivery
from limiter.rules.refusals import Refusal
from limiter.rules.reminders import Remind, ReminderPolicy
from limiter.rules.strangers import Reports, Stranger, together
from limiter.rules.vitals import OUTAGE_SECONDS, Vitals
from limiter.store.location import free_bytes

PERIOD_SECONDS = 1.0
OBSERVE_SECONDS = 5.0
STOP_SECONDS = 1.0  # for what is on its way at the end

log = logging.getLogger("limiter")


def room_under(folder: Path | None) -> int | None:
    """Bytes free on the disk under the folder; None where it cannot be said."""
    if folder is None:
        return None
    try:
        return free_bytes(folder)
    except OSError:
        return None


class Alerts:
    """`folder` is where the database lies, whose disk is watched; `link` ends every message where there is one.

    `backup_age` is that of the newest backup in seconds; None where none are made. `manners` say when to be quiet.
    `strangers`: None where nobody looks for bots without a slot. `file`, `integrity`: None where there is no
    file to look at; `audit`: None where nobody looks. `reports`: what agents tell of bots without a slot.
    """

    def __init__(
        self,
        committer: Committer,
        sampler: Sampler,
        channels: Mapping[str, Channel],
        folder: Path | None = None,
        link: str = "",
        backup_age: Callable[[], float] | None = None,
        manners: ReminderPolicy | None = None,
        strangers: StrangerWatch | None = None,
        file: FileWatch | None = None,
        integrity: Integrity | None = None,
        audit: AuditWatch | None = None,
        reports: Reports | None = None,
    ) -> None:
        self.committer = committer
        self.sampler = sampler
        self.channels = channels
        self.folder = folder
        self.link = link
        self.backup_age = backup_age
        self.manners = manners or ReminderPolicy()
        self.strangers = strangers
        self.file = file
        self.integrity = integrity
        self.audit = audit
        self.reports = reports or Reports()
        self._reminded_at = committer.clock.now()
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._observed_at = float("-inf")
        self._away_since: int | None = None

    async def run(self) -> None:
        """For ever, each second."""
        try:
            while True:
                await self.round()
                await asyncio.sleep(PERIOD_SECONDS)
        finally:  # what was sent and is not recorded would be sent again after the restart
            if self._sending:
                await asyncio.wait(self._sending.values(), timeout=STOP_SECONDS)
            for task in self._sending.values():
                task.cancel()

    async def round(self) -> None:
        """One look at the readings where it is time, and at what waits to be sent."""
        if time.monotonic() - self._observed_at >= OBSERVE_SECONDS:
            await self._observe()
        due = await self.committer.submit(Outgoing())
        self._sending = {name: task for name, task in self._sending.items() if not task.done()}
        if isinstance(due, Refusal):
            self._cry()
            return
        if self.committer.away_since is not None:  # a full disk takes what gives room back, and this
            self._cry()
        now = self.committer.clock.now()
        due = [delivery for delivery in due if not self.manners.holds(delivery.level, now)]
        for name in dict.fromkeys(delivery.channel for delivery in due):
            if name not in self._sending:
                mine = [delivery for delivery in due if delivery.channel == name]
                self._sending[name] = asyncio.create_task(self._deliver(mine))

    async def _observe(self) -> None:
        vitals = self._vitals()
        if not isinstance(await self.committer.submit(Observe(vitals)), Refusal):
            self._observed_at = time.monotonic()
            if vitals.outage_since is not None:
                self._away_since = None
        now = self.committer.clock.now()
        if not isinstance(await self.committer.submit(Remind(self.manners, self._reminded_at)), Refusal):
            self._reminded_at = now

    def _vitals(self) -> Vitals:
        back = self._away_since is not None and self.committer.away_since is None
        return Vitals(
            # After an outage the samples are late for a cause that is told already.
            sample_age_seconds=0.0
            if self._away_since is not None
            else self.sampler.monotonic() - self.sampler.taken_at,
            clock_step_seconds=self.committer.clock.step_seconds(),
            disk_free_bytes=room_under(self.folder),
            backup_age_seconds=self.backup_age() if self.backup_age is not None else None,
            outage_since=self._away_since if back else None,
            strangers=self._strangers(),
            damage=self.integrity.damage if self.integrity is not None else None,
            audit_cut=self.audit is not None and self.audit.gap is not None,
        )

    def _strangers(self) -> Sequence[Stranger] | None:
        here = self.strangers.lasting if self.strangers is not None else ()
        now = time.monotonic()
        if told := self.reports.standing(now):
            return together(here or (), told, processes.host())
        return here if here or self.reports.complete(now) else None

    async def _deliver(self, due: list[Delivery]) -> None:
        """One channel's messages, oldest first, as long as they get through."""
        for delivery in due:
            number, channel = delivery.number, self.channels[delivery.channel]
            if await self.committer.submit(Trying(number)) is not True:
                return  # given up meanwhile, or the database is away: what cannot be recorded is not begun
            body = self.manners.text(delivery, self.committer.state, self.committer.clock.now())
            while True:
                failure = await self._send(delivery.channel, delivery.title, body, delivery.level, delivery)
                tried = Tried(number, failure, self.manners.quiet_ms, channel.reached(number) if failure else ())
                while isinstance(await self.committer.submit(tried), Refusal):
                    await asyncio.sleep(PERIOD_SECONDS)
                if not channel.is_trying(number):
                    break  # else its answer is waited for: another message between would lose it
            if failure is not None:
                return

    async def _send(self, name: str, title: str, body: str, level: str, of: Delivery | None = None) -> str | None:
        text = f"{body}\n{self.link}" if self.link else body
        which = (of.number, of.reached) if of is not None else ()
        failure = await self.channels[name].send(title, text, ALERTS[level].severity, *which)
        told = f"channel={name} level={level}" + (f" incident={of.incident}" if of and of.incident else "")
        if failure is None:
            log.info("alert_sent %s", told)
        else:
            log.warning("alert_failed %s answer=%s", told, failure)
        return failure

    def _cry(self) -> None:
        """No start can be written, and away means no record of what was told either: tell it once an outage."""
        since = self.committer.away_since
        file = self.file.alert() if self.file is not None else None
        if since is None or self._away_since is not None:
            return
        if file is None and time.monotonic() - since < OUTAGE_SECONDS:
            return
        self._away_since = self.committer.clock.now() - int((time.monotonic() - since) * 1000)
        alert, facts = file or (OUTAGE if self.committer.failing_since is not None else FULL_DISK, {})
        title = alert.sentence(self.committer.state.language, facts)
        log.error("outage_told channels=%d", len(self.channels))
        for name in self.channels:
            self._sending[name] = asyncio.create_task(self._cry_to(name, alert, title, self._sending.get(name)))

    async def _cry_to(self, name: str, alert: Alert, title: str, before: asyncio.Task[None] | None) -> None:
        """After what this channel is busy with, whose record waits for the database itself."""
        if before is not None:
            await asyncio.wait([before], timeout=TRY_SECONDS)
        await self._send(name, title, title, alert.name)
        if before is not None:  # what it has told and not recorded yet would be due once more
            await asyncio.wait([before])
