"""The bots' sessions: list, stop, reap; and the door for starts."""

from typing import TYPE_CHECKING, Any

import click

from limiter.commands.declaring import argument, command, group, option
from limiter.commands.over_http import over_http, reason_option, says
from limiter.commands.text import counted, more, table, told, word

if TYPE_CHECKING:
    from limiter.answers.sessions import AdminSession, PauseAnswer, ReapAnswer, SessionsAnswer, StoppedAnswer
    from limiter.client import Admin


@group()
def sessions() -> None:
    """The bots' sessions: list, stop, reap."""


in_option = option(
    "--in", "in_seconds", type=click.IntRange(0, 86_400), metavar="S", help="In so many seconds; the bots are told now."
)
back_option = option("--back", is_flag=True, help="Take back a stop that was announced with --in.")


def show_stopped(answer: "StoppedAnswer") -> str:
    """What became of each: over, about to end, or going on."""
    if not answer.items:
        return told(fr="Aucune session ne tient de place.", en="No session holds a slot.")
    rows = [
        [one.public_id, one.user_id, one.bot_id, word(one.ended_reason) if one.ended_reason else going(one),
         one.ended_at or (one.notice and one.notice.at)]
        for one in answer.items
    ]  # fmt: skip
    return table(["PUBLIC_ID", "USER", "BOT", "WHAT", "AT"], rows)


def going(session: "AdminSession") -> str:
    """What becomes of a session that holds its slot."""
    return told(fr="se termine", en="ends") if session.notice else told(fr="continue", en="goes on")


def show_sessions(answer: "SessionsAnswer") -> str:
    over = any(session.ended_at for session in answer.items)
    heads = ["PUBLIC_ID", "USER", "BOT", "STATUS", "SINCE", "LAST_HEARTBEAT", "MB"]
    rows: list[list[object]] = [
        [one.public_id, one.user_id, one.bot_id, word(one.status), one.started_at, one.last_heartbeat_at, one.memory_mb]
        + (
            [one.cpu_seconds, one.ended_at, one.ended_reason and word(one.ended_reason)]
            if over
            else [one.cpu_percent, one.notice and one.notice.at]
        )
        for one in answer.items
    ]
    listed = table([*heads, *(["CPU_S", "ENDED", "REASON"] if over else ["CPU_%", "NOTICE"])], rows)
    return "\n".join([listed, *more(answer.next_cursor)])


@sessions.command("list")
@option(
    "--status",
    type=click.Choice(["active", "suspect", "ended", "all"]),
    default="active",
    show_default=True,
    help="Which sessions: that hold a slot, missed two beats, or are over.",
)
@option("--order", type=click.Choice(["memory", "cpu"]), help="The heaviest first.")
@option("--user", "user_id", help="Only this user's.")
@option("--limit", type=int, help="At most so many; 50 where not given.")
@option("--cursor", help="Go on from there.")
@over_http(show_sessions)
def sessions_list(admin: "Admin", status: str, **query: Any) -> "SessionsAnswer":
    """Who holds a slot, newest first: last heartbeat, memory, CPU of one core over the last minute."""
    return admin.sessions(status=None if status == "all" else status, **query)


@sessions.command("stop")
@argument("public_ids", metavar="PUBLIC_ID…", nargs=-1, required=True)
@reason_option
@in_option
@back_option
@over_http(show_stopped)
def sessions_stop(
    admin: "Admin", public_ids: tuple[str, ...], reason: str, in_seconds: int | None, back: bool
) -> "StoppedAnswer":
    """End sessions, all or none; at once, or announced with --in."""
    if back:
        return admin.keep_sessions(public_ids, reason)
    return admin.stop_sessions(public_ids, reason, in_seconds=in_seconds)


def show_reaped(answer: "ReapAnswer") -> str:
    ended = len(answer.ended)
    return counted(ended, fr=("terminée", "terminées"), en=("ended", "ended"))


@sessions.command("reap")
@reason_option
@over_http(show_reaped)
def sessions_reap(admin: "Admin", reason: str) -> "ReapAnswer":
    """End every session that missed two beats."""
    return admin.reap(reason)


@command()
@reason_option
@over_http(
    says(
        fr="Les démarrages sont refusés dès maintenant ; les bots qui tournent continuent.",
        en="Starts are refused from now on; running bots go on.",
    )
)
def pause(admin: "Admin", reason: str) -> "PauseAnswer":
    """Refuse every start."""
    return admin.pause(reason)


@command()
@reason_option
@over_http(says(fr="Les démarrages sont de nouveau admis.", en="Starts are admitted again."))
def resume(admin: "Admin", reason: str) -> "PauseAnswer":
    """Admit starts again."""
    return admin.resume(reason)
