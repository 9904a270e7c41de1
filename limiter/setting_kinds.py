"""How the text of a setting is read: text in, value out, or a ValueError that says why not."""

import math
import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

from limiter.rules.hours import Hours


def port(text: str) -> int:
    """A port, 0 to 65535."""
    port = int(text)
    if not 0 <= port <= 65535:
        raise ValueError("must be a port, 0 to 65535")
    return port


def positive(text: str) -> float:
    """A number above 0."""
    number = float(text)
    if not math.isfinite(number) or number <= 0:
        raise ValueError("must be a positive number")
    return number


def ram(text: str) -> float | None:
    """GB, or None where the text is empty."""
    return positive(text) if text else None


def whole(text: str) -> int:
    """A whole number of 1 or more."""
    number = int(text)
    if number < 1:
        raise ValueError("must be 1 or more")
    return number


def web(text: str) -> str:
    """An address of the web, or an empty text."""
    if text and not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise ValueError("must be an address that begins with http:// or https://")
    return text


def hours_of_a_day(text: str) -> int:
    """Hours, 1 to 24."""
    hours = int(text)
    if not 1 <= hours <= 24:
        raise ValueError("must be 1 to 24")
    return hours


def minutes(text: str) -> int:
    """Minutes, 0 to a week."""
    minutes = int(text)
    if not 0 <= minutes <= 10_080:
        raise ValueError("must be 0 to 10080, which is a week")
    return minutes


def hours(text: str) -> Hours | None:
    """Hours of the day, or None where the text is empty."""
    return Hours.read(text) if text else None


def choice(*choices: str) -> Callable[[str], str]:
    """A reader that takes one of these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return read


def zone(text: str) -> ZoneInfo:
    """An IANA time zone."""
    try:
        return ZoneInfo(text)
    except Exception as error:  # zoneinfo raises KeyError, ValueError, OSError for what is not a zone
        raise ValueError(f"{text!r} is not an IANA time zone") from error


def pattern(text: str) -> re.Pattern[str] | None:
    """A regular expression that does not match everything, or None where the text is empty."""
    if not text:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if pattern.search(""):
        raise ValueError("matches everything, an empty text too")
    return pattern


def addresses(text: str) -> tuple[str, ...]:
    """A comma inside an address belongs to it."""
    found = (part.strip(", \t\r\n") for part in re.split(r"[\s,]+(?=[\w+.-]+://)", text))
    return tuple(part for part in found if part)


def yes(text: str) -> bool:
    """`yes` or `no`."""
    return choice("yes", "no")(text) == "yes"
