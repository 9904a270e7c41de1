"""Peak windows: another MAX_CONCURRENT_BOTS at set times of the wall clock."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Struct

from limiter.answers.parts import Ok, Reason, Seen

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WallClock = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](?![\s\S])",
        extra_json_schema={"pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
    ),
]
RENAMED = {"begins": "from", "ends": "to", "max_bots": "MAX_CONCURRENT_BOTS"}


class WantedWindow(Struct, rename=RENAMED):
    days: Annotated[list[Day], msgspec.Meta(min_length=1, max_length=7)]
    begins: WallClock
    ends: WallClock
    max_bots: Annotated[Any, msgspec.Meta(description="a number", extra_json_schema={"not": {"type": "null"}})]


class WindowsBody(Struct):
    windows: Annotated[list[WantedWindow], msgspec.Meta(max_length=50)]
    reason: Reason
    version: Seen | None = None


class Window(Struct, rename=RENAMED):
    days: list[Day]
    begins: str
    ends: str
    max_bots: int


class OpenWindow(Struct, rename={"max_bots": "MAX_CONCURRENT_BOTS", "base": "then"}):
    since: str
    until: str
    max_bots: int
    status: Literal["applied", "held", "by_hand"]
    held_by: str | None
    base: int


class WindowsAnswer(Ok):
    windows: list[Window]
    zone: str
    open: OpenWindow | None
    version: int = 0
