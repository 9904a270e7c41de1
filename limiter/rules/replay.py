"""The start requests of the past, decided again under other limits.

Each demand was recorded with the facts it was decided on. As long as the replay agrees with what happened, those facts
hold; from where it differs, the sessions that only one of the two worlds has are added or taken away. So a replay
without changes refuses exactly what was refused.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from limiter.rules.records import Facts
from limiter.system_limits import Value


@dataclass(frozen=True, slots=True)
class Demand:
    """A start request that was admitted, or refused for `user_limit` or `server_full` (`repeats` times).

    `bot_id` is None where none was asked for; `replaces` where it took over the slot of its own bot; `ended_at` is None
    while the session lives.
    """

    at: int
    user_id: str
    bot_id: str | None
    admitted: bool
    facts: Facts
    replaces: bool = False
    ended_at: int | None = None
    repeats: int = 1


@dataclass(slots=True)
class _Worlds:
    """How the replay differs from what happened: sessions that only it has, and sessions that it lacks."""

    stay_ms: int
    extra: dict[tuple[str, str | None], int]
    missing: dict[tuple[str, str | None], int]
    fleet: int
    users: Counter[str]
    ends: list[tuple[int, int, str, str | None, int]]
    made: int = 0

    def forget(self, now: int) -> None:
        """End what has ended by now, in either world."""
        while self.ends and self.ends[0][0] <= now:
            _, number, user, bot, sign = heapq.heappop(self.ends)
            held = self.extra if sign > 0 else self.missing
            if held.get((user, bot)) == number:
                del held[user, bot]
                self.shift(user, -sign)

    def shift(self, user: str, by: int) -> None:
        self.fleet += by
        self.users[user] += by

    def hold(self, user: str, bot: str | None, sign: int, until: int | None) -> None:
        """A session that only the replay has (+1), or that it lacks (-1), until then."""
        self.made += 1
        name = bot if bot is not None else f"\n{self.made}"  # no identifier begins so: a bot without a name
        (self.extra if sign > 0 else self.missing)[user, name] = self.made
        self.shift(user, sign)
        if until is not None:
            heapq.heappush(self.ends, (until, self.made, user, name, sign))


def replay(
    demands: Iterable[Demand], changes: Mapping[str, Value], own_limit: Iterable[str], stay_ms: int, days: int
) -> dict[str, Any]:
    """The fields of the contract's `replay`. `own_limit`: users whose own MAX_BOTS_PER_USER holds; `stay_ms`: how long
    a session stays that only the replay admits."""
    owners = set(own_limit)
    worlds = _Worlds(stay_ms, {}, {}, 0, Counter(), [])
    now_refused: Counter[str] = Counter()
    then_refused: Counter[str] = Counter()
    total = 0
    for demand in sorted(demands, key=lambda one: one.at):
        worlds.forget(demand.at)
        total += demand.repeats
        max_bots = changes.get("MAX_CONCURRENT_BOTS", demand.facts.max_bots)
        user_max = demand.facts.user_max
        if "MAX_BOTS_PER_USER" in changes and demand.user_id not in owners:
            user_max = changes["MAX_BOTS_PER_USER"]  # type: ignore[assignment]
        assert max_bots is not None
        if not demand.admitted:
            now_refused[demand.user_id] += demand.repeats
        for _ in range(demand.repeats):
            if not _decide(worlds, demand, max_bots, user_max):
                then_refused[demand.user_id] += 1
    users = now_refused.keys() | then_refused.keys()
    return {
        "days": days,
        "demands": total,
        "refused_now": sum(now_refused.values()),
        "refused_then": sum(then_refused.values()),
        "users_affected": sum(now_refused[user] != then_refused[user] for user in users),
    }


def _decide(worlds: _Worlds, demand: Demand, max_bots: float, user_max: float) -> bool:
    user, bot, facts = demand.user_id, demand.bot_id, demand.facts
    key = user, bot
    in_replay = bot is not None and (key in worlds.extra or (demand.replaces and key not in worlds.missing))
    user_active = facts.user_active + worlds.users[user]
    admitted = user_max > 0 and (in_replay or (user_active < user_max and facts.active + worlds.fleet < max_bots))
    if demand.admitted and key in worlds.missing and demand.replaces:
        worlds.missing.pop(key)
        worlds.shift(user, 1)
    if admitted and key in worlds.extra:
        worlds.extra.pop(key)  # the newest wins: the one before it ends here
        worlds.shift(user, -1)
    if admitted and not demand.admitted:
        worlds.hold(user, bot, 1, demand.at + worlds.stay_ms)
    elif demand.admitted and not admitted:
        worlds.hold(user, bot, -1, demand.ended_at)
    return admitted
