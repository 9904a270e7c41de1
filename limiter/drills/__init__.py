"""Drills: does this build, on this machine, under these limits, do what it promises? Tried on a scratch copy.

Promises: each drill drives a real limiter process of its own over HTTP (scratch.py); one that fails, breaks off or
cannot begin is told as failed, with what was expected and what was seen. Does not promise anything about what happens
under load or with a broken disk: `python -m faults`, in a checkout, breaks things at length.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from limiter.config import Config
from limiter.drills import alerting, capacity, restarting
from limiter.drills.report import Result, Step
from limiter.drills.scratch import Language, Scratch

_ONE_AT_A_TIME = threading.Lock()


class Busy(Exception):
    """Others run drills in this process: two at once would only make each other slow."""


@dataclass(frozen=True, slots=True)
class Drill:
    """One drill: its name on the command line, what it is called, and its steps, done as they are asked for."""

    name: str
    fr: str
    en: str
    steps: Callable[[Scratch], Iterator[Step]]

    def title(self, language: Language) -> str:
        """What it is called."""
        return self.en if language == "en" else self.fr


DRILLS: tuple[Drill, ...] = (
    Drill("ten", "10 bots démarrent et sont comptés", "10 bots start and are counted", capacity.ten),
    Drill("full", "MAX + 1 bots : le dernier est refusé", "MAX + 1 bots: the last is refused", capacity.full),
    Drill("silent", "Un bot se tait : sa place revient", "A bot falls silent: its slot comes back", capacity.silent),
    Drill("restart", "kill -9 : rien n'est perdu", "kill -9: nothing is lost", restarting.restart),
    Drill("alert", "Une alerte part au seuil", "An alert leaves at the threshold", alerting.alert),
)
NAMES = tuple(drill.name for drill in DRILLS)


def perform(settings: Config, names: Collection[str] = NAMES, language: Language = "fr") -> Generator[Result]:
    """The drills of these names in their order, each told as soon as it is done. Close it to break off.

    Raises Busy where this process runs drills already, StoreError where no scratch copy can be made.
    """
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise Busy
    try:
        with (
            tempfile.TemporaryDirectory(prefix="limiter-drill-") as folder,
            Scratch(settings, Path(folder), language) as box,
        ):
            for drill in DRILLS:
                if drill.name in names:
                    yield _tried(drill, box)
    finally:
        _ONE_AT_A_TIME.release()


def _tried(drill: Drill, box: Scratch) -> Result:
    at, began = int(time.time() * 1000), time.monotonic()
    steps, fault = list[Step](), ""
    try:
        box.prepare()
        steps += _until_wrong(drill.steps(box))
    except Exception as error:  # whatever a broken build does is a failed drill
        fault = f"{type(error).__name__}: {error}"
    title, seconds = drill.title(box.language), round(time.monotonic() - began, 2)
    return Result(drill.name, title, at, seconds, tuple(steps), fault, box.database_text, box.limit)


def _until_wrong(steps: Iterator[Step]) -> Iterator[Step]:
    """A step builds on the ones before it."""
    for step in steps:
        yield step
        if not step.right:
            return
