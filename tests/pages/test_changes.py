"""Every change that a page offers, carried out on a real limiter and seen in its API."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from limiter import config
from limiter.drills.report import kept
from tests.pages.conftest import Open, World, serve


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A limiter to change things on."""
    yield from serve(tmp_path_factory.mktemp("changes"))


def ask(world: World, path: str, method: str = "GET", **body: Any) -> Any:
    """The API's answer."""
    headers = {"Authorization": f"Bearer {world.key}"}
    answer = httpx.request(method, f"{world.url}/api/{path}", json=body or None, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


def value_of(world: World, name: str) -> Any:
    """A limit's value in force."""
    return next(one["value"] for one in ask(world, "admin/limits")["limits"] if one["name"] == name)


def said(app: AppTest) -> str:
    """What the receipts say."""
    return " ".join([toast.value for toast in app.toast] + [error.value for error in app.error])


def field(app: AppTest, name: str) -> Any:
    """The field of a limit."""
    return next(box for box in app.number_input if box.label == name)


def test_a_limit_is_previewed_applied_and_undone(open_page: Open, world: World) -> None:
    app = open_page(world, "limits")
    field(app, "MAX_TRADES_PER_DAY").set_value(400)
    app.run()
    app.button(key="preview-button").click().run()
    assert value_of(world, "MAX_TRADES_PER_DAY") == 500  # nothing is written
    app.button(key="apply").click().run()
    assert "Say why first" in said(app)
    app.text_input(key="limits-reason").set_value("fewer").run()
    app.button(key="apply").click().run()
    assert value_of(world, "MAX_TRADES_PER_DAY") == 400, said(app)
    version = ask(world, "admin/limits/history")["versions"][0]
    assert version["by"].startswith("admin") and version["reason"] == "fewer"
    app.button(key="undo-button").click().run()
    assert value_of(world, "MAX_TRADES_PER_DAY") == 500
    assert ask(world, "admin/limits")["version"] == version["version"] + 1


def test_a_field_that_was_not_changed_is_not_sent(open_page: Open, world: World) -> None:
    app = open_page(world, "limits")
    app.button(key="preview-button").click().run()
    assert "No field differs" in said(app)


def test_a_limit_is_taken_away(open_page: Open, world: World) -> None:
    ask(world, "admin/limits", "PATCH", changes={"MAX_SIGNALS_PER_MINUTE_PER_USER": 60}, reason="some")
    app = open_page(world, "limits")
    app.checkbox[0].check()
    app.run()
    app.button(key="preview-button").click().run()
    assert not said(app), said(app)
    app.text_input(key="limits-reason").set_value("none").run()
    app.button(key="apply").click().run()
    assert value_of(world, "MAX_SIGNALS_PER_MINUTE_PER_USER") is None


def test_a_version_is_restored(open_page: Open, world: World) -> None:
    before = ask(world, "admin/limits")["version"]
    ask(world, "admin/limits", "PATCH", changes={"BOT_LEASE_SECONDS": 90}, reason="longer")
    app = open_page(world, "limits", tab="history")
    app.session_state[f"versions-{before + 1}"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    app.run()
    app.text_input(key="restore-reason").set_value("as before").run()
    app.button(key="restore").click().run()
    assert value_of(world, "BOT_LEASE_SECONDS") == 60, said(app)


def test_a_user_gets_own_limits_and_loses_them(open_page: Open, world: World) -> None:
    app = open_page(world, "limits", tab="users", of="u/1")
    field(app, "MAX_BOTS_PER_USER").set_value(3)
    app.run()
    app.text_input(key="own-reason").set_value("market maker").run()
    app.button(key="own-save").click().run()
    assert ask(world, "admin/users/u%2F1/limits")["limits"] == {"MAX_BOTS_PER_USER": 3}, said(app)
    app.text_input(key="own-reason").set_value("no more").run()
    app.button(key="own-clear").click().run()
    assert ask(world, "admin/users/u%2F1/limits")["limits"] == {}


def test_starts_are_paused_and_resumed(open_page: Open, world: World) -> None:
    app = open_page(world, "limits")
    for accepts in (False, True):
        app.text_input(key="door-reason").set_value("maintenance").run()
        app.button(key="door").click().run()
        assert ask(world, "admin/capacity")["capacity"]["can_accept_new"] is accepts, said(app)


def test_a_note_is_written(open_page: Open, world: World) -> None:
    app = open_page(world, "history")
    app.text_input(key="note-text").set_value("moved to a new host")
    next(button for button in app.button if button.label == "Add note").click().run()
    notes = ask(world, "admin/notes")["notes"]
    assert [note["text"] for note in notes] == ["moved to a new host"]
    assert notes[0]["author"].startswith("admin")


def test_the_guides_plan_is_saved_and_taken_back(open_page: Open, world: World) -> None:
    app = open_page(world, "checklist", tab="plan")
    app.button(key="plan-template").click().run()
    app.text_input(key="plan-reason").set_value("launch").run()
    app.button(key="plan-save").click().run()
    steps = ask(world, "admin/plan")["steps"]
    assert [step["MAX_CONCURRENT_BOTS"] for step in steps] == [50, 100, 150, 200], said(app)
    app.text_input(key="plan-reason").set_value("later").run()
    app.button(key="plan-clear").click().run()
    assert ask(world, "admin/plan")["steps"] == []


def test_a_drill_is_run(open_page: Open, world: World) -> None:
    app = open_page(world, "checklist", tab="drills")
    app.button(key="run-full").click().run()
    told = " ".join(element.proto.body for element in app.get("html"))
    assert "Server full (200/200 active bots)" in told and "✗" not in told
    assert [element.proto.label for element in app.get("download_button")] == ["Report", "JSON"]
    assert ask(world, "admin/capacity")["capacity"]["current_bots"] == 0


def test_who_may_only_read_runs_no_drill(open_page: Open, world: World) -> None:
    app = open_page(world, "checklist", scope="admin:read", tab="drills")
    assert app.button(key="run-ten").disabled
    app.session_state["drills"] = ["ten"]  # as after a click, which a browser can send all the same
    app.run()
    assert "ten" not in kept(config.read())


def test_a_session_is_stopped(open_page: Open, world: World) -> None:
    ask(world, "bots/start", "POST", user_id="u9", bot_id="b")
    app = open_page(world, "sessions")
    app.session_state["list-active-0"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    app.run()
    app.text_input(key="stop-reason").set_value("asked to").run()
    app.button(key="stop").click().run()
    ended = ask(world, "admin/sessions?status=ended")["items"][0]
    assert (ended["user_id"], ended["ended_reason"]) == ("u9", "admin_stop"), said(app)


def test_a_key_is_made_shown_once_and_revoked(open_page: Open, world: World) -> None:
    app = open_page(world, "settings", tab="keys")
    app.selectbox(key="key-scope").set_value("admin:read")
    app.text_input(key="key-name").set_value("grafana")
    next(button for button in app.button if button.label == "Make").click().run()
    made = next(code.value for code in app.code if code.value.startswith("lim_"))
    app.run()
    assert not any(code.value.startswith("lim_") for code in app.code)
    name = made.split("_")[1]
    app.selectbox(key="key-id").set_value(name)
    app.text_input(key="key-typed").set_value(name)
    next(button for button in app.button if button.label == "Revoke").click().run()
    assert next(key["revoked_at"] for key in ask(world, "admin/keys")["keys"] if key["id"] == name), said(app)


def test_secrets_are_on_no_page(open_page: Open, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMITER_KEY", "lim_0_hidden-secret")
    monkeypatch.setenv("LIMITER_ALERT_URLS", "discord://hidden-secret/token")
    app = open_page(world, "settings")
    shown = "\n".join([*(code.value for code in app.code), *(one.value for one in app.markdown)])
    shown += "".join(frame.value.to_csv() for frame in app.dataframe)
    assert "hidden-secret" not in shown and "set (hidden)" in shown
    assert world.key not in shown
