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
        """These formats over the facts, fractions with a decimal comma in French."""
        french, english = (figures(told(facts, language), language) for language in ("fr", "en"))
        return Words(self.fr.format_map(french), self.en.format_map(english))


class _Fraction(float):
    """A number that French writes with a comma, whatever its format."""

    def __format__(self, form: str) -> str:
        return super().__format__(form).replace(".", ",")


def figures(facts: Mapping[str, Any], language: str) -> dict[str, Any]:
    """The facts, their fractions as the language writes them; texts among them are left alone."""
    if language == "en":
        return dict(facts)
    return {name: _Fraction(fact) if isinstance(fact, float) else fact for name, fact in facts.items()}


def told(fact: Any, language: str) -> Any:
    """The fact with every text in it, however deep, in that language."""
    if isinstance(fact, Words):
        return fact.told(language)
    if isinstance(fact, Mapping):
        return {name: told(value, language) for name, value in fact.items()}
    return [told(one, language) for one in fact] if isinstance(fact, list) else fact
