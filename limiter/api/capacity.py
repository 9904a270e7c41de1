"""How full it is now, the figures of one instant, and what the box carries."""

import time
from functools import lru_cache

from limiter.answers import capacity as s
from limiter.api.measured import measured
from limiter.http.call import Call, Services
from limiter.http.wire import Answer, iso, ok
from limiter.rules.advice import Decision, advise, decide, short_days
from limiter.rules.box_use import BotCost, Use
from limiter.rules.capacity import Capacity
from limiter.rules.guards import check, fed
from limiter.rules.holding import suspects
from limiter.rules.refusals import REFUSALS
from limiter.rules.room import capacity, queue
from limiter.rules.undecided import REASONS as UNDECIDED
from limiter.rules.words import told
from limiter.store import read
from limiter.units import DAY_MS, HOUR_MS

TOP_USERS = 10
AHEAD_MS = 28 * DAY_MS  # launch steps and windows that a smaller box would have to carry


@lru_cache(maxsize=8)  # the answers of a batch have the same
def shown(of: Capacity) -> s.Capacity:
    """The closed object of six fields."""
    return s.Capacity(
        of.current, of.maximum, of.percent_used, of.maximum - of.current, of.status.value, of.can_accept_new
    )


def held_now(services: Services, now: int) -> Capacity:
    """As the rules count it; where the database takes nothing, no start is admitted whatever is free."""
    held = capacity(services.committer.state, now)
    return held if services.committer.away_since is None else Capacity(held.current, held.maximum, open=False)


async def current(call: Call) -> Answer:
    """The closed capacity object."""
    return ok(s.CapacityAnswer(shown(held_now(call.services, call.now()))))


async def stats(call: Call) -> Answer:
    """One instant of everything, from memory: no query, no lock."""
    services, now = call.services, call.now()
    state, latency = services.committer.state, services.committer.latency
    second, today = now // 1000, state.day(now).name
    held = held_now(services, now)
    cpu, ram = services.sampler.mean(60)
    p50, p99 = latency.percentile_ms(0.5, 0.99)
    trades = {user: used for (user, day), used in state.trade_days.items() if day == today and used}
    users = sorted(
        state.users.keys() | trades.keys(), key=lambda user: (-state.user_active(user), -trades.get(user, 0), user)
    )
    refused = {reason.name: state.last_hour(f"refused:{reason.name}", now) for reason in REFUSALS}
    for reason in UNDECIDED:
        refused[reason] += services.committer.undecided.count(state, reason, now - HOUR_MS)
    answer = s.StatsAnswer(
        capacity=shown(held),
        limits=dict(state.limits.values),
        limits_version=state.limits.version,
        system=s.System(cpu, ram, round(services.box.detected_ram_gb, 2), services.box.recommended_max_bots),
        rates=s.Rates(
            state.window("tokens").used(second),
            state.window("signals").used(second),
            state.last_hour("starts", now),
            {reason: n for reason, n in refused.items() if n},
            sum(trades.values()),
        ),
        sessions=s.SessionFigures(held.current, len(suspects(state, now)), state.last_hour("ended:lease_expired", now)),
        queue=s.QueueFigures(len(queue(state, now))),
        top_users=[s.TopUser(user, state.user_active(user), trades.get(user, 0)) for user in users[:TOP_USERS]],
        decisions=s.Decisions(p50, p99, latency.count),
        guards=[s.Guard(**told(guard.as_dict(), call.language)) for guard in check(services.sampler.readings(), now)],
        paused=state.paused,
        draining=state.drain is not None,
        storage_available=services.committer.away_since is None,
        uptime_seconds=round(time.monotonic() - services.started_at, 3),
        version=services.version,
        at=str(iso(now)),
    )
    return ok(answer)


async def advice(call: Call) -> Answer:
    """What the box carries, and which box the measured use asks for."""
    services, now, language = call.services, call.now(), call.language
    state, box = services.committer.state, services.box
    cpu, ram = services.sampler.mean(300)
    days = await call.read(read.box_use.days_of_use, now)
    lag = await call.read(read.box_use.lag, now, fed=fed(state.last_token_at, now))
    figures = await measured(call)
    memory = figures.memory_mb
    use = Use(
        box=box,
        limit=state.limits.whole("MAX_CONCURRENT_BOTS"),
        bots=capacity(state, now).current,
        cpu=cpu,
        ram=ram,
        busy_days=await call.read(read.box_use.busy_days, now),
        days=days,
        lag=lag,
        cost=None if memory is None else BotCost(memory.mean, figures.rest_mb or 0.0, figures.measured_bots),
        short=short_days(await call.read(read.box_use.busy_hours, now), state.outlook().limit_at),
        planned=max((limit for _, limit, _ in state.outlook().changes(now, now + AHEAD_MS)), default=0),
    )
    reasons = advise(use)
    found = decide(use, reasons)
    answer = s.AdviceAnswer(
        round(box.detected_ram_gb, 2),
        box.counts_as_gb,
        box.recommended_max_bots,
        box.price_usd_month,
        [s.AdviceRow(one.name, one.strong, one.value, one.threshold, one.message.told(language)) for one in reasons],
        _decision(found, language) if found is not None else None,
    )
    return ok(answer)


def _decision(found: Decision, language: str) -> s.AdviceDecision:
    ram, price = (found.size.ram_gb, found.size.price_usd_month) if found.size is not None else (None, None)
    said = (words.told(language) for words in (found.what, found.why, found.sentence))
    return s.AdviceDecision(found.kind, ram, found.bots, price, *said)
