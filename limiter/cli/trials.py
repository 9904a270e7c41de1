"""What is tried or shown: bots that drive a limiter, a database of made-up weeks, drills on a scratch copy."""

import json
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click

from limiter.cli.answering import answer, json_option
from limiter.cli.errors import sentences, with_config
from limiter.commands.declaring import argument, command, option
from limiter.commands.over_http import connection
from limiter.commands.text import Failed, counted, table, told


@command()
@option(
    "--bots",
    type=click.IntRange(1, 10_000),
    default=250,
    show_default=True,
    help="How many bots, each of its own user.",
)
@option("--seconds", type=click.FloatRange(1), default=30.0, show_default=True, help="How long it all takes.")
@option("--seed", type=int, default=1, show_default=True, help="The same seed does the same things.")
@option("--url", help="Where the limiter is; else LIMITER_URL.")
@json_option
def simulate(bots: int, seconds: float, seed: int, url: str | None, as_json: bool) -> None:
    """Drive a running limiter with bots that start, trade, signal, stop, crash and fall silent.

    Prints what was admitted, and what was refused and why. Exit status 1 where more were admitted than the limit,
    or no limiter answered.
    """
    import asyncio

    from limiter import simulate

    with click.progressbar(length=1000, item_show_func=lambda now: now, show_pos=False, hidden=as_json) as bar:

        def tick(share: float, tally: simulate.Tally) -> None:
            held, refused = tally.held, tally.refused.total()
            places = counted(held, fr=("place prise", "places prises"), en=("held", "held"))
            now = f"{places}, {refused} {told(fr='refus', en='refused')}"
            bar.update(int(share * 1000) - bar.pos, now)

        tally = asyncio.run(simulate.simulate(connection(url), bots=bots, seconds=seconds, seed=seed, tick=tick))
    if (why := tally.unanswered()) is not None:
        raise Failed(why)
    text = table(["WHAT", "HOW MUCH", ""], simulate.summary(tally, told))
    answer(as_json, text, success=not tally.over, **tally.figures())
    sys.exit(1 if tally.over else 0)


@command()
@option("--database-url", help="The scratch database; else sqlite:///data/demo/limiter.db.")
@option("--weeks", type=click.IntRange(1, 13), default=4, show_default=True, help="How much history.")
@option("--seed", type=int, default=1, show_default=True, help="The same seed and end make the same history.")
@option("--until", help="Where it ends, RFC 3339; else now.")
@option("--bots", type=click.IntRange(0, 195), default=158, show_default=True, help="How many run at the end.")
@option("--open", "show", is_flag=True, help="Open the console on it, its bots going on.")
def demo(database_url: str | None, show: bool, **story: Any) -> None:
    """Fill a scratch database with weeks of plausible history, decided by the real rules."""
    from limiter import demo

    sys.exit(demo.main(database_url or demo.DEFAULT_URL, show=show, **story))


@command()
@argument("names", metavar="[NAME…]", nargs=-1)
@option(
    "--json", "file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the results there."
)
def drill(names: tuple[str, ...], file: Path | None) -> None:
    """Try what the limiter promises, on a scratch copy: ten, full, silent, restart, alert; or those NAMEd alone.

    A limiter of its own is started, killed, filled and alerted; the live one is not spoken to. Exit status 1 where one
    fails.
    """
    from limiter import drills
    from limiter.drills import report

    if unknown := [name for name in names if name not in drills.NAMES]:
        names_ = ", ".join(drills.NAMES)
        said = told(fr=f"{unknown[0]!r} n'est pas l'un de {names_}", en=f"{unknown[0]!r} is none of {names_}")
        raise click.BadParameter(said, param_hint=told(fr="NOM", en="NAME"))
    settings, results = with_config(), list[report.Result]()
    with sentences(), closing(drills.perform(settings, names or drills.NAMES, settings.lang)) as all_:
        for result in all_:
            results.append(result)
            click.echo(report.as_text(result))
            with suppress(OSError):  # what is kept is for the console; a folder of others does not fail a drill
                report.keep(settings, result)
    if file:
        file.write_text(json.dumps(report.as_json(results), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all(result.passed for result in results) else 1)
