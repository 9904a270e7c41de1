"""Changes of limits: all or nothing, versions, rollback, guards, and the preview that decides recorded demand again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import CAPACITY_FIELDS, Limiter, granted, new_user, refused, wait_until, wrong_fields

pytestmark = pytest.mark.every_database

Start = Callable[..., Limiter]
PATH = "/api/admin/limits"


def version(server: Limiter) -> int:
    number: int = granted(server.client.get(PATH))["version"]
    return number


def change(server: Limiter, changes: dict[str, Any], **more: Any) -> Any:
    return server.admin("PATCH", PATH, {"changes": changes, "reason": "test", "override_guard": True} | more)


# -- PATCH -----------------------------------------------------------------------------------------------------------
def test_a_change_tells_what_was_and_what_is(limiter: Start) -> None:
    one = limiter()
    before = version(one)
    body = granted(change(one, {"MAX_CONCURRENT_BOTS": 100, "ALERT_THRESHOLD": "90%"}, version=before))
    assert body["version"] > before
    assert body["version"] == version(one) == granted(one.client.get("/api/limits"))["limits_version"]
    changed = {row["name"]: (row["from"], row["to"]) for row in body["changed"]}
    assert changed == {"MAX_CONCURRENT_BOTS": (200, 100), "ALERT_THRESHOLD": (80, 90)}
    assert isinstance(body["warnings"], list)


def test_a_change_without_a_version_is_taken(limiter: Start) -> None:
    one = limiter()
    granted(change(one, {"MAX_BOTS_PER_USER": 2}))
    assert one.limits()["MAX_BOTS_PER_USER"] == 2


def test_a_change_is_all_or_nothing(limiter: Start) -> None:
    one = limiter()
    before, limits = version(one), one.limits()
    for wrong in ({"MAX_BOTS_PER_USER": -1}, {"NO_SUCH_LIMIT": 1}, {"ALERT_THRESHOLD": 0.8}):
        refused(change(one, {"MAX_CONCURRENT_BOTS": 100} | wrong), 422, "invalid_request")
    assert (version(one), one.limits()) == (before, limits)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"reason": "test"}, 400, "changes"),
        ({"changes": [], "reason": "test"}, 400, "changes"),
        ({"changes": {}}, 400, "reason"),
        ({"changes": {}, "reason": 5}, 400, "reason"),
        ({"changes": {}, "reason": ""}, 422, "reason"),
        ({"changes": {}, "reason": "x" * 501}, 422, "reason"),
        ({"changes": {}, "reason": "a\x00b"}, 422, "reason"),
        ({"changes": {}, "reason": "test", "version": "1"}, 400, "version"),
        ({"changes": {}, "reason": "test", "version": True}, 400, "version"),
        ({"changes": {}, "reason": "test", "override_guard": "yes"}, 400, "override_guard"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(server: Limiter, body: Any, status: int, field: str) -> None:
    assert wrong_fields(server.admin("PATCH", PATH, body), status) == {field}


def test_a_reason_of_500_characters_is_taken(server: Limiter) -> None:
    granted(server.admin("PATCH", PATH, {"changes": {}, "reason": "é" * 500}))


def test_a_stale_version_is_a_conflict(limiter: Start) -> None:
    one = limiter()
    old = version(one)
    new = granted(change(one, {"MAX_BOTS_PER_USER": 2}, version=old))["version"]
    body = refused(change(one, {"MAX_BOTS_PER_USER": 3}, version=old), 409, "version_conflict")
    assert body["version"] == new
    assert one.limits()["MAX_BOTS_PER_USER"] == 2
    granted(change(one, {"MAX_BOTS_PER_USER": 3}, version=new))


def test_a_change_of_nothing_makes_no_version(limiter: Start) -> None:
    one = limiter()
    granted(change(one, {"MAX_BOTS_PER_USER": 2}))
    before = version(one)
    for changes in ({}, {"MAX_BOTS_PER_USER": 2}, {"MAX_BOTS_PER_USER": "2"}, {"MAX_CONCURRENT_BOTS": None}):
        body = granted(change(one, changes))
        assert (body["changed"], body["version"]) == ([], before), changes
    assert version(one) == before


def test_a_change_of_the_source_alone_makes_a_version(limiter: Start) -> None:
    one = limiter()
    before = version(one)
    body = granted(change(one, {"MAX_BOTS_PER_USER": 1}))
    assert body["version"] > before
    assert one.limit("MAX_BOTS_PER_USER")["source"] == "live"
    body = granted(change(one, {"MAX_BOTS_PER_USER": None}))
    assert body["version"] > before + 1
    assert one.limit("MAX_BOTS_PER_USER")["source"] == "default"


def test_null_takes_the_live_change_back(limiter: Start) -> None:
    one = limiter(MAX_TRADES_PER_DAY="50")
    one.set_limits(MAX_TRADES_PER_DAY=60, MAX_BOTS_PER_USER=4)
    body = one.set_limits(MAX_TRADES_PER_DAY=None, MAX_BOTS_PER_USER=None)
    changed = {row["name"]: (row["from"], row["to"]) for row in body["changed"]}
    assert changed == {"MAX_TRADES_PER_DAY": (60, 50), "MAX_BOTS_PER_USER": (4, 1)}
    assert one.limits()["MAX_TRADES_PER_DAY"] == 50


def test_none_sets_no_limit_where_the_environment_sets_one(limiter: Start) -> None:
    one = limiter(MAX_SIGNALS_PER_MINUTE_PER_USER="5")
    body = one.set_limits(MAX_SIGNALS_PER_MINUTE_PER_USER="none")
    assert body["changed"] == [{"name": "MAX_SIGNALS_PER_MINUTE_PER_USER", "from": 5, "to": None}]
    row = one.limit("MAX_SIGNALS_PER_MINUTE_PER_USER")
    assert (row["value"], row["source"], row["hidden"]) == (None, "live", True)
    one.set_limits(MAX_SIGNALS_PER_MINUTE_PER_USER=None)
    assert one.limits()["MAX_SIGNALS_PER_MINUTE_PER_USER"] == 5


# -- versions --------------------------------------------------------------------------------------------------------
def test_a_rollback_is_a_new_version_with_old_values(limiter: Start) -> None:
    one = limiter()
    first = version(one)
    second = one.set_limits(MAX_BOTS_PER_USER=2, MAX_CONCURRENT_BOTS=150)["version"]
    one.set_limits(MAX_BOTS_PER_USER=3, ALERT_THRESHOLD=70)
    body = {"version": second, "reason": "back to two", "override_guard": True}
    rolled = granted(one.admin("POST", f"{PATH}/rollback", body))
    assert rolled["version"] > second + 1
    assert rolled["version"] == version(one)
    limits = one.limits()
    assert (limits["MAX_BOTS_PER_USER"], limits["MAX_CONCURRENT_BOTS"], limits["ALERT_THRESHOLD"]) == (2, 150, 80)
    granted(one.admin("POST", f"{PATH}/rollback", body | {"version": first, "reason": "the start"}))
    limits = one.limits()
    assert (limits["MAX_BOTS_PER_USER"], limits["MAX_CONCURRENT_BOTS"], limits["ALERT_THRESHOLD"]) == (1, 200, 80)
    history = granted(one.client.get(f"{PATH}/history"))
    text = str(history)
    assert "back to two" in text
    assert "the start" in text
    one.restart(kill=True)
    assert one.limits() == limits


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"reason": "test"}, 400),
        ({"version": "1", "reason": "test"}, 400),
        ({"version": 1}, 400),
        ({"version": 1, "reason": ""}, 422),
    ],
)
def test_a_rollback_that_makes_no_sense_is_refused(server: Limiter, body: Any, status: int) -> None:
    refused(server.admin("POST", f"{PATH}/rollback", body), status, "invalid_request")


def test_a_rollback_to_a_version_that_never_was_is_refused(server: Limiter) -> None:
    before = version(server)
    answer = server.admin("POST", f"{PATH}/rollback", {"version": 10_000, "reason": "test"})
    assert answer.status_code in (404, 422), answer.text
    assert version(server) == before


def test_the_history_tells_every_version(limiter: Start) -> None:
    one = limiter()
    made = [one.set_limits(MAX_BOTS_PER_USER=bots)["version"] for bots in (2, 3, 4)]
    (listed,) = [value for value in granted(one.client.get(f"{PATH}/history")).values() if isinstance(value, list)]
    assert set(made) <= {row["version"] for row in listed}


# -- guards ----------------------------------------------------------------------------------------------------------
def test_a_guard_holds_a_raise_back_and_nothing_else(limiter: Start) -> None:
    """Tokens came, bots are active, and the feed is slow: `feed_lag`."""
    one = limiter(MAX_CONCURRENT_BOTS="100")
    one.session()
    granted(one.tokens(1))

    def held(changes: dict[str, Any]) -> dict[str, Any]:
        guards = granted(one.admin("POST", f"{PATH}/preview", {"changes": changes}))["guards"]
        assert all(guard.keys() >= {"name", "value", "threshold", "held", "message"} for guard in guards)
        return {guard["name"]: guard for guard in guards if guard["held"]}

    guard = wait_until(lambda: held({"MAX_CONCURRENT_BOTS": 101}).get("feed_lag"), 75, "feed_lag holds")
    assert guard["threshold"] == 5
    assert guard["value"] < 5
    assert guard["message"]

    raised = {"changes": {"MAX_CONCURRENT_BOTS": 101}, "reason": "test"}
    body = refused(one.admin("PATCH", PATH, raised), 409, "guard_held")
    assert "feed_lag" in {guard["name"] for guard in body["guards"] if guard["held"]}
    refused(one.admin("PATCH", PATH, raised | {"version": 0}), 409, "version_conflict")
    assert one.limits()["MAX_CONCURRENT_BOTS"] == 100

    granted(one.admin("PATCH", PATH, {"changes": {"MAX_CONCURRENT_BOTS": 90}, "reason": "lower"}))
    granted(one.admin("PATCH", PATH, {"changes": {"MAX_BOTS_PER_USER": 5}, "reason": "another limit"}))
    back = {"changes": {"MAX_CONCURRENT_BOTS": None}, "reason": "null is a raise too"}
    refused(one.admin("PATCH", PATH, back), 409, "guard_held")
    history = granted(one.client.get(f"{PATH}/history"))
    (versions,) = [value for value in history.values() if isinstance(value, list)]
    first = min(row["version"] for row in versions)
    rollback = {"version": first, "reason": "a rollback is a raise too"}
    refused(one.admin("POST", f"{PATH}/rollback", rollback), 409, "guard_held")
    granted(one.admin("PATCH", PATH, raised | {"override_guard": True}))
    assert one.limits()["MAX_CONCURRENT_BOTS"] == 101
    granted(one.admin("PATCH", PATH, {"changes": {"MAX_CONCURRENT_BOTS": 90}, "reason": "lower"}))
    granted(one.admin("POST", f"{PATH}/rollback", rollback | {"override_guard": True}))
    assert one.limits()["MAX_CONCURRENT_BOTS"] == 100


def test_the_feed_guard_does_not_hold_where_no_token_ever_came(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="100")
    one.session()
    body = {"changes": {"MAX_CONCURRENT_BOTS": 101}}
    guards = granted(one.admin("POST", f"{PATH}/preview", body))["guards"]
    assert not [guard for guard in guards if guard["name"] in ("feed_lag", "stale") and guard["held"]]


# -- preview ---------------------------------------------------------------------------------------------------------
@pytest.fixture
def demand(limiter: Start) -> Limiter:
    """Two slots. u1 and u2 are admitted, u3 is refused (full), u1 again (user limit); and what is no demand."""
    one = limiter(MAX_CONCURRENT_BOTS="2", BOT_LEASE_SECONDS="3600")
    one.session("u1", "b1", Idempotency_Key="k1")
    one.session("u2")
    granted(one.start("u1", "b1", Idempotency_Key="k1"), 200)
    refused(one.start("u3"), 503, "server_full")
    refused(one.start("u1", "b2"), 429, "user_limit")
    granted(one.admin("POST", "/api/admin/pause", {"reason": "test"}))
    refused(one.start("u4"), 503, "paused")
    granted(one.admin("POST", "/api/admin/resume", {"reason": "test"}))
    return one


@pytest.mark.parametrize(
    ("changes", "refused_then", "users_affected"),
    [
        ({}, 2, 0),
        ({"MAX_CONCURRENT_BOTS": 3}, 1, 1),
        ({"MAX_BOTS_PER_USER": 2}, 2, 0),
        ({"MAX_CONCURRENT_BOTS": 4, "MAX_BOTS_PER_USER": 2}, 0, 2),
        ({"MAX_CONCURRENT_BOTS": 1}, 3, 1),
        ({"MAX_CONCURRENT_BOTS": 0}, 4, 2),
        ({"MAX_BOTS_PER_USER": 0}, 4, 2),
        ({"ALERT_THRESHOLD": "90%"}, 2, 0),
    ],
)
def test_the_preview_decides_recorded_demand_again(
    demand: Limiter, changes: dict[str, Any], refused_then: int, users_affected: int
) -> None:
    before = version(demand)
    replay = granted(demand.admin("POST", f"{PATH}/preview", {"changes": changes}))["replay"]
    assert replay["days"] == 7
    assert replay["demands"] == 4
    assert replay["refused_now"] == 2
    assert replay["refused_then"] == refused_then
    assert replay["users_affected"] == users_affected
    assert version(demand) == before, "nothing is written"


def test_the_preview_keeps_the_limits_that_were_in_force_at_each_demand(demand: Limiter) -> None:
    demand.set_limits(MAX_CONCURRENT_BOTS=50, MAX_BOTS_PER_USER=9)
    replay = granted(demand.admin("POST", f"{PATH}/preview", {"changes": {}}))["replay"]
    assert (replay["refused_now"], replay["refused_then"], replay["users_affected"]) == (2, 2, 0)


@pytest.mark.parametrize(("limit", "refused_then"), [(5, 1), (4, 2), (6, 0)])
def test_the_preview_keeps_reserved_slots_from_whom_they_were_kept(
    limiter: Start, limit: int, refused_then: int
) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="5", RESERVED_SLOTS="2")
    for user in ("u1", "u2", "u3"):
        one.session(user)
    refused(one.start("u4"), 503, "server_full")
    replay = granted(one.admin("POST", f"{PATH}/preview", {"changes": {"MAX_CONCURRENT_BOTS": limit}}))["replay"]
    assert (replay["demands"], replay["refused_now"], replay["refused_then"]) == (4, 1, refused_then)


def test_the_preview_survives_a_restart(demand: Limiter) -> None:
    demand.restart(kill=True)
    replay = granted(demand.admin("POST", f"{PATH}/preview", {"changes": {"MAX_CONCURRENT_BOTS": 3}}))["replay"]
    assert (replay["demands"], replay["refused_now"], replay["refused_then"]) == (4, 2, 1)


def test_the_preview_tells_the_capacity_as_it_would_be(demand: Limiter) -> None:
    body = granted(demand.admin("POST", f"{PATH}/preview", {"changes": {"MAX_CONCURRENT_BOTS": 1}}))
    assert body["capacity"].keys() == CAPACITY_FIELDS
    assert (body["capacity"]["current_bots"], body["capacity"]["max_bots"]) == (2, 1)
    assert (body["capacity"]["percent_used"], body["capacity"]["status"]) == (200.0, "FULL")
    assert (body["capacity"]["available_slots"], body["over_by"]) == (-1, 1)
    assert isinstance(body["warnings"], list)
    body = granted(demand.admin("POST", f"{PATH}/preview", {"changes": {"MAX_CONCURRENT_BOTS": 4}}))
    assert (body["capacity"]["status"], body["over_by"]) == ("HEALTHY", 0)
    assert body["capacity"]["can_accept_new"] is True
    assert demand.capacity()["max_bots"] == 2


def test_a_demand_admitted_only_in_the_replay_lasts_the_median_session(limiter: Start) -> None:
    """One slot, sessions of one second one after another, and a refused user beside each."""
    one = limiter(MAX_CONCURRENT_BOTS="1", BOT_LEASE_SECONDS="3600")
    for _ in range(3):
        session = one.session()
        refused(one.start(), 503, "server_full")
        time.sleep(1)
        granted(one.end(session))
        time.sleep(0.4)
    replay = granted(one.admin("POST", f"{PATH}/preview", {"changes": {"MAX_CONCURRENT_BOTS": 2}}))["replay"]
    assert (replay["demands"], replay["refused_now"], replay["refused_then"]) == (6, 3, 0)
    assert replay["users_affected"] == 3


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"changes": []}, 400),
        ({"changes": {"NO_SUCH_LIMIT": 1}}, 422),
        ({"changes": {"MAX_BOTS_PER_USER": -1}}, 422),
    ],
)
def test_the_preview_checks_like_the_change(server: Limiter, body: Any, status: int) -> None:
    refused(server.admin("POST", f"{PATH}/preview", body), status, "invalid_request")


def test_two_admins_do_not_overwrite_each_other(limiter: Start) -> None:
    one = limiter()
    seen = version(one)
    answers = [change(one, {"MAX_TRADES_PER_DAY": trades}, version=seen) for trades in (100, 200)]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert one.limits(new_user())["MAX_TRADES_PER_DAY"] == 100


def test_of_two_who_set_a_users_limits_at_once_the_second_hears_of_it(server: Limiter) -> None:
    path = f"/api/admin/users/{new_user()}/limits"
    body = {"reason": "test", "version": granted(server.admin("GET", path))["version"]}
    bodies = [body | {"limits": {"MAX_BOTS_PER_USER": bots}} for bots in (2, 3)]
    first, second = (server.admin("PUT", path, one) for one in bodies)
    assert granted(first)["limits"] == {"MAX_BOTS_PER_USER": 2}
    assert refused(second, 409, "version_conflict")["version"] == granted(first)["version"]
    refused(server.admin("DELETE", path, body), 409, "version_conflict")
    assert granted(server.admin("GET", path))["limits"] == {"MAX_BOTS_PER_USER": 2}
    seen = granted(first)["version"]
    assert granted(server.admin("DELETE", path, body | {"version": seen}))["version"] == seen + 1


def test_a_rollback_of_what_nobody_saw_is_a_conflict(limiter: Start) -> None:
    one = limiter()
    seen = version(one)
    granted(change(one, {"MAX_TRADES_PER_DAY": 400}))
    body = {"version": seen, "reason": "test", "limits_version": seen}
    assert refused(one.admin("POST", f"{PATH}/rollback", body), 409, "version_conflict")["version"] == seen + 1
    assert one.limits(new_user())["MAX_TRADES_PER_DAY"] == 400
    refused(one.admin("POST", f"{PATH}/rollback", body | {"version": 99}), 404, "not_found")
    granted(one.admin("POST", f"{PATH}/rollback", body | {"limits_version": seen + 1}))
    assert one.limits(new_user())["MAX_TRADES_PER_DAY"] == 500


def test_of_two_who_set_windows_or_plan_at_once_the_second_hears_of_it(limiter: Start) -> None:
    one = limiter()
    at_night = window(**{"from": "03:00", "to": "03:01"})
    step = {"at": "2099-01-01T00:00:00Z", "MAX_CONCURRENT_BOTS": 1}
    for path, field, item in (("/api/admin/windows", "windows", at_night), ("/api/admin/plan", "steps", step)):
        bodies: list[dict[str, Any]] = [{field: [item]}, {field: []}]
        seen = granted(one.admin("GET", path))["version"]
        first, second = (one.admin("PUT", path, body | {"reason": "test", "version": seen}) for body in bodies)
        assert granted(first)["version"] == seen + 1
        problem = refused(second, 409, "version_conflict")
        assert problem["version"] == seen + 1 and "le plan ont changé" in problem["detail"]
        refused(one.admin("DELETE", path, {"reason": "test", "version": seen}), 409, "version_conflict")
        one.restart(kill=True)
        assert granted(one.admin("GET", path)) == granted(first)
        assert granted(one.admin("PUT", path, bodies[1] | {"reason": "test"}))["version"] == seen + 2, (
            "without: as ever"
        )
        granted(one.admin("PUT", path, bodies[0] | {"reason": "test"}))
        taken = granted(one.admin("DELETE", path, {"reason": "test", "version": seen + 3}))
        assert (taken[field], taken["version"]) == ([], seen + 4)


# -- probation and windows -------------------------------------------------------------------------------------------
def test_a_change_on_probation_is_told_confirmed_and_kept_over_a_kill(limiter: Start) -> None:
    one = limiter()
    before = version(one)
    body = granted(change(one, {"MAX_CONCURRENT_BOTS": 250}, confirm_within=600))
    number = body["version"]
    assert (body["probation"]["version"], body["probation"]["back_to"]) == (number, before)
    refused(change(one, {"MAX_BOTS_PER_USER": 2}, confirm_within=600), 409, "probation_open")
    one.restart(kill=True)
    told = granted(one.client.get(PATH))
    assert told["probation"] == body["probation"]
    assert [(row["at"], row["MAX_CONCURRENT_BOTS"]) for row in told["coming"]] == [(body["probation"]["ends_at"], 200)]
    path = f"{PATH}/confirm"
    refused(one.admin("POST", path, {"version": before, "reason": "test"}), 409, "probation_over")
    assert granted(one.admin("POST", path, {"version": number, "reason": "test"}))["version"] == number
    refused(one.admin("POST", path, {"version": number, "reason": "test"}), 409, "probation_over")
    told = granted(one.client.get(PATH))
    assert (told["probation"], told["coming"], one.limits()["MAX_CONCURRENT_BOTS"]) == (None, [], 250)


@pytest.mark.once
def test_a_probation_lasts_a_minute_to_a_day(limiter: Start) -> None:
    one = limiter()
    for within, status in ((59, 422), (86_401, 422), ("600", 400), (True, 400), (60.5, 400)):
        answer = change(one, {"MAX_CONCURRENT_BOTS": 250}, confirm_within=within)
        assert wrong_fields(answer, status) == {"confirm_within"}
        body = {"version": 1, "reason": "test", "override_guard": True, "confirm_within": within}
        assert wrong_fields(one.admin("POST", f"{PATH}/rollback", body), status) == {"confirm_within"}
    step = {"at": "2099-01-01T00:00:00Z", "MAX_CONCURRENT_BOTS": 1, "confirm_within": 59}
    answer = one.admin("PUT", "/api/admin/plan", {"steps": [step], "reason": "test"})
    assert wrong_fields(answer, 422) == {"steps[0].confirm_within"}


def window(**fields: Any) -> dict[str, Any]:
    always = {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "00:00"}
    return always | {"MAX_CONCURRENT_BOTS": 150} | fields


def test_a_window_gives_the_limit_while_it_is_open(limiter: Start) -> None:
    one, path = limiter(), "/api/admin/windows"
    assert granted(one.admin("GET", path)) == {
        "success": True, "windows": [], "zone": "UTC", "open": None, "version": 0,
    }  # fmt: skip
    peak = window(MAX_CONCURRENT_BOTS=1)
    body = granted(one.admin("PUT", path, {"windows": [peak], "reason": "test"}))
    assert body["windows"] == [peak]

    def actions() -> set[str]:
        return {row["action"] for row in granted(one.admin("GET", "/api/admin/audit"))["items"]}

    wait_until(lambda: "window" in actions(), 30, "the window has opened, durably")
    assert one.limits()["MAX_CONCURRENT_BOTS"] == 1
    (row,) = [row for row in granted(one.client.get(PATH))["limits"] if row["name"] == "MAX_CONCURRENT_BOTS"]
    assert (row["value"], row["source"], row["hidden"]) == (1, "window", False)
    one.restart(kill=True)
    told = granted(one.admin("GET", path))
    assert (told["windows"], told["open"]["status"], told["open"]["then"]) == ([peak], "applied", 200)
    assert one.limits()["MAX_CONCURRENT_BOTS"] == 1
    assert [one.start().status_code for _ in range(3)] == [201, 503, 503]

    def replayed(**changes: Any) -> tuple[int, int]:
        body = granted(one.admin("POST", f"{PATH}/preview", {"changes": changes}))["replay"]
        return body["refused_now"], body["refused_then"]

    assert (replayed(), replayed(MAX_CONCURRENT_BOTS=9)) == ((2, 2), (2, 0)), "by hand it goes over the open window"
    body = granted(one.admin("POST", f"{PATH}/preview", {"changes": {"MAX_CONCURRENT_BOTS": 9}}))
    assert any("revient à 200 à sa fin" in said for said in body["warnings"])
    warned = granted(change(one, {"MAX_CONCURRENT_BOTS": 120}))["warnings"]
    assert granted(one.admin("GET", path))["open"]["status"] == "by_hand" and any("200" in text for text in warned)
    granted(one.admin("DELETE", path, {"reason": "test"}))
    # On PostgreSQL the killed one led for 15 s more. The way back is a raise: on a busy machine a guard holds it back.
    end = wait_until(lambda: actions() & {"window_over", "window_held"}, 60, "the window's end")
    if "window_over" in end:
        assert one.limits()["MAX_CONCURRENT_BOTS"] == 200
        assert (replayed(), replayed(MAX_CONCURRENT_BOTS=9)) == ((2, 2), (2, 2)), "beside a window that ruled"
    else:
        assert granted(one.admin("GET", path))["open"]["held_by"] and one.limits()["MAX_CONCURRENT_BOTS"] == 120


@pytest.mark.once
def test_a_wrong_window_is_refused_whole(limiter: Start) -> None:
    one, path = limiter(), "/api/admin/windows"
    for wrong, status, field in (
        ({"days": []}, 422, "windows[0].days"),
        ({"days": ["monday"]}, 422, "windows[0].days[0]"),
        ({"days": ["mon", "mon"]}, 422, "windows[0].days"),
        ({"from": "24:00"}, 422, "windows[0].from"),
        ({"to": "7:00"}, 422, "windows[0].to"),
        ({"to": 7}, 400, "windows[0].to"),
        ({"MAX_CONCURRENT_BOTS": None}, 400, "windows[0].MAX_CONCURRENT_BOTS"),
        ({"MAX_CONCURRENT_BOTS": -1}, 422, "windows[0].MAX_CONCURRENT_BOTS"),
    ):
        answer = one.admin("PUT", path, {"windows": [window(**wrong)], "reason": "test"})
        assert wrong_fields(answer, status) == {field}
    assert wrong_fields(one.admin("PUT", path, {"windows": [window()] * 2, "reason": "test"}), 422) == {"windows"}
    assert granted(one.admin("GET", path))["windows"] == []
