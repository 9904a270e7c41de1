"""The start requests of the past, decided again under other limits.

Each demand was recorded with the facts it was decided on. As long as the replay agrees with what happened, those facts
hold; from where it differs, the sessions that only one of the two worlds has are added or taken away. So a replay
without changes refuses exactly what was refused, whatever came before the first demand.

What is assumed where the worlds differ: a session that both have ends when it ended; one that only the replay has lasts
`stay_ms`; who was refused asks again at the same times. tests/rules/test_replay.py holds all of it against a simulation
that keeps every session.

A peak window that ruled then rules in the replay too. Only a change that would be made in an open window, and end with
it, takes the place of such windows, and stands nowhere else (`takes_the_place`).

Slots that were kept from a user, for the reserve or for those whose turn it was, are kept from that user under another
MAX_CONCURRENT_BOTS too: as many as then, whoever else the replay lets in.

What is left out: a start that was refused for a third reason is no demand.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from limiter.rules.limits import Limits, Setting
from limiter.rules.records import Facts
from limiter.rules.schedule import MAX, Schedule, after_change
from limiter.system_limits import Value

Key = tuple[str, str]


class Demand(Struct, frozen=True):
    """A start request that was admitted, or refused for `user_limit` or `server_full` (`repeats` times in a flood).

    `bot_id` is None where none was asked for. `holds`: that bot had a session at this instant, which an admission
    replaces. `ended_at` (UTC ms; None while it lives) and `replaced` tell the end of the session that was given, or, of
    a refused demand that `holds`, of the one that went on. `own_limit`: the user's own MAX_BOTS_PER_USER held.
    `window`: the MAX_CONCURRENT_BOTS of the peak window that ruled then; None where none did. `kept`: so many slots of
    the limit then in force were not for this user, `facts.max_bots` is what is left.
    """

    at: int
    user_id: str
    bot_id: str | None
    admitted: bool
    facts: Facts
    holds: bool = False
    ended_at: int | None = None
    replaced: bool = False
    own_limit: bool = False
    repeats: int = 1
    window: int | None = None
    kept: int = 0


@dataclass(slots=True)
class _Difference:
    """How the replay differs from what happened: `extra` sessions only it has, `missing` ones it lacks, by bot."""

    extra: dict[Key, int] = field(default_factory=dict)
    missing: dict[Key, int] = field(default_factory=dict)
    fleet: int = 0
    users: Counter[str] = field(default_factory=Counter)
    ends: list[tuple[int, int, Key, bool]] = field(default_factory=list)
    made: int = 0

    def has(self, key: Key, really: bool) -> bool:
        """Whether the replay has a session of this bot, where it `really` had one or not."""
        return key in self.extra or (really and key not in self.missing)

    def add(self, held: dict[Key, int], key: Key, until: int | None) -> None:
        """One more session that only one of the worlds has, until then; None: until it is taken out."""
        self.made += 1
        held[key] = self.made
        self._shift(key, 1 if held is self.extra else -1)
        if until is not None:
            heapq.heappush(self.ends, (until, self.made, key, held is self.extra))

    def drop(self, held: dict[Key, int], key: Key) -> None:
        """It ended, or the other world has ended its own too."""
        if held.pop(key, None) is not None:
            self._shift(key, -1 if held is self.extra else 1)

    def end(self, now: int) -> None:
        """Drop what has ended by now, in either world."""
        while self.ends and self.ends[0][0] <= now:
            _, number, key, is_extra = heapq.heappop(self.ends)
            held = self.extra if is_extra else self.missing
            if held.get(key) == number:
                self.drop(held, key)

    def _shift(self, key: Key, by: int) -> None:
        self.fleet += by
        self.users[key[0]] += by


@dataclass(frozen=True, slots=True)
class Instead:
    """New values by name, for the demands that no window ruled; and what holds in place of a window, by the value that
    it gave. What is in neither has at each demand the value it had then."""

    changes: Mapping[str, Value]
    windows: Mapping[int, Value] = field(default_factory=dict)


def takes_the_place(
    schedule: Schedule, before: Limits, settings: Mapping[str, Setting], names: Iterable[str], now: int
) -> Instead:
    """What a change of these limits (`names`), after which these settings hold, is in the past: it stands where no
    window ruled; made in a window that is open it holds until that ends, so it stands in place of that window alone."""
    changes = {name: settings[name].value for name in names}
    opened = after_change(schedule, before, settings, now).open
    if opened is None or MAX not in changes:
        return Instead(changes)
    windows = {opened.of.max_bots: changes[MAX]}
    if settings[MAX].source in ("live", "window"):
        del changes[MAX]
    return Instead(changes, windows)


def replay(demands: Iterable[Demand], instead: Instead, stay_ms: int, days: int) -> dict[str, Any]:
    """The fields of the contract's `replay`: `days`, `demands`, `refused_now`, `refused_then`, `users_affected`.

    Only MAX_CONCURRENT_BOTS and MAX_BOTS_PER_USER are looked at in `instead`.
    """
    difference = _Difference()
    now_refused: Counter[str] = Counter()
    then_refused: Counter[str] = Counter()
    total = 0
    for demand in sorted(demands, key=lambda one: one.at):
        difference.end(demand.at)
        total += demand.repeats
        if not demand.admitted:
            now_refused[demand.user_id] += demand.repeats
        for _ in range(demand.repeats):
            if not _decide(difference, demand, instead, stay_ms):
                then_refused[demand.user_id] += 1
    users = now_refused.keys() | then_refused.keys()
    return {
        "days": days,
        "demands": total,
        "refused_now": sum(now_refused.values()),
        "refused_then": sum(then_refused.values()),
        "users_affected": sum(now_refused[user] != then_refused[user] for user in users),
    }


def _decide(difference: _Difference, demand: Demand, instead: Instead, stay_ms: int) -> bool:
    """Whether the replay admits it; the difference is then as it is after the demand, in both worlds."""
    admitted = _admits(difference, demand, instead)
    # No identifier begins with a line break: a bot without a name is nobody else.
    key = demand.user_id, demand.bot_id if demand.bot_id is not None else f"\n{difference.made}"
    lacked = key in difference.missing
    if demand.admitted and demand.holds:
        difference.drop(difference.missing, key)  # what the replay lacked was replaced here
    if admitted:
        difference.drop(difference.extra, key)  # the newest wins: the one before it ends here
    if admitted and not demand.admitted:
        if demand.holds and not lacked:  # only in the replay was it replaced
            difference.add(difference.missing, key, _until(demand))
        difference.add(difference.extra, key, demand.at + stay_ms)
    elif demand.admitted and not admitted:
        difference.add(difference.missing, key, _until(demand))
    return admitted


def _admits(difference: _Difference, demand: Demand, instead: Instead) -> bool:
    user, facts = demand.user_id, demand.facts
    most = instead.changes.get(MAX) if demand.window is None else instead.windows.get(demand.window)
    max_bots = facts.max_bots if most is None else most - demand.kept
    user_max = facts.user_max if demand.own_limit else instead.changes.get("MAX_BOTS_PER_USER", facts.user_max)
    assert user_max is not None  # it cannot be `none`
    if user_max == 0:
        return False
    if demand.bot_id is not None and difference.has((user, demand.bot_id), demand.holds):
        return True
    has_room = facts.active + difference.fleet < max_bots
    return has_room and facts.user_active + difference.users[user] < user_max


def _until(demand: Demand) -> int | None:
    """When the session ends of itself: one that is replaced is there until its successor is decided."""
    return None if demand.replaced else demand.ended_at
