"""What is derived from the code; `make docs` rewrites it.

The tables of docs/reference.md, the picture and the table of the imports in docs/architecture.md, and .env.example.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from limiter.api.routes import ROUTES  # noqa: E402
from limiter.config import SETTINGS  # noqa: E402
from limiter.rules.refusals import REFUSALS  # noqa: E402
from limiter.system_limits import CATALOGUE, Value  # noqa: E402
from tests.house import picture  # noqa: E402


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    lines = [list(head), *([str(cell) for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def spelled(value: Value) -> str:
    """A limit's value as it is written."""
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def tables() -> dict[str, str]:
    """Each table by the name of its place."""
    limits = [
        (f"`{one.name}`", spelled(one.default), one.unit, one.scope, one.accepted_in("en"), one.meaning)
        for one in CATALOGUE
    ]
    refusals = [(f"`{one.name}`", one.status, one.fr, one.en) for one in REFUSALS]
    settings = [
        (f"`{one.name}`", f"`{one.default}`" if one.default else "", one.meaning[0].upper() + one.meaning[1:])
        for one in SETTINGS
    ]
    scopes = {None: "none, ever", "any": "`bots` or `admin:read`"}
    routes = [
        (f"`{one.method} {one.path}`", scopes.get(one.scope, f"`{one.scope}`"), (one.handler.__doc__ or "").strip())
        for one in ROUTES
    ]
    return {
        "limits": table(("limit", "default", "unit", "scope", "accepted", "meaning"), limits),
        "refusals": table(("reason", "status", "français", "English"), refusals),
        "settings": table(("setting", "default", "meaning"), settings),
        "routes": table(("endpoint", "key", "answers"), routes),
    }


def env_example() -> str:
    """Every variable with its default, commented out."""
    lines = [
        "# Copy to .env and take the # away where you want another value. Environment variables go over this file.",
        "",
    ]
    for one in CATALOGUE:
        lines += [f"# {one.meaning}", f"#{one.name}={spelled(one.default)}{one.suffix}", ""]
    for setting in SETTINGS:
        lines += [f"# {setting.meaning[0].upper()}{setting.meaning[1:]}.", f"#{setting.name}={setting.default}", ""]
    return "\n".join(lines)


def written(path: Path, parts: Mapping[str, str]) -> str:
    """The file with each part in its place, between `<!-- name -->` and `<!-- /name -->`."""
    text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        found = place.search(text)
        assert found, f"{path.name} has no place for {name}"
        text = f"{text[: found.end(1)]}{part}\n{text[found.start(2) :]}"
    return text


def derived() -> dict[Path, str]:
    """Each file as the code wants it."""
    reference, architecture = ROOT / "docs/reference.md", ROOT / "docs/architecture.md"
    return {
        reference: written(reference, tables()),
        architecture: written(
            architecture,
            {"imports": picture.picture(), "layers": table(("layer", "may import"), picture.table())},
        ),
        ROOT / ".env.example": env_example(),
    }


if __name__ == "__main__":
    for path, wanted in derived().items():
        if "--write" in sys.argv:
            path.write_text(wanted, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != wanted:
            sys.exit(f"{path.name} is stale: run `make docs`")
