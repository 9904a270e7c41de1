"""The limits in force: read, set, go back."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from limiter.commands.declaring import argument, group
from limiter.commands.over_http import confirm_option, over_http, override_option, reason_option, seen_option
from limiter.commands.text import counted, labelled, language, percent, table, told, word, written
from limiter.commands.windows import show_open
from limiter.rules.reasons import who

if TYPE_CHECKING:
    from limiter.answers.limits import ChangeAnswer, LimitRowsAnswer, Moved, PreviewAnswer, Probation, VersionsAnswer
    from limiter.client import Admin

MAX = "MAX_CONCURRENT_BOTS"
WEEK_DAYS = 7  # that a preview decides again


@group()
def limits() -> None:
    """The limits in force: read, set, go back."""


def show_limits(answer: "LimitRowsAnswer") -> str:
    rows = [
        [
            limit.name,
            written(limit.value),
            word(limit.unit),
            word(limit.source) + (hidden(limit.configured) if limit.hidden else ""),
        ]
        for limit in answer.limits
    ]
    parts = [f"Version {answer.version}", table(["NAME", "VALUE", "UNIT", "SOURCE"], rows)]
    if answer.probation is not None:
        parts.append(on_probation(answer.probation))
    if answer.coming:
        one = answer.coming[0]
        coming = f"{one.at} MAX_CONCURRENT_BOTS {one.max_bots} ({word(one.source)})"
        parts.append(labelled(told(fr="Ensuite", en="Next"), coming))
    return "\n".join(parts)


def show_why(asked: "tuple[LimitRowsAnswer, str]") -> str:
    """Where the value of one limit comes from, until when it holds, and what then."""
    answer, name = asked
    row = next(one for one in answer.limits if one.name == name)
    actor = who(row.changed_by or "", language())
    by = told(fr=f", par {actor} le {row.changed_at}", en=f", by {actor} at {row.changed_at}")
    hides = hidden(row.configured) if row.hidden else ""
    source = f"{word(row.source)}{by if row.changed_at else ''}{hides}"
    lines = [labelled(f"{name} {written(row.value)}", source)]
    if answer.probation is not None:
        lines.append(on_probation(answer.probation))
    if name == MAX:
        lines += [show_open(answer.window)] if answer.window is not None else []
        lines += [told(fr="Ensuite :", en="Then:")] if answer.coming else []
        lines += [f"{one.at}  {one.max_bots} ({word(one.source)})" for one in answer.coming]
    return "\n".join(lines)


def on_probation(one: "Probation") -> str:
    """What happens unless it is confirmed."""
    return told(
        fr=f"La version {one.version} est à l'essai : les valeurs de la version {one.back_to}"
        f" reviennent à {one.ends_at} sans confirmation (limits confirm {one.version}).",
        en=f"Version {one.version} is on probation: the values of version {one.back_to} come back at {one.ends_at}"
        f" unless it is confirmed (limits confirm {one.version}).",
    )


def hidden(configured: float | None) -> str:
    """What the value in force goes over."""
    value = written(configured)
    return told(fr=f", masque {value}", en=f", hides {value}")


def show_change(answer: "ChangeAnswer") -> str:
    warnings = [told(fr=f"Attention : {warning}", en=f"Warning: {warning}") for warning in answer.warnings]
    nothing = told(fr="rien n'a changé", en="nothing changed")
    trial = [on_probation(answer.probation)] if answer.probation is not None else []
    return "\n".join([f"Version {answer.version}", *(moves(answer.changed) or [nothing]), *warnings, *trial])


def show_preview(answer: "PreviewAnswer") -> str:
    """How full it would be, what speaks against it, and what the last days would have been like."""
    then, replay = answer.capacity, answer.replay
    slots = f"{then.current_bots} / {then.max_bots} ({percent(then.percent_used)}), {word(then.status)}"
    lines = [labelled(told(fr="Places", en="Slots"), slots)]
    lines += [told(fr=f"Attention : {warning}", en=f"Warning: {warning}") for warning in answer.warnings]
    if held := [guard.message for guard in answer.guards if guard.held]:
        lines.append(labelled(told(fr="Retiendrait une hausse", en="Would hold a raise back"), ", ".join(held)))
    demands, affected = replay.demands, replay.users_affected
    days = counted(replay.days, fr=("jour", "jours"), en=("day", "days"))
    if not demands:
        nothing = told(
            fr=f"Aucun démarrage demandé en {days} : rien à rejouer.",
            en=f"No start was asked for in {days}: nothing to replay.",
        )
        return "\n".join([*lines, nothing])
    again = told(
        fr=f"Démarrages de {days}, décidés à nouveau : {demands} ; refus alors : {replay.refused_now}, "
        f"avec ces valeurs : {replay.refused_then}",
        en=f"The {demands} starts of {days}, decided again: {replay.refused_now} were refused, "
        f"{replay.refused_then} would be",
    )
    users = counted(affected, fr=("utilisateur touché", "utilisateurs touchés"), en=("user affected", "users affected"))
    cut = told(
        fr=" La semaine a plus de démarrages qu'on n'en redécide d'un coup : elle est réduite à des jours entiers.",
        en=" The week had more starts than are decided again at once, so it is cut to whole days.",
    )
    return "\n".join([*lines, f"{again} ({users}).{cut if replay.days < WEEK_DAYS else ''}"])


def show_confirmed(answer: "ChangeAnswer") -> str:
    return told(fr=f"Version {answer.version} : elle reste.", en=f"Version {answer.version}: it stays.")


def show_versions(answer: "VersionsAnswer") -> str:
    rows = [
        [
            version.version,
            version.at,
            who(version.by, language()),
            version.user_id,
            version.reason,
            ", ".join(moves(version.changed)),
        ]
        for version in answer.versions
    ]
    return table(["VERSION", "AT", "BY", "USER", "REASON", "CHANGED"], rows)


def moves(changed: "list[Moved]") -> list[str]:
    """What a change moved, limit by limit."""
    return [f"{move.name} {written(move.before)} → {written(move.after)}" for move in changed]


def value(text: str) -> int | float | str | None:
    """A limit as the API takes it: a number, a spelling (`80%`, `5s`, `none`), or null to take a change back."""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"-?\d+\.\d+", text):
        return float(text)
    return None if text == "null" else text


def assignments(context: click.Context, parameter: click.Parameter, given: Sequence[str]) -> dict[str, Any]:
    """`NAME=VALUE …` as a change of limits."""
    wrong = [text for text in given if "=" not in text]
    if wrong:
        raise click.BadParameter(told(fr=f"{wrong[0]!r} n'est pas NOM=VALEUR", en=f"{wrong[0]!r} is not NAME=VALUE"))
    return {name: value(text) for name, _, text in (text.partition("=") for text in given)}


@limits.command("get")
@over_http(show_limits)
def limits_get(admin: "Admin") -> "LimitRowsAnswer":
    """Every limit, with where its value comes from."""
    return admin.limits()


@limits.command("explain")
@argument("name", default=MAX)
@over_http(show_why)
def limits_explain(admin: "Admin", name: str) -> "tuple[LimitRowsAnswer, str]":
    """Why a limit has its value, until when, and what comes then: window, probation, plan."""
    answer = admin.limits()
    if name not in (known := [one.name for one in answer.limits]):
        raise click.BadParameter(told(fr=f"{name!r} n'est pas de {known}", en=f"{name!r} is none of {known}"))
    return answer, name


@limits.command("set")
@argument("changes", metavar="NAME=VALUE…", nargs=-1, required=True, callback=assignments)
@reason_option
@override_option
@confirm_option
@seen_option
@over_http(show_change)
def limits_set(
    admin: "Admin",
    changes: dict[str, Any],
    reason: str,
    override_guard: bool,
    confirm_within: int | None,
    seen: int | None,
) -> "ChangeAnswer":
    """Set limits, all of them or none. NAME=null takes a live change back."""
    return admin.change_limits(
        changes, reason, version=seen, override_guard=override_guard, confirm_within=confirm_within
    )


@limits.command("preview")
@argument("changes", metavar="NAME=VALUE…", nargs=-1, callback=assignments)
@over_http(show_preview)
def limits_preview(admin: "Admin", changes: dict[str, Any]) -> "PreviewAnswer":
    """What that change would do, without doing it: slots, guards, and the starts of the last days decided again.

    Without a change: what happened.
    """
    return admin.preview(changes)


@limits.command("confirm")
@argument("version", type=int)
@reason_option
@over_http(show_confirmed)
def limits_confirm(admin: "Admin", version: int, reason: str) -> "ChangeAnswer":
    """Keep the change of that version, which is on probation."""
    return admin.confirm_limits(version, reason)


@limits.command("history")
@over_http(show_versions)
def limits_history(admin: "Admin") -> "VersionsAnswer":
    """The versions, newest first."""
    return admin.limits_history()


@limits.command("rollback")
@argument("version", type=int)
@reason_option
@override_option
@confirm_option
@seen_option
@over_http(show_change)
def limits_rollback(
    admin: "Admin", version: int, reason: str, override_guard: bool, confirm_within: int | None, seen: int | None
) -> "ChangeAnswer":
    """A new version with the values of that one."""
    return admin.rollback(
        version, reason, override_guard=override_guard, confirm_within=confirm_within, limits_version=seen
    )
