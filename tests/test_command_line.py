"""One language a screen: every command and option helps and fails in the language of who reads, and nothing else."""

import ast
import inspect
import json
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner, Result

from limiter import config
from limiter.cli import main
from limiter.commands import declaring
from limiter.config import SETTINGS
from limiter.system_limits import CATALOGUE
from tests.conftest import ROOT, Limiter, granted, refused, served, wait_until

# Words that any sentence of the language has some of, and no sentence of the other.
ENGLISH = re.compile(
    r"\b(the|is|are|not|must|such|missing|with|where|which|what|and|of|for|has|have|does|cannot|begins|else|its|that|"
    r"already|first|exist|exists|write|read|found|failed|invalid)\b",
    re.IGNORECASE,
)
FRENCH = re.compile(
    r"\b(le|la|les|un|une|des|du|est|sont|pas|doit|avec|où|qui|que|et|pour|ne|il|dans|sur|déjà|aucune?)\b|[éèàçêô]",
    re.IGNORECASE,
)
CODE = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|--?[a-z][\w-]*|\S*[/=_@:]\w\S*|\[[a-z|:]+\]|\([a-z ]+ [a-z]+\)(?=\.?$)")


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command by its words, those that only hold others too."""
    yield path, command
    if isinstance(command, click.Group):
        for name, one in sorted(command.commands.items()):
            yield from leaves(one, (*path, name))


COMMANDS = dict(leaves(main))
AS_THEY_ARE = {("run",), ("agent",)}  # read their command line themselves: tests/agent
GO_ON = {("serve",), ("console",), ("demo",)}  # until they are ended, or in a bar and some lines: nothing to read


def run(language: str, *arguments: str, **more: str | None) -> Result:
    environment = {"LIMITER_LANG": language, "COLUMNS": "200", **more}
    return CliRunner().invoke(main, arguments, prog_name="limiter", env=environment)


def foreign(text: str, language: str) -> set[str]:
    """Words of the other language, outside of what is a name or a spelling."""
    words = {"fr": ENGLISH, "en": FRENCH}[language]
    return {found[0] for found in words.finditer(CODE.sub(" ", text))}


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "limiter")
def test_every_command_and_option_helps_in_both_languages(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert isinstance(command, declaring.Command), "declared by limiter.commands.declaring"
    assert command.help
    for one in command.params:
        if isinstance(one, click.Option):
            assert isinstance(one, declaring.Option) and one.help, one.opts
        else:
            assert isinstance(one, declaring.Argument), one
    screens = {language: run(language, *path, "--help") for language in ("fr", "en")}
    for language, screen in screens.items():
        assert (screen.exit_code, screen.stderr) == (0, "")
        assert not foreign(screen.stdout, language), screen.stdout
    assert screens["fr"].stdout.startswith("Usage : ") and screens["en"].stdout.startswith("Usage: ")


def test_every_text_of_a_command_has_its_french() -> None:
    texts = set[str]()
    for path, command in COMMANDS.items():
        texts |= {command._help} if isinstance(command, declaring.Command) and command._help else set()
        context = click.Context(command, info_name=" ".join(path))
        for one in command.params:
            if isinstance(one, declaring.Option) and one._help:
                texts.add(one._help)
            if path not in AS_THEY_ARE:
                kind = click.Option if isinstance(one, click.Option) else click.Argument
                shown = kind.make_metavar(one, context)  # type: ignore[arg-type]
                texts |= (
                    set() if re.fullmatch(r"\[?[a-z|:]+\]?|ID|S|URL|VERSION|REQUEST_ID|PUBLIC_ID…", shown) else {shown}
                )
    assert len(texts) > 100
    assert texts - declaring.catalog().keys() - {"BOOLEAN"} == set()
    assert all(french for texts in declaring.catalog().values() for french in texts)


# For who writes a command, of kinds of parameters that we have none of, and names that our sentences leave out.
NOT_SAID = {
    "Value must be an iterable.", "Could not determine name for option with declarations {decls!r}",
    "No options defined but a name was passed ({name}). Did you mean to declare an argument instead? Did you mean to "
    "pass '--{name}'?",
    "Arguments take exactly one parameter declaration, got {length}: {decls}.", "Name '{name}' defined twice",
    "Boolean option {decl!r} cannot use the same flag for true/false.", "Choice({choices})",
    "file", "directory", "path", "Invalid start character for option ({option})",
}  # fmt: skip


def test_all_that_click_says_has_its_french() -> None:
    said = {"required"}
    for module in declaring.SPEAKING:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "ngettext"):
                said |= {str(node.args[0].value)} if isinstance(node.args[0], ast.Constant) else set()
    assert len(said) > 40
    assert said - NOT_SAID - declaring.catalog().keys() == set()
    for english, french in declaring.catalog().items():
        for one in french:
            assert set(re.findall(r"{\w+", one)) <= set(re.findall(r"{\w+", english)) | {"{nargs", "{len", "{args",
                "{choices", "{formats", "{possibilities"}, one  # fmt: skip


WRONG = [
    ("--no-such-option",),
    ("no-such-command",),
    ("limits", "sat"),
    ("limits", "set"),
    ("limits", "set", "MAX_CONCURRENT_BOTS", "--reason", "x"),
    ("limits", "set", "MAX_CONCURRENT_BOTS=1"),
    ("limits", "rollback", "one", "--reason", "x"),
    ("limits", "rollback", "1", "2", "--reason", "x"),
    ("limits", "rollback", "1", "--reason", "x", "--confirm-within", "5"),
    ("sessions", "list", "--status", "tired"),
    ("sessions", "list", "--limit"),
    ("sessions", "list", "--json=1"),
    ("sessions", "lsit"),
    ("plan", "set", "2099-01-01=many", "--reason", "x"),
    ("windows", "set", "mon@18:00=200", "--reason", "x"),
    ("users", "limits", "u1", "--reason", "x"),
    ("users", "limits", "u1", "MAX_BOTS_PER_USER=1"),
    ("users", "limits", "u1", "MAX_BOTS_PER_USER=1", "--clear"),
    ("drain",),
    ("drain", "--cancel", "--status"),
    ("drill", "eleven"),
    ("keys", "create"),
    ("keys", "create", "--scope", "all"),
    ("sizing", "--refused", "2"),
    ("simulate", "--bots", "many"),
    ("backup", "/"),
    ("restore", "/none.db"),
    ("capacity", "--url", "127.0.0.1:5001"),
    ("capacity", "--url", "http://127.0.0.1:1"),
    ("check",),
    ("copy", "postgresql+psycopg://nobody@127.0.0.1:1/none"),
    ("copy", "sqlite:///other.db"),
    ("demo", "--database-url", "postgresql+psycopg://u@h/n"),
    ("demo", "--database-url", "nothing"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_what_is_wrong_is_said_in_one_language(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    english, french = (run(language, *arguments, LIMITER_DATABASE_URL=None) for language in ("en", "fr"))
    assert english.exit_code == french.exit_code in (1, 2)
    assert "Error: " in english.stderr and "Erreur : " in french.stderr
    assert not foreign(french.stderr, "fr"), french.stderr
    assert not foreign(english.stderr, "en"), english.stderr


BAD = ["many", "-1", "0.5.5", "ftp://x y", "(", "99999999999999999999", "none/none", "*"]


@pytest.mark.parametrize("name", [*(one.name for one in SETTINGS), *(one.name for one in CATALOGUE)])
def test_a_setting_that_cannot_be_read_is_said_in_both(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for bad in BAD:
        try:
            config.read({name: bad})
        except config.ConfigError as error:
            assert error.fr != error.en and error.fr.startswith(name) and error.en.startswith(name)
            for language in ("fr", "en"):
                assert not foreign(error.told(language), language), error.told(language)
                assert "literal" not in error.told(language), "a sentence of Python's"


def two_texts() -> Iterator[tuple[str, str, str]]:
    """Where a call gives a sentence in French and in English: its place and what is literal of both."""
    for path in sorted((ROOT / "limiter").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                given = {one.arg: literal(one.value) for one in node.keywords if one.arg in ("fr", "en")}
                if len(given) == 2:
                    yield f"{path.name}:{node.lineno}", given["fr"], given["en"]


def literal(node: ast.expr) -> str:
    """What of an expression stands there as text; the rest is a `0`."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part) if isinstance(part, ast.Constant) else "0" for part in node.values)
    return literal(node.left) + literal(node.right) if isinstance(node, ast.BinOp) else "0"


def test_what_is_said_in_both_languages_is() -> None:
    found = list(two_texts())
    assert len(found) > 250
    mixed = {place: foreign(fr, "fr") | foreign(en, "en") for place, fr, en in found}
    assert {place: words for place, words in mixed.items() if words} == {}


def test_no_command_fails_in_english_alone() -> None:
    """A usage error is given a sentence that was chosen, never one that stands there."""
    folders = ("cli", "commands", "demo", "drills")
    alone = [
        f"{path.name}:{node.lineno}"
        for folder in folders
        for path in (ROOT / "limiter" / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and re.search(r"(UsageError|BadParameter|ClickException|Failed)$", ast.unparse(node.func))
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert alone == []


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limiter]:
    """A limiter of 4 bots that are all there, so that an alert is open; it is asked with its own key."""
    with served(Limiter(tmp_path_factory.mktemp("limiter"), {"MAX_CONCURRENT_BOTS": 4})) as shared:
        shared.set_env({"LIMITER_KEY": shared.admin_key})
        shared.fill(4)
        wait_until(lambda: shared.admin("GET", "/api/admin/alerts").json()["items"], 20, "an alert")
        yield shared


def on_probation(one: Limiter) -> str:
    body = {"changes": {"MAX_TRADES_PER_DAY": random.randint(1, 400)}, "reason": "x", "confirm_within": 600}
    return f"{granted(one.admin('PATCH', '/api/admin/limits', body))['version']} --reason x"


def asked(one: Limiter, *arguments: str) -> Result:
    """A command with that limiter's settings alone, in this process."""
    scrubbed: dict[str, str | None] = {key: None for key in os.environ if key not in one.env}
    return CliRunner().invoke(main, arguments, prog_name="limiter", env=scrubbed | one.env)


def elsewhere(one: Limiter) -> str:
    """A backup to put in the place of a database that nobody uses."""
    there = one.folder / uuid4().hex
    there.mkdir()
    assert asked(one, "backup", str(there / "copy")).exit_code == 0
    one.set_env({"LIMITER_DATABASE_URL": f"sqlite:///{there}/other.db"})
    return str(there / "copy")


ARGUMENTS: dict[str, str | Callable[[Limiter], str]] = {
    "advice": "", "audit": "", "box": "", "capacity": "", "forecast": "", "lease": "", "sizing": "", "state": "",
    "stats": "", "who": "", "usage": "u1", "doctor": "", "check": "", "migrate": "",
    "explain": lambda one: refused(one.start(), 503, "server_full")["request_id"],
    "alerts ack": lambda one: f"{one.admin('GET', '/api/admin/alerts').json()['items'][0]['id']} --reason x",
    "alerts list": "", "alerts test": "", "notes add": "x", "notes list": "",
    "limits get": "", "limits explain": "", "limits history": "", "limits set": "MAX_TRADES_PER_DAY=400 --reason x",
    "limits preview": "MAX_CONCURRENT_BOTS=2 MAX_BOTS_PER_USER=0",
    "limits confirm": on_probation, "limits rollback": "1 --reason x --override-guard",
    "plan show": "", "plan set": "2099-01-01T08:00:00Z=50 --reason x", "plan clear": "--reason x",
    "windows show": "", "windows set": "daily@04:00-04:30=90 --reason x", "windows clear": "--reason x",
    "sessions list": "", "sessions stop": lambda one: f"{one.listed()[0]['public_id']} --in 600 --reason x",
    "sessions reap": "--reason x", "users limits": "u1 MAX_BOTS_PER_USER=2 --reason x", "users stop": "u1 --reason x",
    "pause": "--reason x", "resume": "--reason x", "drain": "--status",
    "keys create": "--scope bots --name x", "keys list": "",
    "keys revoke": lambda one: granted(one.admin("POST", "/api/admin/keys", {"scope": "bots"}), 201)["id"],
    "backup": lambda one: str(one.folder / uuid4().hex), "restore": elsewhere,
    "simulate": "--bots 1 --seconds 1",
}  # fmt: skip


def test_what_was_done_is_said_in_words(one: Limiter) -> None:
    for path in ("pause", "resume"):
        granted(one.admin("POST", f"/api/admin/{path}", {"reason": "x"}))
    shown = asked(one, "audit").stdout
    assert re.search(r"pause +démarrages +x$", shown, re.MULTILINE) and "starts" not in shown


WITHOUT = {"drill", "copy"}  # tests/drills; tests/store/test_copy_to_postgres.py


def test_every_command_is_run_below() -> None:
    every = {" ".join(path) for path, one in COMMANDS.items() if not isinstance(one, click.Group)}
    assert every == ARGUMENTS.keys() | WITHOUT | {" ".join(path) for path in AS_THEY_ARE | GO_ON}
    for path, command in COMMANDS.items():
        if not isinstance(command, click.Group) and path not in AS_THEY_ARE | GO_ON:
            assert "--json" in [name for one in command.params for name in one.opts], path


@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_command_answers_in_french_alone_and_as_json(
    one: Limiter, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(one.folder)
    before = dict(one.env)
    try:
        for more in ((), ("--json",)):
            chosen = ARGUMENTS[name]
            arguments = (*name.split(), *(chosen if isinstance(chosen, str) else chosen(one)).split(), *more)
            done = asked(one, *arguments)
            assert done.exit_code == 0 or name == "doctor", done.output
            if more:
                answer = json.loads(done.stdout)
                assert name == "keys list" or answer["success"] is True
            else:
                assert done.stdout.strip() and not foreign(done.stdout, "fr"), done.stdout
    finally:
        one.set_env(before)
