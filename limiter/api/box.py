"""What this box carries of the bots that run on it, and the bots without a slot."""

from dataclasses import astuple

from limiter import processes
from limiter.answers import box as s
from limiter.api.exports import exported
from limiter.api.measured import measured
from limiter.http.call import Call, Services
from limiter.http.wire import Answer, iso
from limiter.rules import box as rules
from limiter.rules.box import Spread
from limiter.rules.words import Words
from limiter.units import MIB

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


def _strangers(services: Services) -> list[s.Stranger]:
    watch = services.strangers
    return [
        s.Stranger(one.pid, one.name, one.command, round(one.memory_bytes / MIB, 1), str(iso(one.since)))
        for one in (watch.seen if watch is not None else None) or ()
    ]


def _strangers_need(services: Services, language: str) -> str | None:
    if services.strangers is None:
        return NO_PATTERN.told(language)
    if processes.hidden():
        return HIDDEN.told(language)
    return NO_LOOK_YET.told(language) if services.strangers.seen is None else None
