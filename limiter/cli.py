"""The command line. Exit status: 0 done, 1 with a sentence on stderr, 2 a wrong command line.

`run` and `agent` have statuses of their own (agent/words.py), and are begun by `limiter.__main__` without this module.

What opens the database is imported by the commands that do: what only asks over HTTP shall not wait for SQLAlchemy.
"""

import functools
import json
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, get_args

import click
from click.shell_completion import CompletionItem

from limiter import __version__, commands, config
from limiter.agent.command_line import TAKE_A_VALUE
from limiter.commands.over_http import connection
from limiter.commands.text import Failed, table, told, word
from limiter.rules.records import Scope


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="limiter")
def main() -> None:
    """The bot-capacity limiter: every trading bot asks it before it starts."""


for command in commands.COMMANDS:
    main.add_command(command)


# Bots


AS_IT_IS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


class AsItIs(click.Command):
    """A command that reads its command line itself; a shell completes these options."""

    def __init__(self, *given: Any, options: tuple[str, ...], **named: Any) -> None:
        super().__init__(*given, **named)
        self.options = options

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Those that begin like what was typed."""
        return [CompletionItem(option) for option in self.options if option.startswith(incomplete)]


@main.command(
    cls=AsItIs,
    options=(*TAKE_A_VALUE, "--direct", "--help"),
    context_settings=AS_IT_IS,
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(arguments: tuple[str, ...]) -> None:
    """Run a command as a bot: take a slot and become it."""
    from limiter.agent.run import main

    sys.exit(main(list(arguments)))


@main.command(
    cls=AsItIs,
    options=("--status", "--json", "--stop", "--force", "--help"),
    context_settings=AS_IT_IS,
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent(arguments: tuple[str, ...]) -> None:
    """Look after the bots of this OS user; --status shows them."""
    from limiter.agent.agent_command import main

    sys.exit(main(list(arguments)))


@main.command()
@click.option(
    "--bots",
    type=click.IntRange(1, 10_000),
    default=250,
    show_default=True,
    help="How many bots, each of its own user.",
)
@click.option("--seconds", type=click.FloatRange(1), default=30.0, show_default=True, help="How long it all takes.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed does the same things.")
@click.option("--url", help="Where the limiter is; else LIMITER_URL.")
def simulate(bots: int, seconds: float, seed: int, url: str | None) -> None:
    """Drive a running limiter with bots that start, trade, signal, stop, crash and fall silent.

    Prints what was admitted, and what was refused and why. Exit status 1 where more were admitted than the limit.
    """
    import asyncio

    from limiter import simulate

    with click.progressbar(length=1000, item_show_func=lambda now: now, show_pos=False) as bar:

        def tick(share: float, tally: simulate.Tally) -> None:
            held, refused = tally.held, tally.refused.total()
            now = told(fr=f"{held} places prises, {refused} refus", en=f"{held} held, {refused} refused")
            bar.update(int(share * 1000) - bar.pos, now)

        tally = asyncio.run(simulate.simulate(connection(url), bots=bots, seconds=seconds, seed=seed, tick=tick))
    click.echo(table(["WHAT", "HOW MUCH", ""], simulate.summary(tally, told)))
    sys.exit(1 if tally.over else 0)


@main.command()
@click.option("--database-url", help="The scratch database; else sqlite:///data/demo/limiter.db.")
@click.option("--weeks", type=click.IntRange(1, 13), default=4, show_default=True, help="How much history.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed and end make the same history.")
@click.option("--until", help="Where it ends, RFC 3339; else now.")
@click.option("--bots", type=click.IntRange(0, 195), default=158, show_default=True, help="How many run at the end.")
@click.option("--open", "show", is_flag=True, help="Open the console on it, its bots going on.")
def demo(database_url: str | None, show: bool, **story: Any) -> None:
    """Fill a scratch database with weeks of plausible history, decided by the real rules."""
    from limiter import demo

    sys.exit(demo.main(database_url or demo.DEFAULT_URL, show=show, **story))


@main.command()
@click.argument("names", metavar="[NAME…]", nargs=-1)
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the results there.")
def drill(names: tuple[str, ...], file: Path | None) -> None:
    """Try what the limiter promises, on a scratch copy: ten, full, silent, restart, alert; or those NAMEd alone.

    A limiter of its own is started, killed, filled and alerted; the live one is not spoken to. Exit status 1 where one
    fails.
    """
    from limiter import drills
    from limiter.drills import report

    if unknown := [name for name in names if name not in drills.NAMES]:
        raise click.BadParameter(f"{unknown[0]!r} is none of {', '.join(drills.NAMES)}", param_hint="NAME")
    settings, results = with_config(), list[report.Result]()
    with sentences(), closing(drills.perform(settings, names or drills.NAMES, settings.lang)) as all_:
        for result in all_:
            results.append(result)
            click.echo(report.as_text(result))
            with suppress(OSError):  # what is kept is for the console; a folder of others does not fail a drill
                report.keep(settings, result)
    if file:
        file.write_text(json.dumps(report.as_json(results), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all(result.passed for result in results) else 1)


# The limiter and its database


def with_config(**given: Any) -> config.Config:
    """The settings; a wrong one ends the command with status 2."""
    try:
        return config.read(**given)
    except config.ConfigError as error:
        raise click.UsageError(str(error)) from error


@contextmanager
def sentences() -> Iterator[None]:
    """What the database or a setting says against it becomes a sentence: status 1, or 2 for a setting."""
    from limiter.store.location import StoreError

    try:
        yield
    except config.ConfigError as error:
        raise click.UsageError(str(error)) from error
    except StoreError as error:
        raise Failed(str(error)) from error


@main.command()
@click.option("--host", help="Address to listen on; else LIMITER_HOST.")
@click.option("--port", type=int, help="Port; else LIMITER_PORT. 0: any free one.")
@click.option("--database-url", help="Where everything is kept; else LIMITER_DATABASE_URL.")
@click.option("--new", is_flag=True, help="Begin anew, without sessions, though the database that was here is gone.")
def serve(host: str | None, port: int | None, database_url: str | None, new: bool) -> None:
    """Run the limiter until SIGTERM."""
    from limiter.serve import serve

    settings = with_config(LIMITER_HOST=host, LIMITER_PORT=port, LIMITER_DATABASE_URL=database_url)
    with sentences():
        serve(settings, new)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(as_json: bool) -> None:
    """Say what is wrong with this installation, and what to do. Exit status 1 where something is."""
    from limiter import doctor
    from limiter.agent.words import text

    try:
        language = config.read().lang
    except config.ConfigError:
        language = None  # LIMITER_LANG of the environment
    findings = list(doctor.examine(functools.partial(text, language=language)))
    if as_json:
        told = {"success": True, "findings": [one.as_json() for one in findings]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(f"{'✓' if one.ok else '✗'} {part(one.part)}: {one.message}" for one in findings))
    sys.exit(0 if all(one.ok for one in findings) else 1)


def part(name: str) -> str:
    """What of an installation a finding is about, `limiter: disk` too."""
    return ": ".join(word(one) for one in name.split(": "))


@main.command()
def console() -> None:
    """Start the console, and a limiter where none answers: what `python console.py` does in a checkout."""
    from limiter.layout import CONSOLE

    os.execv(sys.executable, [sys.executable, str(CONSOLE)])  # noqa: S606


@main.group()
def keys() -> None:
    """Make, list and revoke keys."""


@keys.command("create")
@click.option("--scope", type=click.Choice(get_args(Scope)), required=True, help="What the key may do.")
@click.option("--name", default="", help="Whose key it is; shown in histories.")
def create_key(scope: Scope, name: str) -> None:
    """Make a key and print it: it is told only here."""
    from limiter import maintenance

    with sentences():
        click.echo(maintenance.create_key(with_config(), scope, name))


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_keys(as_json: bool) -> None:
    """Every key, revoked ones too; never a secret."""
    from limiter import maintenance
    from limiter.http.wire import iso

    with sentences():
        found = maintenance.list_keys(with_config())
    rows = [[key.id, key.name, key.scope, iso(key.created_at), iso(key.revoked_at)] for key in found]
    if as_json:
        names = ["id", "name", "scope", "created_at", "revoked_at"]
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
        return
    click.echo(table(["ID", "NAME", "SCOPE", "CREATED", "REVOKED"], [[cell or "-" for cell in row] for row in rows]))


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> None:
    """End a key, at once and for good."""
    from limiter import maintenance

    with sentences():
        maintenance.revoke_key(with_config(), key_id)
    click.echo(told(fr=f"{key_id} est révoquée", en=f"{key_id} is revoked"))


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write a verified copy of the database to FILE, while the limiter runs or not."""
    from limiter import maintenance

    with sentences():
        maintenance.backup(with_config(), file)
    size = f"{file.stat().st_size / 1024**2:.1f}"
    click.echo(told(fr=f"{file} : {size} Mio, vérifié", en=f"{file}: {size} MiB, checked"))


@main.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Put a backup in the database's place; the limiter must be stopped."""
    from limiter import maintenance

    with sentences():
        aside = maintenance.restore(with_config(), file)
    was = told(fr=f" ; ce qu'il y avait est {aside}", en=f"; what was there is {aside}") if aside else ""
    click.echo(told(fr=f"restauré depuis {file}", en=f"restored from {file}") + was)


@main.command()
@click.argument("target", metavar="URL")
def copy(target: str) -> None:
    """Copy the SQLite database to an empty PostgreSQL database, all of it; stop the limiter first."""
    from limiter import maintenance

    with sentences():
        moved = maintenance.move(with_config(), target)
    for name, rows in moved.items():
        click.echo(f"{name:16} {rows}")
    click.echo(
        told(
            fr="Chaque ligne y est, comptée des deux côtés. Donne cette base à LIMITER_DATABASE_URL et démarre.",
            en="Every row is there, counted on both sides. Set LIMITER_DATABASE_URL to the new database and start.",
        )
    )


@main.command()
def migrate() -> None:
    """Bring the database to this program's schema."""
    from limiter import maintenance

    with sentences():
        number = maintenance.migrate(with_config())
    click.echo(told(fr=f"schéma {number}", en=f"schema {number}"))


@main.command()
def check() -> None:
    """Look for damage, a count that drifted, a broken audit chain. Status 1 where something is wrong."""
    from limiter import maintenance

    with sentences():
        found = maintenance.check(with_config())
    sound = told(fr="sain : intégrité, compte et chaîne d'audit", en="sound: integrity, count and audit chain")
    click.echo("\n".join(found) or sound)
    sys.exit(1 if found else 0)
