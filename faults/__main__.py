"""`python -m faults`: breaks things under real limiters, writes docs/faults.md, exits with 1 where a promise broke."""

import os
import sys
import tempfile
import time
from pathlib import Path

import click

from faults.figures import Missing
from faults.plan import FAULTS
from faults.report import PAGE, Outcome, keep, lines, machine, now


def ran(outcome: Outcome) -> Outcome:
    """The fault, in an empty folder on the disk that the limiter would use."""
    (PAGE.parents[1] / "data").mkdir(exist_ok=True)
    began, load, outcome.at = time.monotonic(), os.getloadavg()[0], now()
    with tempfile.TemporaryDirectory(prefix="fault-", dir=PAGE.parents[1] / "data") as folder:
        try:
            outcome.figures.extend(outcome.fault.run(Path(folder), outcome.rounds))
        except Missing as missing:
            outcome.broke = f"not run: {missing}"
        except Exception as error:
            outcome.broke = f"failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
    outcome.seconds, outcome.machine = time.monotonic() - began, machine(load)
    return outcome


@click.command()
@click.option(
    "--share", default=1.0, type=click.FloatRange(0, 1), help="So much of each long form; 0 is the short one."
)
@click.option("--only", multiple=True, type=click.Choice([fault.name for fault in FAULTS]), help="This fault alone.")
@click.option("--into", default=PAGE, type=click.Path(dir_okay=False, path_type=Path), help="The page to write.")
def main(share: float, only: tuple[str, ...], into: Path) -> None:
    """Break things on purpose and count what it cost. The long forms take an hour and more.

    Root, gcc and libfaketime are needed for full disks, power cuts and clock steps, LIMITER_TEST_POSTGRES_URL for
    several limiters; what is missing is skipped, and the page says so. The page keeps the last outcome of each fault.
    """
    broken = False
    for fault in FAULTS:
        if not only or fault.name in only:
            rounds = max(1, fault.short, min(fault.long, round(fault.long * share)))
            outcome = ran(Outcome(fault, rounds))
            broken |= not outcome.holds
            click.echo("\n".join(lines(outcome)))
            keep(outcome, into)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
