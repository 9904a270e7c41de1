"""Run by test_one_row.py in a copy of the checkout that has one more of everything."""

from collections.abc import Iterator

import httpx
import pytest
from click.testing import CliRunner

from limiter.cli import main
from tests.conftest import wait_until
from tests.pages.conftest import Open, World
from tests.pages.test_pages import text_of

NEW = ("MAX_NAPS", "MAX_NAME_LETTERS", "NAP_SECONDS")


@pytest.fixture
def admin(empty: World) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {empty.key}", "Accept-Language": "en"}
    with httpx.Client(base_url=empty.url, headers=headers) as client:
        yield client


def test_limits_over_http_and_the_command_line(
    empty: World, admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = {"changes": {"MAX_NAPS": 4, "MAX_NAME_LETTERS": 40.5, "NAP_SECONDS": "3s"}, "reason": "more"}
    assert admin.patch("/api/admin/limits", json=change).is_success
    assert admin.patch("/api/admin/limits", json={"changes": {"MAX_NAPS": 51}, "reason": "more"}).status_code == 422
    in_force = httpx.get(f"{empty.url}/api/limits").json()["limits"]
    assert [in_force[name] for name in NEW] == [4, 40.5, 3]
    assert admin.get("/api/admin/naps").json() == {"success": True, "naps": 4}
    monkeypatch.setenv("LIMITER_URL", empty.url)
    monkeypatch.setenv("LIMITER_KEY", empty.key)
    shown = CliRunner().invoke(main, ["limits", "get"]).output
    assert all(name in shown for name in NEW)
    done = CliRunner().invoke(main, ["limits", "set", "MAX_NAPS=5", "--reason", "again"])
    assert done.exit_code == 0 and "MAX_NAPS 4 → 5" in done.output
    assert CliRunner().invoke(main, ["naps"]).output == "5 naps\n"


def test_the_new_alert_in_the_readers_language(admin: httpx.Client) -> None:
    def told(language: str) -> str | None:
        rows = admin.get("/api/admin/alerts", headers={"Accept-Language": language}).json()["items"]
        return next((row["message"] for row in rows if row["kind"] == "naps" and row["status"] == "open"), None)

    assert admin.patch("/api/admin/limits", json={"changes": {"MAX_NAPS": 45}, "reason": "too many"}).is_success
    wait_until(lambda: told("en"), 20)
    assert (told("en"), told("fr")) == ("😴 45 naps", "😴 45 siestes")
    assert admin.patch("/api/admin/limits", json={"changes": {"MAX_NAPS": 4}, "reason": "fewer"}).is_success
    wait_until(lambda: not told("en"), 20)


@pytest.mark.parametrize(("locale", "said"), [("en-US", "where bots nap"), ("fr-FR", "où les bots font la sieste")])
def test_the_new_setting_on_its_page(empty: World, open_page: Open, locale: str, said: str) -> None:
    page = open_page(empty, "settings", locale=locale)
    assert not page.exception
    told = "".join(cell.value for cell in page.markdown)
    assert "LIMITER_NAP_ROOM" in told and "attic" in told and said in told


def test_the_refusal_of_the_new_rule(empty: World, admin: httpx.Client, open_page: Open) -> None:
    own = {"limits": {"MAX_NAME_LETTERS": 4, "MAX_BOTS_PER_USER": 2}, "reason": "short"}
    assert admin.put("/api/admin/users/longish/limits", json=own).is_success
    refused = admin.post("/api/bots/start", json={"user_id": "longish"})
    assert refused.status_code == 429 and refused.json()["error"] == "Name too long: 7/4 letters."
    recorded = admin.get("/api/admin/refusals", params={"reason": "long_name"}).json()["items"]
    assert [row["limit"] for row in recorded] == ["MAX_NAME_LETTERS"]
    assert "long_name" in admin.get("/metrics").text
    usage = admin.get("/api/users/longish/usage").json()
    assert usage["bots"] == {"used": 0, "limit": 2, "left": 2}

    def on_the_page() -> bool:
        sessions = open_page(empty, "sessions", view="refusals")
        assert not sessions.exception
        return any("name too long" in frame.value.to_string() for frame in sessions.dataframe)

    wait_until(on_the_page, 10, "the refusal on its page")  # a refusal waits half a second at most for its row
    history = open_page(empty, "history", locale="fr-FR")
    assert not history.exception


@pytest.mark.parametrize(("locale", "said"), [("en-US", "Naps"), ("fr-FR", "Siestes")])
def test_the_new_page(empty: World, open_page: Open, locale: str, said: str) -> None:
    page = open_page(empty, "naps", locale=locale)
    assert not page.exception and page.title[0].value == said


@pytest.mark.parametrize("locale", ["en-US", "fr-FR"])
def test_the_new_limits_on_their_page(empty: World, open_page: Open, locale: str) -> None:
    page = open_page(empty, "limits", locale=locale)
    assert not page.exception
    fields = {field.label: field for field in page.number_input}
    assert set(NEW) <= fields.keys()
    assert fields["MAX_NAPS"].help == ("Naps of all bots together." if locale == "en-US" else
                                       "Siestes de tous les bots ensemble.")  # fmt: skip
    assert ("siestes" in text_of(page)) == (locale == "fr-FR")
    own = open_page(empty, "limits", locale=locale, tab="users", of="longish")
    assert not own.exception
