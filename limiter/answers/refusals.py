"""Refusals: as one is told, and as they are kept."""

from typing import Literal

import msgspec
from msgspec import Struct

from limiter.answers.parts import Ok
from limiter.system_limits import Value


class FieldError(Struct):
    field: str
    message: str


class Problem(Struct, omit_defaults=True):
    """RFC 9457; each reason adds its own facts."""

    type: str
    title: str
    status: int
    detail: str
    success: Literal[False]
    error: str
    reason: str
    request_id: str
    errors: list[FieldError] = msgspec.field(default_factory=list)


class RefusalRow(Struct):
    request_id: str
    at: str
    user_id: str | None
    bot_id: str | None
    reason: str
    limit: str | None
    value: Value
    version: int
    count: int | None
    repeats: int


class RefusalsAnswer(Ok):
    items: list[RefusalRow]
    next_cursor: str | None


class RefusalAnswer(Ok):
    refusal: RefusalRow
