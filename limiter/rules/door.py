"""Why no start that needs a slot goes through the door now, whatever is free. Pure: figures in, a refusal out.

Promises: never more than MAX_STARTS_PER_MINUTE starts in any 60 s, at one-second resolution. A replacement and a
repeated request need no slot, and do not come here.
"""

from typing import NamedTuple

from limiter.rules.refusals import Refusal
from limiter.rules.windows import MINUTE_SECONDS, Window
from limiter.system_limits import Value


class Barred(NamedTuple):
    """A refusal with the name and value of the limit that it is for, and the figure that reached it."""

    refusal: Refusal
    limit: str
    value: Value
    used: int


def too_many_starts(starts: Window | None, most: Value, second: int) -> Barred | None:
    """Whether the starts that the window which ends with `second` holds have reached `most` (None: no limit)."""
    if not isinstance(most, int):
        return None
    used = starts.used(second) if starts is not None else 0
    if used < most:
        return None
    wait = starts.wait(second, used + 1 - most) if starts is not None and most else MINUTE_SECONDS
    return Barred(Refusal("start_rate", {"limit": most, "used": used}, wait), "MAX_STARTS_PER_MINUTE", most, used)
