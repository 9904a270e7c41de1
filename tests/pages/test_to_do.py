"""What Overview says there is to do: each thing with its figures and the way there, and the worst first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from limiter.client import Admin
from limiter.console import data
from limiter.console.parts.task import Task, Urgency
from tests.conftest import wait_until
from tests.pages.conftest import Open, World, serve
from tests.pages.test_pages import text_of

MARKER = "a-bot-of-nobody"


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A feed that lags, a launch step that it holds, a bot without a slot; starts are paused, and nobody is told."""
    folder = tmp_path_factory.mktemp("troubled")
    bot = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", MARKER])
    with pytest.MonkeyPatch.context() as env:
        env.setenv("LIMITER_BOT_PATTERN", MARKER)
        env.setenv("LIMITER_BACKUP_DIR", "none")
        env.setenv("LIMITER_ENV_FILE", os.devnull)
        worlds = serve(folder)
        world = next(worlds)
    try:
        with httpx.Client(base_url=world.url) as http, Admin(world.url, world.key, language="en") as admin:
            http.post("/api/bots/start", json={"user_id": "u1"}).raise_for_status()
            http.post("/api/feed/tokens", json={"count": 1}).raise_for_status()
            at = (datetime.now(UTC) + timedelta(seconds=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            admin.set_plan([{"at": at, "MAX_CONCURRENT_BOTS": 250}], "test")
            wait_until(lambda: admin.plan().steps[0].status == "held", 20, "the step is held")
            for most in (1, 200):  # full, and over
                admin.change_limits({"MAX_CONCURRENT_BOTS": most}, "test", override_guard=True)
            admin.pause("test")
            for _ in range(3):
                assert http.post("/api/bots/start", json={"user_id": "u9"}).status_code == 503
            wait_until(lambda: admin.box().strangers, 20, "the stranger is seen")
        yield world
    finally:
        bot.kill()
        bot.wait()
        worlds.close()  # type: ignore[attr-defined]


def listed(app: AppTest) -> list[str]:
    """What stands in the list, in its order."""
    return [one.value for one in app.markdown if one.value.startswith(":material/")]


def links(app: AppTest) -> str:
    return "\n".join(str(one.proto) for one in app.get("page_link"))


@pytest.mark.parametrize(
    ("locale", "wanted"),
    [
        (
            "en-US",
            [
                "Starts are **paused**",
                "Slow although not full: feed ",
                "**1 bot runs without a slot** and holds ",
                "Launch plan held: **250** bots since ",
                "**The last backup is 2 d old**",
                "**No alert channel**",
            ],
        ),
        (
            "fr-FR",
            [
                "Démarrages **en pause**",
                "Lent sans être plein",
                "**1 bot tourne sans place** et tient ",
                "Plan de lancement retenu : **250** bots depuis ",
                "**La dernière sauvegarde a 2 j**",
                "**Aucun canal d'alerte**",
            ],
        ),
    ],
)
def test_everything_that_there_is_to_do_the_worst_first(
    open_page: Open, troubled: World, locale: str, wanted: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = datetime.now(UTC) - timedelta(hours=48, minutes=3)
    (tmp_path / f"limiter-{old:%Y%m%dT%H%M%SZ}.db").touch()
    monkeypatch.setenv("LIMITER_BACKUP_DIR", str(tmp_path))
    app = open_page(troubled, "overview", locale=locale)
    assert not app.exception
    said = listed(app)
    places = [next((n for n, line in enumerate(said) if text in line), None) for text in wanted]
    assert None not in places, (said, places)
    assert places == sorted(places, key=lambda place: place or 0), said
    held = next(line for line in said if "**250**" in line)
    assert "tokens/min < 5" in held and ("until no guard holds" in held or "garde-fou" in held)
    assert len([line for line in said if "**250**" in line or "sans place" in line or "without a slot" in line]) == 2
    assert "(pid " in "\n".join(said)
    found = links(app)
    assert "tab" in found and "plan" in found and "box" in found


def test_that_no_backup_is_made_is_said_after_what_presses(open_page: Open, troubled: World) -> None:
    with pytest.MonkeyPatch.context() as env:
        env.setenv("LIMITER_BACKUP_DIR", "none")
        said = listed(open_page(troubled, "overview"))
    made = next(n for n, line in enumerate(said) if "**No backup is made**" in line)
    held = next(n for n, line in enumerate(said) if "Launch plan held" in line)
    assert made > held


def test_a_fresh_backup_asks_for_nothing(
    open_page: Open, troubled: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / f"limiter-{datetime.now(UTC) - timedelta(hours=25):%Y%m%dT%H%M%SZ}.db").touch()
    monkeypatch.setenv("LIMITER_BACKUP_DIR", str(tmp_path))
    assert "backup" not in text_of(open_page(troubled, "overview"))


def test_what_presses_is_told_apart_from_what_is_in_time() -> None:
    pressing = [urgency.name for urgency in Urgency if Task(urgency, "", "", "").pressing]
    assert pressing == [
        "FAILURE", "CLOSED", "DEGRADED", "OVERLOADED", "STRANGERS", "SILENT", "HELD", "ALERT", "OLD_BACKUP",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("locale", "refused", "opened", "over", "free"),
    [
        ("en-US", "u9 refused: starts were paused ×3", "alert: SERVER FULL!", "alert over: Was full", "199 free"),
        (
            "fr-FR",
            "u9 refusé : démarrages en pause ×3",
            "alerte : SERVEUR PLEIN !",
            "alerte : Plein de ",
            "199 libres",
        ),
    ],
)
def test_latest_joins_what_one_user_asked_again_and_again_and_has_alerts_with_their_end(
    open_page: Open, troubled: World, locale: str, refused: str, opened: str, over: str, free: str
) -> None:
    app = open_page(troubled, "overview", locale=locale)
    lines = [line for element in app.get("html") for line in element.proto.body.split("<li>")]
    assert len([line for line in lines if "u9" in line]) == 1
    for text in (refused, opened, over):
        assert any(text in line.replace("\u202f", " ").replace("\xa0", " ") for line in lines), (text, lines)
    header = [one.value for one in (*app.markdown, *app.caption) if free in one.value]
    assert header, "the header says how many are free"
    ages = [one.value for one in app.caption if one.value.startswith(("updated", "mis à jour", "à jour"))]
    assert len(ages) <= 1, "one age"


def test_guards_are_told_in_the_language_of_the_page_from_its_first_look_on(
    open_page: Open, troubled: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures of a moment ago are shown again, but not what they said in another language."""
    monkeypatch.setattr(data, "LIVE_SECONDS", 60.0)
    app = open_page(troubled, "overview")
    assert any("feed" in one for one in listed(app))
    app.session_state["lang"] = "fr"
    app.run()
    slow = [one for one in listed(app) if "tokens/min" in one]
    assert slow and all("flux" in one and "feed" not in one for one in slow), listed(app)
