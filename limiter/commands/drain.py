"""Empty the limiter: no start, bots told, those left ended."""

import time
from typing import TYPE_CHECKING

import click

from limiter.commands.declaring import command, option
from limiter.commands.over_http import no_reason, over_http
from limiter.commands.text import counted, told

if TYPE_CHECKING:
    from limiter.answers.sessions import DrainAnswer
    from limiter.client import Admin

LOOK_SECONDS = 1.0


def show_drain(answer: "DrainAnswer") -> str:
    """How far it is."""
    if answer.drain is None:
        return told(fr="Aucun vidage : les démarrages sont admis.", en="No drain: starts are admitted.")
    since, reason, left, at = answer.drain.since, answer.drain.reason, answer.drain.left, answer.drain.stop_at
    bots = counted(left, fr=("bot reste", "bots restent"), en=("bot left", "bots left"))
    return told(
        fr=f"Vidage depuis {since} ({reason}) : {bots}, " + (f"arrêtés à {at}." if at else "personne n'est arrêté."),
        en=f"Draining since {since} ({reason}): {bots}, "
        + (f"those left are ended at {at}." if at else "nobody is ended."),
    )


@command()
@option("--reason", help="Why; kept with the change, told to the bots.")
@option("--stop-in", type=click.IntRange(0, 86_400), metavar="S", help="End those left in so many seconds.")
@option("--cancel", is_flag=True, help="Admit starts again.")
@option("--status", is_flag=True, help="Say how far it is, and change nothing.")
@option("--wait", is_flag=True, help="Say each second how many are left, until none is.")
@over_http(show_drain)
def drain(
    admin: "Admin", reason: str | None, stop_in: int | None, cancel: bool, status: bool, wait: bool
) -> "DrainAnswer":
    """Refuse every start and tell the bots to go, over a restart too."""
    if cancel + status + (stop_in is not None) > 1:
        raise click.UsageError(
            told(
                fr="--stop-in, --cancel et --status ne vont pas ensemble",
                en="--stop-in, --cancel and --status go one by one",
            )
        )
    if status:
        answer = admin.drain()
    elif reason is None:
        raise no_reason()
    else:
        answer = admin.cancel_drain(reason) if cancel else admin.start_drain(reason, stop_in_seconds=stop_in)
    shown = -1
    while wait and answer.drain is not None and answer.drain.left:
        if answer.drain.left != shown:
            shown = answer.drain.left
            click.echo(told(fr=f"reste {shown}", en=f"{shown} left"), err=True)
        time.sleep(LOOK_SECONDS)
        answer = admin.drain()
    return answer
