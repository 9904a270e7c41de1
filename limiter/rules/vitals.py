"""The signs that something is wrong with the limiter, its box or its database, and from which value on. Pure.

A value that stands between bad and well says nothing: what was told stays so, and is not taken back and told again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limiter.rules.guards import FEED_SEEN_MS, FEED_TOKENS_PER_MINUTE
from limiter.rules.state import State
from limiter.rules.strangers import Stranger
from limiter.units import MIB

SAMPLE_SECONDS = 30
DISK_BYTES = 200 * MIB
CLOCK_STEP_SECONDS = 2.0
BACKUP_SECONDS = 26 * 3600
OUTAGE_SECONDS = 10.0  # a database that was away for less is not told


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the rules look at beside the state; None: not known, or not watched. `strangers`: seen twice in a row.
    `damage`: what is wrong with the pages of the database; `audit_cut`: whether newest rows of the audit are gone.

    `outage_since` is when a database that is back now went away (UTC ms).
    """

    sample_age_seconds: float
    clock_step_seconds: float
    disk_free_bytes: int | None = None
    backup_age_seconds: float | None = None
    outage_since: int | None = None
    strangers: Sequence[Stranger] | None = None
    damage: str | None = None
    audit_cut: bool = False


def _beyond(value: float | None, bad: float, well: float) -> bool | None:
    """Whether the value is past `bad`; None between that and `well`, where it stays what it was, or without a value."""
    if value is None:
        return None
    sign = 1 if bad > well else -1
    if sign * value > sign * bad:
        return True
    return False if sign * value <= sign * well else None


def findings(vitals: Vitals, state: State, now: int) -> dict[str, tuple[bool | None, dict[str, Any]]]:
    """For each rule whether it holds (None: cannot be said), and the facts of its sentence."""
    tokens = state.window("tokens").used(now // 1000)
    fed = state.last_token_at is not None and now - state.last_token_at <= FEED_SEEN_MS
    held = next((step for step in state.plan if step.status == "held"), None)
    window = state.schedule.open
    age, step, free, backup = (
        vitals.sample_age_seconds, vitals.clock_step_seconds, vitals.disk_free_bytes, vitals.backup_age_seconds
    )  # fmt: skip
    strangers = vitals.strangers
    first = {}
    if strangers:
        one = strangers[0]
        first = {"pid": one.pid, "name": f"{one.name}, {one.host}" if one.host else one.name}
    return {
        "feed": (bool(fed and state.sessions and tokens < FEED_TOKENS_PER_MINUTE), {"tokens": tokens}),
        "snapshots": (_beyond(age, SAMPLE_SECONDS, SAMPLE_SECONDS / 2), {"seconds": age}),
        "disk": (_beyond(free, DISK_BYTES, DISK_BYTES * 1.25), {"free": (free or 0) / MIB}),
        "clock": (_beyond(abs(step), CLOCK_STEP_SECONDS, CLOCK_STEP_SECONDS / 2), {"step": step}),
        "plan": (held is not None, {"held_by": [guard.as_facts() for guard in held.held_by] if held else []}),
        "windows": (
            window is not None and bool(window.held_by),
            {"held_by": [guard.as_facts() for guard in window.held_by] if window else []},
        ),
        "backup": (_beyond(backup, BACKUP_SECONDS, BACKUP_SECONDS - 3600), {"hours": (backup or 0) / 3600}),
        "drift": (None if state.drift is None else state.drift > 0, {"drift": state.drift or 0}),
        "damage": (vitals.damage is not None, {"problem": vitals.damage or ""}),
        "audit": (vitals.audit_cut, {}),
        "strangers": (None if strangers is None else bool(strangers), {"n": len(strangers or ()), **first}),
    }
