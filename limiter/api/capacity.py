"""How full it is now, the figures of one instant, and what the box carries."""

import time
from functools import lru_cache

from limiter.answers import capacity as s
from limiter.http.call import Call
from limiter.http.wire import Answer, iso, ok
from limiter.rules.capacity import Capacity, advise
from limiter.rules.guards import check
from limiter.rules.refusals import REFUSALS
from limiter.rules.words import told
from limiter.store import read

TOP_USERS = 10


@lru_cache(maxsize=8)  # the answers of a batch have the same
def shown(of: Capacity) -> s.Capacity:
    """The closed object of six fields."""
    return s.Capacity(
        of.current, of.maximum, of.percent_used, of.maximum - of.current, of.status.value, of.can_accept_new
    )


async def current(call: Call) -> Answer:
    """The closed capacity object."""
    return ok(s.CapacityAnswer(shown(call.services.committer.state.capacity(call.now()))))


async def stats(call: Call) -> Answer:
    """One instant of everything, from memory: no query, no lock."""
    services, now = call.services, call.now()
    state, latency = services.committer.state, services.committer.latency
    second, today = now // 1000, state.day(now).name
    held = state.capacity(now)
    cpu, ram = services.sampler.mean(60)
    p50, p99 = latency.percentile_ms(0.5, 0.99)
    trades = {user: used for (user, day), used in state.trade_days.items() if day == today and used}
    users = sorted(
        state.users.keys() | trades.keys(), key=lambda user: (-state.user_active(user), -trades.get(user, 0), user)
    )
    refused = {reason.name: state.last_hour(f"refused:{reason.name}", now) for reason in REFUSALS}
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
        sessions=s.SessionFigures(held.current, len(state.suspects(now)), state.last_hour("ended:lease_expired", now)),
        queue=s.QueueFigures(len(state.queue(now))),
        top_users=[s.TopUser(user, state.user_active(user), trades.get(user, 0)) for user in users[:TOP_USERS]],
        decisions=s.Decisions(p50, p99, latency.count),
        guards=[s.Guard(**told(guard.as_dict(), call.language)) for guard in check(services.sampler.readings(), now)],
        paused=state.paused,
        draining=state.drain is not None,
        uptime_seconds=round(time.monotonic() - services.started_at, 3),
        version=services.version,
        at=str(iso(now)),
    )
    return ok(answer)


async def advice(call: Call) -> Answer:
    """What the box carries, and whether to take a bigger one."""
    services, now = call.services, call.now()
    cpu, ram = services.sampler.mean(300)
    bots = services.committer.state.capacity(now).current
    found = advise(services.box, bots, cpu, ram, await call.read(read.history.busy_days, now))
    box = services.box
    rows = [s.AdviceRow(**one.as_dict()) for one in found]
    answer = s.AdviceAnswer(
        round(box.detected_ram_gb, 2), box.counts_as_gb, box.recommended_max_bots, box.price_usd_month, rows
    )
    return ok(answer)
