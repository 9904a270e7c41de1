"""The start requests of a time, as the replay under other limits takes them (rules/replay.py)."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, null, select

from limiter.rules.records import Facts, KeptRefusal
from limiter.rules.replay import Demand
from limiter.rules.schedule import MAX
from limiter.store import schema
from limiter.store.rows import as_refusal
from limiter.units import HOUR_MS

MAX_DEMANDS = 500_000
STARTS_REFUSED = ("user_limit", "server_full")

Caps = Mapping[int, tuple[int, bool]]
"""By version the MAX_CONCURRENT_BOTS in force, and whether a peak window had set it."""
Owns = Callable[[str, int, int, int], bool]
"""Whether a user's MAX_BOTS_PER_USER at an instant, of this value under this version, was their own."""


def demands(tx: Connection, since: int, waiting: Iterable[KeptRefusal] = ()) -> tuple[list[Demand], int]:
    """The start requests since then as the replay takes them, and the median length of a session (ms; 1 h if none).
    `waiting`: refusals that the next commit writes.

    A user's own MAX_BOTS_PER_USER is recognised by its value, where it is not the system's of that version, and by its
    date while it is still there: one that was the system's value and has been taken back since counts as the system's.
    """
    ended, live = schema.ended_sessions.c, schema.active_sessions.c
    names = ("number", "started_at", "user_id", "asked_bot", "bot_id", *Facts.__struct_fields__)
    past = tx.execute(
        select(*(ended[name] for name in names), ended.ended_at, ended.ended_reason)
        .where(ended.ended_at >= since)
        .order_by(ended.number)
        .limit(MAX_DEMANDS)
    ).all()
    now = tx.execute(
        select(*(live[name] for name in names), null().label("ended_at"), null().label("ended_reason"))
    ).all()
    sessions: list[Any] = sorted((*past, *now), key=lambda row: row.number)
    system = _of_system(tx)
    owns = _own_limits(tx, system)
    caps = {version: (int(one[MAX][0]), one[MAX][1] == "window") for version, one in system.items()}
    found = [*_admitted(sessions, since, owns, caps)]
    found += _refused(sessions, _refusals(tx, since, waiting), owns, caps)
    lengths = sorted(row.ended_at - row.started_at for row in past if row.started_at >= since)
    return found, lengths[len(lengths) // 2] if lengths else HOUR_MS


def _admitted(sessions: Sequence[Any], since: int, owns: Owns, caps: Caps) -> Iterator[Demand]:
    """The starts that became a session."""
    handed_on = {(row.user_id, row.bot_id, row.ended_at) for row in sessions if row.ended_reason == "replaced"}
    for row in sessions:
        if row.started_at >= since:
            facts = _facts(row)
            yield Demand(
                at=row.started_at,
                user_id=row.user_id,
                bot_id=row.asked_bot,
                admitted=True,
                facts=facts,
                holds=row.asked_bot is not None and (row.user_id, row.bot_id, row.started_at) in handed_on,
                ended_at=row.ended_at,
                replaced=row.ended_reason == "replaced",
                own_limit=owns(row.user_id, row.started_at, row.user_max, row.version),
                **_door(caps, facts),
            )


def _refused(sessions: Sequence[Any], refusals: Iterable[KeptRefusal], owns: Owns, caps: Caps) -> Iterator[Demand]:
    """The starts that were refused for the room there was."""
    stays: dict[tuple[str, str], list[Any]] = {}
    for row in sessions:
        stays.setdefault((row.user_id, row.bot_id), []).append(row)
    for one in refusals:
        refusal, facts = one.refusal, one.refusal.facts
        if refusal.reason not in STARTS_REFUSED or facts is None or refusal.user_id is None:
            continue
        held = _held(stays.get((refusal.user_id, refusal.bot_id or ""), ()), refusal.at)
        yield Demand(
            at=refusal.at,
            user_id=refusal.user_id,
            bot_id=refusal.bot_id,
            admitted=False,
            facts=facts,
            holds=held is not None,
            ended_at=held.ended_at if held else None,
            replaced=held is not None and held.ended_reason == "replaced",
            own_limit=owns(refusal.user_id, refusal.at, facts.user_max, refusal.version),
            repeats=one.repeats,
            **_door(caps, facts),
        )


def _door(caps: Caps, facts: Facts) -> dict[str, Any]:
    """Of the limit in force then: the peak window that set it, and how much of it was kept from this user."""
    cap, is_window = caps.get(facts.version, (facts.max_bots, False))
    return {"window": cap if is_window else None, "kept": max(0, cap - facts.max_bots)}


def _refusals(tx: Connection, since: int, waiting: Iterable[KeptRefusal]) -> Iterable[KeptRefusal]:
    """Of starts, since then: what is kept, and what the next commit writes, which may be there already."""
    refused = schema.refusals.c
    rows = tx.execute(
        select(schema.refusals)
        .where(refused.at >= since, refused.reason.in_(STARTS_REFUSED))
        .order_by(refused.id)
        .limit(MAX_DEMANDS)
    ).all()
    return {(one.number, one.refusal.request_id): one for one in (*map(as_refusal, rows), *waiting)}.values()


def _held(stays: Sequence[Any], at: int) -> Any:
    """Of one bot's sessions, in order, the one that had a slot at this instant."""
    place = bisect_right(stays, at, key=lambda row: row.started_at)
    last = stays[place - 1] if place else None
    return last if last is not None and (last.ended_at is None or last.ended_at > at) else None


def _of_system(tx: Connection) -> dict[int, Any]:
    """By version, what was in force of the system: {name: [value, source]}."""
    versions = schema.limit_versions.c
    return {row.version: json.loads(row.in_force) for row in tx.execute(select(versions.version, versions.in_force))}


def _own_limits(tx: Connection, system: Mapping[int, Any]) -> Owns:
    """Whether a user's MAX_BOTS_PER_USER at an instant, of this value under this version, was his own."""
    name, owned = "MAX_BOTS_PER_USER", schema.overrides.c
    of_system = {version: one[name][0] for version, one in system.items()}
    since = {
        row.user_id: row.changed_at
        for row in tx.execute(select(owned.user_id, owned.changed_at, owned.limits))
        if name in json.loads(row.limits)
    }

    def owns(user_id: str, at: int, value: int, version: int) -> bool:
        return bool(value != of_system.get(version, value) or since.get(user_id, at + 1) <= at)

    return owns


def _facts(row: Row[Any]) -> Facts:
    return Facts(row.active, row.max_bots, row.user_active, row.user_max, row.version)
