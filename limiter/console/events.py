"""What happened and what asks for a hand, gathered from limit changes, notes, the audit, refusals and live figures."""

import json
import re
from typing import Any

from limiter.console import charts, data, times
from limiter.console.times import Span
from limiter.console.words import language, lasting, number, reason_text, t, tn
from limiter.rules.incidents import LEVELS
from limiter.store import analysis, reader
from limiter.system_limits import Value


def value(found: Value) -> str:
    """A limit's value for a person."""
    if found is None:
        return t("none")
    return number(found) if found == int(found) else number(found, 1)


def happened(span: Span) -> list[dict[str, Any]]:
    """Changes of the limit and notes within the span: at, kind, what, who."""
    found = [
        {
            "at": one["at"],
            "kind": t("limit"),
            "what": f"{value(one['before'])} → {value(one['after'])} · {one['reason']}",
            "who": one["actor"],
        }
        for one in data.read(analysis.limit_changes, span.start, span.end)
    ]
    notes = data.read(reader.notes, span.start, span.end)
    return found + [{"at": note.at, "kind": t("note"), "what": note.text, "who": note.author} for note in notes]


def marks(span: Span) -> list[charts.Mark]:
    """What a chart of that span is marked with."""
    return [charts.Mark(row["at"], row["what"], row["kind"]) for row in happened(span)]


def action_text(entry: dict[str, Any]) -> str:
    """An audit row as a sentence."""
    detail = entry["detail"] if isinstance(entry["detail"], dict) else json.loads(entry["detail"])
    actor, target, reason = entry["actor"], entry["target"], entry["reason"]
    tail = f" · {reason}" if reason else ""
    changed = ", ".join(f"{name} {value(before)} → {value(after)}" for name, before, after in detail.get("changed", ()))
    said = {
        "limits": f"{actor} · {changed or t('limits')}",
        "rollback": t("{actor} went back: {changed}", actor=actor, changed=changed),
        "override": t("{actor} set the limits of {target}: {changed}", actor=actor, target=target, changed=changed),
        "plan": t("launch plan: {changed}", changed=changed),
        "stop": t("{actor} stopped {target}", actor=actor, target=target),
        "reap": t("{actor} released {target}", actor=actor, target=target),
        "pause": t("{actor} paused starts", actor=actor),
        "resume": t("{actor} resumed starts", actor=actor),
    }.get(entry["action"], f"{actor} · {entry['action']} {target}")
    return said + tail


def advice_text(advice: dict[str, Any]) -> str:
    """One reason to take a bigger box."""
    found, bound = number(advice["value"]), number(advice["threshold"])
    texts = {
        "cpu": t("CPU {n}% over 5 minutes, above {bound}%", n=found, bound=bound),
        "ram": t("RAM {n}% over 5 minutes, above {bound}%", n=found, bound=bound),
        "occupancy": t("often at 80% of the limit or more on {n} of the last 7 days", n=found),
        "box": t("{n} bots, 120% or more of what this box carries comfortably", n=found),
    }
    return texts.get(advice["name"], str(advice["message"]))


def incident_text(incident: dict[str, Any]) -> str:
    """What fired, in the language of the run where it is a level of the occupancy."""
    figure = re.search(r"\d+", incident["message"])
    level = next((level for level in LEVELS if level.name == incident["level"]), None)
    if level is None:
        return str(incident["message"])
    return level.sentence(language(), {"percent": figure[0] if figure else "80"})


def latest(most: int) -> list[tuple[int, str]]:
    """The newest happenings: what persons did, who was refused, whose lease ran out."""
    found = [(entry["at"], action_text(entry)) for entry in data.read(reader.audit, limit=most)]
    for row in data.read(analysis.refusals, "", "", 0, most):
        who = row.user_id or t("several users")
        times_more = f" ×{number(row.repeats)}" if row.repeats > 1 else ""
        found.append((row.at, t("{who} refused: {why}", who=who, why=reason_text(row.reason)) + times_more))
    for row in data.read(analysis.lost_sessions, most):
        found.append((row.ended_at, t("{who}: slot freed, lease ran out", who=row.user_id)))
    for note in data.read(reader.notes)[:most]:
        found.append((note.at, f"📝 {note.text} · {note.author}"))
    return sorted(found, reverse=True)[:most]


def to_do(stats: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    """What asks for a hand: text, page, label of the way there; the most pressing first."""
    found = []
    if data.read(analysis.paused):
        found.append((t("⏸ Starts are **paused**: every start is refused."), "limits.py", t("Open Limits")))
    for row in data.read(analysis.unattended):
        crossings = json.loads(row.crossings)
        known = {"message": row.message, "level": crossings[-1][1] if crossings else ""}
        text = f"{incident_text(known)} · {t('since {time}', time=times.when(row.opened_at))}"
        found.append((text, "alerts.py", t("Acknowledge")))
    if stats is not None:
        found += of_figures(stats)
    step = data.read(analysis.coming_step)
    if step is not None:
        known = {"n": number(step.max_bots), "time": times.when(step.at)}
        text = t("Launch plan: **{n}** bots, {time}", **known)
        if step.status == "held":
            text = t("⚠ Launch plan held: **{n}** bots since {time} ({why})", why=step.held_by or "", **known)
        found.append((text, "checklist.py", t("See the plan")))
    return found


def of_figures(stats: dict[str, Any]) -> list[tuple[str, str, str]]:
    """What the live figures ask for."""
    found = []
    if suspects := stats["sessions"]["suspect"]:
        silent = data.read(analysis.silent_since)
        age = lasting((times.now() - silent) / 1000) if silent else ""
        text = tn(
            "⚠ **{n} bot** has not beaten for {age}.",
            "⚠ **{n} bots** have not beaten, the longest for {age}.",
            suspects,
            age=age,
        )
        found.append((text, "sessions.py", t("Look at them")))
    bots, recommended = stats["capacity"]["current_bots"], stats["system"]["recommended_max_bots"]
    if 100 * bots >= 120 * recommended:
        text = t(
            "⚠ **{bots} bots** on a box that carries {n} comfortably: move to a larger one.",
            bots=number(bots),
            n=number(recommended),
        )
        found.append((text, "settings.py", t("See the advice")))
    return found
