"""How a command asks: one function from an Admin and the options to an answer, one that writes the answer for a person.

The HTTP client is imported by what asks: `serve` would start 0.3 s later for it.
"""

import functools
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from limiter import config
from limiter.commands.declaring import option
from limiter.commands.local import key_file, local_key
from limiter.commands.text import Failed, language, told

if TYPE_CHECKING:
    from limiter.client import Refused

Answer = TypeVar("Answer")
Ask = Callable[..., Answer]

reason_option = option("--reason", required=True, help="Why; kept with the change.")
override_option = option("--override-guard", is_flag=True, help="Raise it even where a guard holds it back.")


def no_reason() -> click.UsageError:
    """Where a reason is needed for some of what a command does."""
    return click.UsageError(told(fr="Il manque l'option '--reason'.", en="Missing option '--reason'."))


confirm_option = option(
    "--confirm-within",
    type=click.IntRange(60, 86_400),
    metavar="S",
    help="Take it back after so many seconds unless it is confirmed (limits confirm).",
)
seen_option = option(
    "--version",
    "seen",
    type=click.IntRange(0),
    metavar="VERSION",
    help="Only where that version stands, as the command that shows it says; else whatever stands.",
)


def connection(url: str | None) -> dict[str, str | None]:
    """`url`, `key` and `language` as clients take them, from the command line, the environment and `.env`."""
    from limiter.client import Refused
    from limiter.client.wire import DEFAULT_URL, Connection

    try:
        chosen = config.of_a_client()
    except config.ConfigError as error:
        raise click.UsageError(error.told(language())) from error
    options = {
        "url": url or chosen.get("LIMITER_URL"),
        "key": chosen.get("LIMITER_KEY", "") or local_key(_database(), url or chosen.get("LIMITER_URL") or DEFAULT_URL),
        "language": language(),
    }
    try:
        Connection(**options)
    except Refused as error:
        raise click.UsageError(str(error)) from error
    return options


def over_http(
    show: Callable[[Answer], str], tables: Sequence[str] = ()
) -> Callable[[Ask[Answer]], Callable[..., None]]:
    """Makes a command of a function from Admin and options to an answer; `show` writes that answer for a person.

    `tables`: what the answer has as CSV (limiter.answers.csv_text), the first where none is named.
    """

    def decorate(ask: Ask[Answer]) -> Callable[..., None]:
        @option("--json", "as_json", is_flag=True, help="The API's answer as JSON.")
        @option("--url", help="Where the limiter is; else LIMITER_URL.")
        @functools.wraps(ask)
        def command(*, as_json: bool, url: str | None, table: str | None = None, **options: Any) -> None:
            from limiter.client import Admin, Refused

            as_csv = options.pop("as_csv", False)

            texts: list[bytes] = []  # as it came: a newer limiter may say more than this program knows
            try:
                with Admin(**connection(url), heard=texts.append) as admin:  # type: ignore[arg-type]  # keys are the names
                    answer = ask(admin, **options)
            except Refused as refused:
                raise Failed(sentence(refused)) from refused
            if as_csv or table is not None:
                write_csv(answer, table)
            else:
                click.echo(json.dumps(json.loads(texts[-1]), ensure_ascii=False, indent=2) if as_json else show(answer))

        return with_csv(command, tables)

    return decorate


def with_csv(command: Callable[..., None], tables: Sequence[str]) -> Callable[..., None]:
    """The command with `--csv` and, of several tables, `--table`."""
    if len(tables) > 1:
        choose = option("--table", type=click.Choice(tables), help="Another table as CSV; else the first of these.")
        command = choose(command)
    csv = option("--csv", "as_csv", is_flag=True, help="A table of it as CSV, as ?format=csv gives it.")
    return csv(command) if tables else command


def write_csv(answer: Any, table: str | None) -> None:
    """On stdout; why there is nothing in it on stderr."""
    from limiter.answers.csv_text import as_csv

    click.echo(as_csv(answer, table), nl=False)
    if needs := getattr(answer, "needs", None):
        click.echo(needs, err=True)


def says(*, fr: str, en: str) -> Callable[[object], str]:
    """Writes the same sentence whatever the answer."""
    return lambda answer: told(fr=fr, en=en)


def sentence(refused: "Refused") -> str:
    """Why; where a key is what is missing, how to send one, and where a guard holds, the option that goes over it."""
    if refused.reason == "guard_held":
        return told(
            fr=f"{refused} (--override-guard passe outre, si tu sais mieux)",
            en=f"{refused} (--override-guard goes over it, where you know better)",
        )
    if refused.reason not in ("unauthorized", "forbidden", "too_many_attempts"):
        return str(refused)
    return f"{refused} (LIMITER_KEY=$(cat {key_file(_database())}))"


def _database() -> str:
    """Where a limiter of this folder keeps everything."""
    return config.of_a_client().get("LIMITER_DATABASE_URL") or config.DATABASE_URL
