"""OpenMetrics for Prometheus."""

import contextlib
import time

import psutil
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest

from limiter.api.box import strangers
from limiter.http.call import Call, Services
from limiter.http.wire import Answer
from limiter.rules import holding
from limiter.rules.refusals import REFUSALS
from limiter.rules.room import capacity, queue
from limiter.rules.undecided import REASONS as UNDECIDED
from limiter.store.location import free_bytes, log_bytes, sqlite_path

Rows = dict[str, tuple[str, float]]
"""Name of a family: what it says, and its value."""


async def metrics(call: Call) -> Answer:
    """OpenMetrics, collected at the scrape: nothing is counted twice on the hot path."""
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
        gauges = self._gauges() | self._of_the_machine()
        latency = self.services.committer.latency
        decisions = SummaryMetricFamily("limiter_decision_seconds", "From the queue to the durable answer.")
        decisions.add_metric([], latency.count, latency.sum_seconds)
        return [
            *(GaugeMetricFamily(name, text, value=value) for name, (text, value) in gauges.items()),
            *(CounterMetricFamily(name, text, value=value) for name, (text, value) in self._counters().items()),
            *self._labelled(), decisions,
            InfoMetricFamily("limiter_build", "This program.", value={"version": self.services.version}),
        ]  # fmt: skip

    def _labelled(self) -> list[Metric]:
        state, undecided = self.services.committer.state, self.services.committer.undecided
        refused = CounterMetricFamily("limiter_refusals", "Refused requests by reason.", labels=["reason"])
        for reason in REFUSALS:
            waiting = undecided.count(state, reason.name) if reason.name in UNDECIDED else 0
            refused.add_metric([reason.name], state.totals.get(f"refused:{reason.name}", 0) + waiting)
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
        return [refused, ended, alerts, values]

    def _counters(self) -> Rows:
        state = self.services.committer.state
        return {
            "limiter_starts": ("Starts admitted.", state.totals.get("starts", 0)),
            "limiter_trades": ("Trades counted.", state.totals.get("trades", 0)),
            "limiter_tokens": ("Tokens taken.", state.totals.get("tokens", 0)),
            "limiter_signals": ("Signals taken.", state.totals.get("signals", 0)),
            "limiter_wrong_keys": ("Wrong keys that were sent.", self.services.access.wrong),
        }

    def _gauges(self) -> Rows:
        services, committer, state = self.services, self.services.committer, self.services.committer.state
        held, costs = capacity(state, self.now), holding.costs(state, self.now)
        trial, window = state.schedule.probation, state.schedule.open
        return {
            "limiter_bots_active": ("Bots that hold a slot.", held.current),
            "limiter_bots_limit": ("MAX_CONCURRENT_BOTS in force.", held.maximum),
            "limiter_count_drift": ("How far apart the counts of slots were at the last look; 0.", state.drift or 0),
            "limiter_bots_suspect": ("Bots that missed two heartbeats.", len(holding.suspects(state, self.now))),
            "limiter_bots_memory_bytes": ("Memory that the measured bots share with nobody.", costs.memory_bytes),
            "limiter_bots_memory_measured": ("Bots whose heartbeats say their memory.", costs.memory_n),
            "limiter_bots_cpu_cores": ("Cores that the measured bots keep busy, last minute.", costs.cpu_percent / 100),
            "limiter_bots_cpu_measured": ("Bots whose heartbeats say their CPU time.", costs.cpu_n),
            "limiter_tickets_waiting": ("Users that wait for a slot in turn.", len(queue(state, self.now))),
            "limiter_probation_seconds_left": (
                "Until the change on probation is taken back; 0 where none is.",
                max(0, trial.ends_at - self.now) / 1000 if trial is not None else 0,
            ),
            "limiter_window_open": ("1 while a peak window is open.", int(window is not None)),
            "limiter_raises_held": (
                "Steps of the launch plan and windows that a guard holds back.",
                sum(step.status == "held" for step in state.plan) + int(window is not None and bool(window.held_by)),
            ),
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

    def _of_the_machine(self) -> Rows:
        """What is there only where the settings and the database have it."""
        services, gauges = self.services, Rows()
        path = sqlite_path(services.config.database_url)
        with contextlib.suppress(OSError):
            if path is not None:
                wal, free = log_bytes(path), free_bytes(path.parent)
                gauges["limiter_wal_bytes"] = ("Size of the write-ahead log.", wal)
                gauges["limiter_disk_free_bytes"] = ("Room under the database.", free)
        if (found := strangers(services)) is not None:
            text = "Processes that match LIMITER_BOT_PATTERN and hold no slot, and what agents tell of their hosts."
            gauges["limiter_strangers"] = (text, len(found))
        if services.backups is not None:
            gauges["limiter_backup_age_seconds"] = ("Age of the newest backup.", services.backups.age_seconds())
        return gauges
