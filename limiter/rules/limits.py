"""The limits in force: which value holds for whom, where it comes from, and under which version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from limiter.system_limits import CATALOGUE, LIMITS, Value

Source = Literal["live", "window", "environment", "env_file", "default"]
BARS = ("MAX_STARTS_PER_MINUTE", "MAX_CPU_PERCENT", "MAX_RAM_PERCENT")
"""What may keep a start out while there is room (door.py)."""
USER_LIMITS = tuple(limit.name for limit in CATALOGUE if limit.scope == "user")


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in force with its source; who changed it last and when (None where nobody did)."""

    value: Value
    source: Source
    changed_at: int | None = None
    changed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Override:
    """One user's own values, with a reason; over at `until` (UTC ms; None: for good). `reserve`: reserved slots are for
    him too."""

    limits: Mapping[str, Value]
    reason: str
    until: int | None
    changed_at: int
    changed_by: str
    reserve: bool = False

    def holds(self, now: int) -> bool:
        """Whether it is in force at `now`."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Limits:
    """One version of all limits. `configured` is what environment, `.env` and defaults say; `settings` what holds."""

    version: int
    settings: Mapping[str, Setting]
    configured: Mapping[str, Setting]
    overrides: Mapping[str, Override] = field(default_factory=dict)
    values: Mapping[str, Value] = field(init=False)
    reserve: tuple[str, ...] = field(init=False)
    room_since: int = field(init=False)
    """When what makes room for starts was changed last: the cap, the reserve, or who is of it."""
    max_bots: int = field(init=False)
    alert_threshold: int = field(init=False)
    bars: bool = field(init=False)
    """Whether one of BARS is set."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reserve", tuple(user for user, own in self.overrides.items() if own.reserve))
        kept = [self.overrides[user].changed_at for user in self.reserve]
        room = [self.settings[name].changed_at or 0 for name in ("MAX_CONCURRENT_BOTS", "RESERVED_SLOTS")]
        object.__setattr__(self, "room_since", max(room + kept))
        object.__setattr__(self, "values", {limit.name: self.settings[limit.name].value for limit in CATALOGUE})
        # What every decision looks at.
        object.__setattr__(self, "max_bots", self.whole("MAX_CONCURRENT_BOTS"))
        object.__setattr__(self, "alert_threshold", self.whole("ALERT_THRESHOLD"))
        object.__setattr__(self, "bars", any(self.values[name] is not None for name in BARS))

    def of(self, user_id: str, now: int) -> Mapping[str, Value]:
        """All values in force for one user. The same object each time where the user has no override."""
        override = self.overrides.get(user_id)
        if override is None or not override.holds(now):
            return self.values
        return {**self.values, **override.limits}

    def in_reserve(self, user_id: str, now: int) -> bool:
        """Whether reserved slots are for this user."""
        own = self.overrides.get(user_id)
        return own is not None and own.reserve and own.holds(now)

    def whole(self, name: str) -> int:
        """A system limit that is never `none`, as an integer."""
        value = self.values[name]
        assert isinstance(value, int), name
        return value

    def hidden(self, name: str) -> bool:
        """Whether a live change hides a value of the environment or `.env`."""
        return self.settings[name].source == "live" and self.configured[name].source in ("environment", "env_file")


def defaults() -> dict[str, Setting]:
    """The defaults of `system_limits.py`."""
    return {limit.name: Setting(limit.default, "default") for limit in LIMITS.values()}
