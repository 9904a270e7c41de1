"""Sentences of `run` and the agent, in the language of LIMITER_LANG, and the exit statuses that go with them."""

import os
import sys

REFUSED = 75  # EX_TEMPFAIL of sysexits.h: trying again may help
KEY_REFUSED = 77  # EX_NOPERM
UNREADABLE = 78  # EX_CONFIG: a setting cannot be read
WRONG_COMMAND_LINE = 2
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as a shell says it
BY_SIGNAL = 128


class Unable(Exception):
    """It cannot be done. `status` is the exit status, `str()` the sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def text(*, fr: str, en: str, language: str | None = None) -> str:
    """The one of the two that the person reads; French where nothing else is asked for."""
    chosen = os.environ.get("LIMITER_LANG", "") if language is None else language
    return en if chosen.lower().startswith("en") else fr


def say(sentence: str) -> None:
    """To the person, on stderr, beside whatever the command writes."""
    try:
        sys.stderr.write(f"limiter: {sentence}\n")
        sys.stderr.flush()
    except (OSError, AttributeError):  # closed, or never there
        pass


def waiting(position: object, of: object, language: str | None = None) -> str:
    """What a person who waits for a slot is told."""
    return text(
        fr=f"Serveur complet : en attente, {position} sur {of}.",
        en=f"Server full: waiting, {position} of {of}.",
        language=language,
    )
