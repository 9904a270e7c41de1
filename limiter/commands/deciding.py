"""Figures to decide by, and what was at an instant of the past."""

from typing import TYPE_CHECKING

import click

from limiter.commands.over_http import over_http
from limiter.commands.text import table, written

if TYPE_CHECKING:
    from limiter.answers.deciding import ForecastAnswer, StateAnswer
    from limiter.client import Admin


def show_forecast(answer: "ForecastAnswer") -> str:
    lines = [text for text in (answer.sentence, answer.needs) if text is not None]
    if answer.level_changed_at is not None:
        lines.append(f"The level has changed since {answer.level_changed_at[:10]}.")
    points = answer.points or []
    peaks = [max(points[start : start + 24], key=lambda one: one.middle) for start in range(0, len(points), 24)]
    if peaks:
        rows = [[one.at[:16], *(f"{bots:.0f}" for bots in (one.middle, one.low, one.high))] for one in peaks]
        lines.append(table(["HIGHEST HOUR OF A DAY", "MIDDLE", "LOW", "HIGH"], rows))
    return "\n".join(lines)


@click.command()
@click.option("--days", type=click.IntRange(1, 28), default=14, show_default=True, help="How far to look ahead.")
@over_http(show_forecast)
def forecast(admin: "Admin", days: int) -> "ForecastAnswer":
    """The bots of the next days, and the chance that the limit is reached."""
    return admin.forecast(days)


def show_state(answer: "StateAnswer") -> str:
    limits = answer.limits or {}
    most = written(limits.get("MAX_CONCURRENT_BOTS")) if limits else "?"
    door = ", starts paused" if answer.paused else ""
    lines = [f"{answer.at}  {len(answer.sessions)} of {most} slots held (limits version {answer.limits_version}){door}"]
    if answer.needs is not None:
        lines.append(answer.needs)
    rows = [[one.public_id, one.user_id, one.bot_id, one.started_at] for one in answer.sessions]
    return "\n".join([*lines, *([table(["SESSION", "USER", "BOT", "SINCE"], rows)] if rows else [])])


@click.command()
@click.option("--at", help="The instant, RFC 3339; else now.")
@over_http(show_state)
def state(admin: "Admin", at: str | None) -> "StateAnswer":
    """Who held which slot at an instant of the past, under which limits."""
    return admin.state(at)
