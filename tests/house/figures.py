"""`python -m tests.house.figures [FOLDER…]`: the size and shape of the code of each checkout, as a Markdown table.

Of `console.py`, `pages/` and `limiter/`. Look-ups by a string are `x["name"]` and `x.get("name")`, where a field of a
type could stand. A docstring names units where it says one, and errors where a function that raises says what.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONG = 300
UNITS = re.compile(
    r"\b(milli|micro)?seconds?\b|\bms\b|\bµs\b|\bUTC\b|\bminutes?\b|\bhours?\b|\bdays?\b|\bbytes\b|\b[KMG]i?B\b|\bpercent\b"
    r"|\bpx\b|\bper cent\b|%|\b\d+ s\b",
    re.IGNORECASE,
)
Public = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def sources(root: Path) -> list[Path]:
    """The product's own files."""
    return sorted([root / "console.py", *(root / "pages").rglob("*.py"), *(root / "limiter").rglob("*.py")])


def looked_up(node: ast.AST) -> bool:
    """Whether this reads a field by a string."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        return isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "get"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    )


def public(body: list[ast.stmt]) -> Iterator[Public]:
    """Functions, classes and their methods whose name does not begin with _."""
    for node in body:
        if isinstance(node, Public) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


def raising(node: Public) -> bool:
    """Whether it raises something by name itself."""
    return not isinstance(node, ast.ClassDef) and any(
        isinstance(one, ast.Raise) and one.exc is not None for one in ast.walk(node)
    )


def measured(root: Path) -> dict[str, int]:
    """The figures of a checkout."""
    texts = {path: path.read_text(encoding="utf-8") for path in sources(root)}
    trees = [ast.parse(text) for text in texts.values()]
    lengths = [text.count("\n") for text in texts.values()]
    shown = [node for tree in trees for node in public(tree.body)]
    said = [(node, doc) for node in shown if (doc := ast.get_docstring(node))]
    fails = [node for node in shown if raising(node)]
    return {
        "files": len(texts),
        "lines": sum(lengths),
        f"files over {LONG} lines": sum(length > LONG for length in lengths),
        "look-ups by a string": sum(looked_up(node) for tree in trees for node in ast.walk(tree)),
        "public functions and classes": len(shown),
        "of them with a docstring": len(said),
        "docstrings that name a unit": sum(bool(UNITS.search(doc)) for _, doc in said),
        "public functions that raise": len(fails),
        "of them whose docstring says what": sum("Raises" in (ast.get_docstring(node) or "") for node in fails),
    }


def main(roots: list[Path]) -> None:
    """One column a checkout."""
    columns = [measured(root) for root in roots]
    print("| | " + " | ".join(root.name for root in roots) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(f"{one[name]:,}".replace(",", " ") for one in columns) + " |")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or [ROOT])
