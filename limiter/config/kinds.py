"""How the text of a setting is read: text in, value out, or a ValueError that says why not."""

import math
import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

from limiter.bilingual import Unreadable
from limiter.database_url import file_of
from limiter.rules.hours import Hours


def _integer(text: str, least: int, most: float, *, fr: str, en: str) -> int:
    """A whole number from `least` to `most`; else Unreadable, with that sentence and the text."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        raise Unreadable(fr=f"{fr}, pas {text!r}", en=f"{en}, not {text!r}")
    return number


def port(text: str) -> int:
    """A port, 0 to 65535."""
    return _integer(text, 0, 65535, fr="doit être un port, de 0 à 65535", en="must be a port, 0 to 65535")


def positive(text: str) -> float:
    """A number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not math.isfinite(number) or number <= 0:
        raise Unreadable(fr=f"doit être un nombre positif, pas {text!r}", en=f"must be a positive number, not {text!r}")
    return number


def ram(text: str) -> float | None:
    """GB, or None where the text is empty."""
    return positive(text) if text else None


def whole(text: str) -> int:
    """A whole number of 1 or more."""
    return _integer(text, 1, math.inf, fr="doit être un entier, 1 ou plus", en="must be a whole number, 1 or more")


def database(text: str) -> str:
    """The URL of a database, as it is."""
    file_of(text)
    return text


def web(text: str) -> str:
    """An address of the web, or an empty text."""
    if text and not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise Unreadable(
            fr="doit être une adresse qui commence par http:// ou https://",
            en="must be an address that begins with http:// or https://",
        )
    return text


def hours_of_a_day(text: str) -> int:
    """Hours, 1 to 24."""
    return _integer(text, 1, 24, fr="doit être un entier de 1 à 24", en="must be a whole number, 1 to 24")


def minutes(text: str) -> int:
    """Minutes, 0 to a week."""
    return _integer(
        text, 0, 10_080,
        fr="doit être un entier de 0 à 10080, soit une semaine",
        en="must be a whole number, 0 to 10080, which is a week",
    )  # fmt: skip


def hours(text: str) -> Hours | None:
    """Hours of the day, or None where the text is empty."""
    return Hours.read(text) if text else None


def choice(*choices: str) -> Callable[[str], str]:
    """A reader that takes one of these words."""

    def read(text: str) -> str:
        if text not in choices:
            raise Unreadable(
                fr=f"doit être l'un de {', '.join(choices)}, pas {text!r}",
                en=f"must be one of {', '.join(choices)}, not {text!r}",
            )
        return text

    return read


def zone(text: str) -> ZoneInfo:
    """An IANA time zone."""
    try:
        return ZoneInfo(text)
    except Exception as error:  # zoneinfo raises KeyError, ValueError, OSError for what is not a zone
        raise Unreadable(
            fr=f"{text!r} n'est pas un fuseau horaire de l'IANA", en=f"{text!r} is not an IANA time zone"
        ) from error


def pattern(text: str) -> re.Pattern[str] | None:
    """A regular expression that does not match everything, or None where the text is empty."""
    if not text:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        at = (error.pos or 0) + 1
        raise Unreadable(
            fr=f"n'est pas une expression rationnelle : vois le caractère {at}",
            en=f"is no regular expression: {error.msg} at character {at}",
        ) from error
    if pattern.search(""):
        raise Unreadable(fr="convient à tout, même à un texte vide", en="matches everything, an empty text too")
    return pattern


def addresses(text: str) -> tuple[str, ...]:
    """A comma inside an address belongs to it."""
    found = (part.strip(", \t\r\n") for part in re.split(r"[\s,]+(?=[\w+.-]+://)", text))
    return tuple(part for part in found if part)


def yes(text: str) -> bool:
    """`yes` or `no`."""
    return choice("yes", "no")(text) == "yes"
