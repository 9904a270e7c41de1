"""Figures to decide by, each with how far to trust it, and what was at an instant of the past."""

from typing import Annotated

from msgspec import Meta, Struct

from limiter.answers.parts import LimitValues, Ok
from limiter.answers.refusals import RefusalRow
from limiter.answers.sessions import AdminSession

Share = Annotated[float, Meta(ge=0, le=1)]


class ForecastPoint(Struct):
    """One hour to come: bots expected, and the band that holds `band` % of hours."""

    at: str
    middle: float
    low: float
    high: float


class ForecastAnswer(Ok):
    """None: there is too little data, and `needs` says what it takes. `chance` is by per cent of the limit: 80, 100."""

    days: int
    points: list[ForecastPoint] | None
    band: int
    error: float | None
    naive_error: float | None
    chance: dict[str, Share] | None
    level_changed_at: str | None
    censored_hours: int
    sentence: str | None
    needs: str | None


class Slots(Struct):
    """`first`: so that at most the wanted share is refused at first; `lost`: so that at most that share is lost."""

    first: int
    lost: int


class AtTheLimit(Struct):
    """Shares of demands at the limit in force: expected by the model, and seen in the last 28 days."""

    limit: int
    refused_first: Share
    refused_lost: Share
    seen_first: Share
    seen_lost: Share


class SizingLoad(Struct):
    """Bots wanted at once on average: over the week, and in its busiest hour."""

    mean: float
    peak: float


class SizingDay(Struct):
    """A day in LIMITER_TIMEZONE: demands that came, were refused at first, and were never served."""

    day: str
    demands: int
    first: int
    lost: int


class SizingAnswer(Ok):
    """None: there is too little data, and `needs` says what it takes. `low`, `high`: the range for weeks like these.

    `sentence`: whether the limit in force is enough. `days`: of the last 28, those on which somebody asked.
    """

    refused: Share
    slots: Slots | None
    low: Slots | None
    high: Slots | None
    now: AtTheLimit | None
    load: SizingLoad | None
    users: int | None
    demands: int
    stay_hours: float | None
    days: list[SizingDay]
    sentence: str | None
    method: str | None
    trust: str | None
    needs: str | None


class LeaseRow(Struct):
    """What a lease would have done: gaps of living bots that were longer, and hours of slots that the dead held."""

    lease_seconds: int
    living_ended: int
    slot_hours_held_by_the_dead: float


class LeaseAnswer(Ok):
    """Of the last 7 days (UTC) and today: `beats` with a known gap before them, `dead` sessions that fell silent.

    No gap longer than the lease of its time is followed by a beat: of longer leases `living_ended` is 0 by nature.
    """

    days: int
    beats: int
    dead: int
    lease_seconds: int
    rows: list[LeaseRow]
    sentence: str | None
    needs: str | None


class HeldSession(AdminSession):
    """A session as it stood at an instant; None: it said more since, so what it had said by then is not known."""

    last_heartbeat_at: str | None  # type: ignore[assignment]
    lease_expires_at: str | None  # type: ignore[assignment]


class StateAnswer(Ok):
    """`limits` None: no version is kept from before that instant. `needs`: what is not kept as far back."""

    at: str
    limits_version: int | None
    limits: LimitValues | None
    paused: bool
    sessions: list[HeldSession]
    needs: str | None


class ExplainAnswer(Ok):
    """`decided_again` None: what was recorded does not say (draining; how many signals were asked for at once)."""

    refusal: RefusalRow
    sentence: str
    holders: list[HeldSession]
    way_out: str
    decided_again: bool | None
