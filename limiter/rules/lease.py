"""How long a lease should be: what each length would have done, from the gaps between beats. Pure.

A lease is too short where a living bot's gap is longer than it: the bot would have been ended. It is too long where the
dead hold their slots for all of it. Gaps are kept as counts by which leases they exceed, so a beat costs no row.

What was in force bounds what can be seen: no gap longer than the lease of its time is ever followed by a beat, for the
session is over by then; of longer leases the evidence says only what the dead would have held. And bots beat at a third
of their lease, so under a shorter one they would beat more often than they did: it is a caution and not a forecast.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from limiter.rules.words import Words

LEASES_SECONDS = (10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600)
EDGES_MS = tuple(1000 * seconds for seconds in LEASES_SECONDS)
DAYS = 7
NEEDED_BEATS = 100


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """One lease: how many gaps of living bots were longer, and hours that the dead would have held slots."""

    lease_seconds: int
    living_ended: int
    slot_hours_held_by_the_dead: float


def rows(gaps: Mapping[int, int], dead: int) -> list[LeaseRow]:
    """What each lease would have done. `gaps`: how many gaps exceed so many of the leases (0 to 11), each followed by a
    beat; `dead`: sessions that fell silent for good."""
    return [
        LeaseRow(seconds, sum(n for exceeded, n in gaps.items() if exceeded > place), round(dead * seconds / 3600, 2))
        for place, seconds in enumerate(LEASES_SECONDS)
    ]


def shortest(found: list[LeaseRow]) -> LeaseRow | None:
    """The shortest lease that would have ended no living bot; None where each would have."""
    return next((row for row in found if not row.living_ended), None)


NEEDS = Words(
    "Trop peu de battements : il en faut {needed} en {days} jours, il y en a {known}.",
    "Too few heartbeats: it takes {needed} within {days} days, there are {known}.",
)
SHORTEST = Words(
    "Un bail de {seconds} s aurait suffi : aucun bot vivant n'aurait été arrêté, et les morts auraient tenu {hours:g}"
    " {hours:heure|heures} de places.",
    "A lease of {seconds} s would have been enough: no living bot would have been ended, and the dead would have held"
    " {hours:g} slot {hours:hour|hours}.",
)
NONE_FITS = Words(
    "Aucun de ces baux n'aurait laissé vivre tous les bots : leurs battements viennent trop rarement.",
    "None of these leases would have let every living bot be: their heartbeats come too seldom.",
)
IN_FORCE = Words(
    "Les {lease} s en vigueur ; bots vivants arrêtés : {ended}, heures de places tenues par des morts : {hours:g}.",
    "The {lease} s in force; living bots ended: {ended}, slot hours held by the dead: {hours:g}.",
)


def needs(beats: int, language: str) -> str | None:
    """What it takes to say more, in `fr` or `en`; None where there is enough."""
    if beats >= NEEDED_BEATS:
        return None
    return NEEDS.filled(needed=NEEDED_BEATS, days=DAYS, known=beats).told(language)


def said(found: list[LeaseRow], lease_seconds: int, language: str) -> str:
    """Which lease would have been enough, and what the one in force did, in `fr` or `en`."""
    best = shortest(found)
    lines = [NONE_FITS]
    if best is not None:
        lines = [SHORTEST.filled(seconds=best.lease_seconds, hours=best.slot_hours_held_by_the_dead)]
    now = next((row for row in found if row.lease_seconds == lease_seconds), None)
    if now is not None and now is not best:
        lines.append(
            IN_FORCE.filled(lease=lease_seconds, ended=now.living_ended, hours=now.slot_hours_held_by_the_dead)
        )
    return " ".join(line.told(language) for line in lines)
