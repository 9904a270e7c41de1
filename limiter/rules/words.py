"""Texts in French and English side by side, for what a rule says before it knows who listens. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PLACE = re.compile(r"\{(\w+)[^}]*\}")


@dataclass(frozen=True, slots=True)
class Words:
    """A text in both languages, or a format of one."""

    fr: str
    en: str

    def told(self, language: str) -> str:
        """The text in `fr` or `en`."""
        return self.en if language == "en" else self.fr

    def filled(self, **facts: object) -> "Words":
        """These formats over the facts, numbers with a decimal comma in French."""
        french, english = (
            {name: _number(told(fact, language), language) for name, fact in facts.items()} for language in ("fr", "en")
        )
        return Words(self.fr.format_map(french), self.en.format_map(english))

    def retold(self, said: str, language: str, within: Callable[[str, str], str] = lambda fact, _: fact) -> str | None:
        """What these formats once said, in `language`: for texts that were kept. None where it is none of theirs.

        `within` retells each fact.
        """
        for form in (self.en, self.fr):
            pattern = "(.+?)".join(re.escape(literal) for literal in PLACE.split(form)[::2])
            if found := re.fullmatch(pattern, said):
                names = (place[1] for place in PLACE.finditer(form))
                facts = (within(_number(fact, language), language) for fact in found.groups())
                return PLACE.sub(r"{\1}", self.told(language)).format_map(dict(zip(names, facts, strict=True)))
        return None


def _number(fact: object, language: str) -> str:
    found, point = (r"(?<=\d),(?=\d)", ".") if language == "en" else (r"(?<=\d)\.(?=\d)", ",")
    return re.sub(found, point, str(fact))


def told(fact: Any, language: str) -> Any:
    """The fact with every text in it, however deep, in that language."""
    if isinstance(fact, Words):
        return fact.told(language)
    if isinstance(fact, Mapping):
        return {name: told(value, language) for name, value in fact.items()}
    return [told(one, language) for one in fact] if isinstance(fact, list) else fact
