"""Who may import whom: read from the imports, so that the layers of docs/architecture.md stay true."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPURE = {"time", "os", "random", "secrets", "logging", "sqlalchemy", "starlette", "streamlit", "uvicorn", "asyncio"}
# layer: the layers of ours that it may import; docs/architecture.md has it as a table
ALLOWED = {
    "limiter.units": set(),
    "limiter.bilingual": set(),
    "limiter.database_url": set(),
    "limiter.po_file": set(),
    "limiter.clock": set(),
    "limiter.layout": set(),
    "limiter.system_limits": set[str](),
    "limiter.calling": set(),
    "limiter.hosts": set(),
    "limiter.latency": set(),
    "limiter.gathering": set(),
    "limiter.onethread": set(),
    "limiter.parent_death": set(),
    "limiter.processes": set(),
    "limiter.agent": {"limiter.calling", "limiter.processes"},
    "limiter.rules": {"limiter.system_limits"},
    "limiter.answers": {"limiter.system_limits"},
    "limiter.access": {"limiter.rules"},
    "limiter.channels": {"limiter.rules"},
    "limiter.events": {"limiter.rules"},
    "limiter.config": {"limiter.hosts", "limiter.rules", "limiter.system_limits"},
    "limiter.client": {"limiter.answers", "limiter.calling", "limiter.processes"},
    "limiter.commands": {"limiter.answers", "limiter.client", "limiter.config", "limiter.rules"},
    "limiter.store": {"limiter.onethread", "limiter.rules", "limiter.system_limits"},
    "limiter.committer": {
        "limiter.events", "limiter.gathering", "limiter.latency", "limiter.onethread", "limiter.rules", "limiter.store",
    },
    "limiter.jobs": {
        "limiter.channels", "limiter.committer", "limiter.processes", "limiter.rules", "limiter.store",
    },
    # server asks routes what to call; routes and handlers stand on wire and call.
    "limiter.http": {
        "limiter.access", "limiter.answers", "limiter.api", "limiter.committer", "limiter.config", "limiter.hosts",
        "limiter.jobs", "limiter.rules", "limiter.store",
    },
    "limiter.api": {
        "limiter.access", "limiter.answers", "limiter.http", "limiter.jobs", "limiter.processes", "limiter.rules",
        "limiter.store", "limiter.system_limits",
    },
    "limiter.drills": {"limiter.config", "limiter.store", "limiter.system_limits"},
    # How things look and read, and the charts made of it: no Streamlit (below), no database, no HTTP.
    "limiter.console.catalog": set(),
    "limiter.console.theme": {"limiter.rules"},
    "limiter.console.view": {"limiter.console.catalog", "limiter.rules"},
    "limiter.console.charts": {"limiter.console.theme", "limiter.console.view"},
    "limiter.console.sign_in": {"limiter.client", "limiter.console.catalog", "limiter.hosts"},
    "limiter.console.kit": {
        "limiter.answers", "limiter.client", "limiter.console", "limiter.console.catalog", "limiter.console.theme",
        "limiter.console.view", "limiter.rules", "limiter.system_limits",
    },
    "limiter.console": {
        "limiter.answers", "limiter.client", "limiter.config", "limiter.console.catalog", "limiter.console.kit",
        "limiter.console.sign_in", "limiter.store",
    },
    "limiter.console.parts": {
        "limiter.answers", "limiter.client", "limiter.config", "limiter.console", "limiter.console.charts",
        "limiter.console.kit", "limiter.console.sign_in", "limiter.console.view", "limiter.drills", "limiter.rules",
        "limiter.store", "limiter.system_limits",
    },
    "pages": {
        "limiter.answers", "limiter.client", "limiter.config", "limiter.console", "limiter.console.charts",
        "limiter.console.kit", "limiter.console.parts", "limiter.console.sign_in", "limiter.console.view",
        "limiter.drills", "limiter.rules", "limiter.store", "limiter.system_limits",
    },
}  # fmt: skip
WRITER_CLASSES = {"limiter.store.sqlite_writer.SqliteWriter", "limiter.store.postgres_writer.PostgresWriter"}
ANYBODYS = {
    "limiter.units", "limiter.clock", "limiter.layout", "limiter.bilingual", "limiter.po_file", "limiter.database_url",
}  # fmt: skip
WRITERS = {"limiter.store", "limiter.serve", "limiter.jobs", "limiter.demo"}


def files() -> Iterator[tuple[str, Path]]:
    """Each module of ours by its dotted name."""
    for folder in ("limiter", "pages"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, path


def imported(path: Path) -> set[str]:
    """What a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, f"{path}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return names


def layer(module: str) -> str | None:
    """The layer that a module belongs to: of those that hold one another, the inner one."""
    return max((one for one in ALLOWED if module == one or module.startswith(one + ".")), key=len, default=None)


def reached(module: str, path: Path) -> set[str]:
    """The layers that a module imports, but for its own, the package itself and those that every layer may."""
    found = {name for name in imported(path) if name == "limiter" or name.startswith(("limiter.", "pages."))}
    return {layer(name) or name for name in found} - {layer(module), "limiter"} - ANYBODYS


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_layers(module: str, path: Path) -> None:
    own = layer(module)
    if own is None:  # __main__, cli, serve, maintenance, demo, simulate: they wire or stand outside
        return
    too_far = reached(module, path) - ALLOWED[own]
    assert not too_far, f"{module} may not import {sorted(too_far)}"


def test_no_layer_may_import_what_it_does_not() -> None:
    used: dict[str, set[str]] = {one: set() for one in ALLOWED}
    for module, path in files():
        if (own := layer(module)) is not None:
            used[own] |= reached(module, path)
    assert {one: may - used[one] for one, may in ALLOWED.items() if may - used[one]} == {}


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_rules_are_pure(module: str, path: Path) -> None:
    if module.startswith("limiter.rules") or module == "limiter.system_limits":
        assert not {name.partition(".")[0] for name in imported(path)} & IMPURE


DRAWN_BY = ("limiter.console", "pages")
HEAVY = {"pandas", "altair", "streamlit", "pyarrow"}
"""130 MB and a second of imports."""


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_only_the_console_draws(module: str, path: Path) -> None:
    assert module.startswith(DRAWN_BY) or not {name.partition(".")[0] for name in imported(path)} & HEAVY


@pytest.mark.parametrize(
    "modules", ["limiter.serve", "limiter.agent.run, limiter.agent.service", "limiter.cli, limiter.client"]
)
def test_limiter_agent_and_client_load_nothing_that_draws(modules: str) -> None:
    loaded(modules, HEAVY)


def test_charts_need_no_streamlit() -> None:
    charts = sorted((ROOT / "limiter" / "console" / "charts").glob("[a-z]*.py"))
    loaded(", ".join(f"limiter.console.charts.{path.stem}" for path in charts), {"streamlit"})


def loaded(modules: str, forbidden: set[str]) -> None:
    """Imports them in a process of its own, which fails if one of the forbidden is loaded after it."""
    code = f"import sys, {modules}; found = {forbidden!r} & sys.modules.keys(); sys.exit(', '.join(found) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_the_agent_is_of_the_standard_library(module: str, path: Path) -> None:
    if module in ("limiter", "limiter.__main__") or module.startswith("limiter.agent"):
        found = {name.partition(".")[0] for name in imported(path)} - {"limiter"}
        assert found <= sys.stdlib_module_names, found - sys.stdlib_module_names


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_few_name_a_writer(module: str, path: Path) -> None:
    uses_writer = bool(imported(path) & WRITER_CLASSES)
    assert not uses_writer or any(module == one or module.startswith(one + ".") for one in WRITERS)
