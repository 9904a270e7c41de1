"""How full it is, the figures of one instant, and whether it is time for a larger machine."""

from typing import TYPE_CHECKING

import click

from limiter.commands.over_http import over_http
from limiter.commands.text import table

if TYPE_CHECKING:
    from limiter.answers.capacity import AdviceAnswer, CapacityAnswer, StatsAnswer
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


def show_stats(answer: "StatsAnswer") -> str:
    milliseconds = answer.decisions.p50_ms, answer.decisions.p99_ms
    now, system, rates, seen = answer.capacity, answer.system, answer.rates, answer.sessions
    refusals = ", ".join(f"{reason} {count}" for reason, count in rates.refusals_last_hour.items()) or "none"
    rows: list[list[object]] = [
        [
            "bots",
            f"{now.current_bots} / {now.max_bots} ({now.percent_used}%), {now.status}{', paused' * answer.paused}",
        ],
        [
            "sessions",
            f"{seen.active} active, {seen.suspect} suspect, {seen.expired_last_hour} expired in the last hour",
        ],
        ["starts, last hour", rates.starts_last_hour],
        ["refusals, last hour", refusals],
        ["trades today", rates.trades_today],
        ["signals, last minute", rates.signals_last_minute],
        ["tokens, last minute", rates.tokens_last_minute],
        ["CPU %", system.cpu_percent],
        ["RAM %", f"{'-' if system.ram_percent is None else system.ram_percent} of {system.ram_total_gb} GB"],
        ["recommended limit", system.recommended_max_bots],
        ["decision, p50 / p99 ms", " / ".join("-" if ms is None else str(ms) for ms in milliseconds)],
        ["guards that hold", ", ".join(guard.name for guard in answer.guards if guard.held) or "none"],
        ["top users", ", ".join(f"{user.user_id} {user.active}" for user in answer.top_users) or "none"],
        ["version", f"{answer.version}, limits {answer.limits_version}, up {round(answer.uptime_seconds)} s"],
    ]
    return table(["WHAT", answer.at], rows)


@click.command()
@over_http(show_stats)
def stats(admin: "Admin") -> "StatsAnswer":
    """Everything of one instant."""
    return admin.stats()


def show_advice(answer: "AdviceAnswer") -> str:
    price = f", about {answer.price_usd_month} USD a month" if answer.price_usd_month is not None else ""
    first = f"{answer.detected_ram_gb:g} GB of RAM: up to {answer.recommended_max_bots} bots are recommended{price}."
    told = [f"{'Now' if one.strong else 'Soon'}: {one.message}" for one in answer.advice]
    return "\n".join([first, *(told or ["Nothing speaks for a larger machine."])])


@click.command()
@over_http(show_advice)
def advice(admin: "Admin") -> "AdviceAnswer":
    """What this machine's memory is good for, and whether it is time for a larger one."""
    return admin.advice()
