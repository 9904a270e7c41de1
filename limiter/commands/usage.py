"""Who does what."""

from collections import Counter
from typing import TYPE_CHECKING

import click

from limiter.commands.declaring import command, option
from limiter.commands.over_http import over_http
from limiter.commands.text import percent, table, told, word

if TYPE_CHECKING:
    from limiter.answers.usage import WhoAnswer
    from limiter.client import Admin

SHOWN = 5  # users of each thing


def show_who(answer: "WhoAnswer") -> str:
    lines = [part.sentence for part in (answer.concentration, answer.demands) if part is not None]
    lines += [text for text in (answer.idle_sentence, answer.needs) if text is not None]
    tables: list[tuple[list[str], list[list[object]]]] = [
        (["WHAT", "WHEN", "USER", "USED", "SHARE", "LIMIT", "OF LIMIT"], _uses(answer)),
        (
            ["USER", "CLOSING", "TRADES", "SHARE"],
            [[one.user_id, one.closing, one.trades, _percent(one.share)] for one in answer.closing[:SHOWN]],
        ),
        (
            ["USER", "ATTEMPTS", "DEMANDS", "REFUSED AT FIRST", "LOST"],
            [[one.user_id, one.attempts, one.demands, one.first, one.lost] for one in answer.asked[:SHOWN]],
        ),
        (
            ["SESSION", "USER", "BOT", "LAST USE", "IDLE S"],
            [[one.public_id, one.user_id, one.bot_id, one.used_at, one.idle_seconds] for one in answer.idle],
        ),
    ]
    return "\n".join([*lines, *(table(heads, rows) for heads, rows in tables if rows)])


def _uses(answer: "WhoAnswer") -> list[list[object]]:
    shown = Counter[tuple[str, str]]()
    rows: list[list[object]] = []
    for one in answer.uses:
        shown[one.what, one.window] += 1
        if shown[one.what, one.window] <= SHOWN:
            when = "60 s" if one.window == "minute" else told(fr="jour", en="day")
            limit = None if one.limit_name is None else f"{one.limit_name} {one.limit}"
            of_limit = None if one.of_limit is None else percent(f"{one.of_limit:g}")
            user = one.user_id or told(fr="(sans session)", en="(no session)")
            rows.append([word(one.what), when, user, one.used, _percent(one.share), limit, of_limit])
    return rows


def _percent(share: float) -> str:
    return percent(f"{100 * share:.1f}")


@command()
@option("--days", type=click.IntRange(1, 28), default=28, show_default=True, help="Of slot-hours and demands.")
@option(
    "--idle-seconds", type=click.IntRange(60, 2_592_000), default=3600, show_default=True, help="Idle from here on."
)
@over_http(show_who, ("uses", "totals", "closing", "idle", "asked"))
def who(admin: "Admin", days: int, idle_seconds: int) -> "WhoAnswer":
    """Who uses up which limit, who is idle, how concentrated slot-hours are, how many demands lie behind attempts."""
    return admin.who(days, idle_seconds)
