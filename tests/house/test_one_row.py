"""One more thing is one row: a script adds a limit of each scope, a refusal, an endpoint, a page, a setting, a command
and an alert to a copy of the checkout as docs/contributing.md says; every page, every endpoint, the command line and
the docs check are driven there.

The copy's own tests do the driving. `added.py` beside this file, which is run in the copy, asks for what was added.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

LIMITS = """
    Limit(
        "MAX_NAPS", 3, "naps", "system", 0, 50,
        "Naps of all bots together.", "Siestes de tous les bots ensemble.", unit_fr="siestes",
    ),
    Limit(
        "MAX_NAME_LETTERS", None, "letters", "user", 0.5, 64,
        "Letters of a user's name.", "Lettres du nom d'un utilisateur.", whole=False, optional=True, unit_fr="lettres",
    ),
    Limit(
        "NAP_SECONDS", 2, "s", "session", 1, 9, "Seconds of a nap.", "Secondes d'une sieste.", suffix="s",
    ),
)  # fmt: skip

LIMITS: """
REFUSAL = """
    Reason(
        "long_name", 429, "Name too long",
        "Nom trop long : {used}/{limit} lettres.",
        "Name too long: {used}/{limit} letters.",
        ("limit", "used"),
        recorded=Recorded(Words("nom trop long", "name too long"), "#123456", ("start",)),
    ),
)  # fmt: skip

REASONS: """
RULE = """
        letters = state.limits.of(self.user_id, now)["MAX_NAME_LETTERS"]
        if letters is not None and len(self.user_id) > letters:
            said = {"limit": letters, "used": len(self.user_id)}
            refusal = Refusal("long_name", said, 60)
            return self._record(state, now, facts, refusal, "MAX_NAME_LETTERS", letters, len(self.user_id))
        if facts.user_max == 0 or"""
ANSWER = '''"""Naps."""

from limiter.answers.parts import Ok


class NapsAnswer(Ok):
    naps: int
'''
ENDPOINT = """    Route("GET", "/api/admin/naps", "admin:read", naps.naps, {200: NapsAnswer}),
)  # fmt: skip
"""
HANDLER = '''"""Naps."""

from limiter.answers.naps import NapsAnswer
from limiter.http.call import Call
from limiter.http.wire import Answer, ok


async def naps(call: Call) -> Answer:
    """How many naps there may be."""
    return ok(NapsAnswer(call.services.committer.state.limits.whole("MAX_NAPS")))
'''
PAGE = '''"""Naps of the bots."""

import streamlit as st

from limiter.console import frame
from limiter.console.kit.words import t

frame.begin()
st.title(t("Naps"), anchor=False)
'''
ROW = """st.Page("settings.py", title=t("Settings"), icon=":material/settings:", url_path="settings"),
        st.Page("naps.py", title=t("Naps"), icon=":material/bed:", url_path="naps")"""
FRENCH = '\n\n#: pages/naps.py\nmsgid "Naps"\nmsgstr "Siestes"\n'
ANSWER_IMPORT = "from limiter.answers.naps import NapsAnswer\n"
METHOD = '''    def naps(self) -> NapsAnswer:
        """How many naps there may be."""
        return self._get(NapsAnswer, "naps")

    def capacity(self)'''
COMMAND = '''"""Naps."""

from typing import TYPE_CHECKING

import click

from limiter.commands.over_http import over_http

if TYPE_CHECKING:
    from limiter.answers.naps import NapsAnswer
    from limiter.client import Admin


def show(answer: "NapsAnswer") -> str:
    return f"{answer.naps} naps"


@click.command()
@over_http(show)
def naps(admin: "Admin") -> "NapsAnswer":
    """How many naps there may be."""
    return admin.naps()
'''
SETTING = """    nap_room: str = field(metadata=setting("attic", str,
        "where bots nap", "où les bots font la sieste"))
    # fmt: on
"""
ALERT = """
RULES = (
    Alert("naps", "warning", "😴 {n} siestes", "😴 {n} naps"),"""
FINDING = """    return {
        "naps": (state.limits.whole("MAX_NAPS") > 40, {"n": state.limits.whole("MAX_NAPS")}),
        "feed": """


def put(path: Path, before: str, after: str) -> None:
    """One edit, where the text stands exactly once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name} has {before!r} {text.count(before)} times"
    path.write_text(text.replace(before, after), encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The checkout with one row more of each kind."""
    there = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".*_cache", ".git", ".venv", ".hypothesis", "__pycache__", "data", "test-results")
    shutil.copytree(ROOT, there, ignore=ignored)
    put(there / "limiter/system_limits.py", "\n)  # fmt: skip\n\nLIMITS: ", LIMITS)
    put(there / "limiter/rules/refusals.py", "\n)  # fmt: skip\n\nREASONS: ", REFUSAL)
    put(there / "limiter/rules/sessions.py", "\n        if facts.user_max == 0 or", RULE)
    wired = "\nimport msgspec\n\nfrom limiter.answers.naps import NapsAnswer\nfrom limiter.api import naps\n"
    put(there / "limiter/api/routes.py", "\nimport msgspec\n", wired)
    put(there / "limiter/api/routes.py", ")  # fmt: skip\n", ENDPOINT)
    (there / "limiter/api/naps.py").write_text(HANDLER)
    (there / "limiter/answers/naps.py").write_text(ANSWER)
    put(there / "limiter/client/admin.py", "    def capacity(self)", METHOD)
    put(there / "limiter/client/admin.py", "\nimport msgspec\n", "\nimport msgspec\n\n" + ANSWER_IMPORT)
    (there / "limiter/commands/naps.py").write_text(COMMAND)
    named = "\nfrom limiter.commands.naps import naps\n\nCOMMANDS = (naps, "
    put(there / "limiter/commands/__init__.py", "\n\nCOMMANDS = (", named)
    put(there / "limiter/config/settings.py", "    # fmt: on\n", SETTING)
    put(there / "limiter/rules/alerts.py", "\nRULES = (", ALERT)
    put(there / "limiter/rules/vitals.py", '    return {\n        "feed": ', FINDING)
    row = 'st.Page("settings.py", title=t("Settings"), icon=":material/settings:", url_path="settings")'
    put(there / "pages/router.py", row, ROW)
    (there / "pages/naps.py").write_text(PAGE)
    with (there / "limiter/console/locale/fr.po").open("a", encoding="utf-8") as catalog:
        catalog.write(FRENCH)
    shutil.copy(Path(__file__).with_name("added.py"), there / "tests/pages/test_added.py")
    return there


def run(there: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=there, capture_output=True, text=True, timeout=540, check=False
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"


@pytest.mark.timeout(600)  # a minute of work, on one core of a loaded machine several
def test_what_is_added_as_the_docs_say_is_everywhere(copy: Path) -> None:
    run(copy, "tests/house/derived_docs.py", "--write")
    assert "| `MAX_NAPS` | 3 | naps |" in (copy / "docs/reference.md").read_text(encoding="utf-8")
    sample = (copy / ".env.example").read_text(encoding="utf-8")
    assert "#NAP_SECONDS=2s" in sample and "# Where bots nap.\n#LIMITER_NAP_ROOM=attic" in sample
    run(
        copy, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-x",
        "tests/house/test_access.py", "tests/house/test_derived_docs.py", "tests/house/test_docs.py",
        "tests/house/test_imports.py", "tests/contract/test_openapi.py", "tests/console/kit/test_words.py",
        "tests/rules/test_refusals.py", "tests/rules/test_words.py", "tests/test_commands.py",
        "tests/config/test_config.py", "tests/pages/test_pages.py", "tests/pages/test_added.py",
        "-k", "not without_a_database",  # the page that is added reads none
    )  # fmt: skip
