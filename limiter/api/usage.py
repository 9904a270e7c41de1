"""Who does what, over HTTP."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial

from sqlalchemy import Connection

from limiter.answers import usage as s
from limiter.api.exports import exported
from limiter.api.refusals import waiting
from limiter.http.call import Call
from limiter.http.wire import Answer, iso
from limiter.rules import sizing
from limiter.rules import usage as rules
from limiter.rules.limits import Limits
from limiter.rules.records import KeptRefusal
from limiter.rules.room import capacity
from limiter.store import read
from limiter.units import DAY_MS, HOUR_MS, MINUTE_MS

DAYS = 28
MOST_IDLE = 500
FRESH_MS = (
    MINUTE_MS  # the last days are looked at again where the last look is older: starts and hours of users are many
)
SYSTEM = {"signals": "MAX_SIGNALS_PER_MINUTE", "tokens": "MAX_TOKENS_PER_MINUTE"}
OWN = {"signals": "MAX_SIGNALS_PER_MINUTE_PER_USER", "trades": "MAX_TRADES_PER_DAY"}


async def who(call: Call) -> Answer:
    """Who uses up which limit, whose trades close, who is idle, how concentrated it is, demands beside attempts."""
    days = call.wanted_number("days", 1, DAYS) or DAYS
    after = call.wanted_number("idle_seconds", 60, 30 * 86_400) or rules.IDLE_SECONDS
    now, state = call.now(), call.services.committer.state
    day, since = state.day(now), now - days * DAY_MS
    minute = await call.read(read.usage.rates, now // 1000)
    rates = await call.read(read.usage.rates_of_day, day.name)
    traded = await call.read(read.usage.trades_by_user, day.name, day.begins, day.ends)
    spread = partial(_spread, since=since - since % HOUR_MS, now=now)
    concentration = await call.kept((f"held-{days}", now // FRESH_MS), spread)
    query = partial(_asked, since=since, now=now, more=waiting(call))
    asked = await call.kept((f"asked-{days}", now // FRESH_MS), query)
    used = [_used(what, "minute", *_of(what, minute), state.limits, now) for what in SYSTEM]
    used += [_used(what, "day", *_of(what, rates)) for what in SYSTEM]
    trades = {one.user_id: one.trades for one in traded}
    used.append(_used("trades", "day", sum(trades.values()), trades, state.limits, now))
    closing = sorted((one for one in traded if one.closing), key=lambda one: (-one.closing, one.user_id))
    held, told = capacity(state, now).current, await call.read(read.usage.is_told)
    idle = await _idle(call, now, after) if told else []
    answer = s.WhoAnswer(
        at=str(iso(now)),
        day=day.name,
        days=days,
        totals=[total for total, _ in used],
        uses=[row for _, rows in used for row in rows],
        closing=[
            s.Closing(one.user_id, one.trades, one.closing, round(one.closing / max(one.trades, one.closing), 4))
            for one in closing[: rules.MOST]
        ],
        held=held,
        idle_after_seconds=after,
        idle=idle[:MOST_IDLE],
        idle_sentence=rules.said_of_idle(len(idle), held, after, call.language) if told else None,
        needs=None if told or not held else rules.UNTOLD.told(call.language),
        concentration=_concentration(concentration, call.language),
        demands=_demands(asked, call.language),
        asked=[
            s.AskedBy(user, **asdict(one))
            for user, one in sorted(asked.items(), key=lambda one: (-one[1].attempts, one[0]))[: rules.MOST]
        ],
    )
    return exported(call, answer)


def _asked(tx: Connection, since: int, now: int, more: list[KeptRefusal]) -> dict[str, rules.Asked]:
    requests, _ = read.demands.demands(tx, since, more)
    return rules.asked(requests, sizing.runs(requests, now))


def _spread(tx: Connection, since: int, now: int) -> rules.Concentration | None:
    return rules.concentration(one.slot_ms for one in read.usage.top_users(tx, since, now, most=None))


def _of(kind: str, used: Mapping[tuple[str, str], int]) -> tuple[int, dict[str, int]]:
    return used.get((kind, ""), 0), {user: n for (what, user), n in used.items() if what == kind and user}


def _used(
    what: str, window: str, total: int, by_user: Mapping[str, int], limits: Limits | None = None, now: int = 0
) -> tuple[s.Total, list[s.Use]]:
    """The total and its users, each against the limit that holds for it where `limits` are given."""
    name = SYSTEM.get(what) if limits is not None else None
    limit = limits.whole(name) if limits is not None and name is not None else None
    users = []
    for one in rules.shares(by_user, total):
        named = name, limit
        own = OWN.get(what) if one.user_id is not None else None
        if limits is not None and own is not None and one.user_id is not None:
            value = limits.of(one.user_id, now)[own]
            named = named if value is None else (own, int(value))
        users.append(
            s.Use(what, window, one.user_id, one.used, round(one.share, 4), *named, _percent(one.used, named[1]))  # type: ignore[arg-type]
        )
    return s.Total(what, window, total, name, limit, _percent(total, limit)), users  # type: ignore[arg-type]


def _percent(used: int, limit: int | None) -> float | None:
    return round(100 * used / limit, 1) if limit else None


async def _idle(call: Call, now: int, after: int) -> list[s.IdleSession]:
    """Of those that the database calls idle, which hears of uses every 5 s, the ones that memory does too."""
    live, found = call.services.committer.state.sessions, []
    for row in await call.read(read.sessions.idle, now - 1000 * after):
        one = live.get(row.number)
        last = now if one is None else one.used_at or one.started_at
        if one is not None and now - last >= 1000 * after:
            shown = one.public_id, one.user_id, one.bot_id, str(iso(one.started_at)), iso(one.used_at)
            found.append(s.IdleSession(*shown, (now - last) // 1000))
    return found


def _concentration(found: rules.Concentration | None, language: str) -> s.Concentration | None:
    if found is None:
        return None
    top = {str(n): round(share, 4) for n, share in found.top.items()}
    hours = round(found.slot_ms / HOUR_MS, 1)
    return s.Concentration(found.users, hours, top, found.half, rules.said_of(found, language))


def _demands(found: Mapping[str, rules.Asked], language: str) -> s.Demands | None:
    if not found:
        return None
    total = rules.all_asked(found.values())
    return s.Demands(**asdict(total), sentence=rules.said_of_tries(total, language))
