"""`python -m benchmarks`: measures, writes docs/benchmarks.md, and exits with 1 where a figure is below its floor."""

import sys
from pathlib import Path

import click

from benchmarks import history, inside, memory, over_http, report, scale, tabs, waiting, wrapping
from benchmarks.figures import FIGURES
from benchmarks.over_http import Effort, Findings
from benchmarks.servers import Missing, tool

CASES = over_http.CASES | inside.CASES | memory.CASES | tabs.CASES
QUICK = Effort(1, 1.0, history=100_000, decisions=20_000, watched_seconds=20)


def say(line: str) -> None:
    """Progress, on stderr."""
    click.echo(line, err=True)


@click.group(invoke_without_command=True)
@click.option("--quick", is_flag=True, help="One round of 1 s: whether it runs, not how fast; nothing is written.")
@click.option("--full", is_flag=True, help="Five rounds instead of three.")
@click.option("--only", multiple=True, type=click.Choice(list(CASES)), help="This case alone; may be repeated.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Folder of the page, in place of docs.")
@click.pass_context
def main(context: click.Context, quick: bool, full: bool, only: tuple[str, ...], into: Path | None) -> None:
    """Measure the limiter against a no-op of the same stack and against its peers.

    Needs wrk; the slow disk needs gcc, the peers redis-server and a virtual environment in benchmarks/.venv. What is
    missing is skipped, and the page says so. Close other programs first: both cores are needed, for 20 minutes.
    """
    if context.invoked_subcommand is not None:
        return
    effort = QUICK if quick else Effort(5) if full else Effort()
    found, box = Findings(), report.machine(effort)
    try:
        tool("wrk", "wrk")
    except Missing as missing:
        raise click.ClickException(str(missing)) from missing
    for name in only or CASES:
        try:
            CASES[name](found, effort, say)
        except Missing as missing:
            found.notes.append(f"{name}: not run, {missing}")
            say(found.notes[-1])
    if any(name in found.values for name in ("starts_64", "refusals_64")):
        found.values["over"] = found.over
    click.echo(report.markdown(found, box))
    if into or not (quick or only):
        click.echo(f"written: {report.write(found, box, into or report.DOCS)}")
    below = [figure for figure in FIGURES if figure.verdict(found.values.get(figure.name, figure.goal or 0)) == "below"]
    sys.exit(1 if below and not quick else 0)


@main.command("scale")
@click.option("--most", default=history.SIZES[-1], type=click.Choice(history.SIZES), help="The most bots.")
@click.option("--postgres", default="", envvar="LIMITER_TEST_POSTGRES_URL", help="A server to measure on, as a URL.")
@click.option("--only", multiple=True, type=click.Choice(scale.PLACES), help="This table alone; may be repeated.")
def run_scale(most: int, postgres: str, only: tuple[str, ...]) -> None:
    """Check the numbers of docs/scale.md and write its tables: minutes, and some GB of memory for a million bots."""
    for name in only or scale.PLACES:
        try:
            lines = scale.table(name, most, postgres, say)
        except Missing as missing:
            say(f"{name}: not run, {missing}")
            continue
        scale.write(name, lines)
        click.echo("\n".join([f"{name}, written to {scale.PAGE}", *lines]))


@main.command("wrapping")
@click.option("--real", type=click.Path(file_okay=False, path_type=Path), help="A folder with real bots' packages.")
@click.option("--only", multiple=True, type=click.Choice(wrapping.PLACES), help="This table alone; may be repeated.")
def run_wrapping(real: Path | None, only: tuple[str, ...]) -> None:
    """Measure what `run` costs beside bots, next to an earlier build, and write the tables of docs/bots.md: 15 minutes.

    --real FOLDER: with `python -m venv FOLDER/venv`, `FOLDER/venv/bin/pip install ccxt freqtrade` and
    `npm install --prefix FOLDER ccxt`, twelve real bots are measured too.
    """
    for name in only or wrapping.PLACES:
        try:
            lines = wrapping.table(name, real, say)
        except Missing as missing:
            say(f"{name}: not run, {missing}")
            continue
        wrapping.write(name, lines)
        click.echo("\n".join([f"{name}, written to {wrapping.PAGE}", *lines]))


@main.command("waiting")
def run_waiting() -> None:
    """Measure 200 bots that wait for one slot and then for five, and write the table of docs/bots.md: 6 minutes."""
    lines = waiting.table(say)
    wrapping.write("waiting", lines)
    click.echo("\n".join([f"waiting, written to {wrapping.PAGE}", *lines]))


if __name__ == "__main__":
    main()
