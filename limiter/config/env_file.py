"""`.env`, read strictly: each line is an assignment, a comment or empty, and what is none of these has its place named.

As in the shells and in Docker's and systemd's readers: `NAME=VALUE`, `export` before it or not, the value in quotes or
not, ` # a comment` behind it. No variables are filled in.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from limiter.bilingual import Bilingual

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)
_QUOTED = re.compile(r"(?P<quote>['\"])(?P<text>.*)(?P=quote)(\s+#.*)?", re.DOTALL)
_COMMENT = re.compile(r"(^|\s)#.*", re.DOTALL)
_BREAK = re.compile(r"\r\n|\n|\r")
_OURS = re.compile(r"^\s*(?:export\s+)?((?:LIMITER|MAX|ALERT|BOT|WEBSOCKET|RESERVED)_[A-Z_]+)\s*=", re.MULTILINE)
_CLOSE = 0.75  # of difflib's ratio, where 1 is the same: one or two letters of a name


class EnvFileError(Bilingual):
    """The file cannot be read, or not all of it; the text names it and the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """The last assignment of a name: its value, and where it stands."""

    text: str
    number: int


def read_env_file(path: Path, strict: bool = True) -> dict[str, Line]:
    """The assignments of a file or a pipe by name, of several the last.

    Raises EnvFileError where it cannot be read, and where a line is no assignment, unless that is passed over.
    """
    found: dict[str, Line] = {}
    for one in parse_stream(StringIO(_text(path))):
        before = one.original.string[: len(one.original.string) - len(one.original.string.lstrip())]
        number = one.original.line + len(_BREAK.findall(before))
        if (wrong := _wrong(one)) is not None:
            if strict:
                fr, en = wrong
                raise EnvFileError(fr=f"{path}, ligne {number} : {fr}", en=f"{path}, line {number}: {en}")
        elif one.key is not None:
            found[one.key] = Line(one.value or "", number)
    return found


def _wrong(one: Binding) -> tuple[str, str] | None:
    """What is wrong with a line, or several where a quote goes over them, in French and English."""
    if one.error or (one.key is not None and (one.value is None or not _NAME.fullmatch(one.key))):
        return (
            "ce n'est pas une affectation comme NOM=VALEUR (un guillemet resté ouvert ?)",
            "not an assignment such as NAME=VALUE (is a quote left open?)",
        )
    swallowed = _OURS.search(one.value or "")
    if swallowed is None:
        return None
    return f"le guillemet n'est pas fermé avant {swallowed[1]}", f"the quote is not closed before {swallowed[1]}"


def _text(path: Path) -> str:
    if path.is_dir():
        raise EnvFileError(
            fr=f"{path} est un dossier ; il faut un fichier de lignes comme NOM=VALEUR",
            en=f"{path} is a folder; it has to be a file of lines such as NAME=VALUE",
        )
    try:
        return path.read_text(encoding="utf-8-sig") if path.is_file() else _poured(path)
    except (OSError, UnicodeDecodeError) as error:
        raise EnvFileError(fr=f"{path} : illisible ({error})", en=f"{path}: cannot be read ({error})") from error


@functools.cache
def _poured(path: Path) -> str:
    """What comes out of a pipe, which can be read but once."""
    return path.read_text(encoding="utf-8-sig")


def bare(text: str) -> str:
    """A value of the environment as the same line of `.env` has it.

    `docker run --env-file` leaves quotes and comments in the value, systemd's EnvironmentFile leaves comments.
    """
    text = text.strip()
    if quoted := _QUOTED.fullmatch(text):
        return quoted["text"].strip()
    return _COMMENT.sub("", text, count=1).strip()


def lookalike(name: str, known: Sequence[str]) -> str | None:
    """A setting that a name begins like, or nearly is; None where it is one, or looks like none."""
    if name in known:
        return None
    close = get_close_matches(name.upper(), [one for one in known if one[:3] == name.upper()[:3]], 1, _CLOSE)
    begins = (one for one in known if name.upper().startswith("_".join(one.split("_")[:2])))
    return close[0] if close else next(begins, None)
