"""Why a request was refused."""

from typing import TYPE_CHECKING

from limiter.commands.declaring import argument, command
from limiter.commands.over_http import over_http
from limiter.commands.text import labelled, table, told, written

if TYPE_CHECKING:
    from limiter.answers.deciding import ExplainAnswer
    from limiter.client import Admin


def show_refusal(answer: "ExplainAnswer") -> str:
    why = answer.refusal
    head = (
        told(fr="Refusé", en="Refused")
        if why.user_id is None
        else told(fr=f"{why.user_id} a été refusé", en=f"{why.user_id} was refused")
    )
    lines = [f"{why.at}  {labelled(head, answer.sentence)}"]
    if why.limit is not None:
        value = written(why.value)
        lines.append(
            told(
                fr=f"{why.limit} valait {value} (version {why.version}), pris : {why.count}",
                en=f"{why.limit} was {value} (version {why.version}), in use: {why.count}",
            )
        )
    lines.append(answer.way_out)
    if answer.decided_again is not None:
        lines.append(
            told(
                fr="Décidée à nouveau d'après les faits gardés, elle est refusée pour le même motif.",
                en="Decided again from the recorded facts, it is refused for the same reason.",
            )
            if answer.decided_again
            else told(
                fr="Décidée à nouveau d'après les faits gardés, elle n'est PAS refusée pour le même motif.",
                en="Decided again from the recorded facts, it is NOT refused for the same reason.",
            )
        )
    if answer.holders:
        rows = [[one.public_id, one.user_id, one.bot_id, one.started_at] for one in answer.holders]
        lines.append(table(["HELD LONGEST", "USER", "BOT", "SINCE"], rows))
    return "\n".join(lines)


@command()
@argument("request_id")
@over_http(show_refusal, ("holders",))
def explain(admin: "Admin", request_id: str) -> "ExplainAnswer":
    """Why that request was refused, who held the slots then, and what would have admitted it."""
    return admin.explain(request_id)
