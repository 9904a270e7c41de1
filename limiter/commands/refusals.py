"""Why a request was refused."""

from typing import TYPE_CHECKING

import click

from limiter.commands.over_http import over_http
from limiter.commands.text import written

if TYPE_CHECKING:
    from limiter.answers.refusals import RefusalAnswer
    from limiter.client import Admin


def show_refusal(answer: "RefusalAnswer") -> str:
    why = answer.refusal
    text = f"{why.at}  {why.user_id} was refused: {why.reason}"
    if why.limit is None:
        return text
    return f"{text}\n{why.limit} was {written(why.value)} (version {why.version}), in use: {why.count}"


@click.command()
@click.argument("request_id")
@over_http(show_refusal)
def explain(admin: "Admin", request_id: str) -> "RefusalAnswer":
    """Why that request was refused, from the facts of its instant."""
    return admin.explain(request_id)
