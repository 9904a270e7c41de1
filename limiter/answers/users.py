"""What one user uses and may use."""

from msgspec import Struct

from limiter.answers.parts import Changes, LimitValues, Ok, Reason, Seen


class OverrideBody(Struct):
    limits: Changes
    reason: Reason
    until: str | None = None
    reserve: bool = False
    version: Seen | None = None


class Use(Struct):
    used: int
    limit: int | None
    left: int | None


class UsageAnswer(Ok):
    bots: Use
    trades: Use
    signals: Use


class UserLimitsAnswer(Ok):
    user_id: str
    limits: LimitValues
    reason: str | None
    until: str | None
    expired: bool
    changed_at: str | None
    changed_by: str | None
    version: int
    reserve: bool
