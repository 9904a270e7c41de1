"""Whether the limiter lives, and what it checks of itself."""

from typing import Literal

from msgspec import Struct

from limiter.answers.capacity import Capacity
from limiter.answers.parts import Ok


class Check(Struct):
    ok: bool
    detail: str


class HealthAnswer(Struct):
    success: bool
    status: Literal["ok", "degraded", "down"]
    alert: Literal["CAPACITY_OK", "CAPACITY_ALERT"]
    capacity: Capacity
    checks: dict[str, Check]


class Alive(Ok):
    pass
