"""Refusals that no rule has decided: the database took nothing, or too many asked at once. Pure.

They wait in memory until the database takes them. Of a long outage or a flood the first are kept one by one, the rest
is counted, by reason and second.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from limiter.rules.records import RefusalRecord
from limiter.rules.state import State
from limiter.units import SECOND_MS

REASONS = ("storage_unavailable", "overloaded")
MOST = 10_000  # that wait at once


@dataclass(frozen=True, slots=True)
class RecordUndecided:
    """The sampler's request before each snapshot, so that each second keeps what was refused in it. `number` grows from
    one to the next: what is asked for again, because nobody knows whether it became durable, is kept once. `more`: how
    many others there were, by reason and second (UTC ms)."""

    number: int
    refused: tuple[RefusalRecord, ...]
    more: Mapping[tuple[str, int], int]

    def decide(self, state: State, now: int) -> None:
        """Keep and count them; none before the last snapshot, which is written."""
        if self.number <= state.undecided:
            return
        since = state.course[0].at if state.course else 0
        for one in self.refused:
            state.journal.append(state.refused, one)
            state.count(f"refused:{one.reason}", max(one.at, since))
        for (reason, at), n in self.more.items():
            state.count(f"refused:{reason}", max(at, since), n)
        state.journal.set(state, "undecided", self.number)
        state.changes.flush = True


@dataclass(slots=True)
class Undecided:
    """What was refused undecided and no commit has written yet; `asked`: what a request that was sent is to write."""

    refused: list[RefusalRecord] = field(default_factory=list)
    more: Counter[tuple[str, int]] = field(default_factory=Counter)
    asked: RecordUndecided | None = None
    number: int = 0

    def add(self, one: RefusalRecord) -> None:
        """One more."""
        asked = len(self.asked.refused) if self.asked is not None else 0
        if len(self.refused) + asked < MOST:
            self.refused.append(one)
        else:
            self.more[one.reason, one.at - one.at % SECOND_MS] += 1

    def waiting(self, state: State) -> list[RefusalRecord]:
        """Those that the state does not have, oldest first."""
        asked = self.asked
        return [*(asked.refused if asked is not None and asked.number > state.undecided else ()), *self.refused]

    def count(self, state: State, reason: str, since: int = 0) -> int:
        """How many the state does not have, for that reason, since that instant (UTC ms)."""
        more = self.more.copy()
        if self.asked is not None and self.asked.number > state.undecided:
            more.update(self.asked.more)
        more.update((one.reason, one.at) for one in self.waiting(state))
        return sum(n for (of, at), n in more.items() if of == reason and at >= since)

    def request(self, state: State, flying: bool) -> RecordUndecided | None:
        """What is to be written now; None: nothing. `flying`: a batch is under way, and nobody knows its fate yet."""
        asked = self.asked
        if asked is not None and not flying:
            if asked.number > state.undecided:  # it was not written: all of it goes into the next one
                self.refused, self.more = [*asked.refused, *self.refused], self.more + Counter(asked.more)
            self.asked = None
        if self.asked is None and (self.refused or self.more):
            self.number += 1
            self.asked = RecordUndecided(self.number, tuple(self.refused), dict(self.more))
            self.refused, self.more = [], Counter()
        return self.asked
