"""The limiter and the console of this machine: start them, and say what is wrong with them."""

import functools
import os
import sys

from limiter.cli.answering import answer, json_option
from limiter.cli.errors import sentences, with_config
from limiter.commands.declaring import command, option
from limiter.commands.text import labelled, told, word


@command()
@option("--host", help="Address to listen on; else LIMITER_HOST.")
@option("--port", type=int, help="Port; else LIMITER_PORT. 0: any free one.")
@option("--database-url", help="Where everything is kept; else LIMITER_DATABASE_URL.")
@option("--new", is_flag=True, help="Begin anew, without sessions, though the database that was here is gone.")
def serve(host: str | None, port: int | None, database_url: str | None, new: bool) -> None:
    """Run the limiter until SIGTERM."""
    from limiter.serve import serve

    settings = with_config(LIMITER_HOST=host, LIMITER_PORT=port, LIMITER_DATABASE_URL=database_url)
    with sentences():
        serve(settings, new)


@command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what is wrong with this installation, and what to do. Exit status 1 where something is."""
    from limiter import doctor

    findings = list(doctor.examine(told))
    text = "\n".join(f"{'✓' if one.ok else '✗'} {labelled(part(one.part), one.message)}" for one in findings)
    answer(as_json, text, findings=[one.as_json() for one in findings])
    sys.exit(0 if all(one.ok for one in findings) else 1)


def part(name: str) -> str:
    """What of an installation a finding is about, `limiter: disk` too."""
    return functools.reduce(labelled, map(word, name.split(": ")))


@command()
def console() -> None:
    """Start the console, and a limiter where none answers: what `python console.py` does in a checkout."""
    from limiter.layout import CONSOLE

    os.execv(sys.executable, [sys.executable, str(CONSOLE)])  # noqa: S606
