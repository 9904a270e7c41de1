"""What LIMITER_DATABASE_URL names: a SQLite file, or a database of a PostgreSQL server.

Standard library alone, for commands that ask a limiter read it too. What SQLAlchemy takes for something else than was
meant (`sqlite://data/limiter.db`: a file in no folder `data`), or ends in a traceback over, is refused here.
"""

import re
from pathlib import Path
from urllib.parse import unquote

from limiter.bilingual import Unreadable

FILE, SERVER = "sqlite:///data/limiter.db", "postgresql+psycopg://user@host/name"
ELSEWHERE = "sqlite:////var/lib/limiter/limiter.db"
SERVERS = "postgresql+psycopg://user@/name?host=db1,db2&port=5432,5433"

_URL = re.compile(r"(\w+)(?:\+\w+)?://(.*)", re.DOTALL)
# As SQLAlchemy takes a URL apart: who, the host, and all between its colon and the database.
_PORT = re.compile(r"(?:[^:/]*(?::[^@]*)?@)?(?:\[[^/?]+\]|[^/:?]+)?(?::([^/?]*))?")


def file_of(url: str) -> Path | None:
    """The SQLite file that it names, as it is written there; None where it is a database of PostgreSQL.

    Raises Unreadable for what is neither; its sentence goes on from the name of the setting.
    """
    found = _URL.fullmatch(url)
    kind, rest = found.groups() if found is not None else ("", "")
    if kind == "postgresql":
        _refuse_odd_port(rest)
        return None
    if kind != "sqlite":
        raise Unreadable(fr=f"doit être {FILE} ou {SERVER}", en=f"must be {FILE} or {SERVER}")
    host, _, written = rest.partition("?")[0].partition("/")
    if host:
        raise Unreadable(
            fr=f"veut trois barres devant un chemin ({FILE}), quatre s'il commence par une barre ({ELSEWHERE})",
            en=f"takes three slashes before a path ({FILE}), four where that begins with one ({ELSEWHERE})",
        )
    path = unquote(written)
    if path.startswith(("~", "file:")) or re.search(r"\$[A-Za-z{(]", path):
        raise Unreadable(
            fr=f"n'est lu par aucun shell : écris le chemin entier, comme {ELSEWHERE}",
            en=f"is read by no shell: write the whole path, such as {ELSEWHERE}",
        )
    if "\0" in path or path == ":memory:" or Path(path).name in ("", ".."):
        raise Unreadable(fr=f"doit nommer un fichier : {FILE}", en=f"must name a file: {FILE}")
    return Path(path)


def _refuse_odd_port(rest: str) -> None:
    found = _PORT.match(rest)
    port = found[1] if found is not None and found[1] is not None else "0"
    if re.fullmatch(r"[0-9]{1,5}", port) and int(port) <= 65535:
        return
    if "," in port:  # libpq's own way to write them
        raise Unreadable(
            fr=f"nomme plusieurs hôtes, chacun avec son port : écris {SERVERS}",
            en=f"names several hosts with a port each: write {SERVERS}",
        )
    raise Unreadable(
        fr=f"n'a pas un port entre l'hôte et la base ({SERVER}) ; : / ? @ d'un mot de passe s'écrivent %3A %2F %3F %40",
        en=f"has no port between host and database ({SERVER}); : / ? @ of a password are written %3A %2F %3F %40",
    )
