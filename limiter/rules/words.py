"""Texts in French and English side by side, for what a rule says before it knows who listens; days, durations. Pure.

A format of a text may choose by a number: `{n} {n:place prise|places prises}` is "1 place prise", "2 places prises".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Words:
    """A text in both languages, or a format of one."""

    fr: str
    en: str

    def told(self, language: str) -> str:
        """The text in `fr` or `en`."""
        return self.en if language == "en" else self.fr

    def filled(self, **facts: object) -> "Words":
        """These formats over the facts, numbers as the language writes them: a decimal comma in French, and where the
        format groups thousands (`{n:,}`), a narrow space."""
        french, english = (figures(told(facts, language), language) for language in ("fr", "en"))
        return Words(self.fr.format_map(french), self.en.format_map(english))


def is_one(n: float, language: str) -> bool:
    """Whether what is counted so stands in the singular: in French all below 2, in English 1 alone."""
    return abs(n) < 2 if language == "fr" else n == 1


FRENCH = str.maketrans(",.", "\u202f,")


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number that a text in that language is filled with."""

    of: float
    language: str

    def __format__(self, form: str) -> str:
        one, chosen, many = form.partition("|")
        if chosen:
            return one if is_one(self.of, self.language) else many
        text = format(self.of, form)
        return text.translate(FRENCH) if self.language == "fr" else text


def figures(facts: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The facts, their numbers as the language writes and counts them; texts among them are left alone."""
    return {
        name: _Figure(fact, language) if isinstance(fact, int | float) and not isinstance(fact, bool) else fact
        for name, fact in facts.items()
    }


def told(fact: Any, language: str) -> Any:
    """The fact with every text in it, however deep, in that language."""
    if isinstance(fact, Words):
        return fact.told(language)
    if isinstance(fact, Mapping):
        return {name: told(value, language) for name, value in fact.items()}
    return [told(one, language) for one in fact] if isinstance(fact, list) else fact


MONTHS = {
    "fr": ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}
DAY = Words("j", "d")


def day(of: date, language: str) -> str:
    """24 nov. in `fr`, 24 Nov in `en`; French counts the first of a month, 1er nov., and no other."""
    ordinal = "er" if of.day == 1 and language == "fr" else ""
    return f"{of.day}{ordinal} {MONTHS[language][of.month - 1]}"


def lasting(seconds: float, language: str) -> str:
    """A duration in its two largest units: 48 s, 1 min 54 s, 14 min, 1 h 10 min, 2 d 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:  # a minute more or less would be much
        minutes, rest = divmod(whole, 60)
        return f"{minutes} min {rest:02d} s" if rest else f"{minutes} min"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 172_800:
        hours, rest = divmod(whole // 60, 60)
        return f"{hours} h {rest:02d} min" if rest else f"{hours} h"
    days, rest = divmod(whole // 3600, 24)
    return f"{days} {DAY.told(language)} {rest} h" if rest else f"{days} {DAY.told(language)}"
