"""The English texts that the console says, found by reading the code: what the French catalog must have."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SENTENCES = (
    "This link has been used or is over. Type a key.",
    "This key is unknown.",
    "This key is not an admin key.",
)  # of the sign-in form, which picks one


def sources() -> list[Path]:
    """Every file of the console that speaks."""
    return sorted([*ROOT.glob("pages/*.py"), *ROOT.glob("limiter/console/**/*.py")])


def calls(*names: str) -> Iterator[tuple[Path, ast.Call]]:
    """Calls of those functions with a text."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = node.func  # t("…"), or view.t("…")
                name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
                if name in names:
                    yield path, node


@functools.cache
def said() -> dict[str, str]:
    """Text → the file that says it first. `t("…")` has one text; `tn("one", "many", n)` is known by its first."""
    found: dict[str, str] = {}
    for path, node in calls("t", "tn", "word"):
        found.setdefault(text_of(node.args[0]), str(path.relative_to(ROOT)))
    found |= dict.fromkeys(SENTENCES, "limiter/console/sign_in/gate.py")
    return found


@functools.cache
def plurals() -> dict[str, str]:
    """The texts of `tn`: one → many."""
    return {text_of(node.args[0]): text_of(node.args[1]) for _, node in calls("tn")}


def text_of(node: ast.expr) -> str:
    """The text of a literal."""
    assert isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value
