"""Figures to decide by, and what was at an instant of the past."""

from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING

import click

from limiter.commands.declaring import command, option
from limiter.commands.over_http import over_http
from limiter.commands.text import counted, decimal, percent, table, told, word, written

if TYPE_CHECKING:
    from limiter.answers.deciding import ForecastAnswer, LeaseAnswer, SizingAnswer, StateAnswer
    from limiter.client import Admin


def show_forecast(answer: "ForecastAnswer") -> str:
    lines = [text for text in (answer.sentence, answer.needs) if text is not None]
    if answer.level_changed_at is not None:
        since = answer.level_changed_at  # a midnight on the limiter's wall clock: its UTC date is another day's
        lines.append(told(fr=f"Le niveau a changé depuis {since}.", en=f"The level has changed since {since}."))
    points = answer.points or []
    if points:
        begin = datetime.fromisoformat(points[0].at)
        days = groupby(points, lambda one: (datetime.fromisoformat(one.at) - begin).days)  # not each has all its hours
        peaks = [max(day, key=lambda one: one.middle) for _, day in days]
        rows = [[one.at, *(f"{bots:.0f}" for bots in (one.middle, one.low, one.high))] for one in peaks]
        lines.append(table(["HIGHEST HOUR OF A DAY", "MIDDLE", "LOW", "HIGH"], rows))
    return "\n".join(lines)


@command()
@option("--days", type=click.IntRange(1, 28), default=14, show_default=True, help="How far to look ahead.")
@over_http(show_forecast, ("points",))
def forecast(admin: "Admin", days: int) -> "ForecastAnswer":
    """The bots of the next days, and the chance that the limit is reached."""
    return admin.forecast(days)


def show_sizing(answer: "SizingAnswer") -> str:
    if answer.slots is None or answer.low is None or answer.high is None or answer.now is None or answer.load is None:
        return str(answer.needs)
    assert answer.users is not None  # there are slots
    now, rows = answer.now, []
    for name, slots, low, high, expected, seen in (
        ("first", answer.slots.first, answer.low.first, answer.high.first, now.refused_first, now.seen_first),
        ("lost", answer.slots.lost, answer.low.lost, answer.high.lost, now.refused_lost, now.seen_lost),
    ):
        rows.append(
            [word(name), slots, f"{low}-{high}", percent(f"{100 * expected:.2f}"), percent(f"{100 * seen:.2f}")]
        )
    share = percent(f"{100 * answer.refused:g}")
    wanted = told(fr=f"PLACES POUR {share}", en=f"SLOTS FOR {share}")
    heading = told(fr=f"ATTENDU À {now.limit}", en=f"EXPECTED AT {now.limit}")
    users = counted(answer.users, fr=("utilisateur", "utilisateurs"), en=("user", "users"))
    mean, peak = answer.load.mean, answer.load.peak
    lines = [
        str(answer.sentence),
        told(
            fr=f"Bots voulus à la fois par {users} : {mean:.0f} en moyenne, {peak:.0f} au plus.",
            en=f"Bots that {users} want at once: {mean:.0f} on average, {peak:.0f} at most.",
        ),
        table(["REFUSED AT", wanted, "RANGE", heading, "SEEN IN 28 DAYS"], rows),
        *(text for text in (answer.method, answer.trust) if text),
    ]
    return "\n".join(lines)


@command()
@option(
    "--refused",
    type=click.FloatRange(0, 1, True, True),
    default=0.01,
    show_default=True,
    help="The share of demands that may be refused, 0 to 1.",
)
@option("--users", type=click.IntRange(1, 1_000_000), help="For so many users; else those seen in 28 days.")
@over_http(show_sizing, ("figures", "days"))
def sizing(admin: "Admin", refused: float, users: int | None) -> "SizingAnswer":
    """How many slots are enough: so that at most that share of demands is refused at first, or lost for good."""
    return admin.sizing(refused, users)


def show_lease(answer: "LeaseAnswer") -> str:
    said = str(answer.sentence or answer.needs)
    rows = [
        [f"{row.lease_seconds} s", row.living_ended, decimal(row.slot_hours_held_by_the_dead, ".2f")]
        for row in answer.rows
    ]
    return f"{said}\n{table(['LEASE', 'LIVING ENDED', 'SLOT HOURS OF THE DEAD'], rows)}"


@command()
@over_http(show_lease, ("rows",))
def lease(admin: "Admin") -> "LeaseAnswer":
    """How long a lease should be: what each would have done in the last 7 days."""
    return admin.lease_evidence()


def show_state(answer: "StateAnswer") -> str:
    limits = answer.limits or {}
    most = written(limits.get("MAX_CONCURRENT_BOTS")) if limits else "?"
    door = told(fr=", démarrages en pause", en=", starts paused") if answer.paused else ""
    held, version = len(answer.sessions), answer.limits_version
    taken = counted(held, fr=("place prise", "places prises"), en=("held", "held"))
    lines = [
        f"{answer.at}  "
        + told(
            fr=f"{taken} sur {most} (version {version} des limites){door}",
            en=f"{held} of {most} slots held (limits version {version}){door}",
        )
    ]
    if answer.needs is not None:
        lines.append(answer.needs)
    rows = [[one.public_id, one.user_id, one.bot_id, one.started_at] for one in answer.sessions]
    return "\n".join([*lines, *([table(["SESSION", "USER", "BOT", "SINCE"], rows)] if rows else [])])


@command()
@option("--at", help="The instant, RFC 3339; else now.")
@over_http(show_state, ("sessions",))
def state(admin: "Admin", at: str | None) -> "StateAnswer":
    """Who held which slot at an instant of the past, under which limits."""
    return admin.state(at)
