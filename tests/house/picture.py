"""The picture of the imports in docs/architecture.md, and the table beneath it; `make docs` draws both.

The picture is of the imports as they are, the table of those that test_imports.py allows.
Layers that import each other are one box. What every layer may import is left out, and so is an arrow that a longer way
says already.
"""

import re
from collections.abc import Mapping, Set

from tests.house.test_imports import ALLOWED, ANYBODYS, files, layer, reached

Arrows = dict[str, set[str]]


def direct() -> Arrows:
    """Which layer imports which."""
    found: Arrows = {}
    for module, path in files():
        own = layer(module)
        if own is None or own in ANYBODYS:
            continue
        found.setdefault(own, set()).update(reached(module, path))
    return found


def reachable(arrows: Mapping[str, Set[str]]) -> Arrows:
    """Every layer that a layer comes to, by however many steps."""
    found = {one: set(others) for one, others in arrows.items()}
    for middle, beyond in found.items():
        for others in found.values():
            if middle in others:
                others.update(beyond)
    return found


def boxes(arrows: Mapping[str, Set[str]]) -> Arrows:
    """The same between boxes: layers that come to each other share one, named by them all."""
    reached = reachable(arrows)
    box = {
        one: " ⇄ ".join(sorted({one} | {other for other in reached[one] if one in reached[other]})) for one in arrows
    }
    found: Arrows = {}
    for one, others in arrows.items():
        found.setdefault(box[one], set()).update(box[other] for other in others if box[other] != box[one])
    return found


def told_once(arrows: Mapping[str, Set[str]]) -> Arrows:
    """Without the arrows that a longer way says already. There are no circles in `arrows`."""
    reached = reachable(arrows)
    return {
        one: {other for other in others if not any(other in reached[way] for way in others)}
        for one, others in arrows.items()
    }


def picture() -> str:
    """The picture as Mermaid's text."""
    arrows = told_once(boxes(direct()))
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {name_of(one)}["{one.replace("limiter.", "")}"]' for one in sorted(arrows)]
    lines += [
        f"    {name_of(one)} --> {name_of(other)}" for one, others in sorted(arrows.items()) for other in sorted(others)
    ]
    return "\n".join([*lines, "```"])


def name_of(box: str) -> str:
    """A word that Mermaid takes for a name."""
    return re.sub(r"\W+", "_", box.replace("limiter.", ""))


def table() -> list[tuple[str, str]]:
    """Each layer, or several that may import the same, with what that is."""
    layers: dict[str, list[str]] = {}
    for one, may in ALLOWED.items():
        if one not in ANYBODYS:
            layers.setdefault(_named(sorted(may)) or "nothing of ours", []).append(one)
    rows = [(_named(ones), may) for may, ones in layers.items()]
    return [(_named(sorted(ANYBODYS)), "nothing of ours; every layer may import them"), *rows]


def _named(layers: list[str]) -> str:
    return ", ".join(f"`{one.removeprefix('limiter.')}`" for one in layers)
