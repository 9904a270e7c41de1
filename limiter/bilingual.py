"""Errors that a person reads: one sentence, in French and in English."""


class Bilingual(Exception):
    """What is wrong and what to do about it. `str()` is the English sentence, for the log."""

    def __init__(self, *, fr: str, en: str) -> None:
        super().__init__(en)
        self.fr = fr
        self.en = en

    def told(self, language: str) -> str:
        """The sentence in `fr` or `en`."""
        return self.en if language == "en" else self.fr


class Unreadable(Bilingual, ValueError):
    """A text that no setting can mean. The sentence goes on from the setting's name: "must be …"."""


def in_both(error: Exception) -> tuple[str, str]:
    """What an error says in French and in English; that of a library says the same in both."""
    return (error.fr, error.en) if isinstance(error, Bilingual) else (str(error), str(error))
