"""A database's URL that was mistyped: each way ends in a sentence that says what is right, and touches nothing."""

import os
import re
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from limiter.bilingual import Unreadable
from limiter.cli import main
from limiter.config import DATABASE_URL
from limiter.database_url import ELSEWHERE, FILE, SERVER, SERVERS, file_of
from limiter.store.postgres import driver_url
from tests.conftest import ROOT, Limiter

MISTYPED = {
    "data/limiter.db": "must be sqlite:///",
    "sqlite:data/limiter.db": "must be sqlite:///",
    "sqllite:///data/limiter.db": "must be sqlite:///",
    "mysql://root:secret@db/limiter": "must be sqlite:///",
    "postgres://limiter@db/limiter": "or postgresql\\+psycopg://",
    "sqlite://data/limiter.db": "three slashes",
    "sqlite://": "must name a file",
    "sqlite:///": "must name a file",
    "sqlite:////": "must name a file",
    "sqlite:///.": "must name a file",
    "sqlite:///data/..": "must name a file",
    "sqlite:///:memory:": "must name a file",
    "sqlite:///a%00b": "must name a file",
    "sqlite:///~/limiter.db": "no shell",
    "sqlite:////home/$USER/limiter.db": "no shell",
    "sqlite:///file:limiter.db?uri=true": "no shell",
    "postgresql://limiter@db1:5432,db2:5433/limiter": "several hosts .*host=db1,db2&port=5432,5433",
    "postgresql+psycopg://limiter:secret@db1:5432,db2/limiter?target_session_attrs=read-write": "several hosts",
    "postgresql://limiter@db:port/limiter": "no port",
    "postgresql://limiter@db:/limiter": "no port",
    "postgresql://limiter@db:99999/limiter": "no port",
    "postgresql://limiter:se:cr/et@db:54.32/limiter": "no port",
}


@pytest.mark.parametrize("url", MISTYPED)
def test_a_sentence_says_what_is_right(url: str) -> None:
    with pytest.raises(Unreadable, match=MISTYPED[url]) as error:
        file_of(url)
    assert "secret" not in error.value.en + error.value.fr


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (DATABASE_URL, "data/limiter.db"),
        (FILE, "data/limiter.db"),
        (ELSEWHERE, "/var/lib/limiter/limiter.db"),
        ("sqlite:///a%20b/c$.db?x=1", "a b/c$.db"),
        (SERVER, None),
        (SERVERS, None),
        ("postgresql://u@h1,h2/name?target_session_attrs=read-write", None),
        ("postgresql://u:p:/w@h:5432/name", None),
        ("postgresql://u:p:/w@h/name", None),
        ("postgresql+psycopg://u:secret@/name?host=/var/run/postgresql", None),
        ("postgresql://[::1]:5432/name", None),
        ("postgresql:///name", None),
    ],
)
def test_what_is_right_is_taken(url: str, path: str | None) -> None:
    found = file_of(url)
    assert found == (None if path is None else Path(path))
    if found is None:
        driver_url(url)


def test_what_the_docs_show_is_taken() -> None:
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    shown = set(re.findall(r"postgresql\+psycopg://[^\s`\"'<>]+", pages))
    assert {url for url in shown if "@" in url}
    for url in shown:
        assert file_of(url) is None, url


@given(st.text("a1:/@?,%.[]", max_size=30))
def test_what_sqlalchemy_finds_a_port_or_none_in_is_taken(rest: str) -> None:
    try:
        port = make_url(f"postgresql://{rest}").port
    except (ArgumentError, ValueError):
        return
    if (port is None or port <= 65535) and not re.search(r":(/|\?|$)", rest):  # but a colon without one
        assert file_of(f"postgresql://{rest}") is None


@given(st.text("aé1:/@?,%~.[]$ ", max_size=30), st.sampled_from(["sqlite://", "sqlite:///", "postgresql://", "x://"]))
def test_what_is_taken_sqlalchemy_reads_alike(rest: str, kind: str) -> None:
    try:
        path = file_of(kind + rest)
    except Unreadable:
        return
    read = make_url(kind + rest)
    assert path == (Path(read.database or "") if read.get_backend_name() == "sqlite" else None)


def asked(url: str, *arguments: str) -> Result:
    """A command with that database, in this process; what it says is in English."""
    scrubbed: dict[str, str | None] = {name: None for name in os.environ if name.startswith(("LIMITER_", "MAX_"))}
    env = {"LIMITER_DATABASE_URL": url, "LIMITER_LANG": "en", "LIMITER_ENV_FILE": "/dev/null"}
    return CliRunner().invoke(main, arguments, prog_name="limiter", env=scrubbed | env)


COMMANDS = [("keys", "list"), ("check",), ("migrate",), ("backup", "copy.db"), ("keys", "create", "--scope", "bots")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("url", MISTYPED)
def test_a_command_ends_with_status_2_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    done = asked(url, *command)
    assert (done.exit_code, type(done.exception)) == (2, SystemExit)
    assert "LIMITER_DATABASE_URL: " in done.output and "secret" not in done.output
    assert list(tmp_path.iterdir()) == []


PLACES = {
    "folder": "is a folder: name a file in it",
    "file/limiter.db": "limiter.db is out of reach .*file is no folder",
    "loop/limiter.db": "out of reach .*(Symlink loop|symbolic links)",
    "loop": "out of reach .*(Symlink loop|symbolic links)",
    "x" * 300: "out of reach .*name too long",
    "other.db": "of another program",
    "text.db": "not a SQLite database",
    "empty.db": "is empty: restore",
}


@pytest.mark.parametrize("command", [("migrate",), ("keys", "create", "--scope", "bots")], ids=" ".join)
@pytest.mark.parametrize("place", PLACES)
def test_a_place_where_no_database_can_be_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "text.db").write_text("no database, but a text that is longer than the header of one " * 9)
    (tmp_path / "empty.db").touch()
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.close()
    done = asked(f"sqlite:///{place}", *command)
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)
    assert re.search(PLACES[place], done.output), done.output


@pytest.mark.parametrize(
    ("url", "status", "sentence"),
    [
        ("sqlite://data/limiter.db", 2, "LIMITER_DATABASE_URL : veut trois barres"),
        ("sqlite:////proc/none/limiter.db", 1, "hors d'atteinte"),
        ("sqlite:////proc/version/limiter.db", 1, "hors d'atteinte"),
    ],
)
def test_a_start_ends_with_it(tmp_path: Path, url: str, status: int, sentence: str) -> None:
    one = Limiter(tmp_path, {"LIMITER_DATABASE_URL": url})
    assert one.exit_status() == status
    assert sentence in one.log and "Traceback" not in one.log
