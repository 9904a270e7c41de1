"""For monitors: whether the limiter lives, decides, and what it checks of itself."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
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
from limiter.rules.words import Words
from limiter.store.location import free_bytes, log_bytes, sqlite_path
from limiter.units import GIB, MIB

STALE_SECONDS = 15.0
WAL_BYTES = 64 * MIB
ALERT_PERCENT = 90

WRITABLE = Words("accepte les écritures", "writable")
AWAY = Words("ne prend rien depuis {seconds:.0f} s", "not writable for {seconds:.0f} s")
FULL_DISK = Words(
    "le disque est plein : les bots peuvent s'arrêter, aucun ne démarre",
    "the disk is full: bots can stop, none can start",
)
BATCH = Words("un lot en cours depuis {seconds:.1f} s", "batch under way for {seconds:.1f} s")
IDLE = Words("au repos", "idle")
DRAINING, ACCEPTING = Words("arrêt en cours", "draining"), Words("ouvert", "accepting")
SECONDS_AGO = Words("la dernière il y a {seconds:.0f} s", "last {seconds:.0f} s ago")
RUNNING = Words("en marche", "running")
MOVED = Words(
    "horloge décalée de {seconds:.1f} s depuis le démarrage", "wall clock moved by {seconds:.1f} s since the start"
)
DRIFT = Words("était faux de {drift} : réparé", "was wrong by {drift}: repaired")
NO_DRIFT = Words("le même en mémoire et en base", "the same in memory and rows")
CHANNELS, FAILING = Words("canaux : {n}", "{n} channels"), Words("en échec : {names}", "{names} failing")
IN_PLACE = Words("à sa place", "in its place")
NAMES = Words(
    "{n} noms : un programme qui l'ouvre par un autre l'abîme",
    "{n} names: a program that opens it by another one spoils it",
)
SOUND = Words("intègre", "sound")
NOT_READ = Words("pas encore lue : elle attend une minute calme", "not read yet: it waits for a quiet minute")
NOT_WRITTEN = Words(
    "sa fin ne peut être notée hors de la base : voir le journal",
    "its end cannot be written down outside of the database: see the log",
)
NEWEST = Words("ses dernières lignes sont là", "its newest rows are there")
NO_BACKUP = Words("aucune encore", "none yet")
HOURS_AGO = Words("la dernière il y a {hours:.1f} h", "last {hours:.1f} h ago")
THEN_FAILED = Words("{last}, puis une a échoué : voir le journal", "{last}, and then one failed: see the log")
UNREADABLE = Words("illisible", "cannot be read")
MEBIBYTES = Words("{size:.1f} Mio", "{size:.1f} MiB")
FREE = Words("{size:.1f} Gio libres", "{size:.1f} GiB free")


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
    database = WRITABLE if away is None else AWAY.filled(seconds=time.monotonic() - away)
    if committer.failing_since is None and committer.full_since is not None:
        database = FULL_DISK
    lost = services.file.trouble if services.file is not None else None
    age = time.monotonic() - sampler.taken_at
    step = committer.clock.step_seconds()
    # Who asks needs no key: what failed is named, the text of the exception stays in the log.
    broken = [f"{job.name}: {job.failure.partition(':')[0]}" for job in services.jobs if job.failure]
    found = {
        "database": Check(away is None and lost is None, lost or database),
        "decisions": Check(stalled < STALL_SECONDS, BATCH.filled(seconds=stalled) if stalled else IDLE),
        "accepting": Check(not committer.state.draining, DRAINING if committer.state.draining else ACCEPTING),
        "snapshots": Check(age < STALE_SECONDS, SECONDS_AGO.filled(seconds=age)),
        "jobs": Check(not broken, "; ".join(broken) or RUNNING),
        "clock": Check(abs(step) < CLOCK_STEP_SECONDS, MOVED.filled(seconds=step)),
    }
    drift = committer.state.drift or 0
    found["count"] = Check(not drift, DRIFT.filled(drift=drift) if drift else NO_DRIFT)
    silent = failing_channels(committer.state)
    heard = CHANNELS.filled(n=len(committer.state.channels))
    found["alerts"] = Check(not silent, FAILING.filled(names=", ".join(silent)) if silent else heard)
    path = sqlite_path(services.config.database_url)
    if path is not None:
        found |= files(path)
    if services.file is not None and lost is None:
        names = services.file.file.names
        found["file"] = Check(names == 1, IN_PLACE if names == 1 else NAMES.filled(n=names))
    if (integrity := services.integrity) is not None:
        sound = SOUND if integrity.checked else NOT_READ
        found["integrity"] = Check(integrity.damage is None, integrity.damage or sound)
    if (audit := services.audit) is not None:
        cut = audit.gap.sentence if audit.gap is not None else None
        behind = NOT_WRITTEN if audit.head.failure else None
        found["audit"] = Check(not (cut or behind), cut or behind or NEWEST)
    if (backups := services.backups) is not None:
        age = backups.age_seconds()
        last = NO_BACKUP if backups.made_at() is None else HOURS_AGO.filled(hours=age / 3600)
        told = THEN_FAILED.filled(last=last) if backups.failure else last
        found["backup"] = Check(backups.failure is None and age < BACKUP_SECONDS, told)
    return found, all(found[name].ok for name in ("database", "decisions", "accepting"))


def files(path: Path) -> dict[str, Check]:
    """The write-ahead log and the disk under the database."""
    try:
        wal, free = log_bytes(path), free_bytes(path.parent)
    except OSError as error:
        return {"disk": Check(False, error.strerror or UNREADABLE)}
    return {
        "wal": Check(wal < WAL_BYTES, MEBIBYTES.filled(size=wal / MIB)),
        "disk": Check(free > DISK_BYTES, FREE.filled(size=free / GIB)),
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
