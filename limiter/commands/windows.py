"""Peak windows."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from limiter.commands.declaring import argument, group
from limiter.commands.over_http import over_http, reason_option, says, seen_option
from limiter.commands.text import table, told, word

if TYPE_CHECKING:
    from limiter.answers.windows import OpenWindow, WindowsAnswer
    from limiter.client import Admin

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
FORM = re.compile(r"([a-z,-]+)@(\d\d:\d\d)-(\d\d:\d\d)=(\d+)")


@group()
def windows() -> None:
    """Peak windows: another MAX_CONCURRENT_BOTS at set times of the wall clock."""


def show_windows(answer: "WindowsAnswer") -> str:
    rows = [[",".join(one.days), one.begins, one.ends, one.max_bots] for one in answer.windows]
    parts = [f"Version {answer.version}"]
    if rows:
        parts += [table(["DAYS", "FROM", "TO", "MAX_CONCURRENT_BOTS"], rows), answer.zone]
    else:
        parts.append(told(fr="Aucune plage horaire.", en="No windows."))
    if answer.open is not None:
        parts.append(show_open(answer.open))
    return "\n".join(parts)


def show_open(one: "OpenWindow") -> str:
    """The window that has begun."""
    held = f", {one.held_by}" if one.held_by else ""
    return told(
        fr=f"Ouverte jusqu'à {one.until} : {one.max_bots} ({word(one.status)}{held}), ensuite {one.base}",
        en=f"Open until {one.until}: {one.max_bots} ({word(one.status)}{held}), then {one.base}",
    )


def days_of(text: str) -> list[str] | None:
    """`daily`, or days and spans of days, as in `mon-fri,sun`; None where it is none."""
    if text == "daily":
        return list(DAYS)
    found: list[str] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        last = last or first
        if first not in DAYS or last not in DAYS:
            return None
        begin, span = DAYS.index(first), (DAYS.index(last) - DAYS.index(first)) % 7
        found += [DAYS[(begin + n) % 7] for n in range(span + 1)]
    return found


def windows_of(context: click.Context, parameter: click.Parameter, given: Sequence[str]) -> list[dict[str, Any]]:
    """`DAYS@FROM-TO=BOTS …` as the API takes it."""
    found = []
    for text in given:
        match = FORM.fullmatch(text)
        days = days_of(match[1]) if match else None
        if match is None or days is None:
            as_in = "mon-fri@18:00-22:00=200"
            raise click.BadParameter(
                told(
                    fr=f"{text!r} n'est pas JOURS@DE-À=BOTS, comme {as_in}",
                    en=f"{text!r} is not DAYS@FROM-TO=BOTS, as in {as_in}",
                )
            )
        found.append({"days": days, "from": match[2], "to": match[3], "MAX_CONCURRENT_BOTS": int(match[4])})
    return found


@windows.command("show")
@over_http(show_windows)
def windows_show(admin: "Admin") -> "WindowsAnswer":
    """The windows, in the order in which they are looked at, and the one that is open."""
    return admin.windows()


@windows.command("set")
@argument("chosen", metavar="DAYS@FROM-TO=BOTS…", nargs=-1, required=True, callback=windows_of)
@reason_option
@seen_option
@over_http(show_windows)
def windows_set(admin: "Admin", chosen: list[dict[str, Any]], reason: str, seen: int | None) -> "WindowsAnswer":
    """Replace them, as in mon-fri@18:00-22:00=200 daily@00:00-06:00=50. The first that fits holds."""
    return admin.set_windows(chosen, reason, version=seen)


@windows.command("clear")
@reason_option
@seen_option
@over_http(
    says(
        fr="Plus de plages horaires ; une plage ouverte prend fin.",
        en="No windows any more; one that is open ends.",
    )
)
def windows_clear(admin: "Admin", reason: str, seen: int | None) -> "WindowsAnswer":
    """No windows."""
    return admin.clear_windows(reason, version=seen)
