"""Turns: who is refused for want of a slot and waits gets the next ones in order. Pure: values in, a decision out.

Promises: a free slot belongs to the first ticket for 30 s from when it was free, then to the next; to whoever asks
first where all have let their turn pass. A ticket holds no slot, and lapses five minutes after it was last asked with.
Who has none is refused while no more slots are free than tickets may claim.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from limiter.units import MINUTE_MS

CLAIM_MS = 30_000
LAPSE_MS = 5 * MINUTE_MS
ASKED_MS = 1_000  # asking again sooner is not kept, so that a flood costs one write a second


class Ticket(Struct, frozen=True):
    """One user's place in the queue, `number` its order; asked with last at `asked_at`."""

    id: str
    user_id: str
    number: int
    asked_at: int

    @property
    def expires_at(self) -> int:
        """When it lapses unless it is asked with again."""
        return self.asked_at + LAPSE_MS


class Place(NamedTuple):
    """What its holder is told of a ticket: 1 is next, of so many; when it lapses."""

    id: str
    position: int
    of: int
    expires_at: int


class Free(NamedTuple):
    """How many slots are free, when the last of them were freed, oldest first, and since when the limits that make the
    room hold: no slot was free for these tickets before."""

    slots: int
    freed: Sequence[int]
    since: int


def claims(tickets: Sequence[Ticket], free: Free, now: int) -> tuple[set[str], int]:
    """The users whose turn it is, and how many free slots are nobody's. `tickets` are in order."""
    waiting = [ticket.user_id for ticket in tickets]
    known = list(free.freed)[max(0, len(free.freed) - free.slots) :] if free.slots > 0 else []
    older = max(0, free.slots) - len(known)
    turns = [(now - max(at, free.since)) // CLAIM_MS for at in known]
    mine: set[str] = set()
    nobodys = 0
    # Of slots that were freed longer ago than is remembered, as many as there are tickets: the rest is nobody's.
    oldest = (now - free.since) // CLAIM_MS
    for turn in [oldest] * min(older, len(waiting) + 1) + turns:
        if 0 <= turn < len(waiting):
            mine.add(waiting.pop(turn))
        else:
            nobodys += 1
    return mine, nobodys + max(0, older - len(tickets) - 1)
