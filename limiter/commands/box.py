"""What this box carries."""

from typing import TYPE_CHECKING

from limiter.commands.declaring import command
from limiter.commands.over_http import over_http
from limiter.commands.text import decimal, table, told

if TYPE_CHECKING:
    from limiter.answers.box import BoxAnswer
    from limiter.client import Admin


def show_box(answer: "BoxAnswer") -> str:
    costs = [
        [title, *(decimal(figure, ".1f") for figure in (of.median, of.mean, of.p90))]
        for title, of in ((told(fr="Mo", en="MB"), answer.memory_mb), ("CPU %", answer.cpu_percent))
        if of is not None
    ]
    lines = [answer.sentence, *([table(["A BOT", "MEDIAN", "MEAN", "P90"], costs)] if costs else [])]
    if answer.strangers:
        rows = [[one.pid, one.host, one.since, one.memory_mb, one.command] for one in answer.strangers]
        lines.append(
            told(
                fr="Bots sans place ; pour en donner une, sur son hôte : limiter run --adopt PID --user UTILISATEUR",
                en="Bots without a slot; to give one a slot, on its host: limiter run --adopt PID --user USER",
            )
        )
        lines.append(table(["PID", "HOST", "SINCE", "MB", "COMMAND"], rows))
    if answer.strangers_needs is not None:
        lines.append(answer.strangers_needs)
    return "\n".join(lines)


@command()
@over_http(show_box, ("figures", "strangers"))
def box(admin: "Admin") -> "BoxAnswer":
    """What this box carries of the bots that run on it, and the bots without a slot."""
    return admin.box()
