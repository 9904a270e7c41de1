"""Installed by pip from a built wheel, in empty environments, without the checkout: a bot's half, and all of it."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.version import Version

import limiter
from limiter.cli import main
from tests.conftest import ROOT, Limiter, served, wait_until
from tests.journeys.console_process import free_port

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAME = PROJECT["name"]
OURS = ("LIMITER_", "PYTHONPATH", "VIRTUAL_ENV")


def bare_environment(**more: object) -> dict[str, str]:
    """Nothing of ours, and no way to the checkout."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
    return kept | {name: str(text) for name, text in more.items()}


def pip(*arguments: str) -> None:
    """pip, which needs a package index: where there is none, only CI fails."""
    command = [*arguments[:1], "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments[1:]]
    done = subprocess.run(command, cwd=ROOT, env=bare_environment(), capture_output=True, text=True, check=False)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"pip could not: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(folder), ".")
    (made,) = folder.glob("*.whl")
    return made


def environment_with(folder: Path, *wanted: str) -> Path:
    """The folder of programs of a fresh virtual environment with that installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)  # its own takes 5 s to come
    pip(sys.executable, "--python", str(folder / "bin/python"), "install", "--no-compile", *wanted)
    return folder / "bin"


@pytest.fixture(scope="module")
def bot_programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a bot installs: no extra."""
    return environment_with(tmp_path_factory.mktemp("bot") / "venv", str(wheel))


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Limiter]:
    """A limiter of the checkout, with a folder and an agent of the bot's."""
    with served(
        Limiter(tmp_path, {"LIMITER_LANG": "en", "LIMITER_AGENT_SOCKET": tmp_path / "agent" / "socket"})
    ) as running:
        yield running


def test_one_version_is_everybodys(wheel: Path, bot_programs: Path) -> None:
    assert "version" in PROJECT["dynamic"]
    assert wheel.name.startswith(f"{NAME.replace('-', '_')}-{limiter.__version__}-")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+), \d{4}-\d\d-\d\d$", changelog, re.MULTILINE)[0] == limiter.__version__
    said = CliRunner().invoke(main, ["--version"]).stdout
    told = subprocess.run([bot_programs / "limiter", "--version"], capture_output=True, text=True, check=True).stdout
    assert told == said == f"limiter, version {limiter.__version__}\n"


def test_without_extras_there_is_httpx_and_what_it_needs_alone(bot_programs: Path) -> None:
    listed = [sys.executable, "-m", "pip", "--python", str(bot_programs / "python"), "list", "--format", "freeze"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True, env=bare_environment()).stdout
    names = {line.partition("==")[0].lower().replace("_", "-") for line in found.splitlines()}
    of_httpx = {"httpx", "httpcore", "h11", "anyio", "idna", "certifi", "sniffio", "typing-extensions"}
    assert {NAME, "httpx"} <= names <= {NAME} | of_httpx


@pytest.mark.parametrize("options", [[], ["--direct"]], ids=["agent", "direct"])
def test_a_bot_of_its_own_folder_and_environment_is_run_in_a_slot(
    one: Limiter, bot_programs: Path, tmp_path: Path, options: list[str]
) -> None:
    home = tmp_path / "bot"
    home.mkdir()
    (home / "bot.py").write_text(
        "import os, limiter, limiter.client\n"
        "with limiter.client.BotSession(user_id='u2', bot_id='b2') as bot:\n"
        "    bot.trade(symbol='BTC/EUR', side='buy', quantity='0.5', price='60000')\n"
        "    print(limiter.__version__, 'LIMITER_SESSION_ID' in os.environ, 'PYTHONPATH' in os.environ)\n"
    )
    socket = one.env["LIMITER_AGENT_SOCKET"]
    env = bare_environment(LIMITER_URL=one.url, LIMITER_AGENT_SOCKET=socket, LIMITER_LANG="en")
    program = str(bot_programs / "limiter")
    try:
        assert subprocess.run([program, "run", "--help"], env=env, capture_output=True, check=True).stdout
        command = [program, "run", "--user", "u1", *options, "--", str(bot_programs / "python"), "bot.py"]
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{limiter.__version__} True False\n", "")
        wait_until(lambda: {row["user_id"] for row in one.listed(status="ended")} == {"u1", "u2"}, 10, "slots back")
    finally:
        subprocess.run([program, "agent", "--stop", "--force"], env=env, capture_output=True, check=False)


LOWEST_HTTPX = """
import asyncio, httpx, limiter.client

async def twin():
    async with limiter.client.AsyncBotSession(user_id="u2") as bot:
        await bot.signal()

with limiter.client.BotSession(user_id="u1") as bot:
    bot.trade(symbol="BTC/EUR", side="buy", quantity="0.5", price="60000")
    asyncio.run(twin())
    try:
        limiter.client.BotSession(user_id="u1").start()
    except limiter.client.Refused as refused:
        print(httpx.__version__, refused.reason)
"""


def test_a_bot_may_have_the_oldest_httpx_that_is_taken(one: Limiter, wheel: Path, tmp_path: Path) -> None:
    """What a bot's other packages hold httpx down to; tests/client passed with it too when the bound was set."""
    (httpx_range,) = map(Requirement, PROJECT["dependencies"])
    (oldest,) = [one.version for one in httpx_range.specifier if one.operator == ">="]
    programs = environment_with(tmp_path / "venv", str(wheel), f"httpx=={oldest}")
    env = bare_environment(LIMITER_URL=one.url)
    command = [str(programs / "python"), "-W", "error", "-c", LOWEST_HTTPX]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == (f"{Version(oldest)}.0 user_limit\n", "")


@pytest.mark.parametrize(("language", "sentence"), [("en", "click is missing: "), ("fr", "Il manque click : ")])
def test_a_command_that_needs_more_says_which_extra(bot_programs: Path, language: str, sentence: str) -> None:
    command = [str(bot_programs / "limiter"), "capacity"]
    env = bare_environment(LIMITER_LANG=language)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence) and "[server]" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_all_extras_limiter_console_and_commands_answer(wheel: Path, tmp_path: Path) -> None:
    programs = environment_with(tmp_path / "venv", f"{wheel}[all]")
    home = tmp_path / "home"
    home.mkdir()
    ports = free_port(), free_port()
    origin = f"http://127.0.0.1:{ports[1]}"
    env = bare_environment(
        LIMITER_URL=f"http://127.0.0.1:{ports[0]}", LIMITER_CONSOLE_PORT=ports[1], LIMITER_LANG="en", HOME=home
    )
    with (tmp_path / "log").open("wb") as log:
        console = subprocess.Popen([programs / "limiter", "console"], cwd=home, env=env, stdout=log, stderr=log)
    said = (tmp_path / "log").read_text
    try:
        wait_until(lambda: "link=" in said(), 90, "the console says its link")
        (link,) = re.findall(r"http\S+link=\S+", said())
        with httpx.Client(follow_redirects=True, timeout=30) as browser:
            address, _, token = link.partition("?link=")
            signed_in = browser.post(address, data={"link": token, "next": "/admin/"}, headers={"Origin": origin})
            assert signed_in.status_code == 200, signed_in.text
            assert browser.get(f"{origin}/admin/_stcore/health").text == "ok", "its own settings are read"
        command = [str(programs / "limiter"), "capacity"]
        shown = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False)
        assert (shown.returncode, shown.stdout.splitlines()[0]) == (0, "Active Bots: 0 / 200 slots (0.0%)")
        assert (home / "data/limiter.db").exists(), "in the working folder, not among the packages"
    finally:
        console.terminate()
        console.wait(30)
    shutil.rmtree(programs.parent)


def test_what_is_tested_is_what_an_installation_takes() -> None:
    """Every pin lies in its range, and no package of the limiter is missing among the extras."""
    ranges = [Requirement(text) for group in all_groups() for text in group]
    for wanted in ranges:
        if wanted.name != NAME:
            assert wanted.specifier.contains(version(wanted.name)), f"{wanted}: tested with {version(wanted.name)}"
    text = (ROOT / "requirements.in").read_text(encoding="utf-8")
    listed = {Requirement(line).name for line in text.splitlines() if line and not line.startswith("#")}
    assert {wanted.name for wanted in ranges} - {NAME} == listed - {"pytest"}


def all_groups() -> list[list[str]]:
    groups: list[list[str]] = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return groups
