"""The database: copied, put back, moved, brought up to date, looked through."""

import sys
from pathlib import Path

import click

from limiter.cli.errors import sentences, with_config
from limiter.commands.declaring import argument, command, option
from limiter.commands.text import told


@command()
@argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write a verified copy of the database to FILE, while the limiter runs or not."""
    from limiter import maintenance

    with sentences():
        maintenance.backup(with_config(), file)
    size = f"{file.stat().st_size / 1024**2:.1f}"
    click.echo(told(fr=f"{file} : {size} Mio, vérifié", en=f"{file}: {size} MiB, checked"))


@command()
@argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Put a backup in the database's place; the limiter must be stopped."""
    from limiter import maintenance

    with sentences():
        aside = maintenance.restore(with_config(), file)
    was = told(fr=f" ; ce qu'il y avait est {aside}", en=f"; what was there is {aside}") if aside else ""
    click.echo(told(fr=f"restauré depuis {file}", en=f"restored from {file}") + was)


@command()
@argument("target", metavar="URL")
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


@command()
def migrate() -> None:
    """Bring the database to this program's schema."""
    from limiter import maintenance

    with sentences():
        number = maintenance.migrate(with_config())
    click.echo(told(fr=f"schéma {number}", en=f"schema {number}"))


@command()
@option("--accept", metavar="REASON", help="Newest audit rows are gone, and you know why.")
def check(accept: str | None) -> None:
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
    click.echo("\n".join(faults) or sound + ("" if whole else unknown))
    sys.exit(1 if found else 0)
