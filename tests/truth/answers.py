"""What the limiter answers, by every way there is, beside what the log says."""

import csv
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from click.testing import CliRunner

from limiter.cli import main
from limiter.rules.words import lasting
from tests.truth.diary import HOUR, MINUTE, SECOND, Alarm, text
from tests.truth.play import Play


@dataclass
class Said:
    """What the limiter said, beside what the log says; every difference is kept, so that one run shows them all."""

    wrong: list[str] = field(default_factory=list)
    compared: int = 0

    def __call__(self, where: str, said: Any, is_so: Any) -> None:
        self.compared += 1
        if said != is_so:
            self.wrong.append(f"{where}: said {said!r}, is {is_so!r}")


def read_api(play: Play, said: Said, when: str) -> None:
    """Every endpoint that tells figures, at this instant."""
    log, now = play.diary, play.now
    held = log.capacity(now)
    stats = play.admin("GET", "stats")
    said(f"{when} capacity", play.admin("GET", "capacity")["capacity"], held)
    said(f"{when} health", play.admin("GET", "health")["capacity"], held)
    said(f"{when} stats capacity", stats["capacity"], held)
    said(f"{when} stats at", stats["at"], text(now))
    for name in log.limits[0][1]:
        said(f"{when} stats {name}", stats["limits"][name], log.limit(now, name))
    rates = stats["rates"]
    said(f"{when} tokens", rates["tokens_last_minute"], log.of_the_last(60, "tokens", now))
    said(f"{when} signals", rates["signals_last_minute"], log.of_the_last(60, "signals", now))
    said(f"{when} starts 1 h", rates["starts_last_hour"], log.of_the_last(3600, "start", now))
    said(f"{when} refusals 1 h", rates["refusals_last_hour"], log.refused_last_hour(now))
    said(f"{when} trades", rates["trades_today"], log.trades_today(now))
    said(f"{when} suspects", stats["sessions"]["suspect"], len(log.suspects(now)))
    begin = (now // SECOND - 3600) * SECOND
    lapsed = [one for one in log.stays if one.reason == "lease_expired" and (one.end or 0) >= begin]
    said(f"{when} expired 1 h", stats["sessions"]["expired_last_hour"], len(lapsed))
    users = {one.user for one in log.held(now)} | {one.user for one in log.told("trade", *log.day(now)[1:])}
    top = sorted(
        ((sum(one.user == user for one in log.held(now)), log.trades_today(now, user), user) for user in users if user),
        key=lambda row: (-row[0], -row[1], row[2]),
    )[:10]
    said(f"{when} top users", [(one["active"], one["trades_today"], one["user_id"]) for one in stats["top_users"]], top)
    for user in sorted(user for user in users if user):
        usage = play.http.get(f"/api/users/{user}/usage").json()
        said(f"{when} {user} bots", usage["bots"]["used"], sum(one.user == user for one in log.held(now)))
        said(f"{when} {user} bots limit", usage["bots"]["limit"], log.limit(now, "MAX_BOTS_PER_USER", user))
        said(f"{when} {user} trades", usage["trades"]["used"], log.trades_today(now, user))
        said(f"{when} {user} trades limit", usage["trades"]["limit"], log.limit(now, "MAX_TRADES_PER_DAY", user))
    for read in (
        read_sessions,
        read_refusals,
        read_history,
        read_metrics,
        read_alerts,
        read_changes,
        read_who,
        read_commands,
    ):
        read(play, said, when)


def read_sessions(play: Play, said: Said, when: str) -> None:
    log, now = play.diary, play.now
    listed = {one["public_id"]: one for one in play.admin("GET", "sessions?limit=500")["items"]}
    said(f"{when} sessions", set(listed), {one.public_id for one in log.stays})
    quiet = log.suspects(now)
    for stay in log.stays:
        row = listed.get(stay.public_id, {})
        wanted: dict[str, Any] = {
            "user_id": stay.user, "bot_id": stay.bot, "started_at": text(stay.start), "ended_at": text(stay.end),
            "ended_reason": stay.reason, "status": "ended" if stay.end else "suspect" if stay in quiet else "active",
        }  # fmt: skip
        if stay.end is None:
            wanted |= {"lease_expires_at": text(stay.expires)}
        said(f"{when} session {stay.public_id}", {name: row.get(name) for name in wanted}, wanted)
    for at in [*(up for up, _ in log.ups), *range(log.ups[0][0] + 90_000, now, 17 * MINUTE + 77)]:
        state = play.admin("GET", f"state?at={text(at)}")
        said(
            f"{when} state {text(at)}",
            {one["public_id"] for one in state["sessions"]},
            {o.public_id for o in log.held(at)},
        )
        said(f"{when} state {text(at)} limit", (state["limits"] or {}).get("MAX_CONCURRENT_BOTS"), log.limit(at))
        said(f"{when} state {text(at)} paused", state["paused"], log.is_paused(at))


def read_refusals(play: Play, said: Said, when: str) -> None:
    log = play.diary
    refused = log.told("refusal", 0, play.now + 1)
    rows = play.admin("GET", "refusals?limit=500")["items"]
    told = [(one["at"], one["request_id"], one["user_id"], one["reason"], one["repeats"]) for one in rows]
    is_so = [(text(one.at), one.told["id"], one.user, one.told["reason"], 1) for one in reversed(refused)]
    said(f"{when} refusals", told, is_so)
    for one in refused[-6:]:
        why = play.admin("GET", f"explain/{one.told['id']}")
        said(f"{when} explain {one.told['id']}", why["sentence"], one.told["sentence"])
        holders = [stay["public_id"] for stay in why["holders"]]
        if one.told["reason"] == "server_full":
            said(f"{when} holders {one.told['id']}", holders, [stay.public_id for stay in log.held(one.at)][:10])


def read_history(play: Play, said: Said, when: str) -> None:
    log, now = play.diary, play.now
    begin = log.ups[0][0]
    for step in (20, 60, 300, 3600):
        first = max(begin - 3 * HOUR, now - 900 * step * SECOND)
        answer = play.admin("GET", f"history?from={text(first)}&to={text(now)}&step={step}")
        wanted = log.buckets(first, now, step)
        got = [{name: row[name] for name in wanted[0]} for row in answer["buckets"]]
        answered = {row["at"]: row for row in got}
        for row in wanted:
            said(f"{when} history {step}", answered.get(row["at"]), row)
        said(f"{when} history {step} instants", [row["at"] for row in got], [row["at"] for row in wanted])

        rows = list(
            csv.DictReader(io.StringIO(play.get(f"history?from={text(first)}&to={text(now)}&step={step}&format=csv")))
        )
        for row, bucket in zip(rows, wanted, strict=True):
            said(f"{when} history {step} CSV", {name: row[name] for name in flat(bucket)}, flat(bucket))


def flat(bucket: dict[str, Any]) -> dict[str, str]:
    """A bucket as a line of CSV."""
    plain = {name: value for name, value in bucket.items() if name not in ("bots", "refusals")}
    cells = plain | {f"bots_{name}": n for name, n in bucket["bots"].items()}
    cells |= {f"refused_{reason}": n for reason, n in bucket["refusals"].items()}
    return {name: "" if value is None else str(value) for name, value in cells.items()}


def read_metrics(play: Play, said: Said, when: str) -> None:
    """Gauges of the instant, and counters since the process began."""
    log, now = play.diary, play.now
    begin = log.ups[-1][0]
    found = dict(re.findall(r"^(limiter_\S+) (\S+)$", play.get("/metrics"), re.M))
    held = log.capacity(now)
    over = [one for one in log.stays if one.end is not None and begin <= one.end <= now]
    wanted: dict[str, float] = {
        "limiter_bots_active": held["current_bots"],
        "limiter_bots_limit": held["max_bots"],
        "limiter_bots_suspect": len(log.suspects(now)),
        "limiter_paused": int(log.is_paused(now)),
        "limiter_count_drift": 0,
        "limiter_database_writable": 1,
        "limiter_starts_total": len(log.told("start", begin, now + 1)),
        "limiter_trades_total": len(log.told("trade", begin, now + 1)),
        "limiter_tokens_total": sum(one.n for one in log.told("tokens", begin, now + 1)),
        "limiter_signals_total": sum(one.n for one in log.told("signals", begin, now + 1)),
        "limiter_incidents_open": sum(alarm.end is None for alarm in log.alarms(now)),
    }
    for reason in ("server_full", "user_limit", "daily_trades", "signal_rate", "token_rate", "paused"):
        wanted[f'limiter_refusals_total{{reason="{reason}"}}'] = len(log.told("refusal", begin, now + 1, reason=reason))
    for how, n in Counter(one.reason for one in over).items():
        wanted[f'limiter_sessions_ended_total{{reason="{how}"}}'] = n
    for name in log.limits[0][1]:
        wanted[f'limiter_limit{{name="{name}"}}'] = log.limit(now, name)
    for name, value in wanted.items():
        said(f"{when} metric {name}", float(found.get(name, "nan")), float(value))


CROSSING = ("at", "level", "bots", "limit")
SENTENCES = {
    "threshold": "⚠️ Capacity at {threshold}%!", "urgent": "🚨 URGENT: Almost full!", "full": "❌ SERVER FULL!"
}  # fmt: skip


def read_alerts(play: Play, said: Said, when: str) -> None:
    """Incidents, and what the channel was told of them."""
    log, now = play.diary, play.now
    answer = play.admin("GET", "alerts?limit=100")
    rows = [row for row in answer["items"] if row["kind"] == "capacity"][::-1]
    alarms = log.alarms(now)
    said(f"{when} alerts", len(rows), len(alarms))
    for row, alarm in zip(rows, alarms, strict=False):
        told = {
            "opened_at": text(alarm.begin), "resolved_at": text(alarm.end), "peak_bots": alarm.peak,
            "peak_limit": alarm.peak_limit,
            "duration_seconds": ((alarm.end or now) - alarm.begin) / 1000,
            "status": "resolved" if alarm.end else "open",
            "crossings": [dict(zip(CROSSING, (text(at), *of), strict=True)) for at, *of in alarm.crossings],
            "refusals": log.refused(alarm.begin, (alarm.end or now) + 1),
        }  # fmt: skip
        said(f"{when} alert {row['id']}", {name: row[name] for name in told}, told)
        sent = [(one["at"], one["level"], one["state"], one["tries"]) for one in row["deliveries"]]
        wanted = [(text(at), level, "sent", 1) for at, level, _, _ in alarm.crossings]
        wanted += [(text(alarm.end), "resolved", "sent", 1)] if alarm.end else []
        said(f"{when} alert {row['id']} told", sent, wanted)
    said(f"{when} messages", [post["title"] for post in play.messages], titles(play, alarms))
    said(f"{when} channel", [(one["ok"], one["pending"]) for one in answer["channels"]], [(True, 0)])


def titles(play: Play, alarms: list[Alarm]) -> list[str]:
    """What was to be told, in its order."""
    told = []
    for alarm in alarms:
        threshold = play.diary.limit(alarm.begin, "ALERT_THRESHOLD")
        told += [SENTENCES[level].format(threshold=threshold) for _, level, _, _ in alarm.crossings]
        if alarm.end is not None:
            minutes = max(1, round((alarm.end - alarm.begin) / MINUTE))
            told.append(f"✅ Over after {minutes} min: {how_bad(play, alarm)}")
    return told


def how_bad(play: Play, alarm: Alarm) -> str:
    """When it was full, else the most bots."""
    if not alarm.fulls:
        return f"peak {alarm.peak}/{alarm.peak_limit}"
    begin, end = alarm.fulls[-1]
    form = "%H:%M:%S" if end - begin < MINUTE else "%H:%M"
    span = "–".join(datetime.fromtimestamp(at / 1000, play.diary.zone).strftime(form) for at in (begin, end))
    if len(alarm.fulls) == 1:
        return f"was full {span}"
    whole = lasting(sum(until - since for since, until in alarm.fulls) / 1000, "en")
    return f"was full {len(alarm.fulls)} times, {whole} in all, last {span}"


def read_changes(play: Play, said: Said, when: str) -> None:
    """Versions of the limits, and the audit: what operators did, and when."""
    log = play.diary
    rows = play.admin("GET", "audit?limit=100")["items"][::-1]
    done = [(row["at"], row["action"], row["target"]) for row in rows if row["action"] != "key"]
    said(f"{when} audit", done, [(text(at), action, target) for at, action, target in log.done])
    versions = play.admin("GET", "limits/history?limit=100")["versions"][::-1]
    made = [(row["at"], row["kind"]) for row in versions if row["kind"] != "start"]
    said(f"{when} versions", made, [(text(at), kind) for at, kind in log.versions()])
    shown = {row["name"]: row["value"] for row in play.admin("GET", "limits")["limits"]}
    said(f"{when} limits", {name: shown[name] for name in log.limits[0][1]}, log.limits[-1][1])


def read_who(play: Play, said: Said, when: str) -> None:
    """Who used what of the minute and of the day, whose trades close, who held most, who asked how often."""
    log, now = play.diary, play.now
    answer = play.admin("GET", "usage")
    name, begin, _ = log.day(now)
    minute = (now // SECOND - 60) * SECOND
    said(f"{when} who day", answer["day"], name)
    totals = {(one["what"], one["window"]): one["used"] for one in answer["totals"]}
    uses = {(one["what"], one["window"], one["user_id"]): one["used"] for one in answer["uses"]}
    wanted_totals, wanted = Counter[tuple[str, str]](), Counter[tuple[str, str, str | None]]()
    for window, since in (("minute", minute), ("day", begin)):
        for what in ("signals", "tokens", *(["trade"] if window == "day" else [])):
            for one in log.told(what, since, now + 1):
                plural = "trades" if what == "trade" else what
                wanted_totals[plural, window] += one.n
                wanted[plural, window, one.user] += one.n
    said(f"{when} who totals", {key: n for key, n in totals.items() if n}, dict(wanted_totals))
    said(f"{when} who uses", uses, dict(wanted))
    trades = Counter(one.user for one in log.told("trade", begin, now + 1))
    closing = Counter(one.user for one in log.told("trade", begin, now + 1, closes=True))
    told = {one["user_id"]: (one["trades"], one["closing"]) for one in answer["closing"]}
    said(f"{when} who closes", told, {user: (trades[user], n) for user, n in closing.items()})
    slots = [log.slot_ms(user, 0, now) for user in {stay.user for stay in log.stays}]
    held = answer["concentration"]
    said(f"{when} slot hours", held["slot_hours"], round(sum(slots) / HOUR, 1))
    said(f"{when} holders", held["users"], sum(ms > 0 for ms in slots))
    said(f"{when} top share", held["top"]["1"], round(max(slots) / sum(slots), 4))
    tried = Counter(one.user for one in log.told("start", 0, now + 1))
    tried += Counter(one.user for one in log.told("refusal", 0, now + 1, reason="server_full"))
    tried += Counter(one.user for one in log.told("refusal", 0, now + 1, reason="user_limit"))
    said(f"{when} attempts", {one["user_id"]: one["attempts"] for one in answer["asked"]}, dict(tried))


def read_commands(play: Play, said: Said, when: str) -> None:
    """What the command line says with --json is what the API says, which was held against the log."""
    log, now = play.diary, play.now
    user = log.stays[0].user
    refusal = log.told("refusal", 0, now + 1)[-1].told["id"]
    asked = {
        ("capacity",): "capacity", ("limits", "get"): "limits", ("limits", "history"): "limits/history",
        ("sessions", "list"): "sessions?status=active", ("sessions", "list", "--status", "all"): "sessions",
        ("usage", user): f"/api/users/{user}/usage", ("explain", refusal): f"explain/{refusal}",
        ("who",): "usage", ("users", "limits", user): f"users/{user}/limits", ("audit",): "audit",
        ("notes", "list"): "notes",
        ("state", "--at", str(text(now - HOUR // 3))): f"state?at={text(now - HOUR // 3)}",
    }  # fmt: skip
    environment = {"LIMITER_URL": play.machine.url, "LIMITER_KEY": play.machine.key, "LIMITER_LANG": "en"}
    for command, path in asked.items():
        ran = CliRunner().invoke(main, [*command, "--json"], env=environment)
        assert ran.exit_code == 0, (command, ran.output)
        said(f"{when} {' '.join(command)}", json.loads(ran.stdout), json.loads(play.get(path)))
