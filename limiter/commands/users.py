"""One user: limits of their own, use, and the end of their bots."""

from typing import TYPE_CHECKING, Any

import click

from limiter.commands.declaring import argument, command, group, option
from limiter.commands.limits import assignments
from limiter.commands.over_http import no_reason, over_http, reason_option, seen_option
from limiter.commands.sessions import back_option, in_option, show_stopped
from limiter.commands.text import language, table, told, written
from limiter.rules.reasons import who

if TYPE_CHECKING:
    from limiter.answers.sessions import StoppedAnswer
    from limiter.answers.users import UsageAnswer, UserLimitsAnswer
    from limiter.client import Admin


@group()
def users() -> None:
    """One user: limits of their own, and the end of their bots."""


@users.command("stop")
@argument("user_id", metavar="USER")
@reason_option
@in_option
@back_option
@over_http(show_stopped)
def users_stop(admin: "Admin", user_id: str, reason: str, in_seconds: int | None, back: bool) -> "StoppedAnswer":
    """End every session of that user; a limit of 0 keeps new ones out."""
    if back:
        return admin.keep_user(user_id, reason)
    return admin.stop_user(user_id, reason, in_seconds=in_seconds)


def show_user_limits(answer: "UserLimitsAnswer") -> str:
    if not answer.limits and not answer.reserve:
        user = answer.user_id
        return told(
            fr=f"{user} n'a pas de limites propres : celles du système valent.",
            en=f"{user} has no limits of their own: the system's hold.",
        )
    over = told(fr=" (terminé)", en=" (over)") if answer.expired else ""
    end = told(fr=f", jusqu'à {answer.until}{over}", en=f", until {answer.until}{over}") if answer.until else ""
    by, reason = who(answer.changed_by or "", language()), answer.reason
    rows = [[name, written(value)] for name, value in answer.limits.items()]
    if answer.reserve:
        rows.append([told(fr="réserve", en="reserve"), told(fr="oui", en="yes")])
    return f"{table(['NAME', 'VALUE'], rows)}\n{told(fr=f'Par {by}{end} : {reason}', en=f'By {by}{end}: {reason}')}"


@users.command("limits")
@argument("user_id", metavar="USER")
@argument("changes", metavar="[NAME=VALUE…]", nargs=-1, callback=assignments)
@option("--until", help="Where they end, RFC 3339; else never.")
@option("--reserve/--no-reserve", default=None, help="Whether reserved slots are for that user; else as it is.")
@option("--reason", help="Why; needed for a change.")
@option("--clear", is_flag=True, help="The system's limits hold for that user again.")
@seen_option
@over_http(show_user_limits)
def users_limits(
    admin: "Admin",
    user_id: str,
    changes: dict[str, Any],
    until: str | None,
    reserve: bool | None,
    reason: str | None,
    clear: bool,
    seen: int | None,
) -> "UserLimitsAnswer":
    """Show that user's own limits, or replace them by those given, all of them."""
    if not changes and reserve is None and not clear:
        if until is not None or reason is not None or seen is not None:
            raise click.UsageError(
                told(
                    fr="Il manque NOM=VALEUR ; pour reprendre les limites : --clear",
                    en="NAME=VALUE is missing; to take the limits back: --clear",
                )
            )
        return admin.user_limits(user_id)
    if clear and (changes or reserve is not None or until is not None):
        raise click.UsageError(
            told(
                fr="--clear va seul, sans NOM=VALEUR, --until ni --reserve",
                en="--clear goes alone, without NAME=VALUE, --until or --reserve",
            )
        )
    if reason is None:
        raise no_reason()
    if clear:
        return admin.clear_user_limits(user_id, reason, version=seen)
    own = admin.user_limits(user_id)
    if not changes and not own.expired:  # the place in the reserve alone is changed
        changes, until = dict(own.limits), until or own.until
    kept = own.reserve and not own.expired if reserve is None else reserve
    version = own.version if seen is None else seen
    return admin.set_user_limits(user_id, changes, reason, until=until, reserve=kept, version=version)


def show_usage(answer: "UsageAnswer") -> str:
    rows = [
        [name, use.used, written(use.limit), use.left]
        for name, use in (
            ("bots", answer.bots),
            (told(fr="trades du jour", en="trades today"), answer.trades),
            (told(fr="signaux par minute", en="signals a minute"), answer.signals),
        )
    ]
    return table(["WHAT", "USED", "LIMIT", "LEFT"], rows)


@command()
@argument("user_id", metavar="USER")
@over_http(show_usage)
def usage(admin: "Admin", user_id: str) -> "UsageAnswer":
    """What one user uses, and may use."""
    return admin.usage(user_id)
