"""What happened and what asks for a hand, gathered from limit changes, notes, the audit, refusals and live figures."""

import re
from collections.abc import Sequence
from typing import Any

from limiter.console import data
from limiter.console.charts.capacity import Mark
from limiter.console.kit.times import now, when, zone
from limiter.console.kit.words import actor_text, language, number, reason_text, t, tn, value_text
from limiter.console.view import Span
from limiter.rules import alerts, reasons
from limiter.rules.headlines import Reader, headline
from limiter.store import read

JOINED = 200  # refusals that are looked at for the latest lines


def happened(span: Span) -> list[dict[str, Any]]:
    """Changes of the limit and notes within the span: at, kind, what, who."""
    found = [
        {
            "at": one["at"],
            "kind": t("limit"),
            "what": f"{value_text(one['before'])} → {value_text(one['after'])} · {reasons.of_version(one, language())}",
            "who": actor_text(one["actor"]),
        }
        for one in data.read(read.limits.changes_of, span.start, span.end)
    ]
    notes = data.read(read.audit.notes, span.start, span.end)
    return found + [
        {"at": note.at, "kind": t("note"), "what": note.text, "who": actor_text(note.author)} for note in notes
    ]


def marks(span: Span) -> list[Mark]:
    """What a chart of that span is marked with."""
    return [Mark(row["at"], row["what"], row["kind"]) for row in happened(span)]


def action_text(entry: dict[str, Any], *, exact: bool = False) -> str:
    """An audit row as a sentence; `exact`: with the id of the key that was used."""
    detail, why = entry["detail"], reasons.of_audit(entry, language())
    actor = actor_text(entry["actor"], exact=exact)
    target = reasons.target(entry["action"], entry["target"], language())
    tail = f" · {why}" if why else ""
    changed = ", ".join(
        f"{name} {value_text(before)} → {value_text(after)}" for name, before, after in detail.get("changed", ())
    )
    said = {
        "limits": f"{actor} · {changed or t('limits')}",
        "rollback": t("{actor} went back: {changed}", actor=actor, changed=changed),
        "override": t("{actor} set the limits of {target}: {changed}", actor=actor, target=target, changed=changed),
        "plan": t("launch plan: {changed}", changed=changed)
        if "changed" in detail
        else tn("{actor} planned {n} step", "{actor} planned {n} steps", steps, actor=actor)
        if (steps := len(detail.get("steps", ())))
        else t("{actor} emptied the launch plan", actor=actor),
        "window": t("window: {changed}", changed=changed),
        "window_over": t("end of the window: {changed}", changed=changed),
        "window_held": t("window held: {target}", target=target),
        "unconfirmed": t("taken back: {changed}", changed=changed),
        "tripped": t("taken back: {changed}", changed=changed),
        "confirm": t("{actor} confirmed version {version}", actor=actor, version=detail.get("version")),
        "windows": tn("{actor} set {n} window", "{actor} set {n} windows", windows, actor=actor)
        if (windows := len(detail.get("windows", ())))
        else t("{actor} removed all windows", actor=actor),
        "stop": t(
            "{actor} announced the stop of {target} for {time}", actor=actor, target=target, time=when(detail["at"])
        )
        if "at" in detail
        else t("{actor} stopped {target}", actor=actor, target=target),
        "stop_back": t("{actor} took the stop of {target} back", actor=actor, target=target),
        "drain": t("{actor} began a drain", actor=actor),
        "drain_back": t("{actor} ended the drain", actor=actor),
        "reap": t("{actor} released {target}", actor=actor, target=target),
        "pause": t("{actor} paused starts", actor=actor),
        "resume": t("{actor} resumed starts", actor=actor),
        "held": t("launch plan held: {target}", target=target),
        "acknowledge": t("{actor} acknowledged {target}", actor=actor, target=target),
        "alert_test": t("{actor} sent a test to the channels", actor=actor),
        "note": t("{actor} wrote a note", actor=actor),
        "key": t("{actor} made key {target}", actor=actor, target=target),
        "clock_back": t("the clock was moved by {target}", target=target),
        "clock_on": t("the clock was moved by {target}", target=target),
        "restore": t("{actor} restored the backup {target}", actor=actor, target=target),
        "audit_head": t("the file {target} that keeps the end of the audit is begun", target=target),
        "audit_accepted": t("{actor} accepted that newest rows of the audit are gone", actor=actor),
        "revoke": t("{actor} revoked key {target}", actor=actor, target=target),
    }.get(entry["action"], f"{actor} · {entry['action']} {target}")
    return said + tail


def refused(rows: Sequence[Any]) -> list[tuple[int, str]]:
    """Refusals, newest first, those that one user had for one reason as one line: a bot that asks again and again."""
    joined: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        user = row.user_id or (t("several users") if row.repeats > 1 else "")  # a feed that names no session has none
        at, times = joined.get((user, row.reason), (row.at, 0))
        joined[user, row.reason] = at, times + row.repeats
    return [(at, of_one(user, reason_text(why)) + times_more(times)) for (user, why), (at, times) in joined.items()]


def of_one(user: str, why: str) -> str:
    """Who was refused why; only why, where nobody was named."""
    return t("{who} refused: {why}", who=user, why=why) if user else t("refused: {why}", why=why)


def times_more(times: int) -> str:
    """How often, where it was more than once."""
    return f" ×{number(times)}" if times > 1 else ""


def without_sign(text: str) -> str:
    """A message without the emoji that it begins with: a page has icons, which need no font of the machine."""
    return re.sub(r"^\W+", "", text)


def latest(most: int) -> list[tuple[int, str]]:
    """The newest happenings: what persons did, who was refused, whose lease ran out."""
    # A note is told by its text, below.
    found = [
        (one["at"], action_text(one)) for one in data.read(read.audit.entries, limit=most) if one["action"] != "note"
    ]
    found += [(at, text) for at, text in refused(data.read(read.refusals.refusals, limit=JOINED))[:most]]
    for one in data.read(read.incidents.incidents, limit=most):
        said = without_sign(headline(one, Reader(language(), zone(), now())))
        found.append((one.opened_at, t("alert: {what}", what=without_sign(alerts.message(one, language())))))
        if one.resolved_at is not None:
            found.append((one.resolved_at, t("alert over: {what}", what=said)))
    for row in data.read(read.sessions.lost, most):
        found.append((row.ended_at, t("{who}: slot freed, lease ran out", who=row.user_id)))
    for note in data.read(read.audit.notes)[:most]:
        found.append((note.at, f"{note.text} · {actor_text(note.author)}"))
    return sorted(found, reverse=True)[:most]
