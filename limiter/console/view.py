"""How a page is seen: its language, zone and theme, and what these make of texts, numbers and instants.

Pure. Instants are UTC milliseconds. Ticks of a time axis are made here and not by the chart, so that each zone,
language and DST night is right: an hour that comes twice is labelled once, one that is left out leaves no gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any

from limiter.console.catalog import Language, catalog
from limiter.rules import words
from limiter.rules.refusals import REASONS
from limiter.units import DAY_MS, HOUR_MS, MINUTE_MS

DAYS = {
    "fr": ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
MINUTE, HOUR, DAY = MINUTE_MS, HOUR_MS, DAY_MS
STEPS_MINUTES = (1, 5, 10, 15, 30, 60, 120, 180, 360, 720)
SHORTEST = 2 * MINUTE
STAYS = (60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 16 * 3600, 86_400, 3 * 86_400, 7 * 86_400)
"""Seconds: the edges of the lengths that sessions are sorted into."""


def stays_names() -> list[str]:
    """What a URL calls the lengths of sessions, shortest first: their seconds."""
    return [f"{low}-{high}" for low, high in zip((0, *STAYS), (*STAYS, ""), strict=True)]


def seconds_of(name: str) -> tuple[int, int | None]:
    """From, and up to where there is an end, of a length by that name."""
    low, _, high = name.partition("-")
    return int(low), int(high) if high else None


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Milliseconds."""
        return self.end - self.start

    def since(self, first: int) -> "Span":
        """The part from `first` on, two minutes at least: where nothing is known before, nothing is drawn."""
        return Span(max(self.start, min(first, self.end - SHORTEST)), self.end)


@dataclass(frozen=True, slots=True)
class View:
    """Language, zone and theme of a run."""

    language: Language
    zone: tzinfo
    dark: bool = False

    def t(self, text: str, **values: Any) -> str:
        """The text in the language of the view, its `{names}` filled in."""
        if self.language == "fr":
            text = catalog().get(text, (text,))[0]
        return text.format(**values) if values else text

    def tn(self, one: str, many: str, n: int, **values: Any) -> str:
        """The text for n things: French counts 0 as one, English as many. `{n}` is filled in."""
        if self.language == "fr":
            forms = catalog().get(one, (one, many))
            one, many = forms[0], forms[-1]
        text = one if words.is_one(n, self.language) else many
        return text.format(n=self.number(n), **values)

    def number(self, value: float, decimals: int = 0) -> str:
        """1 234,5 or 1,234.5."""
        text = f"{value:,.{decimals}f}"
        return text.replace(",", "\u202f").replace(".", ",") if self.language == "fr" else text

    def percent(self, value: float | None, decimals: int = 1) -> str:
        """75,0 % or 75.0%; a dash where it is not known."""
        if value is None:
            return "–"
        text = self.number(value, decimals)
        return f"{text}\u00a0%" if self.language == "fr" else f"{text}%"

    def lasting(self, seconds: float) -> str:
        """A duration in its two largest units: 48 s, 1 min 54 s, 14 min, 1 h 10 min, 2 d 4 h."""
        return words.lasting(seconds, self.language)

    def stays(self) -> dict[str, str]:
        """The lengths that sessions are sorted into, by the name that a URL has for them: `seconds_of`."""
        edges = [self.lasting(edge) for edge in STAYS]
        between = [f"{low} – {high}" for low, high in pairwise(edges)]
        return dict(zip(stays_names(), (f"< {edges[0]}", *between, f"> {edges[-1]}"), strict=True))

    def reason(self, name: str) -> str:
        """A refusal's reason in a few words."""
        known = REASONS.get(name)
        return known.label(self.language) if known else name

    def local(self, at: int, where: tzinfo | None = None) -> datetime:
        """The instant on the wall clock of the zone."""
        return datetime.fromtimestamp(at / 1000, where or self.zone)

    def day(self, at: int, *, weekday: bool = False) -> str:
        """24 nov. or 24 Nov, with its weekday if asked for."""
        moment = self.local(at)
        text = words.day(moment, self.language)
        return f"{DAYS[self.language][moment.weekday()]} {text}" if weekday else text

    def date(self, day: str) -> str:
        """The same of a date as the API writes it, 2026-11-24: a date is in no zone."""
        return self.day(self.begin_of(day))

    def begin_of(self, day: str, where: tzinfo | None = None) -> int:
        """When that date begins in the zone, or in another one."""
        return round(datetime.fromisoformat(day).replace(tzinfo=where or self.zone).timestamp() * 1000)

    def stamp(self, at: int) -> str:
        """24 Nov 14:03, whatever day it is."""
        return f"{self.day(at)} {self.local(at):%H:%M}"

    def when(self, at: int, now: int) -> str:
        """14:03 today, 23 nov. 14:03 another day, with the year where it is another one."""
        moment, today = self.local(at), self.local(now)
        hour = f"{moment:%H:%M}"
        if moment.date() == today.date():
            return hour
        return f"{self.day(at)} {hour}" if moment.year == today.year else f"{self.day(at)} {moment.year} {hour}"

    def ticks(self, span: Span, most: int = 9) -> list[tuple[int, str]]:
        """Where an axis is labelled, and how: whole local hours or midnights, at most about `most`."""
        for minutes in STEPS_MINUTES:
            if span.length / (minutes * MINUTE) <= most:
                return list(self._clock_ticks(span, minutes))
        days = 1
        while span.length / (days * DAY) > most:
            days += 1 if days < 2 else days
        return [(at, self.day(at)) for n, at in enumerate(self.midnights(span)) if n % days == 0]

    def _clock_ticks(self, span: Span, minutes: int) -> Iterator[tuple[int, str]]:
        """Every local hour and minute that `minutes` divide; the second pass of a doubled hour is left out."""
        step = min(minutes, 15) * MINUTE
        for at in range(-(-span.start // step) * step, span.end + 1, step):
            moment = self.local(at)
            if (moment.hour * 60 + moment.minute) % minutes == 0 and moment.fold == 0:
                midnight = moment.hour == 0 and moment.minute == 0
                yield at, self.day(at, weekday=True) if midnight else f"{moment:%H:%M}"

    def midnights(self, span: Span) -> Iterator[int]:
        """Local midnights within the span."""
        date = self.local(span.start).date()
        while True:
            date += timedelta(days=1)
            at = int(datetime(date.year, date.month, date.day, tzinfo=self.zone).timestamp() * 1000)
            if at > span.end:
                return
            yield at
