"""How a bot's side calls the limiter: what the client, `run` and the agent have in common.

Standard library alone: it lies on the path of what stands beside a bot.
"""

import ipaddress
import random
from collections.abc import Iterator, Mapping
from typing import Any

PATIENCE_SECONDS = 10.0  # how long a call is tried where no answer comes or nothing was decided
STOP_PATIENCE_SECONDS = 5.0  # a bot that ends waits no longer: its lease gives the slot back
ASK_AGAIN_SECONDS = 30.0  # while waiting for a slot, ask at least so often whatever Retry-After says: slots come early
TURN_SECONDS = 12.0  # with a ticket: within the 30 s for which a slot is its own, and at most once in 10 s
NOTHING_DECIDED = frozenset({"draining", "storage_unavailable", "overloaded", "out_of_reach"})
WORTH_WAITING = NOTHING_DECIDED | {"server_full", "user_limit", "paused", "start_rate", "box_busy"}
GONE = frozenset({"session_ended", "session_unknown"})


def worth_waiting(reason: str, facts: Mapping[str, Any]) -> bool:
    """Whether asking again for a slot may help soon after that refusal: not a suspended user."""
    return reason in WORTH_WAITING and not (reason == "user_limit" and facts.get("limit") == 0)


def delays() -> Iterator[float]:
    """Seconds between tries: 0.1 doubled up to 2, each spread so that many bots do not come back in step."""
    longest = 0.1
    while True:
        yield spread(longest, 0.5)
        longest = min(2.0, longest * 2)


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
