"""Instants (UTC milliseconds) for people: in the zone of the browser, the server or UTC; ranges; the ticks of an axis.

Ticks are made here and not by the chart, so that each zone, language and DST night is right: an hour that comes twice
is labelled once, one that is left out leaves no gap.
"""

import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st

from limiter.console.data import settings
from limiter.console.kit.words import language

MONTHS = {
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
DAYS = {
    "fr": ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
RANGES = {"1h": HOUR, "6h": 6 * HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}
STEPS_MINUTES = (5, 10, 15, 30, 60, 120, 180, 360, 720)


def now() -> int:
    """This instant."""
    return int(time.time() * 1000)


def zones() -> list[str]:
    """The zones to choose from, as IANA names: the browser's, the server's, UTC, and the one that the URL names."""
    server = str(settings()["LIMITER_TIMEZONE"])
    names = [st.context.timezone, server, "UTC", st.query_params.get("tz")]
    return list(dict.fromkeys(name for name in names if name and _known(name)))


@functools.cache
def _known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except Exception:  # zoneinfo raises KeyError, ValueError or OSError for what is not a zone
        return False
    return True


def zone() -> tzinfo:
    """The zone of this run."""
    chosen = st.session_state.get("zone")
    return chosen if isinstance(chosen, tzinfo) else UTC


def instant(at: int) -> datetime:
    """As a table takes it, in UTC; the table shows it in the zone that its column names."""
    return datetime.fromtimestamp(at / 1000, UTC)


def local(at: int, where: tzinfo | None = None) -> datetime:
    """The instant on the wall clock of the zone."""
    return datetime.fromtimestamp(at / 1000, where or zone())


def clock(at: int) -> str:
    """14:03:07."""
    return f"{local(at):%H:%M:%S}"


def day(at: int, *, weekday: bool = False) -> str:
    """24 nov. or 24 Nov, with its weekday if asked for."""
    moment, lang = local(at), language()
    text = f"{moment.day} {MONTHS[lang][moment.month - 1]}"
    return f"{DAYS[lang][moment.weekday()]} {text}" if weekday else text


def when(at: int) -> str:
    """14:03 today, 23 nov. 14:03 another day, with the year where it is another one."""
    moment, today = local(at), local(now())
    hour = f"{moment:%H:%M}"
    if moment.date() == today.date():
        return hour
    return f"{day(at)} {hour}" if moment.year == today.year else f"{day(at)} {moment.year} {hour}"


def rfc3339(at: int) -> str:
    """The instant as the API writes it."""
    return instant(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def millis(text: str) -> int:
    """The instant from what the API writes. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Milliseconds."""
        return self.end - self.start


def ticks(span: Span, most: int = 9) -> list[tuple[int, str]]:
    """Where an axis is labelled, and how: whole local hours or midnights, at most about `most`."""
    for minutes in STEPS_MINUTES:
        if span.length / (minutes * MINUTE) <= most:
            return list(_clock_ticks(span, minutes))
    days = 1
    while span.length / (days * DAY) > most:
        days += 1 if days < 2 else days
    return [(at, day(at)) for n, at in enumerate(midnights(span)) if n % days == 0]


def _clock_ticks(span: Span, minutes: int) -> Iterator[tuple[int, str]]:
    """Every local hour and minute that `minutes` divide; the second pass of a doubled hour is left out."""
    step = min(minutes, 15) * MINUTE
    for at in range(-(-span.start // step) * step, span.end + 1, step):
        moment = local(at)
        if (moment.hour * 60 + moment.minute) % minutes == 0 and moment.fold == 0:
            midnight = moment.hour == 0 and moment.minute == 0
            yield at, day(at, weekday=True) if midnight else f"{moment:%H:%M}"


def midnights(span: Span, where: tzinfo | None = None) -> Iterator[int]:
    """Local midnights within the span."""
    date = local(span.start, where).date()
    while True:
        date += timedelta(days=1)
        at = int(datetime(date.year, date.month, date.day, tzinfo=where or zone()).timestamp() * 1000)
        if at > span.end:
            return
        yield at
