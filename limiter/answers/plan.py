"""The launch plan."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct

from limiter.answers.limits import ConfirmWithin
from limiter.answers.parts import Ok, Reason, Seen


class WantedStep(Struct, rename={"max_bots": "MAX_CONCURRENT_BOTS"}):
    at: str
    max_bots: Annotated[Any, msgspec.Meta(description="a number", extra_json_schema={"not": {"type": "null"}})]
    confirm_within: ConfirmWithin | None = None


class PlanBody(Struct):
    steps: Annotated[list[WantedStep], msgspec.Meta(max_length=100)]
    reason: Reason
    version: Seen | None = None


class PlanStep(Struct, rename={"max_bots": "MAX_CONCURRENT_BOTS"}):
    at: str
    max_bots: int
    status: Literal["planned", "applied", "held"]
    applied_at: str | None
    held_by: str | None
    confirm_within: int | None = None


class PlanAnswer(Ok):
    steps: list[PlanStep]
    version: int = 0
