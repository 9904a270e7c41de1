"""What a batch changed, for the memory of the other processes on the same PostgreSQL database: one row a commit.

Promises: a state that held all rows before one, and follows it, is what the process that wrote it has. Limits, the
launch plan, windows and incidents change rarely: they are only named, and read anew by who follows.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from limiter.rules import elsewhere
from limiter.rules.records import Notice, RefusalRecord, Session
from limiter.rules.state import State
from limiter.rules.turns import Ticket
from limiter.store.rows import as_session, notice_row, session_row
from limiter.units import MINUTE_MS

KEEP_MS = MINUTE_MS  # who is further behind reads everything anew
PARTS = {
    "limits": ("limits",),
    "plan": ("plan",),
    "schedule": ("schedule",),
    "drain": ("drain",),
    "incidents": ("incidents", "deliveries", "channels", "numbers"),
}
"""What is named, and the parts of a state that it is."""

Entry = Mapping[str, Any]


def entry(state: State, beaten: Sequence[Session], refused: Iterable[RefusalRecord], renewed: bool = False) -> str:
    """The text of the row for the batch that this state has just decided; `renewed`: it began with every lease."""
    changes = state.changes
    # Who was not heard since all leases were renewed has traded, but its lease is not of its last beat.
    heard = [one for one in beaten if one.expires_at == one.last_heartbeat_at + one.lease_ms]
    named = {
        "limits": bool(changes.versions),
        "plan": changes.plan,
        "schedule": changes.schedule,
        "drain": changes.drain,
        "incidents": bool(changes.incidents or changes.deliveries),
    }
    found = {
        "renewed": renewed,
        "started": [session_row(one) for one in changes.started if one.number in state.sessions],
        "ended": [(one.session.number, one.at, one.reason) for one in changes.ended],
        "beaten": [(one.number, one.last_heartbeat_at, one.lease_ms) for one in heard],
        "measured": [
            (one.number, one.measured_at, one.memory_bytes, one.cpu_seconds)
            for one in beaten
            if one.measured_at == one.last_heartbeat_at
        ],
        "used": [(one.number, one.used_at) for one in beaten if one.used_at is not None],
        "notices": [(number, *notice_row(one)) for number, one in changes.notices.items() if number in state.sessions],
        "starts": len(changes.started),
        "taken": len(changes.started) - sum(one.reason == "replaced" for one in changes.ended),
        "trades": len(changes.trades),
        "refused": Counter(one.reason for one in refused),
        "days": [(day, user, used) for (user, day), used in changes.trade_days.items()],
        "seconds": [(kind, user, second, n) for (kind, user, second), n in changes.seconds.items()],
        "tickets": [
            (user, None) if (held := state.tickets.get(user)) is None else (user, (held.id, held.number, held.asked_at))
            for user in changes.tickets
        ],
        "parts": [name for name, changed in named.items() if changed],
    }
    return json.dumps({name: value for name, value in found.items() if value}, separators=(",", ":"))


def follow(state: State, at: int, entry: Entry) -> None:
    """Change the state as the batch of that instant did."""
    if entry.get("renewed"):
        state.renew_leases(at)
    _follow_sessions(state, entry)
    for day, user, used in entry.get("days", ()):
        state.trade_days[user, day] = used
    for kind, user, second, n in entry.get("seconds", ()):
        state.window(kind, user).add(second, n)
        if kind == "tokens":
            state.last_token_at = at
    for user, held in entry.get("tickets", ()):
        elsewhere.ticket(state, user, None if held is None else Ticket(held[0], user, held[1], held[2]))
    if taken := entry.get("taken"):
        elsewhere.starts(state, at, taken)
    counts = {"starts": entry.get("starts", 0), "trades": entry.get("trades", 0)}
    counts |= {f"refused:{reason}": n for reason, n in entry.get("refused", {}).items()}
    for figure, n in counts.items():
        if n:
            elsewhere.count(state, figure, at, n)
    if entry.get("ended") or entry.get("started") or "limits" in entry.get("parts", ()):
        elsewhere.course(state, at)


def _follow_sessions(state: State, entry: Entry) -> None:
    for number, ended_at, reason in entry.get("ended", ()):
        elsewhere.end(state, number, ended_at, reason)
        elsewhere.count(state, f"ended:{reason}", ended_at, 1)
    for row in entry.get("started", ()):
        state.hold(as_session(row))
    for number, ends_at, reason in entry.get("notices", ()):
        elsewhere.notice(state, number, None if ends_at is None else Notice(ends_at, reason))
    for number, beaten_at, lease_ms in entry.get("beaten", ()):
        elsewhere.beat(state, number, beaten_at, lease_ms)
    for number, used_at in entry.get("used", ()):
        elsewhere.use(state, number, used_at)
    for number, measured_at, memory_bytes, cpu_seconds in entry.get("measured", ()):
        elsewhere.measure(state, number, measured_at, memory_bytes, cpu_seconds)
