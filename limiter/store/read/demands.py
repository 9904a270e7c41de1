"""The start requests of a time, as the replay under other limits takes them (rules/replay.py)."""

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, null, select

from limiter.rules.records import Facts, KeptRefusal
from limiter.rules.replay import Demand
from limiter.rules.schedule import MAX
from limiter.store import schema
from limiter.store.rows import as_refusal
from limiter.units import DAY_MS, HOUR_MS

MAX_DEMANDS = 500_000  # the newest
REPLAY_DAYS = 7
REPLAYED = 200_000  # 1.5 s of CPU
STARTS_REFUSED = ("user_limit", "server_full")

Caps = Mapping[int, tuple[int, bool]]
"""By version the MAX_CONCURRENT_BOTS in force, and whether a peak window had set it."""
Owns = Callable[[str, int, Facts], bool]
"""Whether a user's MAX_BOTS_PER_USER at an instant, as these facts have it, was their own."""


class Stay(Struct, frozen=True):
    """A session, in the order of the columns that are read; made for each row, which a `Struct` is quickest at."""

    number: int
    at: int
    user_id: str
    asked_bot: str | None
    bot_id: str
    facts: Facts
    ended_at: int | None
    ended_reason: str | None


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
        .order_by(ended.number.desc())
        .limit(MAX_DEMANDS)
    ).all()
    now = tx.execute(
        select(*(live[name] for name in names), null().label("ended_at"), null().label("ended_reason"))
    ).all()
    stays = sorted((_stay(row) for row in (*past, *now)), key=lambda one: one.number)
    system = _of_system(tx)
    owns = _own_limits(tx, system)
    caps = {version: (int(one[MAX][0]), one[MAX][1] == "window") for version, one in system.items()}
    found = [*_admitted(stays, since, owns, caps)]
    found += _refused(stays, _refusals(tx, since, waiting), owns, caps)
    lengths = sorted(one.ended_at - one.at for one in stays if one.ended_at is not None and one.at >= since)
    return found, lengths[len(lengths) // 2] if lengths else HOUR_MS


def days_to_replay(tx: Connection, now: int, most: int) -> int:
    """How many of the last days have no more starts than are decided again while somebody waits: at least one."""
    ended_at = schema.ended_sessions.c.ended_at
    first_too_many = select(ended_at).order_by(ended_at.desc()).offset(REPLAYED).limit(1)
    since = tx.execute(first_too_many).scalar()
    return most if since is None else min(most, max(1, (now - since - 1) // DAY_MS))


def _stay(row: Sequence[Any]) -> Stay:
    number, at, user_id, asked, bot_id, active, most, of_user, of_user_most, version, ended_at, reason = row
    facts = Facts(active, most, of_user, of_user_most, version)
    return Stay(number, at, user_id, asked, bot_id, facts, ended_at, reason)


def _admitted(stays: Sequence[Stay], since: int, owns: Owns, caps: Caps) -> Iterator[Demand]:
    """The starts that became a session."""
    handed_on = {(one.user_id, one.bot_id, one.ended_at) for one in stays if one.ended_reason == "replaced"}
    for one in stays:
        at, facts = one.at, one.facts
        if at >= since:
            window, kept = _door(caps, facts)
            yield Demand(
                at, one.user_id, one.asked_bot, True, facts,
                one.asked_bot is not None and (one.user_id, one.bot_id, at) in handed_on,
                one.ended_at, one.ended_reason == "replaced", owns(one.user_id, at, facts), 1, window, kept,
            )  # fmt: skip


def _refused(stays: Sequence[Stay], refusals: Iterable[KeptRefusal], owns: Owns, caps: Caps) -> Iterator[Demand]:
    """The starts that were refused for the room there was."""
    refused = [one for one in refusals if one.refusal.reason in STARTS_REFUSED and one.refusal.user_id is not None]
    of_bot: dict[tuple[str, str], list[Stay]] = {}
    if refused:
        for stay in stays:
            of_bot.setdefault((stay.user_id, stay.bot_id), []).append(stay)
    for one in refused:
        at, user_id, bot_id, facts = one.refusal.at, one.refusal.user_id, one.refusal.bot_id, one.refusal.facts
        if facts is None or user_id is None:
            continue
        held = _held(of_bot.get((user_id, bot_id or ""), ()), at)
        window, kept = _door(caps, facts)
        yield Demand(
            at, user_id, bot_id, False, facts,
            held is not None,
            held.ended_at if held else None, held is not None and held.ended_reason == "replaced",
            owns(user_id, at, facts), one.repeats, window, kept,
        )  # fmt: skip


def _door(caps: Caps, facts: Facts) -> tuple[int | None, int]:
    """Of the limit in force then: the peak window that set it, and how much of it was kept from this user."""
    cap, is_window = caps.get(facts.version, (facts.max_bots, False))
    return cap if is_window else None, max(0, cap - facts.max_bots)


def _refusals(tx: Connection, since: int, waiting: Iterable[KeptRefusal]) -> Iterable[KeptRefusal]:
    """Of starts, since then: what is kept, and what the next commit writes, which may be there already."""
    refused = schema.refusals.c
    rows = tx.execute(
        select(schema.refusals)
        .where(refused.at >= since, refused.reason.in_(STARTS_REFUSED))
        .order_by(refused.id.desc())
        .limit(MAX_DEMANDS)
    ).all()
    known = (*map(as_refusal, reversed(rows)), *waiting)
    return {(one.number, one.refusal.request_id): one for one in known}.values()


def _held(stays: Sequence[Stay], at: int) -> Stay | None:
    """Of one bot's sessions, in order, the one that had a slot at this instant."""
    place = bisect_right(stays, at, key=lambda one: one.at)
    last = stays[place - 1] if place else None
    return last if last is not None and (last.ended_at is None or last.ended_at > at) else None


def _of_system(tx: Connection) -> dict[int, Any]:
    """By version, what was in force of the system: {name: [value, source]}."""
    versions = schema.limit_versions.c
    return {row.version: json.loads(row.in_force) for row in tx.execute(select(versions.version, versions.in_force))}


def _own_limits(tx: Connection, system: Mapping[int, Any]) -> Owns:
    """Whether a user's MAX_BOTS_PER_USER at an instant, of this value under this version, was that user's own."""
    name, owned = "MAX_BOTS_PER_USER", schema.overrides.c
    of_system = {version: one[name][0] for version, one in system.items()}
    since = {
        row.user_id: row.changed_at
        for row in tx.execute(select(owned.user_id, owned.changed_at, owned.limits))
        if name in json.loads(row.limits)
    }

    def owns(user_id: str, at: int, facts: Facts) -> bool:
        value = facts.user_max
        return bool(value != of_system.get(facts.version, value) or since.get(user_id, at + 1) <= at)

    return owns
