"""What monitors and dashboards ask: capacity, stats, health, history, advice, metrics."""

import contextlib
import csv
import io
import os
import time
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest

from limiter.api import schemas as s
from limiter.api.bots import capacity
from limiter.api.call import Call, Refused, Services
from limiter.api.wire import Answer, encode, iso, ok
from limiter.jobs.watchdogs import STALL_SECONDS
from limiter.rules.capacity import Status, advise
from limiter.rules.deliveries import failing_channels
from limiter.rules.guards import check
from limiter.rules.incidents import BACKUP_SECONDS, CLOCK_STEP_SECONDS, DISK_BYTES
from limiter.rules.refusals import REFUSALS, invalid
from limiter.rules.sessions import Reap
from limiter.rules.words import told
from limiter.store import read
from limiter.store.engine import sqlite_path

GIB = 1024**3
STALE_SECONDS = 15.0
WAL_BYTES = 64 * 1024**2
TOP_USERS = 10
ALERT_PERCENT = 90
HOUR_MS = 3_600_000


async def current(call: Call) -> Answer:
    """The closed capacity object."""
    return ok(s.CapacityAnswer(capacity(call.services.committer.state.capacity(call.now()))))


async def stats(call: Call) -> Answer:
    """One instant of everything, from memory: no query, no lock."""
    services, now = call.services, call.now()
    state, latency = services.committer.state, services.committer.latency
    second, today = now // 1000, state.day(now).name
    held = state.capacity(now)
    cpu, ram = services.sampler.mean(60)
    p50, p99 = latency.percentile_ms(0.5, 0.99)
    trades = {user: used for (user, day), used in state.trade_days.items() if day == today and used}
    users = sorted(
        state.users.keys() | trades.keys(), key=lambda user: (-state.user_active(user), -trades.get(user, 0), user)
    )
    refused = {reason.name: state.last_hour(f"refused:{reason.name}", now) for reason in REFUSALS}
    answer = s.StatsAnswer(
        capacity=capacity(held),
        limits=dict(state.limits.values),
        limits_version=state.limits.version,
        system=s.System(cpu, ram, round(services.box.detected_ram_gb, 2), services.box.recommended_max_bots),
        rates=s.Rates(
            state.window("tokens").used(second),
            state.window("signals").used(second),
            state.last_hour("starts", now),
            {reason: n for reason, n in refused.items() if n},
            sum(trades.values()),
        ),
        sessions=s.SessionFigures(held.current, len(state.suspects(now)), state.last_hour("ended:lease_expired", now)),
        top_users=[s.TopUser(user, state.user_active(user), trades.get(user, 0)) for user in users[:TOP_USERS]],
        decisions=s.Decisions(p50, p99, latency.count),
        guards=[s.Guard(**told(guard.as_dict(), call.language)) for guard in check(services.sampler.readings(), now)],
        paused=state.paused,
        uptime_seconds=round(time.monotonic() - services.started_at, 3),
        version=services.version,
        at=str(iso(now)),
    )
    return ok(answer)


def checks(services: Services) -> tuple[dict[str, s.Check], bool]:
    """Each check with its detail, and whether decisions can be made; the sampler's snapshot is a write to prove it."""
    committer, sampler = services.committer, services.sampler
    stalled, away = committer.stalled_seconds(), committer.away_since
    database = "writable" if away is None else f"not writable for {time.monotonic() - away:.0f} s"
    if committer.failing_since is None and committer.full_since is not None:
        database = "the disk is full: bots can stop, none can start"
    age = time.monotonic() - sampler.taken_at
    step = committer.clock.step_seconds()
    # Who asks needs no key: what failed is named, the text of the exception stays in the log.
    broken = [f"{job.name}: {job.failure.partition(':')[0]}" for job in services.jobs if job.failure]
    found = {
        "database": s.Check(away is None, database),
        "decisions": s.Check(stalled < STALL_SECONDS, f"batch under way for {stalled:.1f} s" if stalled else "idle"),
        "accepting": s.Check(not committer.state.draining, "draining" if committer.state.draining else "accepting"),
        "snapshots": s.Check(age < STALE_SECONDS, f"last {age:.0f} s ago"),
        "jobs": s.Check(not broken, "; ".join(broken) or "running"),
        "clock": s.Check(abs(step) < CLOCK_STEP_SECONDS, f"wall clock moved by {step:.1f} s since the start"),
    }
    silent = failing_channels(committer.state)
    told = f"{', '.join(silent)} failing" if silent else f"{len(committer.state.channels)} channels"
    found["alerts"] = s.Check(not silent, told)
    path = sqlite_path(services.config["LIMITER_DATABASE_URL"])
    if path is not None:
        found |= files(path)
    if (backups := services.backups) is not None:
        age = backups.age_seconds()
        last = "none yet" if backups.made_at() is None else f"last {age / 3600:.1f} h ago"
        told = f"{last}, and then one failed: see the log" if backups.failure else last
        found["backup"] = s.Check(backups.failure is None and age < BACKUP_SECONDS, told)
    return found, all(found[name].ok for name in ("database", "decisions", "accepting"))


def files(path: Path) -> dict[str, s.Check]:
    """The write-ahead log and the disk under the database."""
    try:
        wal, free = sizes(path)
    except OSError as error:
        return {"disk": s.Check(False, error.strerror or "cannot be read")}
    return {
        "wal": s.Check(wal < WAL_BYTES, f"{wal / 1024**2:.1f} MiB"),
        "disk": s.Check(free > DISK_BYTES, f"{free / 1024**3:.1f} GiB free"),
    }


def sizes(path: Path) -> tuple[int, int]:
    """Bytes of the write-ahead log, and bytes free under the database."""
    wal = path.with_name(path.name + "-wal")
    room = os.statvfs(path.parent)
    return wal.stat().st_size if wal.exists() else 0, room.f_bavail * room.f_frsize


async def health(call: Call) -> Answer:
    """For an outside monitor: 503 where no decision can be made, or from `fail_at` percent on where it is asked for."""
    fail_at = call.wanted_number("fail_at", 1, 100)
    held = call.services.committer.state.capacity(call.now())
    found, alive = checks(call.services)
    status = "down" if not alive else "ok" if all(check.ok for check in found.values()) else "degraded"
    alert = held.status is Status.FULL or 100 * held.current >= ALERT_PERCENT * held.maximum
    success = alive and not (fail_at is not None and 100 * held.current >= fail_at * held.maximum)
    answer = s.HealthAnswer(
        success, status, "CAPACITY_ALERT" if alert else "CAPACITY_OK", capacity(held), found  # type: ignore[arg-type]
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


async def history(call: Call) -> Answer:
    """Snapshots in buckets, as JSON or CSV."""
    form = call.wanted_choice("format", ("json", "csv")) or "json"
    step = call.wanted_number("step", 1, 31_536_000) or 60
    end = call.wanted_instant("to")
    begin = call.wanted_instant("from")
    end = call.now() if end is None else end
    if begin is None:
        begin = (end - HOUR_MS) // (step * 1000) * step * 1000
    if begin >= end:
        raise Refused(invalid("from", "must be before `to`", "doit précéder `to`"))
    series = await call.read(read.history.series, begin, end, step)
    if form == "csv":
        return Answer(200, as_csv(series), b"text/csv; charset=utf-8")
    rows = [
        s.Bucket(
            str(iso(row.at)), s.Bots(row.low, row.mean, row.high), row.limit, row.cpu, row.ram, row.tokens, row.signals,
            row.starts, dict(series.refused.get(row.at, {})),
        )
        for row in series.rows
    ]  # fmt: skip
    return ok(s.HistoryAnswer(series.bucket_ms / 1000, rows))


def as_csv(series: read.history.Series) -> bytes:
    """The same buckets, one a line, one column a reason."""
    reasons = [reason.name for reason in REFUSALS if reason.recorded]
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    plain = ("bots_min", "bots_mean", "bots_max", "limit", "cpu_percent", "ram_percent", "tokens", "signals", "starts")
    writer.writerow(["at", *plain, *(f"refused_{name}" for name in reasons)])
    for row in series.rows:
        refused = series.refused.get(row.at, {})
        writer.writerow([iso(row.at), *row[1:], *(refused.get(name, 0) for name in reasons)])
    return out.getvalue().encode()


async def advice(call: Call) -> Answer:
    """What the box carries, and whether to take a bigger one."""
    services, now = call.services, call.now()
    cpu, ram = services.sampler.mean(300)
    bots = services.committer.state.capacity(now).current
    found = advise(services.box, bots, cpu, ram, await call.read(read.history.busy_days, now))
    box = services.box
    rows = [s.AdviceRow(**one.as_dict()) for one in found]
    answer = s.AdviceAnswer(
        round(box.detected_ram_gb, 2), box.counts_as_gb, box.recommended_max_bots, box.price_usd_month, rows
    )
    return ok(answer)


async def metrics(call: Call) -> Answer:
    """OpenMetrics, collected at the scrape: nothing is counted twice on the hot path."""
    await call.decide(Reap())
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(call.services, call.now()))
    kind = b"application/openmetrics-text; version=1.0.0; charset=utf-8"
    return Answer(200, generate_latest(registry), kind)  # type: ignore[no-untyped-call]


class _Scrape:
    """prometheus_client's collector over the state of one instant."""

    def __init__(self, services: Services, now: int) -> None:
        self.services, self.now = services, now

    def collect(self) -> list[Metric]:
        """Every family. No user is a label."""
        services, state = self.services, self.services.committer.state
        committer, held = services.committer, state.capacity(self.now)
        refused = CounterMetricFamily("limiter_refusals", "Refused requests by reason.", labels=["reason"])
        for reason in REFUSALS:
            refused.add_metric([reason.name], state.totals.get(f"refused:{reason.name}", 0))
        ended = CounterMetricFamily("limiter_sessions_ended", "Sessions ended, by how.", labels=["reason"])
        for name, n in state.totals.items():
            if name.startswith("ended:"):
                ended.add_metric([name.removeprefix("ended:")], n)
        alerts = CounterMetricFamily("limiter_alerts", "Tries to send an alert.", labels=["channel", "result"])
        for name, n in state.totals.items():
            if name.startswith("alerts:"):
                alerts.add_metric(name.split(":")[1:], n)
        values = GaugeMetricFamily("limiter_limit", "Limits in force.", labels=["name"])
        for name, value in state.limits.values.items():
            if value is not None:
                values.add_metric([name], value)
        counters = {
            "limiter_starts": ("Starts admitted.", state.totals.get("starts", 0)),
            "limiter_trades": ("Trades counted.", state.totals.get("trades", 0)),
            "limiter_tokens": ("Tokens taken.", state.totals.get("tokens", 0)),
            "limiter_signals": ("Signals taken.", state.totals.get("signals", 0)),
            "limiter_wrong_keys": ("Wrong keys that were sent.", services.access.wrong),
        }
        gauges = {
            "limiter_bots_active": ("Bots that hold a slot.", held.current),
            "limiter_bots_limit": ("MAX_CONCURRENT_BOTS in force.", held.maximum),
            "limiter_bots_suspect": ("Bots that missed two heartbeats.", len(state.suspects(self.now))),
            "limiter_limits_version": ("Version of the limits in force.", state.limits.version),
            "limiter_paused": ("1 while starts are paused.", int(state.paused)),
            "limiter_snapshot_age_seconds": ("Age of the last snapshot.", time.monotonic() - services.sampler.taken_at),
            "limiter_database_writable": (
                "0 while the database takes no start.",
                int(committer.away_since is None),
            ),
            "limiter_clock_step_seconds": ("How far the wall clock was moved.", committer.clock.step_seconds()),
            "limiter_incidents_open": ("Incidents that are not resolved.", len(state.incidents)),
            "limiter_requests_in_flight": ("Requests under way.", services.in_flight),
            "process_resident_memory_bytes": ("Resident memory.", psutil.Process().memory_info().rss),
        }
        path = sqlite_path(services.config["LIMITER_DATABASE_URL"])
        with contextlib.suppress(OSError):
            if path is not None:
                wal, free = sizes(path)
                gauges["limiter_wal_bytes"] = ("Size of the write-ahead log.", wal)
                gauges["limiter_disk_free_bytes"] = ("Room under the database.", free)
        if services.backups is not None:
            gauges["limiter_backup_age_seconds"] = ("Age of the newest backup.", services.backups.age_seconds())
        decisions = SummaryMetricFamily("limiter_decision_seconds", "From the queue to the durable answer.")
        decisions.add_metric([], committer.latency.count, committer.latency.sum_seconds)
        return [
            *(GaugeMetricFamily(name, text, value=value) for name, (text, value) in gauges.items()),
            *(CounterMetricFamily(name, text, value=value) for name, (text, value) in counters.items()),
            refused, ended, alerts, values, decisions,
            InfoMetricFamily("limiter_build", "This program.", value={"version": services.version}),
        ]  # fmt: skip


async def console(call: Call) -> Answer:
    """To the console."""
    url = call.services.config.console_url.encode()
    return Answer(307, b"", headers=((b"location", url.rstrip(b"/") + b"/"),))
