"""Texts in French and English side by side, for what a rule says before it knows who listens. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
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


FRENCH = str.maketrans(",.", "\u202f,")


class _Whole(int):
    def __format__(self, form: str) -> str:
        return super().__format__(form).translate(FRENCH)


class _Fraction(float):
    def __format__(self, form: str) -> str:
        return super().__format__(form).translate(FRENCH)


def _as_french(fact: Any) -> Any:
    """A number that is written as in French, whatever its format."""
    if isinstance(fact, float):
        return _Fraction(fact)
    return _Whole(fact) if isinstance(fact, int) and not isinstance(fact, bool) else fact


def figures(facts: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The facts, their numbers as the language writes them; texts among them are left alone."""
    if language == "en":
        return dict(facts)
    return {name: _as_french(fact) for name, fact in facts.items()}


def told(fact: Any, language: str) -> Any:
    """The fact with every text in it, however deep, in that language."""
    if isinstance(fact, Words):
        return fact.told(language)
    if isinstance(fact, Mapping):
        return {name: told(value, language) for name, value in fact.items()}
    return [told(one, language) for one in fact] if isinstance(fact, list) else fact
