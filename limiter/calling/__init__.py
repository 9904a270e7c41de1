"""How a bot's side calls the limiter: what the client, `run` and the agent have in common.

Standard library alone: it lies on the path of what stands beside a bot.
"""

import ipaddress
import random
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

PATIENCE_SECONDS = 10.0  # how long a call is tried where no answer comes or nothing was decided
STOP_PATIENCE_SECONDS = 5.0  # a bot that ends waits no longer: its lease gives the slot back
NOTHING_DECIDED = frozenset({"draining", "storage_unavailable", "overloaded", "out_of_reach"})
MAY_COME_TRUE = frozenset({"out_of_reach", "storage_unavailable"})
"""Of these, what leaves open whether the limiter did it after all: an answer was lost, a commit took too long."""
A_PROXYS = frozenset({429, 502, 503, 504})
"""Statuses of an answer without a reason: of a proxy whose limiter is away, or that is asked too often."""
GONE = frozenset({"session_ended", "session_unknown"})


def delays() -> Iterator[float]:
    """Seconds between tries: 0.1 doubled up to 2, each spread so that many bots do not come back in step."""
    longest = 0.1
    while True:
        yield spread(longest, 0.5)
        longest = min(2.0, longest * 2)


def pause(delay: float, retry_after: float | None, left: float) -> float:
    """Seconds before the next try: that delay, or what was asked for (`Retry-After`) where it is longer, but half at
    most of what is `left` until it is too late: a lease, or patience, that ends before the next try helps nobody."""
    return max(delay, min(retry_after or 0.0, left / 2))


def retry_after(headers: "Mapping[str, str] | Message") -> float | None:
    """Seconds after which an answer asks to be asked again; None where it does not say, or by a date."""
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def answer_timeout(left: float) -> float:
    """Seconds to wait for an answer of a call that may take `left`: half, for connecting and reading each take it."""
    return max(0.25, left / 2)


def spread(seconds: float, least: float) -> float:
    """A random share of it, from `least` up to the whole."""
    return seconds * random.uniform(least, 1.0)  # noqa: S311  it spreads load and guards nothing


def is_loopback(host: str) -> bool:
    """Whether a name or address can only be this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback or address.is_unspecified
