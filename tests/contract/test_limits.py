"""The catalogue of limits: defaults, bounds, spellings, and what goes over what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import limiter as program
from limiter import system_limits
from tests.conftest import Limiter, from_now, granted, instant, new_user, refused, wait_until, wrong_fields
from tests.contract.catalogue import CATALOGUE

Start = Callable[..., Limiter]

DEFAULTS = {name: row[0] for name, row in CATALOGUE.items()}
BOUNDS = [(name, value) for name, row in CATALOGUE.items() for value in row[3:]]
OUTSIDE = [(name, beyond) for name, row in CATALOGUE.items() for beyond in (row[3] - 1, row[4] + 1)]
UNREADABLE = [
    ("MAX_CONCURRENT_BOTS", "many"),
    ("MAX_CONCURRENT_BOTS", "-1"),
    ("MAX_CONCURRENT_BOTS", "1000001"),
    ("MAX_CONCURRENT_BOTS", "none"),
    ("MAX_CONCURRENT_BOTS", "1.5"),
    ("MAX_BOTS_PER_USER", "10001"),
    ("MAX_TRADES_PER_DAY", "nan"),
    ("ALERT_THRESHOLD", "0.8"),
    ("ALERT_THRESHOLD", "100%"),
    ("ALERT_THRESHOLD", "0"),
    ("WEBSOCKET_RECONNECT", "0.05"),
    ("WEBSOCKET_RECONNECT", "inf"),
    ("MAX_TOKENS_PER_MINUTE", "10000001"),
    ("MAX_SIGNALS_PER_MINUTE", "1e"),
    ("MAX_SIGNALS_PER_MINUTE_PER_USER", "-1"),
    ("BOT_LEASE_SECONDS", "4"),
    ("RESERVED_SLOTS", "none"),
    ("RESERVED_SLOTS", "1000001"),
    ("MAX_STARTS_PER_MINUTE", "-1"),
    ("MAX_CPU_PERCENT", "0"),
    ("MAX_RAM_PERCENT", "101"),
    ("MAX_STARTS_PER_MINUTE", "1.5"),
    ("BOT_LEASE_SECONDS", "86401"),
    ("LIMITER_TIMEZONE", "Mars/Olympus"),
    ("LIMITER_PORT", "http"),
]


@pytest.fixture
def tuned(server: Limiter) -> Iterator[Limiter]:
    """The shared limiter, whose live changes are taken back after the test."""
    yield server
    server.set_limits(**dict.fromkeys(CATALOGUE))


# -- the list --------------------------------------------------------------------------------------------------------
def test_defaults_are_those_of_the_guide(server: Limiter) -> None:
    assert server.limits() == DEFAULTS


def test_the_admin_list_describes_every_limit(server: Limiter) -> None:
    answer = granted(server.client.get("/api/admin/limits"))
    assert isinstance(answer["version"], int)
    rows = {row["name"]: row for row in answer["limits"]}
    assert rows.keys() == CATALOGUE.keys()
    for name, (default, unit, scope, least, most) in CATALOGUE.items():
        row = rows[name]
        assert (row["value"], row["default"], row["scope"]) == (default, default, scope), name
        assert (row["min"], row["max"]) == (least, most), name
        assert row["unit"].partition(" ")[0] == unit, name
        assert (row["source"], row["hidden"]) == ("default", False), name
        assert {"changed_at", "changed_by"} <= row.keys(), name


@pytest.mark.parametrize(("name", "value"), BOUNDS)
def test_both_ends_of_the_range_are_accepted(tuned: Limiter, name: str, value: Any) -> None:
    tuned.set_limits(**{name: value})
    assert tuned.limits()[name] == value


@pytest.mark.parametrize(("name", "value"), OUTSIDE)
def test_a_value_out_of_range_is_refused(tuned: Limiter, name: str, value: Any) -> None:
    fields = wrong_fields(tuned.patch(**{name: value}), 422)
    assert any(name in field for field in fields), fields
    assert tuned.limits() == DEFAULTS


@pytest.mark.parametrize(
    ("name", "spelling", "value"),
    [
        ("ALERT_THRESHOLD", "75%", 75),
        ("ALERT_THRESHOLD", "75", 75),
        ("WEBSOCKET_RECONNECT", "7s", 7),
        ("WEBSOCKET_RECONNECT", "7", 7),
        ("WEBSOCKET_RECONNECT", "0.5s", 0.5),
        ("WEBSOCKET_RECONNECT", 2.5, 2.5),
        ("MAX_SIGNALS_PER_MINUTE_PER_USER", "none", None),
        ("MAX_CONCURRENT_BOTS", "150", 150),
        ("MAX_BOTS_PER_USER", 3, 3),
    ],
)
def test_the_spellings_of_the_table_are_accepted(tuned: Limiter, name: str, spelling: Any, value: Any) -> None:
    tuned.set_limits(**{name: spelling})
    assert tuned.limits()[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALERT_THRESHOLD", 0.8),
        ("ALERT_THRESHOLD", "0.8"),
        ("ALERT_THRESHOLD", "80s"),
        ("WEBSOCKET_RECONNECT", "5m"),
        ("WEBSOCKET_RECONNECT", "5%"),
        ("MAX_CONCURRENT_BOTS", "none"),
        ("MAX_CONCURRENT_BOTS", 10.5),
        ("MAX_CONCURRENT_BOTS", "many"),
        ("MAX_CONCURRENT_BOTS", ""),
        ("MAX_CONCURRENT_BOTS", True),
        ("MAX_CONCURRENT_BOTS", [200]),
        ("MAX_CONCURRENT_BOTS", {"value": 200}),
        ("MAX_CONCURRENT_BOTS", 1e300),
        ("MAX_CONCURRENT_BOTS", "9" * 5000),
        ("MAX_CONCURRENT_BOTS", "٢٠٠"),
        ("MAX_CONCURRENT_BOTS", "2_0_0"),
    ],
)
def test_other_spellings_are_refused(tuned: Limiter, name: str, value: Any) -> None:
    assert tuned.patch(**{name: value}).status_code in (400, 422)
    assert tuned.limits() == DEFAULTS


# -- what goes over what ---------------------------------------------------------------------------------------------
def test_the_environment_goes_over_the_default(limiter: Start) -> None:
    spelled = {
        "MAX_CONCURRENT_BOTS": ("50", 50),
        "MAX_BOTS_PER_USER": ("2", 2),
        "MAX_TRADES_PER_DAY": ("0", 0),
        "ALERT_THRESHOLD": ("90%", 90),
        "WEBSOCKET_RECONNECT": ("10s", 10),
        "MAX_TOKENS_PER_MINUTE": ("10000000", 10_000_000),
        "MAX_SIGNALS_PER_MINUTE": ("7", 7),
        "MAX_SIGNALS_PER_MINUTE_PER_USER": ("none", None),
        "BOT_LEASE_SECONDS": ("5", 5),
        "RESERVED_SLOTS": ("7", 7),
        "MAX_STARTS_PER_MINUTE": ("none", None),
        "MAX_CPU_PERCENT": ("100", 100),
        "MAX_RAM_PERCENT": ("none", None),
    }
    one = limiter(**{name: text for name, (text, _) in spelled.items()})
    assert one.limits() == {name: value for name, (_, value) in spelled.items()}
    rows = granted(one.admin("GET", "/api/admin/limits"))["limits"]
    assert {row["name"]: row["source"] for row in rows} == dict.fromkeys(CATALOGUE, "environment")
    assert {row["name"]: row["default"] for row in rows} == DEFAULTS


def test_the_environment_goes_over_the_env_file_and_its_last_line_wins(limiter: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "MAX_CONCURRENT_BOTS=10\nMAX_CONCURRENT_BOTS=20\n"
        "MAX_BOTS_PER_USER=3\nMAX_BOTS_PER_USER=\n"
        "ALERT_THRESHOLD=70%\n"
        "MAX_TRADES_PER_DAY=9\n"
    )
    one = limiter(MAX_TRADES_PER_DAY="8", ALERT_THRESHOLD="")
    in_force = one.limits()
    assert in_force["MAX_CONCURRENT_BOTS"] == 20
    assert in_force["MAX_BOTS_PER_USER"] == 1, "an empty last line counts as not set"
    assert in_force["MAX_TRADES_PER_DAY"] == 8
    assert in_force["ALERT_THRESHOLD"] == 70, "an empty variable counts as not set"
    assert one.limit("MAX_CONCURRENT_BOTS")["source"] == "env_file"
    assert one.limit("MAX_BOTS_PER_USER")["source"] == "default"
    assert one.limit("MAX_TRADES_PER_DAY")["source"] == "environment"


def test_limiter_env_file_names_the_file_that_is_read(limiter: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_CONCURRENT_BOTS=10\n")
    (tmp_path / "other.env").write_text("MAX_CONCURRENT_BOTS=30\n")
    assert limiter(LIMITER_ENV_FILE=tmp_path / "other.env").limits()["MAX_CONCURRENT_BOTS"] == 30


@pytest.mark.parametrize(("name", "text"), UNREADABLE)
def test_a_value_that_cannot_be_read_stops_the_start(limiter: Start, name: str, text: str) -> None:
    one = limiter(serve=False, **{name: text})
    if name == "LIMITER_PORT":
        ended = one.run("serve")
        assert ended.returncode == 2
        assert name in ended.stderr
        return
    assert one.exit_status() == 2, one.log
    assert name in one.log


def test_an_env_file_that_cannot_be_read_stops_the_start(limiter: Start, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_CONCURRENT_BOTS=200\nMAX_BOTS_PER_USER=lots\n")
    one = limiter(serve=False)
    assert one.exit_status() == 2, one.log
    assert "MAX_BOTS_PER_USER" in one.log


def test_a_live_change_goes_over_the_environment_and_says_that_it_hides_it(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="50")
    one.set_limits(MAX_CONCURRENT_BOTS=40, MAX_BOTS_PER_USER=2)
    hiding, free = one.limit("MAX_CONCURRENT_BOTS"), one.limit("MAX_BOTS_PER_USER")
    assert (hiding["value"], hiding["source"], hiding["hidden"]) == (40, "live", True)
    assert (free["value"], free["source"], free["hidden"]) == (2, "live", False)
    instant(hiding["changed_at"])
    assert hiding["changed_by"]

    one.log_path.write_text("")
    one.restart(MAX_CONCURRENT_BOTS="60")
    hiding = one.limit("MAX_CONCURRENT_BOTS")
    assert (hiding["value"], hiding["source"], hiding["hidden"]) == (40, "live", True)
    assert "MAX_CONCURRENT_BOTS" in one.log, "the start logs what a live change hides"

    one.set_limits(MAX_CONCURRENT_BOTS=None, MAX_BOTS_PER_USER=None)
    back = one.limit("MAX_CONCURRENT_BOTS")
    assert (back["value"], back["source"], back["hidden"]) == (60, "environment", False)
    assert one.limit("MAX_BOTS_PER_USER")["source"] == "default"


def test_a_changed_environment_is_in_force_after_a_restart(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="50")
    one.restart(MAX_CONCURRENT_BOTS="51")
    assert one.limits()["MAX_CONCURRENT_BOTS"] == 51
    one.restart(MAX_CONCURRENT_BOTS=None)
    assert one.limits()["MAX_CONCURRENT_BOTS"] == 200


def test_a_change_is_in_force_for_the_next_decision(tuned: Limiter) -> None:
    user = new_user()
    tuned.session(user)
    refused(tuned.start(user), 429, "user_limit")
    tuned.set_limits(MAX_BOTS_PER_USER=2)
    tuned.session(user)
    tuned.set_limits(MAX_BOTS_PER_USER=1)
    refused(tuned.start(user), 429, "user_limit")


def test_a_live_change_survives_a_kill(limiter: Start) -> None:
    one = limiter()
    changed = one.set_limits(MAX_CONCURRENT_BOTS=123, WEBSOCKET_RECONNECT=2.5, MAX_SIGNALS_PER_MINUTE_PER_USER=4)
    one.restart(kill=True)
    assert one.limits()["MAX_CONCURRENT_BOTS"] == 123
    assert one.limits()["WEBSOCKET_RECONNECT"] == 2.5
    assert one.limits()["MAX_SIGNALS_PER_MINUTE_PER_USER"] == 4
    assert granted(one.client.get("/api/limits"))["limits_version"] >= changed["version"]


def test_lowering_a_limit_ends_no_running_session(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="5")
    running = one.fill(5)
    one.set_limits(MAX_CONCURRENT_BOTS=2)
    assert one.capacity()["current_bots"] == 5
    for session in running:
        granted(one.beat(session))
    refused(one.start(), 503, "server_full")
    for session in running[:3]:
        granted(one.end(session))
    refused(one.start(), 503, "server_full")
    granted(one.end(running[3]))
    one.session()


# -- overrides of one user -------------------------------------------------------------------------------------------
def override(server: Limiter, user: str, limits: dict[str, Any], **more: Any) -> Any:
    return server.admin("PUT", f"/api/admin/users/{user}/limits", {"limits": limits, "reason": "vip"} | more)


def test_an_override_goes_over_the_system_value_for_that_user_alone(server: Limiter) -> None:
    user = new_user()
    granted(override(server, user, {"MAX_BOTS_PER_USER": 3, "MAX_TRADES_PER_DAY": 7}))
    assert server.limits(user) == DEFAULTS | {"MAX_BOTS_PER_USER": 3, "MAX_TRADES_PER_DAY": 7}
    assert server.limits(new_user()) == server.limits() == DEFAULTS
    for _ in range(3):
        server.session(user)
    body = refused(server.start(user), 429, "user_limit")
    assert body["error"] == "Limite atteinte : 3/3 bots actifs pour cet utilisateur."
    kept = granted(server.client.get(f"/api/admin/users/{user}/limits"))
    assert kept["limits"] == {"MAX_BOTS_PER_USER": 3, "MAX_TRADES_PER_DAY": 7}
    usage = granted(server.client.get(f"/api/users/{user}/usage"))
    assert (usage["bots"]["limit"], usage["trades"]["limit"]) == (3, 7)


def test_a_put_replaces_the_whole_set_and_delete_ends_it(server: Limiter) -> None:
    user = new_user()
    granted(override(server, user, {"MAX_BOTS_PER_USER": 3, "MAX_TRADES_PER_DAY": 7}))
    granted(override(server, user, {"MAX_SIGNALS_PER_MINUTE_PER_USER": 5}))
    assert server.limits(user) == DEFAULTS | {"MAX_SIGNALS_PER_MINUTE_PER_USER": 5}
    granted(server.admin("DELETE", f"/api/admin/users/{user}/limits", {"reason": "over"}))
    assert server.limits(user) == DEFAULTS


def test_an_override_with_none_sets_no_limit(tuned: Limiter) -> None:
    user = new_user()
    tuned.set_limits(MAX_SIGNALS_PER_MINUTE_PER_USER=3)
    granted(override(tuned, user, {"MAX_SIGNALS_PER_MINUTE_PER_USER": "none"}))
    assert tuned.limits(user)["MAX_SIGNALS_PER_MINUTE_PER_USER"] is None
    assert tuned.limits()["MAX_SIGNALS_PER_MINUTE_PER_USER"] == 3


def test_an_override_of_zero_suspends_the_user(server: Limiter) -> None:
    user = new_user()
    granted(override(server, user, {"MAX_BOTS_PER_USER": 0}))
    answer = server.start(user)
    body = refused(answer, 429, "user_limit")
    assert body["error"] == body["detail"] == "Ce compte est suspendu. Motif : vip"
    assert (body["active"], body["limit"]) == (0, 0)
    assert "Retry-After" not in answer.headers
    english = refused(server.start(user, Accept_Language="en"), 429, "user_limit")
    assert english["error"] == "This account is suspended. Reason: vip"
    server.session()


def test_a_suspension_that_ends_says_when(server: Limiter) -> None:
    user = new_user()
    granted(override(server, user, {"MAX_BOTS_PER_USER": 0}, until=from_now(3600)))
    answer = server.start(user)
    refused(answer, 429, "user_limit")
    assert 3590 <= int(answer.headers["Retry-After"]) <= 3600


def test_a_system_limit_of_zero_suspends_without_a_reason(tuned: Limiter) -> None:
    tuned.set_limits(MAX_BOTS_PER_USER=0)
    answer = tuned.start()
    assert refused(answer, 429, "user_limit")["error"] == "Ce compte est suspendu."
    assert "Retry-After" not in answer.headers
    tuned.set_limits(MAX_BOTS_PER_USER=1)


def test_reserved_slots_are_for_users_of_the_reserve(limiter: Start) -> None:
    one = limiter(MAX_CONCURRENT_BOTS="2", RESERVED_SLOTS="1")
    kept = granted(override(one, "vip", {}, reserve=True))
    assert (kept["reserve"], kept["limits"]) == (True, {})
    assert granted(override(one, "u9", {"MAX_BOTS_PER_USER": 2}))["reserve"] is False
    one.session("u1")
    body = refused(one.start("u2"), 503, "server_full")
    assert body["error"] == "Serveur complet (1/2 bots actifs). Réessaie dans quelques minutes."
    assert body["capacity"] == one.capacity()
    assert (one.capacity()["available_slots"], one.capacity()["can_accept_new"]) == (1, False)
    one.restart(kill=True)
    assert granted(one.client.get("/api/admin/users/vip/limits"))["reserve"] is True
    refused(one.start("u2"), 503, "server_full")
    one.session("vip")
    assert one.capacity()["current_bots"] == 2
    wrong_fields(override(one, "u3", {}, reserve="yes"), 400)
    granted(one.admin("DELETE", "/api/admin/users/vip/limits", {"reason": "over"}))
    assert granted(one.client.get("/api/admin/users/vip/limits"))["reserve"] is False


def test_an_override_ends_at_its_instant(server: Limiter) -> None:
    user = new_user()
    granted(override(server, user, {"MAX_BOTS_PER_USER": 4}, until=from_now(1.5)))
    assert server.limits(user)["MAX_BOTS_PER_USER"] == 4
    wait_until(lambda: server.limits(user)["MAX_BOTS_PER_USER"] == 1, 5, "the override ended")
    server.session(user)
    refused(server.start(user), 429, "user_limit")


def test_limits_version_grows_with_overrides(server: Limiter) -> None:
    user = new_user()

    def version() -> int:
        number: int = granted(server.client.get("/api/limits"))["limits_version"]
        return number

    before = version()
    granted(override(server, user, {"MAX_BOTS_PER_USER": 2}))
    between = version()
    granted(server.admin("DELETE", f"/api/admin/users/{user}/limits", {"reason": "over"}))
    assert before < between < version()


@pytest.mark.parametrize(
    ("limits", "more", "status"),
    [
        ({"MAX_CONCURRENT_BOTS": 3}, {}, 422),
        ({"BOT_LEASE_SECONDS": 30}, {}, 422),
        ({"NO_SUCH_LIMIT": 3}, {}, 422),
        ({"MAX_BOTS_PER_USER": 10_001}, {}, 422),
        ({"MAX_BOTS_PER_USER": -1}, {}, 422),
        ({"MAX_BOTS_PER_USER": 2}, {"until": from_now(-60)}, 422),
        ({"MAX_BOTS_PER_USER": 2}, {"until": "tomorrow"}, 422),
        ({"MAX_BOTS_PER_USER": 2}, {"until": 5}, 400),
        ({"MAX_BOTS_PER_USER": 2}, {"reason": ""}, 422),
        ({"MAX_BOTS_PER_USER": 2}, {"reason": "x" * 501}, 422),
        ({"MAX_BOTS_PER_USER": 2}, {"reason": None}, 400),
        ([], {}, 400),
    ],
)
def test_an_override_that_makes_no_sense_is_refused(server: Limiter, limits: Any, more: Any, status: int) -> None:
    user = new_user()
    refused(override(server, user, limits, **more), status, "invalid_request")
    assert server.limits(user) == DEFAULTS


def test_an_override_is_kept_over_a_kill(limiter: Start) -> None:
    one = limiter()
    granted(override(one, "a%2Fb", {"MAX_BOTS_PER_USER": 3}))
    one.restart(kill=True)
    assert one.limits("a/b")["MAX_BOTS_PER_USER"] == 3


# -- advice for a VPS ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("ram_gb", "bots"),
    [
        *((2, 50), (4, 150), (8, 300), (16, 500)),
        *((3, 50), (3.99, 50), (7.9, 150), (15, 300), (64, 500)),
        *((1, 25), (0.5, 12), (1.99, 49), (0.01, 0)),
    ],
)
def test_the_recommended_limit_follows_the_guide(ram_gb: float, bots: int) -> None:
    assert program.get_recommended_limit_for_vps(ram_gb) == bots
    assert system_limits.get_recommended_limit_for_vps(ram_gb) == bots


@pytest.mark.parametrize("ram_gb", [0, -1, float("nan"), "4", None])
def test_no_limit_is_recommended_for_what_is_not_a_positive_number(ram_gb: Any) -> None:
    with pytest.raises(ValueError):
        program.get_recommended_limit_for_vps(ram_gb)


@pytest.mark.parametrize(
    ("ram", "row", "bots", "price"),
    [
        *(("4", 4, 150, 40), ("3.6", 4, 150, 40), ("3.59", 2, 50, 10), ("1.8", 2, 50, 10)),
        *(("14.4", 16, 500, 160), ("7.2", 8, 300, 80), ("1", 1, 25, None), ("64", 16, 500, 160)),
    ],
)
def test_detected_ram_counts_as_a_row_from_90_percent_on(
    limiter: Start, ram: str, row: float, bots: int, price: int | None
) -> None:
    one = limiter(LIMITER_RAM_GB=ram)
    advice = granted(one.client.get("/api/admin/advice"))
    assert (advice["detected_ram_gb"], advice["counts_as_gb"]) == (float(ram), row)
    assert (advice["recommended_max_bots"], advice["price_usd_month"]) == (bots, price)
    assert isinstance(advice["advice"], list)
    assert one.stats()["system"]["recommended_max_bots"] == bots


def test_the_recommended_limit_is_advice_and_never_a_guard(limiter: Start) -> None:
    one = limiter(LIMITER_RAM_GB="2")
    body = {"changes": {"MAX_CONCURRENT_BOTS": 1000}}
    preview = granted(one.admin("POST", "/api/admin/limits/preview", body))
    assert {guard["name"] for guard in preview["guards"]} <= {"cpu", "ram", "feed_lag", "decision_lag", "stale"}
    one.set_limits(MAX_CONCURRENT_BOTS=1000)


def test_advice_is_strong_from_120_percent_of_the_recommended_limit_on(limiter: Start) -> None:
    one = limiter(LIMITER_RAM_GB="0.4")  # recommends 10

    def is_strong() -> bool:
        advice = granted(one.client.get("/api/admin/advice"))["advice"]
        assert all({"name", "strong", "value", "threshold", "message"} <= item.keys() for item in advice)
        return any(item["strong"] for item in advice)

    one.fill(11)
    assert not is_strong()
    one.fill(1)
    wait_until(is_strong, 20, "strong advice at 12 bots where 10 are recommended")
