"""The limits in force: which value holds for whom, where it comes from, and under which version."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
    this user too."""

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
    """One version of all limits. `configured` is what environment, `.env` and defaults say; `settings` what holds;
    `room_since`: when somebody or something last changed what makes room for starts (`room_made`)."""

    version: int
    settings: Mapping[str, Setting]
    configured: Mapping[str, Setting]
    overrides: Mapping[str, Override] = field(default_factory=dict)
    room_since: int = 0
    values: Mapping[str, Value] = field(init=False)
    reserve: tuple[str, ...] = field(init=False)
    max_bots: int = field(init=False)
    lease_ms: int = field(init=False)
    alert_threshold: int = field(init=False)
    bars: bool = field(init=False)
    """Whether one of BARS is set."""
    reserves: bool = field(init=False)
    """Whether slots are kept for users of the reserve."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reserve", tuple(user for user, own in self.overrides.items() if own.reserve))
        object.__setattr__(self, "values", {limit.name: self.settings[limit.name].value for limit in CATALOGUE})
        # What every decision looks at.
        object.__setattr__(self, "max_bots", self.whole("MAX_CONCURRENT_BOTS"))
        object.__setattr__(self, "lease_ms", self.whole("BOT_LEASE_SECONDS") * 1000)
        object.__setattr__(self, "alert_threshold", self.whole("ALERT_THRESHOLD"))
        object.__setattr__(self, "bars", any(self.values[name] is not None for name in BARS))
        object.__setattr__(self, "reserves", bool(self.values["RESERVED_SLOTS"]))

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

    def changed(
        self, version: int, settings: Mapping[str, Setting], overrides: Mapping[str, Override], now: int
    ) -> "Limits":
        """These limits under another version, with other settings and users' own."""
        after = Limits(version, settings, self.configured, overrides, self.room_made(now))
        return after if after._room(now) == self._room(now) else replace(after, room_since=now)

    def room_made(self, now: int) -> int:
        """When what makes room for starts last became what it is: the cap, the reserve, and who is of it, which ends
        by itself for who is of it for a while. It never goes back."""
        if not self.values["RESERVED_SLOTS"]:
            return self.room_since
        ends = (self.overrides[user].until for user in self.reserve)
        return max([self.room_since, *(end for end in ends if end is not None and end <= now)])

    def _room(self, now: int) -> tuple[object, ...]:
        reserved = self.values["RESERVED_SLOTS"]
        return self.max_bots, reserved, reserved and {user for user in self.reserve if self.in_reserve(user, now)}

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
