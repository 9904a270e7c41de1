"""What this box carries of the bots that run on it, and the bots without a slot."""

import time
from dataclasses import astuple

from limiter import processes
from limiter.answers import bots
from limiter.answers import box as s
from limiter.api.exports import exported
from limiter.api.measured import measured
from limiter.http.call import Call, Services
from limiter.http.wire import Answer, iso, ok
from limiter.rules import box as rules
from limiter.rules.box import Spread
from limiter.rules.strangers import TELL_SECONDS, Stranger, together
from limiter.rules.words import Words
from limiter.units import MIB, SECOND_MS

OLD_SECONDS = 5.0  # strangers are looked for again where the last look is older
NO_PATTERN = Words(
    "LIMITER_BOT_PATTERN n'est pas réglé : personne ne cherche de bots sans place.",
    "LIMITER_BOT_PATTERN is not set: nobody looks for bots without a slot.",
)
NO_LOOK_YET = Words("Le premier regard vient dans la minute.", "The first look comes within the minute.")
HIDDEN = Words(
    "Les processus des autres utilisateurs sont cachés au limiteur (ProtectProc, hidepid) : il ne voit que les siens.",
    "Processes of other users are hidden from the limiter (ProtectProc, hidepid): it sees those of its own user only.",
)


async def box(call: Call) -> Answer:
    """What this box carries of the bots that run on it, what they cost, and the bots without a slot."""
    services = call.services
    if services.strangers is not None:
        await services.strangers.refresh(OLD_SECONDS)
    found = await measured(call)
    size = services.box
    answer = s.BoxAnswer(
        ram_mb=round(found.ram_mb, 1),
        rest_mb=None if found.rest_mb is None else round(found.rest_mb, 1),
        cores=round(found.cores, 2),
        running_bots=found.running_bots,
        measured_bots=found.measured_bots,
        memory_mb=_spread(found.memory_mb),
        cpu_percent=_spread(found.cpu_percent),
        start_cpu_seconds=None if found.start_cpu_seconds is None else round(found.start_cpu_seconds, 3),
        carries=s.Carries(*astuple(found.carries)) if found.carries is not None else None,
        sentence=rules.said(found, call.language),
        needs=rules.NEEDS.told(call.language) if found.carries is None else None,
        table=s.BoxSize(size.counts_as_gb, size.recommended_max_bots, size.price_usd_month),
        next=s.BoxSize(found.next.size.ram_gb, found.next.bots, found.next.size.price_usd_month)
        if found.next
        else None,
        strangers=_strangers(services),
        strangers_needs=_strangers_need(services, call.language),
    )
    return exported(call, answer)


def _spread(of: Spread | None) -> s.Spread | None:
    return s.Spread(round(of.median, 3), round(of.mean, 3), round(of.p90, 3)) if of is not None else None


def strangers(services: Services) -> list[Stranger] | None:
    """The bots without a slot, of this host and of those whose agents tell; None: nobody looks here, none is told."""
    seen = services.strangers.seen if services.strangers is not None else None
    told = services.reports.standing(time.monotonic())
    return None if seen is None and not told else together(seen or (), told, processes.host())


def _strangers(services: Services) -> list[s.Stranger]:
    return [
        s.Stranger(
            one.pid, one.name, one.command, round(one.memory_bytes / MIB, 1), str(iso(one.since)), one.host or None
        )
        for one in strangers(services) or ()
    ]


async def tell(call: Call) -> Answer:
    """Take what an agent says of the bots on its host that run without a slot."""
    body: bots.StrangersBody = call.body
    now, host = call.now(), str(body.host)
    found = [
        Stranger(
            one.pid, one.name, f"{one.user_id}/{one.bot_id}", one.memory_bytes or 0,
            now - int(one.age_seconds * SECOND_MS), host,
        )
        for one in body.strangers
    ]  # fmt: skip
    call.services.reports.tell((host, str(body.agent), call.actor.name), found, time.monotonic())
    return ok(bots.StrangersAnswer(TELL_SECONDS))


def _strangers_need(services: Services, language: str) -> str | None:
    if services.strangers is None:
        return NO_PATTERN.told(language)
    if processes.hidden():
        return HIDDEN.told(language)
    return NO_LOOK_YET.told(language) if services.strangers.seen is None else None
