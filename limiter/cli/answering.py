"""How a command of this machine answers: in words for a person, or with `--json` as an object for a program."""

import json
from typing import Any

import click

from limiter.commands.declaring import option

json_option = option("--json", "as_json", is_flag=True, help="As JSON.")


def answer(as_json: bool, text: str, *, success: bool = True, **facts: Any) -> None:
    """On stdout: the text, or `success` and the facts."""
    if as_json:
        text = json.dumps({"success": success} | facts, ensure_ascii=False, indent=2)
    click.echo(text)
