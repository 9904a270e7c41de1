"""The database: copied, put back, moved, brought up to date, looked through."""

import sys
from pathlib import Path

import click

from limiter.cli.answering import answer, json_option
from limiter.cli.errors import sentences, with_config
from limiter.commands.declaring import argument, command, option
from limiter.commands.text import decimal, told


@command()
@argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def backup(file: Path, as_json: bool) -> None:
    """Write a verified copy of the database to FILE, while the limiter runs or not."""
    from limiter import maintenance

    with sentences():
        maintenance.backup(with_config(), file)
    size = file.stat().st_size
    mebibytes = decimal(size / 1024**2, ".1f")
    text = told(fr=f"{file} : {mebibytes} Mio, vérifié", en=f"{file}: {mebibytes} MiB, checked")
    answer(as_json, text, file=str(file), bytes=size)


@command()
@argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
def restore(file: Path, as_json: bool) -> None:
    """Put a backup in the database's place; the limiter must be stopped."""
    from limiter import maintenance

    with sentences():
        aside = maintenance.restore(with_config(), file)
    was = told(fr=f" ; ce qu'il y avait est {aside}", en=f"; what was there is {aside}") if aside else ""
    text = told(fr=f"restauré depuis {file}", en=f"restored from {file}") + was
    answer(as_json, text, file=str(file), aside=None if aside is None else str(aside))


@command()
@argument("target", metavar="URL")
@json_option
def copy(target: str, as_json: bool) -> None:
    """Copy the SQLite database to an empty PostgreSQL database, all of it; stop the limiter first."""
    from limiter import maintenance

    with sentences():
        moved = maintenance.move(with_config(), target)
    done = told(
        fr="Chaque ligne y est, comptée des deux côtés. Donne cette base à LIMITER_DATABASE_URL et démarre.",
        en="Every row is there, counted on both sides. Set LIMITER_DATABASE_URL to the new database and start.",
    )
    answer(as_json, "\n".join([*(f"{name:16} {rows}" for name, rows in moved.items()), done]), rows=moved)


@command()
@json_option
def migrate(as_json: bool) -> None:
    """Bring the database to this program's schema."""
    from limiter import maintenance

    with sentences():
        number = maintenance.migrate(with_config())
    answer(as_json, told(fr=f"schéma {number}", en=f"schema {number}"), schema=number)


@command()
@option("--accept", metavar="REASON", help="Newest audit rows are gone, and you know why.")
@json_option
def check(accept: str | None, as_json: bool) -> None:
    """Look for damage, a count that drifted, an audit that was changed or cut off. Status 1 where one is found."""
    from limiter import maintenance

    with sentences():
        settings = with_config()
        if accept:
            maintenance.accept_audit(settings, accept)
        found = maintenance.check(settings)
        whole = maintenance.has_head(settings)
    sound = told(fr="sain : intégrité, compte et chaîne d'audit", en="sound: integrity, count and audit chain")
    unknown = told(
        fr=" ; rien à côté de cette base ne dit où finissait l'audit",
        en="; nothing beside this database says where the audit ended",
    )
    faults = [told(fr=one.fr, en=one.en) for one in found]
    text = "\n".join(faults) or sound + ("" if whole else unknown)
    answer(as_json, text, success=not faults, faults=faults, audit_end_known=whole)
    sys.exit(1 if found else 0)
