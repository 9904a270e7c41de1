"""The limits in force, each with its source; changes of them, previews and versions."""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from limiter.answers.capacity import Capacity, Guard
from limiter.answers.parts import Changes, LimitValues, Ok, Reason, Seen
from limiter.answers.windows import OpenWindow
from limiter.system_limits import Value

ConfirmWithin = Annotated[int, msgspec.Meta(ge=60, le=86_400)]


class ChangeBody(Struct):
    changes: Changes
    reason: Reason
    version: Seen | None = None
    override_guard: bool = False
    confirm_within: ConfirmWithin | None = None


class PreviewBody(Struct):
    changes: Changes


class RollbackBody(Struct):
    version: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    reason: Reason
    override_guard: bool = False
    confirm_within: ConfirmWithin | None = None
    limits_version: Seen | None = None


class ConfirmBody(Struct):
    version: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    reason: Reason


class Probation(Struct):
    version: int
    ends_at: str
    back_to: int


class Coming(Struct, rename={"max_bots": "MAX_CONCURRENT_BOTS"}):
    at: str
    max_bots: int
    source: Literal["window", "plan", "probation", "base"]


class LimitsAnswer(Ok):
    limits: LimitValues
    limits_version: int


class LimitRow(Struct):
    name: str
    value: Value
    default: Value
    source: Literal["live", "window", "environment", "env_file", "default"]
    hidden: bool
    configured: Value
    unit: str
    scope: Literal["system", "user", "session"]
    min: int | float
    max: int
    meaning: str
    changed_at: str | None
    changed_by: str | None


class LimitRowsAnswer(Ok):
    version: int
    limits: list[LimitRow]
    probation: Probation | None = None
    window: OpenWindow | None = None
    coming: list[Coming] = msgspec.field(default_factory=list)


class Moved(Struct, rename={"before": "from", "after": "to"}):
    name: str
    before: Value
    after: Value


class ChangeAnswer(Ok):
    version: int
    changed: list[Moved]
    warnings: list[str]
    probation: Probation | None = None


class Replay(Struct):
    days: int
    demands: int
    refused_now: int
    refused_then: int
    users_affected: int


class PreviewAnswer(Ok):
    capacity: Capacity
    over_by: int
    guards: list[Guard]
    warnings: list[str]
    replay: Replay


class VersionRow(Struct):
    version: int
    at: str
    by: str
    kind: str
    reason: str
    user_id: str | None
    changed: list[Moved]


class VersionsAnswer(Ok):
    versions: list[VersionRow]
    next_cursor: str | None
