"""What the docs name is there: tests, files, settings, commands."""

import re
from pathlib import Path

import click
import pytest

from limiter.cli import main
from limiter.config import SETTINGS
from limiter.system_limits import CATALOGUE
from tests.conftest import ROOT
from tests.house.figures import sources

DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = {"LIMITER_ENV_FILE", "LIMITER_SESSION_ID", "LIMITER_DOMAIN", "LIMITER_TEST_POSTGRES_URL"}
OTHERS = {"app.py", "signal.py"}  # of the guide's original, of a bot's folder


def test_the_tests_that_prove_security_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/security.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    for path, test in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in text, f"{path}::{test}"


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_setting_that_is_named_is_one(path: Path) -> None:
    known = {setting.name for setting in SETTINGS} | {limit.name for limit in CATALOGUE} | OURS
    assert set(re.findall(r"\bLIMITER_[A-Z_]+\b", path.read_text(encoding="utf-8"))) <= known


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_every_command_that_is_shown_is_one(path: Path) -> None:
    for line in re.findall(r"python -m limiter ([a-z]+(?: [a-z]+)?)", path.read_text(encoding="utf-8")):
        command: click.Command = main
        for word in line.split():
            if not isinstance(command, click.Group):
                break
            assert word in command.commands, f"python -m limiter {line}"
            command = command.commands[word]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_modules_that_docs_and_code_name_are_there() -> None:
    ours = {
        f"/{path.relative_to(ROOT)}"
        for folder in ("limiter", "pages", "tests", "benchmarks", "faults", "examples")
        for path in (ROOT / folder).rglob("*.py")
    } | {"/console.py"}
    for path in [*DOCS, *sources(ROOT)]:
        text = path.read_text(encoding="utf-8")
        for named in set(re.findall(r"(?<![\w/.-])(?:[\w-]+/)*\w+\.py\b", text)) - OTHERS:
            assert any(one.endswith(f"/{named}") for one in ours), f"{path.name} names {named}"
        for program in set(re.findall(r"python3? -m (\w+(?:\.\w+)*)", text)) - {"compileall", "pip", "venv"}:
            place = "/" + program.replace(".", "/")
            assert {f"{place}.py", f"{place}/__main__.py"} & ours, f"{path.name} runs {program}"
