"""The picture of the imports in docs/architecture.md, drawn from the imports themselves; `make docs` draws it anew.

Layers that import each other are one box. What every layer may import is left out, and so is an arrow that a longer way
says already.
"""

import re
from collections.abc import Mapping, Set

from tests.house.test_imports import ANYBODYS, files, imported, layer

Arrows = dict[str, set[str]]


def direct() -> Arrows:
    """Which layer imports which."""
    found: Arrows = {}
    for module, path in files():
        own = layer(module)
        if own is None or own in ANYBODYS:
            continue
        names = {name for name in imported(path) if name.startswith(("limiter.", "pages."))}
        reached = {one for name in names if (one := layer(name)) is not None}
        found.setdefault(own, set()).update(reached - {own} - ANYBODYS)
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
