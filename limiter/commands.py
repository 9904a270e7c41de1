"""The commands that ask a running limiter over HTTP, for a person, or with `--json` the API's own answer for a program.

Promises: the answer on stdout; what goes wrong as one sentence on stderr, with exit status 1 (2: a wrong command line).
The HTTP client is imported by what asks: `serve` would start 0.3 s later for it.
"""

import functools
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from limiter import config

if TYPE_CHECKING:
    from limiter.client import Admin, Refused

Answer = dict[str, Any]


def connection(url: str | None) -> dict[str, str | None]:
    """`url`, `key` and `language` as clients take them, from the command line, the environment and `.env`."""
    from limiter.client import Refused
    from limiter.client.wire import Connection

    try:
        chosen = config.of_a_client()
    except config.ConfigError as error:
        raise click.UsageError(str(error)) from error
    options = {
        "url": url or chosen.get("LIMITER_URL"),
        "key": chosen.get("LIMITER_KEY", ""),
        "language": chosen.get("LIMITER_LANG"),  # else the limiter's own
    }
    try:
        Connection(**options)
    except Refused as error:
        raise click.UsageError(str(error)) from error
    return options


def over_http(show: Callable[[Answer], str]) -> Callable[[Callable[..., Answer]], Callable[..., None]]:
    """Makes a command of a function from Admin and options to an answer; `show` writes that answer for a person."""

    def decorate(ask: Callable[..., Answer]) -> Callable[..., None]:
        @click.option("--json", "as_json", is_flag=True, help="The API's answer as JSON.")
        @click.option("--url", help="Where the limiter is; else LIMITER_URL.")
        @functools.wraps(ask)
        def command(*, as_json: bool, url: str | None, **options: Any) -> None:
            from limiter.client import Admin, Refused

            try:
                with Admin(**connection(url)) as admin:  # type: ignore[arg-type]  # mypy: keys are the names
                    answer = ask(admin, **options)
            except Refused as refused:
                raise click.ClickException(sentence(refused)) from refused
            click.echo(json.dumps(answer, ensure_ascii=False, indent=2) if as_json else show(answer))

        return command

    return decorate


def sentence(refused: "Refused") -> str:
    """Why, and where a key is what is missing, how to send one."""
    if refused.reason != "unauthorized":
        return str(refused)
    return f"{refused} (LIMITER_KEY=$(cat data/admin.key))"


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under their heads, as wide as what is in them."""
    cells = [[str("-" if cell is None else cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


reason_option = click.option("--reason", required=True, help="Why; kept with the change.")
override_option = click.option("--override-guard", is_flag=True, help="Raise it even where a guard holds it back.")


# Capacity


def show_capacity(answer: Answer) -> str:
    now = answer["capacity"]
    slots = f"{now['current_bots']} / {now['max_bots']} slots ({now['percent_used']}%)"
    return f"Active Bots: {slots}\n{now['status']}, {now['available_slots']} free"


@click.command()
@over_http(show_capacity)
def capacity(admin: "Admin") -> Answer:
    """Bots against the limit, now."""
    return admin.capacity()


# Limits


@click.group()
def limits() -> None:
    """The limits in force: read, set, go back."""


def show_limits(answer: Answer) -> str:
    rows = [
        [limit["name"], written(limit["value"]), limit["unit"], limit["source"] + (", hides another" * limit["hidden"])]
        for limit in answer["limits"]
    ]
    return f"Version {answer['version']}\n{table(['NAME', 'VALUE', 'UNIT', 'SOURCE'], rows)}"


def show_change(answer: Answer) -> str:
    warnings = [f"Warning: {warning}" for warning in answer["warnings"]]
    return "\n".join([f"Version {answer['version']}", *(moves(answer) or ["nothing changed"]), *warnings])


def show_versions(answer: Answer) -> str:
    rows = [
        [
            version["version"],
            version["at"],
            version["by"],
            version["user_id"],
            version["reason"],
            ", ".join(moves(version)),
        ]
        for version in answer["versions"]
    ]
    return table(["VERSION", "AT", "BY", "USER", "REASON", "CHANGED"], rows)


def moves(changed: Answer) -> list[str]:
    """What a change moved, limit by limit."""
    return [f"{move['name']} {written(move['from'])} → {written(move['to'])}" for move in changed["changed"]]


def written(limit: float | None) -> str:
    """The value of a limit for a person."""
    return "none" if limit is None else str(limit)


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
        raise click.BadParameter(f"{wrong[0]!r} is not NAME=VALUE")
    return {name: value(text) for name, _, text in (text.partition("=") for text in given)}


@limits.command("get")
@over_http(show_limits)
def limits_get(admin: "Admin") -> Answer:
    """Every limit, with where its value comes from."""
    return admin.limits()


@limits.command("set")
@click.argument("changes", metavar="NAME=VALUE…", nargs=-1, required=True, callback=assignments)
@reason_option
@override_option
@over_http(show_change)
def limits_set(admin: "Admin", changes: dict[str, Any], reason: str, override_guard: bool) -> Answer:
    """Set limits, all of them or none. NAME=null takes a live change back."""
    return admin.change_limits(changes, reason, override_guard=override_guard)


@limits.command("history")
@over_http(show_versions)
def limits_history(admin: "Admin") -> Answer:
    """The versions, newest first."""
    return admin.limits_history()


@limits.command("rollback")
@click.argument("version", type=int)
@reason_option
@override_option
@over_http(show_change)
def limits_rollback(admin: "Admin", version: int, reason: str, override_guard: bool) -> Answer:
    """A new version with the values of that one."""
    return admin.rollback(version, reason, override_guard=override_guard)


# Sessions


@click.group()
def sessions() -> None:
    """The bots' sessions: list, stop, reap."""


def show_sessions(answer: Answer) -> str:
    heads = ["public_id", "user_id", "bot_id", "status", "started_at", "lease_expires_at", "ended_reason"]
    rows = [[session[name] for name in heads] for session in answer["items"]]
    more = f"\nMore: --cursor {answer['next_cursor']}" if answer.get("next_cursor") else ""
    return table([name.upper() for name in heads], rows) + more


@sessions.command("list")
@click.option("--status", type=click.Choice(["active", "suspect", "ended"]))
@click.option("--user", "user_id", help="Only this user's.")
@click.option("--limit", type=int, help="At most so many; 50 where not given.")
@click.option("--cursor", help="Go on from there.")
@over_http(show_sessions)
def sessions_list(admin: "Admin", **query: Any) -> Answer:
    """Sessions, newest first."""
    return admin.sessions(**query)


@sessions.command("stop")
@click.argument("public_id")
@reason_option
@over_http(lambda answer: "Ended; its bot is told at its next beat.")
def sessions_stop(admin: "Admin", public_id: str, reason: str) -> Answer:
    """End one session."""
    return admin.stop_session(public_id, reason)


@sessions.command("reap")
@reason_option
@over_http(lambda answer: f"{len(answer['ended'])} ended")
def sessions_reap(admin: "Admin", reason: str) -> Answer:
    """End every session that missed two beats."""
    return admin.reap(reason)


# Starts


@click.command()
@reason_option
@over_http(lambda answer: "Starts are refused from now on; running bots go on.")
def pause(admin: "Admin", reason: str) -> Answer:
    """Refuse every start."""
    return admin.pause(reason)


@click.command()
@reason_option
@over_http(lambda answer: "Starts are admitted again.")
def resume(admin: "Admin", reason: str) -> Answer:
    """Admit starts again."""
    return admin.resume(reason)


# Alerts


@click.group()
def alerts() -> None:
    """Incidents and the channels that tell of them."""


def show_alerts(answer: Answer) -> str:
    heads = ["ID", "STATUS", "OPENED", "SECONDS", "PEAK", "REFUSED", "MESSAGE"]
    rows = [
        [
            one["id"],
            one["status"],
            one["opened_at"],
            round(one["duration_seconds"]),
            f"{one['peak_bots']}/{one['peak_limit']}",
            sum(one["refusals"].values()),
            one["message"],
        ]
        for one in answer["items"]
    ]
    channels = [
        f"{one['name']}: {'ok' if one['ok'] else 'failing'}, {one['pending']} waiting"
        + (f" ({one['last_answer']})" if one["last_answer"] else "")
        for one in answer["channels"]
    ]
    more = [f"More: --cursor {answer['next_cursor']}"] if answer.get("next_cursor") else []
    return "\n".join([table(heads, rows), *more, *(channels or ["No channel: set LIMITER_ALERT_URLS."])])


def show_test(answer: Answer) -> str:
    told = [
        f"{one['channel']}: {one['state']}" + (f" ({one['last_answer']})" if one["last_answer"] else "")
        for one in answer["deliveries"]
    ]
    return "\n".join(told or ["No channel: set LIMITER_ALERT_URLS."])


@alerts.command("list")
@click.option("--state", type=click.Choice(["open", "acknowledged", "resolved"]))
@click.option("--limit", type=int, help="At most so many; 50 where not given.")
@click.option("--cursor", help="Go on from there.")
@over_http(show_alerts)
def alerts_list(admin: "Admin", **query: Any) -> Answer:
    """Incidents, newest first, and how the channels fare."""
    return admin.alerts(**query)


@alerts.command("ack")
@click.argument("alert_id", metavar="ID")
@click.option("--reason", help="What is being done; kept with the incident.")
@over_http(lambda answer: f"Acknowledged by {answer['alert']['acknowledged_by']}: {answer['alert']['message']}")
def alerts_ack(admin: "Admin", alert_id: str, reason: str | None) -> Answer:
    """Say that somebody looks after it."""
    return admin.acknowledge(alert_id, reason)


@alerts.command("test")
@over_http(show_test)
def alerts_test(admin: "Admin") -> Answer:
    """Send a test message to every channel."""
    return admin.test_alert()


def show_refusal(answer: Answer) -> str:
    why = answer["refusal"]
    text = f"{why['at']}  {why['user_id']} was refused: {why['reason']}"
    if why["limit"] is None:
        return text
    return f"{text}\n{why['limit']} was {written(why['value'])} (version {why['version']}), in use: {why['count']}"


@click.command()
@click.argument("request_id")
@over_http(show_refusal)
def explain(admin: "Admin", request_id: str) -> Answer:
    """Why that request was refused, from the facts of its instant."""
    return admin.explain(request_id)


COMMANDS = (capacity, limits, sessions, pause, resume, explain, alerts)
