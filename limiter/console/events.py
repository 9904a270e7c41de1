"""What happened and what asks for a hand, gathered from limit changes, notes, the audit, refusals and live figures."""

import json
from dataclasses import dataclass
from typing import Any

from limiter.console import charts, data, times
from limiter.console.times import Span
from limiter.console.words import language, lasting, number, reason_text, t, tn
from limiter.rules import guards, incidents, plan
from limiter.store import analysis, reader
from limiter.system_limits import Value


def value(found: Value) -> str:
    """A limit's value for a person."""
    if found is None:
        return t("none")
    return number(found) if found == int(found) else number(found, 1)


def reason(said: str) -> str:
    """Why a limit was changed: a person's own words, or the launch plan's in the language of the run."""
    return plan.REASON.retold(said, language()) or said


def happened(span: Span) -> list[dict[str, Any]]:
    """Changes of the limit and notes within the span: at, kind, what, who."""
    found = [
        {
            "at": one["at"],
            "kind": t("limit"),
            "what": f"{value(one['before'])} → {value(one['after'])} · {reason(one['reason'])}",
            "who": one["actor"],
        }
        for one in data.read(analysis.limit_changes, span.start, span.end)
    ]
    notes = data.read(reader.notes, span.start, span.end)
    return found + [{"at": note.at, "kind": t("note"), "what": note.text, "who": note.author} for note in notes]


def marks(span: Span) -> list[charts.Mark]:
    """What a chart of that span is marked with."""
    return [charts.Mark(row["at"], row["what"], row["kind"]) for row in happened(span)]


@dataclass(frozen=True, slots=True)
class Task:
    """What asks for a hand, with the page where it is done and the label of the way there; `pressing`, or in time."""

    text: str
    page: str
    label: str
    pressing: bool = True


def action_text(entry: dict[str, Any]) -> str:
    """An audit row as a sentence."""
    detail = entry["detail"] if isinstance(entry["detail"], dict) else json.loads(entry["detail"])
    actor, target, why = entry["actor"], entry["target"], reason(entry["reason"])
    why = guards.retold(why, language()) if entry["action"] == "held" else why
    tail = f" · {why}" if why else ""
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
        "held": t("launch plan held: {target}", target=target),
        "acknowledge": t("{actor} acknowledged {target}", actor=actor, target=target),
        "alert_test": t("{actor} sent a test to the channels", actor=actor),
        "key": t("{actor} made key {target}", actor=actor, target=target),
        "revoke": t("{actor} revoked key {target}", actor=actor, target=target),
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
    """What fired, in the language of the run."""
    return incidents.retold(str(incident["message"]), language())


def latest(most: int) -> list[tuple[int, str]]:
    """The newest happenings: what persons did, who was refused, whose lease ran out."""
    # A note is told by its text, below.
    found = [(one["at"], action_text(one)) for one in data.read(reader.audit, limit=most) if one["action"] != "note"]
    for row in data.read(analysis.refusals, "", "", 0, most):
        who = row.user_id or t("several users")
        times_more = f" ×{number(row.repeats)}" if row.repeats > 1 else ""
        found.append((row.at, t("{who} refused: {why}", who=who, why=reason_text(row.reason)) + times_more))
    for row in data.read(analysis.lost_sessions, most):
        found.append((row.ended_at, t("{who}: slot freed, lease ran out", who=row.user_id)))
    for note in data.read(reader.notes)[:most]:
        found.append((note.at, f"📝 {note.text} · {note.author}"))
    return sorted(found, reverse=True)[:most]


def to_do(stats: dict[str, Any] | None) -> list[Task]:
    """What asks for a hand, the most pressing first."""
    found = []
    if data.read(analysis.paused):
        found.append(Task(t("⏸ Starts are **paused**: every start is refused."), "limits.py", t("Open Limits")))
    for row in data.read(analysis.unattended):
        said = incidents.retold(row.message, language())
        text = f"**{said}** · {t('since {time}', time=times.when(row.opened_at))}"
        found.append(Task(text, "alerts.py", t("Acknowledge")))
    if stats is not None:
        found += of_figures(stats)
    step = data.read(analysis.coming_step)
    if step is not None:
        held = step.status == "held"
        known = {"n": number(step.max_bots), "time": times.when(step.at)}
        text = t("Launch plan: **{n}** bots, {time}", **known)
        if held:
            why = guards.retold(step.held_by or "", language())
            text = t("⚠ Launch plan held: **{n}** bots since {time} ({why})", why=why, **known)
        found.append(Task(text, "checklist.py", t("See the plan"), held))
    return found


def of_figures(stats: dict[str, Any]) -> list[Task]:
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
        found.append(Task(text, "sessions.py", t("Look at them")))
    bots, recommended = stats["capacity"]["current_bots"], stats["system"]["recommended_max_bots"]
    if 100 * bots >= 120 * recommended:
        text = t(
            "⚠ **{bots} bots** on a box that carries {n} comfortably: move to a larger one.",
            bots=number(bots),
            n=number(recommended),
        )
        found.append(Task(text, "settings.py", t("See the advice")))
    return found
