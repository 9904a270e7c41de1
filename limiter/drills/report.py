"""What came of the drills: for a program as JSON, for a person as Markdown, and kept beside the database."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from limiter.clock import rfc3339
from limiter.config import Config
from limiter.store.location import sqlite_path


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried, what had to come of it, and what came."""

    tried: str
    expected: str
    seen: str

    @property
    def right(self) -> bool:
        """Whether it is as it has to be."""
        return self.seen == self.expected


@dataclass(frozen=True, slots=True)
class Result:
    """One drill: when it was done (UTC ms), its steps, why it broke off, on which copy, with how many slots."""

    name: str
    title: str
    at: int
    seconds: float
    steps: tuple[Step, ...]
    fault: str
    database: str
    max_bots: int

    @property
    def passed(self) -> bool:
        """Whether every step was right, to the last."""
        return bool(self.steps) and not self.fault and all(step.right for step in self.steps)


def counted(answers: Iterable[object]) -> str:
    """`3 × 201, 1 × 503`."""
    counts = Counter(str(answer) for answer in answers)
    return ", ".join(f"{n} × {answer}" for answer, n in sorted(counts.items())) or "0"


def as_json(results: Collection[Result]) -> dict[str, Any]:
    """For a program: whether all passed, and each with its steps."""
    rows = [
        asdict(one) | {"at": rfc3339(one.at), "passed": one.passed, "steps": [_row(step) for step in one.steps]}
        for one in results
    ]
    return {"passed": all(one.passed for one in results), "drills": rows}


def as_markdown(results: Collection[Result], head: str) -> str:
    """For a person."""
    passed = sum(one.passed for one in results)
    page = [f"# {head}", "", f"{passed}/{len(results)}", ""]
    for one in results:
        page += [f"## {'✔' if one.passed else '✘'} {one.title}", ""]
        page += [f"{rfc3339(one.at)} · {one.seconds} s · MAX_CONCURRENT_BOTS {one.max_bots} · {one.database}", ""]
        page += [*(f"- {line}" for line in lines(one)), ""]
    return "\n".join(page)


def as_text(result: Result) -> str:
    """One drill for a terminal."""
    head = f"{'✔' if result.passed else '✘'} {result.name}: {result.title} ({result.seconds} s, {result.database})"
    return "\n".join([head, *(f"    {line}" for line in lines(result))])


def lines(result: Result) -> list[str]:
    """Its steps, and why it broke off."""
    return [*(told(step) for step in result.steps), *([f"✘ {result.fault}"] if result.fault else [])]


def told(step: Step) -> str:
    """A step in one line."""
    return f"✔ {step.tried}: {step.seen}" if step.right else f"✘ {step.tried}: {step.seen} ≠ {step.expected}"


def _row(step: Step) -> dict[str, Any]:
    return asdict(step) | {"right": step.right}


# -- kept


def place(settings: Config) -> Path:
    """Where results are kept: beside the SQLite file, else in data/."""
    path = sqlite_path(settings.database_url)
    return (path.parent if path else Path("data")) / "drills.json"


def kept(settings: Config) -> Mapping[str, Result]:
    """The last result of each drill by its name; empty where none can be read."""
    try:
        return msgspec.json.decode(place(settings).read_bytes(), type=dict[str, Result])
    except (OSError, msgspec.MsgspecError):
        return {}


def keep(settings: Config, result: Result) -> None:
    """Put it in the place of the last one of its name. Raises OSError where the folder cannot be written."""
    path = place(settings)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode({**kept(settings), result.name: result}))
    partial.rename(path)
