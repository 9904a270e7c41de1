"""What is done to one user's bots."""

from typing import TYPE_CHECKING

import click

from limiter.commands.over_http import over_http, reason_option
from limiter.commands.sessions import back_option, in_option, show_stopped

if TYPE_CHECKING:
    from limiter.answers.sessions import StoppedAnswer
    from limiter.client import Admin


@click.group()
def users() -> None:
    """One user's bots: stop."""


@users.command("stop")
@click.argument("user_id", metavar="USER")
@reason_option
@in_option
@back_option
@over_http(show_stopped)
def users_stop(admin: "Admin", user_id: str, reason: str, in_seconds: int | None, back: bool) -> "StoppedAnswer":
    """End every session of that user; a limit of 0 keeps new ones out."""
    if back:
        return admin.keep_user(user_id, reason)
    return admin.stop_user(user_id, reason, in_seconds=in_seconds)
