"""Incidents and the channels that tell of them."""

import sys
from typing import TYPE_CHECKING, Any

import click

from limiter.commands.declaring import argument, group, option
from limiter.commands.over_http import over_http
from limiter.commands.text import labelled, language, more, table, told, word
from limiter.rules.reasons import who

if TYPE_CHECKING:
    from limiter.answers.alerts import AlertAnswer, AlertsAnswer, AlertTestAnswer
    from limiter.client import Admin


@group()
def alerts() -> None:
    """Incidents and the channels that tell of them."""


def show_alerts(answer: "AlertsAnswer") -> str:
    heads = ["ID", "STATUS", "OPENED", "SECONDS", "PEAK", "REFUSED", "MESSAGE"]
    rows = [
        [
            one.id,
            word(one.status),
            one.opened_at,
            round(one.duration_seconds),
            f"{one.peak_bots}/{one.peak_limit}",
            sum(one.refusals.values()),
            one.message,
        ]
        for one in answer.items
    ]
    channels = [
        told(
            fr=f"{one.name} : {'tout arrive' if one.ok else 'en échec'}, {one.pending} en attente",
            en=f"{one.name}: {'ok' if one.ok else 'failing'}, {one.pending} waiting",
        )
        + (f" ({one.last_answer})" if one.last_answer else "")
        for one in answer.channels
    ]
    return "\n".join([table(heads, rows), *more(answer.next_cursor), *(channels or [no_channel()])])


def no_channel() -> str:
    return told(fr="Aucun canal : règle LIMITER_ALERT_URLS.", en="No channel: set LIMITER_ALERT_URLS.")


def show_test(answer: "AlertTestAnswer") -> str:
    lines = [
        labelled(one.channel, word(one.state)) + (f" ({one.last_answer})" if one.last_answer else "")
        for one in answer.deliveries
    ]
    return "\n".join(lines or [no_channel()])


def show_acknowledged(answer: "AlertAnswer") -> str:
    by, what = who(answer.alert.acknowledged_by or "", language()), answer.alert.message
    return told(fr=f"Prise en charge par {by} : {what}", en=f"Acknowledged by {by}: {what}")


@alerts.command("list")
@option("--state", type=click.Choice(["open", "acknowledged", "resolved"]), help="Which incidents; else all.")
@option("--limit", type=int, help="At most so many; 50 where not given.")
@option("--cursor", help="Go on from there.")
@over_http(show_alerts)
def alerts_list(admin: "Admin", **query: Any) -> "AlertsAnswer":
    """Incidents, newest first, and how the channels fare."""
    return admin.alerts(**query)


@alerts.command("ack")
@argument("alert_id", metavar="ID")
@option("--reason", help="What is being done; kept with the incident.")
@over_http(show_acknowledged)
def alerts_ack(admin: "Admin", alert_id: str, reason: str | None) -> "AlertAnswer":
    """Say that somebody looks after it."""
    return admin.acknowledge(alert_id, reason)


def _failed() -> None:
    sys.exit(1)


@alerts.command("test")
@over_http(show_test)
def alerts_test(admin: "Admin") -> "AlertTestAnswer":
    """Send a test message to every channel; exit status 1 where one failed."""
    answer = admin.test_alert()
    if any(one.state != "sent" for one in answer.deliveries):
        click.get_current_context().call_on_close(_failed)
    return answer
