"""Keys, in the database itself: the limiter need not run."""

import json
from typing import get_args

import click

from limiter.cli.answering import answer, json_option
from limiter.cli.errors import sentences, with_config
from limiter.commands.declaring import argument, group, option
from limiter.commands.text import table, told
from limiter.rules.records import Scope


@group()
def keys() -> None:
    """Make, list and revoke keys."""


@keys.command("create")
@option("--scope", type=click.Choice(get_args(Scope)), required=True, help="What the key may do.")
@option("--name", default="", help="Whose key it is; shown in histories.")
@json_option
def create_key(scope: Scope, name: str, as_json: bool) -> None:
    """Make a key and print it: it is told only here."""
    from limiter import maintenance

    with sentences():
        key = maintenance.create_key(with_config(), scope, name)
    answer(as_json, key, key=key, id=key.split("_")[1], scope=scope, name=name)


@keys.command("list")
@json_option
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
@argument("key_id", metavar="ID")
@json_option
def revoke_key(key_id: str, as_json: bool) -> None:
    """End a key, at once and for good."""
    from limiter import maintenance

    with sentences():
        maintenance.revoke_key(with_config(), key_id)
    answer(as_json, told(fr=f"{key_id} est révoquée", en=f"{key_id} is revoked"), id=key_id)
