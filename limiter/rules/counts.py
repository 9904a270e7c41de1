"""The slots taken are counted by memory, by rows and by a counter: are all three the same? Pure.

Decisions follow memory. Where the three differ, the counts in memory are taken from its sessions again, and the rows
and the counter are made like memory.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from limiter.rules.state import State


class Counted(NamedTuple):
    """What the database had at the beginning of the batch: live rows, the sum of their numbers, the counter."""

    rows: int
    numbers: int
    counter: int


@dataclass(frozen=True, slots=True)
class Recount:
    """The job's request, each minute. The store brings `state.counted` for it."""

    def decide(self, state: State, now: int) -> int:
        """How far the counts were apart, 0 where they were not; from here on they are the same."""
        counted: Counted = state.counted
        changes = state.changes
        started, ended = [one.number for one in changes.started], [one.session.number for one in changes.ended]
        held = len(state.sessions) - len(started) + len(ended)
        numbers = sum(state.sessions) - sum(started) + sum(ended)
        users = Counter(one.user_id for one in state.sessions.values())
        in_memory = sum(state.users.values()) - users.total()
        drift = max(abs(counted.rows - held), abs(counted.counter - held), abs(in_memory))
        if not drift and (counted.numbers != numbers or state.users != users):
            drift = 1  # as many, but not the same
        if drift:
            state.journal.set(state, "users", dict(users))
            state.journal.set(changes, "recount", True)
        state.journal.set(state, "drift", drift)
        return drift
