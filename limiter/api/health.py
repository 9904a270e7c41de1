"""For monitors: whether the limiter lives, decides, and what it checks of itself."""

import time
from pathlib import Path

from limiter.answers import health as s
from limiter.api.capacity import shown
from limiter.http.call import Call, Services
from limiter.http.wire import Answer, encode, ok
from limiter.jobs.watchdogs import STALL_SECONDS
from limiter.rules.capacity import Status
from limiter.rules.deliveries import failing_channels
from limiter.rules.incidents import BACKUP_SECONDS, CLOCK_STEP_SECONDS, DISK_BYTES
from limiter.rules.room import capacity
from limiter.store.location import free_bytes, log_bytes, sqlite_path
from limiter.units import GIB, MIB

STALE_SECONDS = 15.0
WAL_BYTES = 64 * MIB
ALERT_PERCENT = 90


def checks(services: Services) -> tuple[dict[str, s.Check], bool]:
    """Each check with its detail, and whether decisions can be made; the sampler's snapshot is a write to prove it."""
    committer, sampler = services.committer, services.sampler
    stalled, away = committer.stalled_seconds(), committer.away_since
    database = "writable" if away is None else f"not writable for {time.monotonic() - away:.0f} s"
    if committer.failing_since is None and committer.full_since is not None:
        database = "the disk is full: bots can stop, none can start"
    lost = services.file.trouble if services.file is not None else None
    age = time.monotonic() - sampler.taken_at
    step = committer.clock.step_seconds()
    # Who asks needs no key: what failed is named, the text of the exception stays in the log.
    broken = [f"{job.name}: {job.failure.partition(':')[0]}" for job in services.jobs if job.failure]
    found = {
        "database": s.Check(away is None and lost is None, lost or database),
        "decisions": s.Check(stalled < STALL_SECONDS, f"batch under way for {stalled:.1f} s" if stalled else "idle"),
        "accepting": s.Check(not committer.state.draining, "draining" if committer.state.draining else "accepting"),
        "snapshots": s.Check(age < STALE_SECONDS, f"last {age:.0f} s ago"),
        "jobs": s.Check(not broken, "; ".join(broken) or "running"),
        "clock": s.Check(abs(step) < CLOCK_STEP_SECONDS, f"wall clock moved by {step:.1f} s since the start"),
    }
    drift = committer.state.drift or 0
    found["count"] = s.Check(not drift, f"was wrong by {drift}: repaired" if drift else "the same in memory and rows")
    silent = failing_channels(committer.state)
    told = f"{', '.join(silent)} failing" if silent else f"{len(committer.state.channels)} channels"
    found["alerts"] = s.Check(not silent, told)
    path = sqlite_path(services.config.database_url)
    if path is not None:
        found |= files(path)
    if services.file is not None and lost is None:
        names = services.file.file.names
        told = "in its place" if names == 1 else f"{names} names: a program that opens it by another one spoils it"
        found["file"] = s.Check(names == 1, told)
    if (integrity := services.integrity) is not None:
        sound = "sound" if integrity.checked else "not read yet: it waits for a quiet minute"
        found["integrity"] = s.Check(integrity.damage is None, integrity.damage or sound)
    if (audit := services.audit) is not None:
        cut = audit.gap.sentence.en if audit.gap is not None else None
        behind = "its end cannot be written down outside of the database: see the log" if audit.head.failure else None
        found["audit"] = s.Check(not (cut or behind), cut or behind or "its newest rows are there")
    if (backups := services.backups) is not None:
        age = backups.age_seconds()
        last = "none yet" if backups.made_at() is None else f"last {age / 3600:.1f} h ago"
        told = f"{last}, and then one failed: see the log" if backups.failure else last
        found["backup"] = s.Check(backups.failure is None and age < BACKUP_SECONDS, told)
    return found, all(found[name].ok for name in ("database", "decisions", "accepting"))


def files(path: Path) -> dict[str, s.Check]:
    """The write-ahead log and the disk under the database."""
    try:
        wal, free = log_bytes(path), free_bytes(path.parent)
    except OSError as error:
        return {"disk": s.Check(False, error.strerror or "cannot be read")}
    return {
        "wal": s.Check(wal < WAL_BYTES, f"{wal / MIB:.1f} MiB"),
        "disk": s.Check(free > DISK_BYTES, f"{free / GIB:.1f} GiB free"),
    }


async def health(call: Call) -> Answer:
    """For an outside monitor: 503 where no decision can be made, or from `fail_at` percent on where it is asked for."""
    fail_at = call.wanted_number("fail_at", 1, 100)
    held = capacity(call.services.committer.state, call.now())
    found, alive = checks(call.services)
    status = "down" if not alive else "ok" if all(check.ok for check in found.values()) else "degraded"
    alert = held.status is Status.FULL or 100 * held.current >= ALERT_PERCENT * held.maximum
    success = alive and not (fail_at is not None and 100 * held.current >= fail_at * held.maximum)
    answer = s.HealthAnswer(
        success, status, "CAPACITY_ALERT" if alert else "CAPACITY_OK", shown(held), found  # type: ignore[arg-type]
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
    failed = {name: check for name, check in found.items() if not check.ok}
    return Answer(503, encode({"success": False, "checks": failed}))
