"""How full it is."""

from typing import TYPE_CHECKING

import click

from limiter.commands.over_http import over_http

if TYPE_CHECKING:
    from limiter.answers.capacity import CapacityAnswer
    from limiter.client import Admin


def show_capacity(answer: "CapacityAnswer") -> str:
    now = answer.capacity
    slots = f"{now.current_bots} / {now.max_bots} slots ({now.percent_used}%)"
    return f"Active Bots: {slots}\n{now.status}, {now.available_slots} free"


@click.command()
@over_http(show_capacity)
def capacity(admin: "Admin") -> "CapacityAnswer":
    """Bots against the limit, now."""
    return admin.capacity()
