"""`python -m benchmarks`: measures, writes docs/benchmarks.md, and exits with 1 where a figure is below its floor."""

import functools
import sys
from pathlib import Path

import click

from benchmarks import inside, over_http, report
from benchmarks.figures import FIGURES
from benchmarks.over_http import Effort, Findings
from benchmarks.servers import Missing, tool

CASES = over_http.CASES | inside.CASES


def say(line: str) -> None:
    """Progress, on stderr."""
    click.echo(line, err=True)


@click.command()
@click.option("--quick", is_flag=True, help="One round of 1 s: whether it runs, not how fast; nothing is written.")
@click.option("--full", is_flag=True, help="Five rounds, and a history of 5 million sessions instead of 1 million.")
@click.option("--only", multiple=True, type=click.Choice(list(CASES)), help="This case alone; may be repeated.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Folder of the page, in place of docs.")
def main(quick: bool, full: bool, only: tuple[str, ...], into: Path | None) -> None:
    """Measure the limiter against a no-op of the same stack and against its peers.

    Needs wrk; the slow disk needs gcc, the peers redis-server and a virtual environment in benchmarks/.venv. What is
    missing is skipped, and the page says so. Close other programs first: both cores are needed.
    """
    effort = Effort(1, 1.0) if quick else Effort(5) if full else Effort()
    cases = dict(CASES)
    ended = 5_000_000 if full else 100_000 if quick else 1_000_000
    cases["decisions"] = functools.partial(inside.decisions, ended=ended)
    found, box = Findings(), report.machine(effort)
    try:
        tool("wrk", "wrk")
    except Missing as missing:
        raise click.ClickException(str(missing)) from missing
    for name in only or cases:
        try:
            cases[name](found, effort, say)
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


if __name__ == "__main__":
    main()
