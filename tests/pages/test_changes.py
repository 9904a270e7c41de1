"""Every change that a page offers, carried out on a real limiter and seen in its API."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

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


def shown(app: AppTest) -> str:
    """What the page says in its body."""
    return " ".join([one.value for one in [*app.markdown, *app.warning]])


def test_a_raise_on_probation_is_confirmed_from_its_bar(open_page: Open, world: World) -> None:
    app = open_page(world, "limits")
    field(app, "MAX_TRADES_PER_DAY").set_value(450)
    app.run()
    app.button(key="preview-button").click().run()
    app.segmented_control(key="confirm-within").set_value(900)
    app.text_input(key="limits-reason").set_value("evening")
    app.button(key="apply").click().run()
    assert "MAX_TRADES_PER_DAY 500 → 450, until " in said(app) and "unless confirmed" in said(app)
    assert "on probation" in shown(app) and "MAX_TRADES_PER_DAY 500" in shown(app)
    app.text_input(key="probation-reason").set_value("fine")
    app.button(key="probation-confirm").click().run()
    assert ask(world, "admin/limits")["probation"] is None and value_of(world, "MAX_TRADES_PER_DAY") == 450
    assert "on probation" not in shown(app)


def test_a_raise_on_probation_heads_the_overview_and_is_taken_back_there(open_page: Open, world: World) -> None:
    raised = {"changes": {"MAX_CONCURRENT_BOTS": 210}, "override_guard": True, "confirm_within": 600}
    ask(world, "admin/limits", "PATCH", reason="evening", **raised)
    ends_at = datetime.fromisoformat(ask(world, "admin/limits")["probation"]["ends_at"])
    clock = f"{ends_at.astimezone(ZoneInfo('Europe/Paris')):%H:%M}"
    assert f"**210 bots until {clock} unless confirmed**, then 200 bots." in shown(open_page(world))
    assert "sauf confirmation" in shown(open_page(world, scope="admin:read", locale="fr-FR"))
    app = open_page(world)
    app.text_input(key="probation-reason").set_value("no")
    app.button(key="probation-back").click().run()
    assert ask(world, "admin/limits")["probation"] is None and value_of(world, "MAX_CONCURRENT_BOTS") == 200


def test_a_window_is_added_shown_and_removed(open_page: Open, world: World) -> None:
    app = open_page(world, "limits", tab="windows")
    app.number_input(key="window-bots").set_value(250)
    app.text_input(key="window-reason").set_value("evening")
    app.button(key="window-add").click().run()
    (window,) = ask(world, "admin/windows")["windows"]
    assert (window["from"], window["to"], window["MAX_CONCURRENT_BOTS"], len(window["days"])) == (
        "18:00",
        "22:00",
        250,
        7,
    )
    assert "18:00 – 22:00" in shown(app)
    for page in ("history", "overview"):
        app = open_page(world, page)
        assert "next: 2" in shown(app) + str([one.value for one in app.caption]), page
    app = open_page(world, "limits", tab="windows")
    place = f"{ask(world, 'admin/windows')['version']}-0"
    app.text_input(key=f"window-reason-{place}").set_value("no more")
    app.button(key=f"window-remove-{place}").click().run()
    assert ask(world, "admin/windows")["windows"] == []


def test_a_removal_that_was_begun_does_not_go_on_upon_another_window(open_page: Open, world: World) -> None:
    late = {"days": ["mon"], "from": "18:00", "to": "22:00", "MAX_CONCURRENT_BOTS": 250}
    early = late | {"from": "06:00", "to": "08:00"}
    version = ask(world, "admin/windows", "PUT", windows=[late], reason="one admin")["version"]
    app = open_page(world, "limits", tab="windows")
    both = ask(world, "admin/windows", "PUT", windows=[early, late], reason="another")
    app.text_input(key=f"window-reason-{version}-0").set_value("no more").run()  # the page is drawn with both
    app.button(key=f"window-remove-{both['version']}-0").click().run()
    assert "Say why first" in said(app)
    assert ask(world, "admin/windows")["windows"] == both["windows"]
    ask(world, "admin/windows", "PUT", windows=[], reason="over")


def test_what_is_typed_for_a_user_is_told_of_a_change_meanwhile_and_not_lost(open_page: Open, world: World) -> None:
    ask(world, "admin/users/u3/limits", "PUT", limits={"MAX_TRADES_PER_DAY": 50}, reason="one admin")
    app = open_page(world, "limits", tab="users", of="u3")
    field(app, "MAX_BOTS_PER_USER").set_value(4)
    app.run()
    stands = ask(world, "admin/users/u3/limits", "PUT", limits={"MAX_TRADES_PER_DAY": 60}, reason="another")
    app.text_input(key="own-reason").set_value("four").run()
    assert "“another”" in shown(app) and field(app, "MAX_BOTS_PER_USER").value == 4
    app.button(key="own-save").click().run()
    assert "meanwhile" in said(app) and ask(world, "admin/users/u3/limits")["limits"] == stands["limits"]
    app.button(key="reload").click().run()
    assert field(app, "MAX_TRADES_PER_DAY").value == 60 and field(app, "MAX_BOTS_PER_USER").value is None
    field(app, "MAX_BOTS_PER_USER").set_value(4)
    app.run()
    app.button(key="own-save").click().run()
    assert ask(world, "admin/users/u3/limits")["limits"] == {"MAX_BOTS_PER_USER": 4, "MAX_TRADES_PER_DAY": 60}
    assert "Reload before" not in shown(app)
    ask(world, "admin/users/u3/limits", "DELETE", reason="over")


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


def test_what_somebody_set_meanwhile_is_not_taken_back_in_silence(open_page: Open, world: World) -> None:
    """A button takes back what stood on the screen, and says so where something else stands by now."""
    rows: list[tuple[str, str, str, str, str, Any, Any]] = [
        ("checklist", "plan", "plan", "admin/plan", "steps", [step(50)], [step(60)]),
        (
            "limits",
            "users",
            "own",
            "admin/users/u1/limits",
            "limits",
            {"MAX_BOTS_PER_USER": 2},
            {"MAX_BOTS_PER_USER": 3},
        ),
    ]
    for page, tab, key, path, field, first, second in rows:
        ask(world, path, "PUT", **{field: first}, reason="one admin")
        app = open_page(world, page, tab=tab, of="u1")
        stands = ask(world, path, "PUT", **{field: second}, reason="another")
        app.text_input(key=f"{key}-reason").set_value("no more")
        app.button(key=f"{key}-clear").click().run()
        assert "meanwhile" in said(app)
        assert ask(world, path)[field] == stands[field]
        app.text_input(key=f"{key}-reason").set_value("no more, and seen")
        app.button(key=f"{key}-clear").click().run()
        assert not ask(world, path)[field], said(app)


def test_a_version_is_not_restored_over_a_change_that_nobody_saw(open_page: Open, world: World) -> None:
    seen = ask(world, "admin/limits", "PATCH", changes={"BOT_LEASE_SECONDS": 90}, reason="longer")["version"]
    app = open_page(world, "limits", tab="history")
    app.session_state[f"versions-{seen}"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    app.run()
    ask(world, "admin/limits", "PATCH", changes={"BOT_LEASE_SECONDS": 120}, reason="longer still")
    app.text_input(key="restore-reason").set_value("as before")
    app.button(key="restore").click().run()
    assert "meanwhile" in said(app) and value_of(world, "BOT_LEASE_SECONDS") == 120


def step(bots: int) -> dict[str, Any]:
    """A step of the plan, far ahead."""
    return {"at": "2099-01-01T08:00:00Z", "MAX_CONCURRENT_BOTS": bots}


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


def start(world: World, *users: str) -> None:
    """Each starts a bot, and nobody else has one."""
    held = ask(world, "admin/sessions?status=active")["items"]
    if held:
        ask(world, "admin/sessions/stop", "POST", public_ids=[one["public_id"] for one in held], reason="make room")
    for number, user in enumerate(users):
        ask(world, "bots/start", "POST", user_id=user, bot_id=f"b{number}")


def held_by(world: World) -> dict[str, Any]:
    """The sessions that hold a slot, by bot."""
    return {one["bot_id"]: one for one in ask(world, "admin/sessions?status=active")["items"]}


def pick(app: AppTest, table: int, rows: list[int], *cells: tuple[int, str]) -> None:
    """Tick these rows and click on these cells of the list of sessions, as the browser tells it."""
    selection = {"rows": rows, "columns": [], "cells": list(cells)}
    app.session_state[f"list-active-{table}"] = {"selection": selection}
    app.run()
    assert not app.exception, app.exception


def test_a_session_is_stopped_from_its_drawer(open_page: Open, world: World) -> None:
    start(world, "u9")
    app = open_page(world, "sessions")
    pick(app, 0, [], (0, "user"))
    app.button(key="stop").click().run()
    assert "Say why first" in said(app) and held_by(world), "the drawer says so and stays"
    app.text_input(key="stop-reason").set_value("asked to").run()
    app.button(key="stop").click().run()
    ended = ask(world, "admin/sessions?status=ended")["items"][0]
    assert (ended["user_id"], ended["ended_reason"]) == ("u9", "admin_stop"), said(app)


def test_several_are_ticked_told_of_their_end_and_one_is_kept(open_page: Open, world: World) -> None:
    start(world, "u1", "u2", "u3")
    app = open_page(world, "sessions")
    pick(app, 0, [0, 2])  # the newest first: b2, b0
    app.number_input(key="stop-ticked-in").set_value(600).run()
    app.text_input(key="stop-ticked-reason").set_value("new version").run()
    app.button(key="stop-ticked").click().run()
    assert "2 sessions end at" in said(app)
    assert {bot: one["notice"] and one["notice"]["reason"] for bot, one in held_by(world).items()} == {
        "b0": "new version", "b1": None, "b2": "new version",
    }  # fmt: skip
    table = app.dataframe[0].value
    assert list(table["ends"].isna()) == [False, True, False] and "new version" in set(table["because"])
    pick(app, 1, [0])  # the ticks were taken away
    app.text_input(key="keep-ticked-reason").set_value("it may stay").run()
    app.button(key="keep-ticked").click().run()
    assert "taken back" in said(app)
    assert {bot: bool(one["notice"]) for bot, one in held_by(world).items()} == {"b0": True, "b1": False, "b2": False}


def test_more_than_ten_are_stopped_only_after_their_number_is_typed(open_page: Open, world: World) -> None:
    start(world, *(f"many{n}" for n in range(11)))
    app = open_page(world, "sessions")
    pick(app, 0, list(range(11)))
    app.text_input(key="stop-ticked-reason").set_value("all").run()
    assert app.button(key="stop-ticked").disabled
    app.text_input(key="stop-ticked-typed").set_value("11").run()
    app.button(key="stop-ticked").click().run()
    assert not held_by(world), said(app)


def test_all_bots_of_a_user_are_stopped_in_one_step(open_page: Open, world: World) -> None:
    ask(world, "admin/users/u2/limits", "PUT", limits={"MAX_BOTS_PER_USER": 3}, reason="several")
    start(world, "u1", "u2", "u2")
    app = open_page(world, "sessions")
    pick(app, 0, [], (0, "user"))
    app.checkbox(key="stop-all").check().run()
    app.text_input(key="stop-reason").set_value("both").run()
    app.button(key="stop").click().run()
    assert set(held_by(world)) == {"b0"}, said(app)
    ask(world, "admin/users/u2/limits", "DELETE", reason="over")


def test_a_suspension_stops_the_users_bots_as_well(open_page: Open, world: World) -> None:
    start(world, "u1", "u2")
    app = open_page(world, "limits", tab="users", of="u2")
    field(app, "MAX_BOTS_PER_USER").set_value(0)
    app.run()
    app.checkbox(key="own-stop").check().run()
    app.text_input(key="own-reason").set_value("chargeback").run()
    app.button(key="own-save").click().run()
    assert set(held_by(world)) == {"b0"}, said(app)
    assert ask(world, "admin/users/u2/limits")["limits"] == {"MAX_BOTS_PER_USER": 0}
    ask(world, "admin/users/u2/limits", "DELETE", reason="paid")
    app = open_page(world, "limits", tab="users", of="u1")  # and without a suspension
    app.text_input(key="stop-user-reason").set_value("asked to").run()
    app.button(key="stop-user").click().run()
    assert not held_by(world), said(app)


def test_a_drain_is_begun_seen_everywhere_and_taken_back(open_page: Open, world: World) -> None:
    start(world, "u1", "u2")
    app = open_page(world, "sessions")
    app.number_input(key="drain-in").set_value(900).run()
    app.text_input(key="drain-reason").set_value("reboot").run()
    app.button(key="drain-begin").click().run()
    assert ask(world, "admin/drain")["drain"]["left"] == 2, said(app)
    ask(world, "admin/sessions/stop", "POST", public_ids=[held_by(world)["b0"]["public_id"]], reason="first")
    for page in ("sessions", "overview"):
        app = open_page(world, page)
        texts = " ".join(one.value for one in (*app.markdown, *app.caption)) + app.get("progress")[0].proto.text
        assert "Drain since" in texts and "`reboot`" in texts and "1 is left; they are ended at" in texts, page
        assert "a drain goes on: no starts" in texts, "the header"
        assert "1 of 2 bots gone" in texts
    app = open_page(world, "sessions")
    assert not app.dataframe[0].value["ends"].isna().any()
    app.text_input(key="drain-reason").set_value("done").run()
    app.button(key="drain-end").click().run()
    assert ask(world, "admin/drain")["drain"] is None and set(held_by(world)) == {"b1"}, said(app)


def test_the_header_tells_pause_user_limit_and_queue_apart(open_page: Open, world: World) -> None:
    start(world, "first")

    def header() -> str:
        return " ".join(one.value for one in open_page(world, "limits").markdown)

    ask(world, "admin/pause", "POST", reason="maintenance")
    assert "starts are paused" in header()
    ask(world, "admin/resume", "POST", reason="over")
    ask(world, "admin/limits", "PATCH", changes={"MAX_BOTS_PER_USER": 0}, reason="nobody")
    assert "MAX_BOTS_PER_USER is 0" in header() and "starts are paused" not in header()
    ask(world, "admin/limits", "PATCH", changes={"MAX_BOTS_PER_USER": 1, "MAX_STARTS_PER_MINUTE": 1}, reason="slow")
    assert "free slots are held" in header() and "starts are paused" not in header()
    changes = {"MAX_STARTS_PER_MINUTE": "none", "MAX_CONCURRENT_BOTS": 1}
    ask(world, "admin/limits", "PATCH", changes=changes, reason="full")
    body = {"user_id": "second", "bot_id": "b", "queue": True}
    assert httpx.post(f"{world.url}/api/bots/start", json=body).json()["reason"] == "server_full"
    assert "are held" not in header(), "full is what the status says"
    changes = {"MAX_CONCURRENT_BOTS": 2}
    ask(world, "admin/limits", "PATCH", changes=changes, reason="one more", override_guard=True)
    assert "free slots are for the 1 that waits" in header()
    overview = " ".join(one.value for one in open_page(world, "overview").markdown)
    assert "**1 user** waits in turn: `second`." in overview
    queue = open_page(world, "sessions", view="waiting").dataframe[0].value
    assert list(queue["user"]) == ["second"] and list(queue["place"]) == [1]
    ask(world, "admin/limits", "PATCH", changes={"MAX_CONCURRENT_BOTS": 200}, reason="as was", override_guard=True)


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
