"""Who may import whom: read from the imports, so that the layers of docs/architecture.md stay true."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMPURE = {"time", "os", "random", "secrets", "logging", "sqlalchemy", "starlette", "streamlit", "uvicorn", "asyncio"}
# layer: the layers of ours that it may import
ALLOWED = {
    "limiter.system_limits": set[str](),
    "limiter.rules": {"limiter.system_limits"},
    "limiter.answers": {"limiter.system_limits"},
    "limiter.hosts": set(),
    "limiter.commands": {"limiter.answers", "limiter.client", "limiter.config"},
    "limiter.env_file": set(),
    "limiter.config": {"limiter.env_file", "limiter.hosts", "limiter.rules", "limiter.system_limits"},
    "limiter.access": {"limiter.rules", "limiter.system_limits"},
    "limiter.client": {"limiter.answers", "limiter.rules", "limiter.system_limits", "limiter.processes"},
    "limiter.processes": set(),
    "limiter.agent": set(),
    "limiter.parent_death": set(),
    "limiter.store": {"limiter.rules", "limiter.system_limits", "limiter.onethread"},
    "limiter.delivery": {"limiter.rules", "limiter.config"},
    "limiter.onethread": set(),
    "limiter.committer": {"limiter.rules", "limiter.store", "limiter.onethread"},
    "limiter.jobs": {
        "limiter.rules", "limiter.store", "limiter.committer", "limiter.config", "limiter.delivery",
        "limiter.processes",
    },
    "limiter.api": {
        "limiter", "limiter.rules", "limiter.store", "limiter.committer", "limiter.access", "limiter.config",
        "limiter.hosts", "limiter.jobs", "limiter.system_limits", "limiter.answers", "limiter.processes",
    },
    "limiter.exercises": {"limiter.system_limits", "limiter.store", "limiter.config"},
    "limiter.console": {
        "limiter.answers", "limiter.rules", "limiter.system_limits", "limiter.store", "limiter.client",
        "limiter.access", "limiter.config", "limiter.exercises", "limiter.hosts",
    },
    "pages": {
        "limiter.answers", "limiter.rules", "limiter.system_limits", "limiter.store", "limiter.client",
        "limiter.config", "limiter.console", "limiter.exercises",
    },
}  # fmt: skip
WRITER_CLASSES = {"limiter.store.sqlite_writer.SqliteWriter", "limiter.store.postgres_writer.PostgresWriter"}
WRITERS = {"limiter.committer", "limiter.jobs", "limiter.store", "limiter.serve", "limiter.upkeep", "limiter.demo"}


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
    """The layer that a module belongs to."""
    return next((one for one in ALLOWED if module == one or module.startswith(one + ".")), None)


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_layers(module: str, path: Path) -> None:
    own = layer(module)
    if own is None:  # __main__, cli, serve, upkeep, demo, simulate: they wire or stand outside
        return
    found = {name for name in imported(path) if name == "limiter" or name.startswith(("limiter.", "pages."))}
    reached = {layer(name) or name for name in found} - {own, "limiter"}
    assert reached <= ALLOWED[own], f"{module} may not import {sorted(reached - ALLOWED[own])}"


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_rules_are_pure(module: str, path: Path) -> None:
    if module.startswith("limiter.rules") or module == "limiter.system_limits":
        assert not {name.partition(".")[0] for name in imported(path)} & IMPURE


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_the_agent_is_of_the_standard_library(module: str, path: Path) -> None:
    if module in ("limiter", "limiter.__main__") or module.startswith("limiter.agent"):
        found = {name.partition(".")[0] for name in imported(path)} - {"limiter"}
        assert found <= sys.stdlib_module_names, found - sys.stdlib_module_names


@pytest.mark.parametrize(("module", "path"), [pytest.param(*row, id=row[0]) for row in files()])
def test_only_the_committer_writes(module: str, path: Path) -> None:
    uses_writer = bool(imported(path) & WRITER_CLASSES)
    assert not uses_writer or any(module == one or module.startswith(one + ".") for one in WRITERS)
