"""`limiter doctor` on real installations: a sound one, and one for each thing that is wrong with it."""

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Limiter
from tests.webhook import Webhook

Start = Callable[..., Limiter]
pytestmark = pytest.mark.once


def found(one: Limiter, **env: Any) -> tuple[int, dict[str, str]]:
    """The exit status, and what is wrong: part → sentence."""
    one.set_env({"LIMITER_LANG": "en", "LIMITER_AGENT_SOCKET": str(one.folder / "agent" / "agent.sock")} | env)
    ran = one.run("doctor", "--json")
    assert ran.stderr == ""
    return ran.returncode, {row["part"]: row["message"] for row in json.loads(ran.stdout)["findings"] if not row["ok"]}


def test_a_sound_installation_is_told_as_such_in_both_languages(limiter: Start) -> None:
    one = limiter(LIMITER_BACKUP_DIR="none")
    assert found(one) == (0, {})
    assert "The settings can be read." in one.run("doctor").stdout
    one.set_env({"LIMITER_LANG": "fr"})
    french = one.run("doctor").stdout
    assert "✓ réglages : Les réglages se lisent.\n" in french and "✓ clés : 1 clé valable\n" in french


def test_a_limiter_that_does_not_run_is_missed(limiter: Start) -> None:
    one = limiter()
    assert one.stop() == 0
    status, wrong = found(one)
    assert (status, list(wrong)) == (1, ["limiter"])
    assert wrong["limiter"].startswith(f"No limiter answers at {one.url}")


@pytest.mark.parametrize(
    ("env", "part", "sentence"),
    [
        ({"LIMITER_PORT": "many"}, "settings", "LIMITER_PORT"),
        ({"LIMITER_PROT": "5001"}, "settings", "LIMITER_PORT meant"),
        ({"LIMITER_DATABASE_URL": "sqlite://data/limiter.db"}, "settings", "LIMITER_DATABASE_URL: takes three slashes"),
        ({"LIMITER_DATABASE_URL": "sqlite:////proc/version/limiter.db"}, "database", "look at /proc/version"),
        ({"LIMITER_ALERT_URLS": "nonsense"}, "channels", "LIMITER_ALERT_URLS"),
        ({"LIMITER_HOST": "0.0.0.0"}, "keys", "--scope bots"),
        ({"LIMITER_KEY": "lim_x_wrong", "LIMITER_URL": "http://a.invalid", "HTTP_PROXY": "nonsense"}, "limiter", ""),
    ],
)
def test_a_wrong_setting_is_named(limiter: Start, env: dict[str, str], part: str, sentence: str) -> None:
    status, wrong = found(limiter(), **env)
    assert (status, list(wrong)) == (1, [part])
    assert sentence in wrong[part]


def test_files_that_others_can_read_are_named(limiter: Start) -> None:
    one = limiter()
    one.key_path.chmod(0o644)
    status, wrong = found(one)
    assert (status, list(wrong)) == (1, ["permissions"])
    assert str(one.key_path) in wrong["permissions"] and "chmod 600" in wrong["permissions"]


def test_a_damaged_database_is_told(limiter: Start) -> None:
    one = limiter()
    assert one.stop() == 0
    size = os.path.getsize(one.db_path)
    with one.db_path.open("r+b") as file:
        file.write(b"\0" * min(size, 4096))
    status, wrong = found(one)
    assert status == 1 and re.search("not a database|damaged|malformed", wrong["database"])
    assert "limiter check" in one.run("keys", "list").stderr.strip().splitlines()[-1]


def test_what_keeps_the_next_start_from_its_database_is_told(limiter: Start) -> None:
    one = limiter()
    assert one.stop() == 0
    mark = one.db_path.with_name("limiter.db.spoiled")
    mark.touch()
    assert "written over in place" in found(one)[1]["database"]
    mark.unlink()
    one.db_path.unlink()
    assert "serve --new" in found(one)[1]["database"]
    one.db_path.touch()
    assert "is empty" in found(one)[1]["database"]
    elsewhere = one.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "limiter-20260101T000000Z.db").touch()
    gone = {"LIMITER_DATABASE_URL": f"sqlite:///{one.folder}/gone/limiter.db", "LIMITER_BACKUP_DIR": str(elsewhere)}
    assert "serve --new" in found(one, **gone)[1]["database"]


def test_another_program_at_the_address_is_told(limiter: Start) -> None:
    one = limiter()
    with Webhook() as other:
        address = other.address("/").replace("json://", "http://").rstrip("/")
        status, wrong = found(one, LIMITER_URL=address)
    assert (status, list(wrong)) == (1, ["limiter"])
