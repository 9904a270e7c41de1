"""Instants (UTC milliseconds) for people, in the zone of the run: the browser's, the server's or UTC."""

import functools
import time
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import streamlit as st

from limiter.console.data import settings
from limiter.console.kit.words import view
from limiter.console.view import DAY, HOUR

RANGES = {"1h": HOUR, "6h": 6 * HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "90d": 90 * DAY}


def now() -> int:
    """This instant."""
    return int(time.time() * 1000)


def zones() -> list[str]:
    """The zones to choose from, as IANA names: the browser's, the server's, UTC, and the one that the URL names."""
    server = str(settings().timezone)
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
    return view().zone


def instant(at: int) -> datetime:
    """As a table takes it, in UTC; the table shows it in the zone that its column names."""
    return datetime.fromtimestamp(at / 1000, UTC)


def local(at: int, where: tzinfo | None = None) -> datetime:
    """The instant on the wall clock of the zone."""
    return view().local(at, where)


def clock(at: int) -> str:
    """14:03:07."""
    return f"{local(at):%H:%M:%S}"


def day(at: int, *, weekday: bool = False) -> str:
    """24 nov. or 24 Nov, with its weekday if asked for."""
    return view().day(at, weekday=weekday)


def when(at: int) -> str:
    """14:03 today, 23 nov. 14:03 another day, with the year where it is another one."""
    return view().when(at, now())


def millis(text: str) -> int:
    """The instant from what the API writes. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
