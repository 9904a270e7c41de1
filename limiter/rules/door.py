"""Why no start that needs a slot goes through the door now, whatever is free. Pure: figures in, a refusal out.

Promises: never more than MAX_STARTS_PER_MINUTE starts in any 60 s, at one-second resolution; none where the last
minute's mean of the box's CPU or RAM is above its limit, as far as it was read. A replacement and a repeated request
need no slot, and do not come here.
"""

from typing import NamedTuple

from limiter.rules.refusals import Refusal
from limiter.rules.windows import MINUTE_SECONDS, Window
from limiter.system_limits import Value
from limiter.units import MINUTE_MS

READING_MS = MINUTE_MS  # a reading that is older says nothing of the box as it is
BUSY_RETRY_SECONDS = 60


class Load(NamedTuple):
    """CPU and RAM of the box in percent, means of the minute before `at`; None where not read."""

    at: int
    cpu_percent: float | None
    ram_percent: float | None


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


def box_busy(load: Load | None, most_cpu: Value, most_ram: Value, now: int) -> Barred | None:
    """Whether the box is above one of the limits (None: no limit); CPU is told first."""
    if load is None or now - load.at > READING_MS:
        return None
    for name, what, value, most in (
        ("MAX_CPU_PERCENT", "CPU", load.cpu_percent, most_cpu),
        ("MAX_RAM_PERCENT", "RAM", load.ram_percent, most_ram),
    ):
        if most is not None and value is not None and value > most:
            shown = round(value, 1)  # the sentence rounds what the fields show, not what they do not
            told = {"value": shown, "threshold": most, "what": what, "percent": round(shown)}
            return Barred(Refusal("box_busy", told, BUSY_RETRY_SECONDS), name, most, round(shown))
    return None
