"""For monitors: whether the limiter lives, decides, and what it checks of itself."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limiter.answers import health as s
from limiter.api.capacity import held_now, shown
from limiter.http.call import Call, Services
from limiter.http.wire import Answer, encode, ok
from limiter.jobs.file_watch import FileWatch
from limiter.jobs.watchdogs import STALL_SECONDS
from limiter.rules import checks as says
from limiter.rules.capacity import Status
from limiter.rules.deliveries import failing_channels
from limiter.rules.vitals import BACKUP_SECONDS, CLOCK_STEP_SECONDS, DISK_BYTES
from limiter.rules.words import Words
from limiter.store.location import free_bytes, log_bytes, sqlite_path
from limiter.units import GIB, MIB

STALE_SECONDS = 15.0
WAL_BYTES = 64 * MIB
ALERT_PERCENT = 90


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it is well, and what was seen, where that can be said in two languages."""

    ok: bool
    detail: Words | str

    def told(self, language: str) -> s.Check:
        """As it is answered."""
        return s.Check(self.ok, self.detail if isinstance(self.detail, str) else self.detail.told(language))


def told(found: Mapping[str, Check], call: Call) -> dict[str, s.Check]:
    """In the language that is asked for; in English where none is, for monitors look for words that stay."""
    language = call.language if b"accept-language" in call.http.headers else "en"
    return {name: check.told(language) for name, check in found.items()}


def checks(services: Services) -> tuple[dict[str, Check], bool]:
    """Each check with its detail, and whether decisions can be made; the sampler's snapshot is a write to prove it."""
    committer, sampler = services.committer, services.sampler
    stalled, away = committer.stalled_seconds(), committer.away_since
    database = says.WRITABLE if away is None else says.AWAY.filled(seconds=time.monotonic() - away)
    if committer.failing_since is None and committer.full_since is not None:
        database = says.FULL_DISK
    lost = services.file.trouble if services.file is not None else None
    age = time.monotonic() - sampler.taken_at
    step = committer.clock.step_seconds()
    # Who asks needs no key: what failed is named, the text of the exception stays in the log.
    broken = [f"{job.name}: {job.failure.partition(':')[0]}" for job in services.jobs if job.failure]
    found = {
        "database": Check(away is None and lost is None, lost or database),
        "decisions": Check(stalled < STALL_SECONDS, says.BATCH.filled(seconds=stalled) if stalled else says.IDLE),
        "accepting": Check(not committer.state.draining, says.DRAINING if committer.state.draining else says.ACCEPTING),
        "snapshots": Check(age < STALE_SECONDS, says.SECONDS_AGO.filled(seconds=age)),
        "jobs": Check(not broken, "; ".join(broken) or says.RUNNING),
        "clock": Check(abs(step) < CLOCK_STEP_SECONDS, says.MOVED.filled(seconds=step)),
    }
    drift = committer.state.drift or 0
    found["count"] = Check(not drift, says.DRIFT.filled(drift=drift) if drift else says.NO_DRIFT)
    silent = failing_channels(committer.state)
    heard = says.CHANNELS.filled(n=len(committer.state.channels))
    found["alerts"] = Check(not silent, says.FAILING.filled(names=", ".join(silent)) if silent else heard)
    path = sqlite_path(services.config.database_url)
    if path is not None:
        found |= files(path)
    if services.file is not None and lost is None:
        found["file"] = in_place(services.file)
    if (integrity := services.integrity) is not None:
        sound = says.SOUND if integrity.checked else says.NOT_READ
        found["integrity"] = Check(integrity.damage is None, integrity.damage or sound)
    if (audit := services.audit) is not None:
        cut = audit.gap.sentence if audit.gap is not None else None
        behind = says.NOT_WRITTEN if audit.head.failure else None
        found["audit"] = Check(not (cut or behind), cut or behind or says.NEWEST)
    if (backups := services.backups) is not None:
        age = backups.age_seconds()
        last = says.NO_BACKUP if backups.made_at() is None else says.HOURS_AGO.filled(hours=age / 3600)
        told = says.THEN_FAILED.filled(last=last) if backups.failure else last
        found["backup"] = Check(backups.failure is None and age < BACKUP_SECONDS, told)
    return found, all(found[name].ok for name in ("database", "decisions", "accepting"))


def in_place(watch: FileWatch) -> Check:
    """The database's own files."""
    if watch.writer.others_wrote:
        return Check(False, says.WRITTEN)
    if watch.file.index_lost:
        return Check(False, says.NO_INDEX)
    names = watch.file.names
    return Check(names == 1, says.IN_PLACE if names == 1 else says.NAMES.filled(n=names))


def files(path: Path) -> dict[str, Check]:
    """The write-ahead log and the disk under the database."""
    try:
        wal, free = log_bytes(path), free_bytes(path.parent)
    except OSError as error:
        return {"disk": Check(False, error.strerror or says.UNREADABLE)}
    return {
        "wal": Check(wal < WAL_BYTES, says.MEBIBYTES.filled(size=wal / MIB)),
        "disk": Check(free > DISK_BYTES, says.FREE.filled(size=free / GIB)),
    }


async def health(call: Call) -> Answer:
    """For an outside monitor: 503 where no decision can be made, or from `fail_at` percent on where it is asked for."""
    fail_at = call.wanted_number("fail_at", 1, 100)
    held = held_now(call.services, call.now())
    found, alive = checks(call.services)
    status = "down" if not alive else "ok" if all(check.ok for check in found.values()) else "degraded"
    alert = held.status is Status.FULL or 100 * held.current >= ALERT_PERCENT * held.maximum
    success = alive and not (fail_at is not None and 100 * held.current >= fail_at * held.maximum)
    answer = s.HealthAnswer(
        success, status, "CAPACITY_ALERT" if alert else "CAPACITY_OK", shown(held), told(found, call)  # type: ignore[arg-type]
    )  # fmt: skip
    return Answer(200 if success else 503, encode(answer))


async def livez(call: Call) -> Answer:
    """The event loop turns."""
    return ok(s.Alive())


async def readyz(call: Call) -> Answer:
    """Decisions can be made now."""
    found, alive = checks(call.services)
    if alive:
        return ok(s.Alive())
    failed = {name: check for name, check in told(found, call).items() if not check.ok}
    return Answer(503, encode({"success": False, "checks": failed}))
