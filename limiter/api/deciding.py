"""Figures to decide by: the forecast, the slots that are enough, and what was at any instant of the past."""

from functools import partial

from sqlalchemy import Connection

from limiter.answers import deciding as s
from limiter.api import refusals
from limiter.api.exports import exported
from limiter.api.refusals import refusal_row
from limiter.api.sessions import session
from limiter.http.call import Call, Refused
from limiter.http.wire import Answer, iso
from limiter.rules import explain as explaining
from limiter.rules import forecast as forecasting
from limiter.rules import lease as leases
from limiter.rules import sizing as sizes
from limiter.rules.alerts import OUTAGE
from limiter.rules.forecast.sentences import needs, said
from limiter.rules.holding import known
from limiter.rules.records import Session
from limiter.rules.refusals import invalid
from limiter.rules.words import Words
from limiter.store import read
from limiter.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

MOST_DAYS = 28
SIZING_DAYS = 28
FRESH_MS = MINUTE_MS  # demands are read again where the last look is older: 0.35 s of CPU for 20 000 of them
NOT_KEPT = Words(
    "Les sessions finies sont gardées {days} jours : l'instant est plus loin.",
    "Ended sessions are kept for {days} days: the instant lies further back.",
)
NO_VERSION = Words(
    "Aucune version des limites n'est gardée d'avant cet instant.",
    "No version of the limits is kept from before that instant.",
)


# -- what comes


async def forecast(call: Call) -> Answer:
    """The bots of the next days by the hour, and the chance that 80 and 100 % of the limit are reached."""
    days = call.wanted_number("days", 1, MOST_DAYS) or 14
    state = call.services.committer.state
    now, limit_at = call.now(), state.outlook().hourly()
    hour = now - now % HOUR_MS  # the running one is not whole yet; after an outage the known ones end long before it
    past = await call.read(read.history.hours, now - forecasting.LOOKED_AT_DAYS * DAY_MS, hour)
    hours = [(row.at, float(row.high)) for row in past]
    censored = sum(row.worst == "FULL" for row in past)  # under the limit of that instant, not of the hour's end
    found = await call.work(forecasting.forecast, hours, state.zone, limit_at, days, hour)
    answer = s.ForecastAnswer(
        days=days,
        points=None,
        band=80,
        error=None,
        naive_error=None,
        chance=None,
        level_changed_at=None,
        censored_hours=censored,
        sentence=None,
        needs=needs(hours, found, call.language),
    )
    if found is not None:
        answer.points = [
            s.ForecastPoint(str(iso(one.at)), round(one.middle, 2), round(one.low, 2), round(one.high, 2))
            for one in found.points
        ]
        answer.error, answer.naive_error = round(found.error, 2), round(found.naive_error, 2)
        answer.level_changed_at = iso(found.level_changed_at)
        answer.sentence = said(found, days, censored, call.language)
        if found.chance is not None:
            answer.chance = {str(share): round(chance, 3) for share, chance in found.chance.items()}
    return exported(call, answer)


async def sizing(call: Call) -> Answer:
    """How many slots are enough, so that at most a given share of demands is refused at first or lost for good."""
    share = call.wanted_share("refused", 0.01)
    users = call.wanted_number("users", 1, 1_000_000)
    limits, zone, now = call.services.committer.state.limits, call.services.committer.state.zone, call.now()
    hour = now - now % HOUR_MS
    limit, one_each = limits.whole("MAX_CONCURRENT_BOTS"), limits.whole("MAX_BOTS_PER_USER") == 1
    since = hour - SIZING_DAYS * DAY_MS
    hours, asked, bot_ms = await call.kept(("demand", now // FRESH_MS), lambda tx: _demand(tx, since, now))
    found = await call.work(
        partial(sizes.sizing, hours, asked, zone, limit, share=share, users=users, one_each=one_each, bot_ms=bot_ms)
    )
    answer = s.SizingAnswer(
        refused=share,
        slots=None,
        low=None,
        high=None,
        now=None,
        load=None,
        users=users,
        demands=len(asked),
        stay_hours=None,
        days=[s.SizingDay(str(one.day), one.demands, one.first, one.lost) for one in sizes.by_day(asked, zone)],
        sentence=None,
        method=None,
        trust=None,
        needs=None if found is not None else sizes.needs(hours, asked, call.language),
    )
    if found is not None:
        shares = (round(figure, 5) for figure in (*found.expected, *found.seen))
        answer.slots, answer.low, answer.high = (
            s.Slots(one.first, one.lost) for one in (found.slots, found.low, found.high)
        )
        answer.now = s.AtTheLimit(limit, *shares)
        answer.load = s.SizingLoad(round(found.mean, 2), round(found.peak, 2))
        answer.users, answer.stay_hours = found.users, round(found.stay_ms / HOUR_MS, 2)
        answer.sentence = sizes.answer(found, limit, share, call.language)
        answer.method, answer.trust = sizes.method(found, call.language), sizes.trust(found, call.language)
    return exported(call, answer)


def _demand(tx: Connection, since: int, now: int) -> tuple[list[tuple[int, float]], list[sizes.Run], float]:
    """Mean bots of each hour, the demands, and how long slots were held (ms): of the last 28 days."""
    end = now - now % HOUR_MS
    hours = [(row.at, row.mean) for row in read.history.hours(tx, since, end)]
    demands, _ = read.demands.demands(tx, since)
    load = read.history.load(tx, since, end)
    return hours, sizes.runs(demands, now), (load.mean or 0.0) * load.known_seconds * SECOND_MS


async def lease_evidence(call: Call) -> Answer:
    """What each length of a lease would have done in the last days, from the gaps between heartbeats."""
    since = call.now() - leases.DAYS * DAY_MS
    gaps = await call.read(read.beats.gaps, since)
    dead = await call.read(read.beats.dead, since)
    found, beats = leases.rows(gaps, dead), sum(gaps.values())
    seconds = call.services.committer.state.limits.whole("BOT_LEASE_SECONDS")
    needs = leases.needs(beats, call.language)
    return exported(
        call,
        s.LeaseAnswer(
            days=leases.DAYS,
            beats=beats,
            dead=dead,
            lease_seconds=seconds,
            rows=[s.LeaseRow(row.lease_seconds, row.living_ended, row.slot_hours_held_by_the_dead) for row in found],
            sentence=leases.said(found, seconds, call.language) if needs is None else None,
            needs=needs,
        ),
    )


# -- what was


def held_then(of: Session, at: int) -> s.HeldSession:
    """A session as it stood at that instant, as far as its last heartbeat does not lie behind it."""
    shown = session(of, at)
    known = of.last_heartbeat_at <= at
    return s.HeldSession(
        shown.public_id, shown.user_id, shown.bot_id, shown.status if known else "active", shown.started_at,
        shown.last_heartbeat_at if known else None, shown.lease_expires_at if known else None, None, None,
        shown.memory_mb if known else None, shown.memory_peak_mb if known else None,
        shown.cpu_seconds if known else None, None, notice=None,
    )  # fmt: skip


async def state(call: Call) -> Answer:
    """Who held which slot at an instant, under which limits, and whether starts were paused."""
    now = call.now()
    wanted = call.wanted_instant("at")
    at = now if wanted is None else wanted
    if at > now:
        raise Refused(invalid("at", "lies in the future", "est dans le futur"))
    sessions = await call.read(read.instant.held, at, known(call.services.committer.state, now))
    limits = await call.read(read.instant.limits, at)
    answer = s.StateAnswer(
        at=str(iso(at)),
        limits_version=limits[0] if limits else None,
        limits=dict(limits[1]) if limits else None,
        paused=await call.read(read.instant.paused, at),
        sessions=[held_then(one, at) for one in sessions],
        needs=None if limits else NO_VERSION.told(call.language),
    )
    kept = call.services.config.keep_sessions_days
    if at < now - kept * DAY_MS:
        answer.needs = NOT_KEPT.filled(days=kept).told(call.language)
    return exported(call, answer)


async def explain(call: Call) -> Answer:
    """Why one request was refused, who held the slots then, and what would have admitted it."""
    kept = await refusals.named(call)
    row = refused = kept.refusal
    sessions = await call.read(read.instant.held, row.at, known(call.services.committer.state, call.now()))
    freed_at = await call.read(read.instant.freed_after, row.at)
    paused = await call.read(read.instant.paused, row.at)
    drained = await call.read(read.instant.drained, row.at)
    limits = await call.read(read.instant.limits, row.at)
    reserved = int(limits[1].get("RESERVED_SLOTS") or 0) if limits else 0
    own = [one for one in sessions if one.user_id == row.user_id]
    outage = await call.read(read.incidents.covering, row.at, OUTAGE.name)
    return exported(
        call,
        s.ExplainAnswer(
            refusal=refusal_row(kept),
            sentence=explaining.sentence(refused, call.language, drained),
            holders=[held_then(one, row.at) for one in explaining.longest(sessions)],
            way_out=explaining.way_out(refused, own, freed_at, reserved, call.language, drained, outage),
            decided_again=explaining.decided_again(refused, paused, drained),
        ),
    )
