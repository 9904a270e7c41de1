"""What an incident comes to, as a headline: how it is now, and how bad it was, from exact figures. Pure.

An alert of the occupancy that has gone back does not shout its worst any more: "80% now, was full 23:06–23:09".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from limiter.rules.alerts import LEVELS, message
from limiter.rules.capacity import Capacity
from limiter.rules.records import Incident
from limiter.rules.words import Words, day, lasting
from limiter.units import MINUTE_MS

CAPACITY = "capacity"
FULL = "full"
"""Of an incident's facts: when it was last full from and until (None: it is), how often, and so many ms before that."""
NOW = Words("{percent:g} % maintenant, {past}", "{percent:g}% now, {past}")
PEAK = Words("pic {peak}/{limit}", "peak {peak}/{limit}")
FULL_ONCE = Words("plein {begin} {end}", "was full {begin}–{end}")
FULL_OFTEN = Words(
    "plein {n} fois, {whole} en tout, la dernière {begin} {end}",
    "was full {n} times, {whole} in all, last {begin}–{end}",
)
FULL_SINCE = Words("plein depuis {begin}", "full since {begin}")
FROM, TO, SINCE = ("de ", "du "), ("à ", "au "), ("", "le ")
"""What French says before a time of the day, and before a day."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads, and when: the language, the zone of the times, now (UTC ms), and the occupancy where it is known."""

    language: str
    zone: tzinfo = UTC
    now: int = 0
    held: Capacity | None = None


def full_spells(facts: Mapping[str, Any], now: int, full: bool) -> Mapping[str, Any]:
    """The facts of an incident, now that the server is full, or is not."""
    begin, until, n, before = facts.get(FULL) or (None, 0, 0, 0)
    if full and until is not None:
        return {**facts, FULL: [now, None, n + 1, before + (until - begin if begin is not None else 0)]}
    if not full and until is None:
        return {**facts, FULL: [begin, now, n, before]}
    return facts


def past(incident: Incident, reader: Reader) -> str:
    """How bad it was: when it was full, else its peak."""
    spell = incident.facts.get(FULL)
    if spell is None:
        return PEAK.filled(peak=incident.peak, limit=incident.peak_limit).told(reader.language)
    begin, until, n, before = spell
    if until is None:
        return FULL_SINCE.filled(begin=_clock(begin, reader.now, reader, SINCE)).told(reader.language)
    short = until - begin < MINUTE_MS
    told = {"begin": _clock(begin, reader.now, reader, FROM, short), "end": _clock(until, begin, reader, TO, short)}
    whole = lasting(max(0, before + until - begin) / 1000, reader.language)  # where the clock went back
    words = FULL_ONCE.filled(**told) if n == 1 else FULL_OFTEN.filled(n=n, whole=whole, **told)
    return words.told(reader.language)


def headline(incident: Incident, reader: Reader) -> str:
    """What fired, as long as it is so; of an occupancy that has gone back since, how it is now and was at its worst."""
    if incident.kind != CAPACITY or incident.message:
        return message(incident, reader.language)
    if incident.resolved_at is not None:
        said = past(incident, reader)
        return said[:1].upper() + said[1:]
    level = LEVELS[incident.rank - 1]
    held = reader.held
    reached = {"threshold": incident.facts.get("percent", 0), "urgent": 95, "full": 100}[level.name]
    worst = level.name == incident.crossings[-1].level and incident.peak * 100 >= reached * incident.peak_limit
    if worst and (held is None or 100 * held.current >= reached * held.maximum):
        return message(incident, reader.language)
    if held is None:
        said = past(incident, reader)
        return said[:1].upper() + said[1:]
    return NOW.filled(percent=held.percent_used, past=past(incident, reader)).told(reader.language)


def _clock(at: int, known: int, reader: Reader, french: tuple[str, str], seconds: bool = False) -> str:
    """23:06 on the day that is known (that of `known`, 0: its own), else with the day, and the year of another one;
    with seconds where minutes would say nothing. `french` is what French has before a time, and before a day."""
    local, told = (datetime.fromtimestamp(one / 1000, reader.zone) for one in (at, known or at))
    clock = f"{local:%H:%M:%S}" if seconds else f"{local:%H:%M}"
    time, dated = ("", "") if reader.language == "en" else french
    if local.date() == told.date():
        return f"{time}{clock}"
    year = "" if local.year == told.year else f" {local.year}"
    return f"{dated}{day(local, reader.language)}{year} {clock}"
