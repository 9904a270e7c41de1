"""Who does what: who uses up which limit, who is idle, how concentrated it is, demands beside attempts."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from limiter.answers.deciding import Share
from limiter.answers.parts import Ok


class Total(Struct):
    """What was used in the last 60 s or on the trade day; `limit`: the system's, if any; `of_limit`: percent,
    null where there is no limit or one of 0."""

    what: Literal["signals", "tokens", "trades"]
    window: Literal["minute", "day"]
    used: int
    limit_name: str | None
    limit: int | None
    of_limit: float | None


class Use(Struct):
    """What one user used, `share` of all of it; `limit` is the one that holds for this user, `of_limit` in percent,
    null where there is none or one of 0.
    `user_id` null: what no session was named for."""

    what: Literal["signals", "tokens", "trades"]
    window: Literal["minute", "day"]
    user_id: str | None
    used: int
    share: Share
    limit_name: str | None
    limit: int | None
    of_limit: float | None


class Closing(Struct):
    """Trades of the day of one user, and those marked as closing, which no daily limit refuses."""

    user_id: str
    trades: int
    closing: int
    share: Annotated[Share, Meta(description="of the user's own trades")]


class IdleSession(Struct):
    """`used_at`: its last trade, signal or token; null: none since it started."""

    public_id: str
    user_id: str
    bot_id: str
    started_at: str
    used_at: str | None
    idle_seconds: int


class Concentration(Struct):
    """Slot-hours of the period; `top`: share of the first 1, 5, 10 users; `half_users`: the fewest that hold half."""

    users: int
    slot_hours: float
    top: dict[str, Share]
    half_users: int
    sentence: str


class AskedBy(Struct):
    """`attempts`: start requests; `demands`: a bot's run of tries is one, `first` refused at first, `lost` for good."""

    user_id: str
    attempts: int
    demands: int
    first: int
    lost: int
    restarts: int
    own_limit: int


class Demands(Struct):
    """The same of all users in the period."""

    attempts: int
    demands: int
    first: int
    lost: int
    restarts: int
    own_limit: int
    sentence: str


class WhoAnswer(Ok):
    """Of the trade day `day` and the last minute: `uses`, the heaviest users first, and `closing`. Of the last `days`
    days, as known a minute ago or later: `concentration`, `demands` and who asked most, null where nobody held a slot,
    or asked for one.

    `idle`: sessions of the `held` without trade, signal or token for `idle_after_seconds`, the longest first; `needs`:
    why nobody can be called idle.
    """

    at: str
    day: str
    days: int
    totals: list[Total]
    uses: list[Use]
    closing: list[Closing]
    held: int
    idle_after_seconds: int
    idle: list[IdleSession]
    idle_sentence: str | None
    needs: str | None
    concentration: Concentration | None
    demands: Demands | None
    asked: list[AskedBy]
