"""Every sentence of `run` and the agent in both languages, in that of whoever asks: the agent may have another."""

import ast

import pytest

from tests.agent.conftest import Bots
from tests.conftest import ROOT, new_user, wait_until

FOLDER = ROOT / "limiter" / "agent"
OF_THE_AGENT = ("roster.py", "adopting.py", "asking.py", "service.py", "limiter_api.py", "line.py")
"""Files whose sentences are made in the agent, for somebody who asks it."""


def sentences(name: str) -> list[ast.Call]:
    """The calls of `text` in a file."""
    calls = [node for node in ast.walk(ast.parse((FOLDER / name).read_text())) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "text"]


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.py")))
def test_each_sentence_is_there_in_both_languages(name: str) -> None:
    for call in sentences(name):
        given = {one.arg: ast.unparse(one.value) for one in call.keywords}
        assert {"fr", "en"} <= given.keys(), ast.unparse(call)
        assert given["fr"] != given["en"], ast.unparse(call)


@pytest.mark.parametrize("name", OF_THE_AGENT)
def test_the_agent_speaks_the_language_of_who_asks(name: str) -> None:
    assert all(any(one.arg == "language" for one in call.keywords) for call in sentences(name))
    assert sentences("roster.py")


def said(bots: Bots, status: int, *command: str, language: str, **env: str) -> str:
    done = bots.run(*command, LIMITER_LANG=language, **env)
    assert (done.returncode, done.stdout) == (status, "")
    return str(done.stderr)


def test_what_run_is_told_by_an_agent_of_another_language(bots: Bots) -> None:
    """The agent of these tests is English."""
    nowhere = {"LIMITER_URL": "http://x:99999"}
    wrong_key = {"LIMITER_KEY": "lim_none_wrong"}
    assert said(bots, 127, "no-such", language="fr") == "limiter: no-such : commande introuvable\n"
    assert said(bots, 126, "/etc/passwd", language="fr") == "limiter: /etc/passwd : ne peut pas être exécuté\n"
    assert "n'est pas une adresse" in said(bots, 78, "true", language="fr", **nowhere)
    english, french = (said(bots, 77, "true", language=one, **wrong_key) for one in ("en", "fr"))
    assert "It is the key in LIMITER_KEY" in english
    assert french.startswith("limiter: Clé absente ou inconnue. C'est la clé de LIMITER_KEY, dans l'environnement de ")


def test_a_refusal_of_the_limiter_is_in_the_language_of_run(bots: Bots) -> None:
    user = new_user()
    held = bots.limiter.session(user)
    for language, told in (
        ("en", "Limit reached: 1/1 active bot for this user."),
        ("fr", "Limite atteinte : 1/1 bot actif pour cet utilisateur."),
        ("", "Limit reached: 1/1 active bot for this user."),  # nothing is asked for: that of the limiter
    ):
        done = bots.run("true", user=user, LIMITER_LANG=language)
        assert (done.returncode, done.stderr) == (75, f"limiter: {told}\n")
    bots.limiter.end(held)


def test_the_status_is_in_the_language_of_who_looks(ways: dict[str, Bots]) -> None:
    bots = ways["tree"]
    wait_until(lambda: bots.status()["bots"] == [], 5)
    before = bots.env["LIMITER_LANG"]
    try:
        for language, told in (("en", "No bots."), ("fr", "Aucun bot.")):
            bots.env["LIMITER_LANG"] = language
            assert bots.ask_agent("--status").stdout.endswith(f"{told}\n")
    finally:
        bots.env["LIMITER_LANG"] = before
