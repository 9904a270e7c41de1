"""How many instructions a request takes, counted by valgrind: `python -m benchmarks.instructions`.

The count is the same on a busy machine: two builds that differ by 2 % are told apart where their times are not.
The real application, as in benchmarks/cpu.py; the difference between many rounds and few is divided by its requests, so
that the start of the process is left out. What the kernel and the disk do is not counted.
Another build, from its checkout: `PYTHONPATH=. python …/benchmarks/instructions.py`.
"""

import asyncio
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import uvloop

from benchmarks import cpu, servers

FEW, MANY = 20, 60  # rounds of cpu.CLIENTS requests
CAP = {"start": 1_000_000, "refusal": cpu.CLIENTS, "heartbeat": 1_000_000}


async def ask(kind: str, rounds: int, folder: Path) -> None:
    """One round of starts, then so many of the requests that are counted."""
    limiter, starts = cpu.Limiter(folder / "limiter.db", CAP[kind]), cpu.starts()
    cpu.ROUNDS = 1
    await limiter.request_us(b"/api/bots/start", starts)
    session = limiter.last.partition(b'"session_id":"')[2].partition(b'"')[0]
    cpu.ROUNDS = rounds
    if kind == "heartbeat":
        await limiter.request_us(b"/api/bots/heartbeat", itertools.repeat(b'{"session_id":"%b"}' % session))
    else:
        await limiter.request_us(b"/api/bots/start", starts)
    await limiter.close()


def counted(kind: str, rounds: int, folder: Path) -> int:
    """The instructions of a process that asks so many rounds."""
    valgrind = [servers.tool("valgrind", "valgrind"), "--tool=callgrind", f"--callgrind-out-file={folder / 'out'}"]
    itself = [sys.executable, __file__, "--of", kind, "--rounds", str(rounds)]
    fixed = {"PYTHONPATH": str(servers.ROOT), **os.environ, "PYTHONHASHSEED": "0"}
    said = subprocess.run([*valgrind, *itself], env=fixed, capture_output=True, text=True, check=True).stderr
    found = re.search(r"Collected : (\d+)", said)
    assert found is not None, said
    return int(found[1])


@click.command()
@click.option("--of", "kinds", multiple=True, type=click.Choice(list(CAP)), help="This request; may be repeated.")
@click.option("--rounds", type=int, hidden=True)
def main(kinds: tuple[str, ...], rounds: int | None) -> None:
    """Thousands of instructions a request."""
    with servers.scratch() as folder:
        if rounds is not None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(ask(kinds[0], rounds, folder))
            return
        for kind in kinds or CAP:
            more = counted(kind, MANY, folder) - counted(kind, FEW, folder)
            click.echo(f"{more / ((MANY - FEW) * cpu.CLIENTS) / 1000:6.1f} thousand  {kind}")


if __name__ == "__main__":
    main()
