"""How the limits changed, and how the plan will change them. Instants are UTC milliseconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from limiter.rules.guards import Guard
from limiter.system_limits import Value


@dataclass(frozen=True, slots=True)
class Version:
    """One change of the limits: who, when, why, what; `in_force` holds every (value, source) after it."""

    version: int
    at: int
    actor: str
    kind: str
    reason: str
    user_id: str | None
    changed: tuple[tuple[str, Value, Value], ...]
    in_force: Mapping[str, tuple[Value, str]]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the launch plan: at this instant, so many bots; the guards that hold it back where it is held.
    `confirm_within`: seconds in which somebody has to confirm it once it is applied; None: it needs nobody."""

    at: int
    max_bots: int
    status: Literal["planned", "applied", "held"] = "planned"
    applied_at: int | None = None
    held_by: tuple[Guard, ...] = ()
    confirm_within: int | None = None
