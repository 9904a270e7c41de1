"""Which value holds for whom."""

from limiter.rules.limits import Limits, Setting, defaults
from tests.rules.world import NOW, limits, override


def test_a_user_without_own_limits_gets_the_systems() -> None:
    held = limits(MAX_BOTS_PER_USER=2)
    assert held.of("u1", NOW) is held.values
    assert held.values["MAX_BOTS_PER_USER"] == 2


def test_own_limits_go_over_the_systems_and_only_those_named() -> None:
    held = limits(
        {"vip": override(MAX_BOTS_PER_USER=5, MAX_SIGNALS_PER_MINUTE_PER_USER=None)}, MAX_SIGNALS_PER_MINUTE_PER_USER=3
    )
    assert held.of("vip", NOW)["MAX_BOTS_PER_USER"] == 5
    assert held.of("vip", NOW)["MAX_SIGNALS_PER_MINUTE_PER_USER"] is None
    assert held.of("vip", NOW)["MAX_TRADES_PER_DAY"] == 500
    assert held.of("u1", NOW)["MAX_BOTS_PER_USER"] == 1


def test_own_limits_are_over_at_their_end() -> None:
    held = limits({"vip": override(NOW, MAX_BOTS_PER_USER=5)})
    assert held.of("vip", NOW - 1)["MAX_BOTS_PER_USER"] == 5
    assert held.of("vip", NOW)["MAX_BOTS_PER_USER"] == 1


def test_a_live_value_hides_what_environment_or_file_say_and_no_default() -> None:
    configured = defaults() | {
        "MAX_CONCURRENT_BOTS": Setting(300, "environment"),
        "MAX_BOTS_PER_USER": Setting(3, "env_file"),
    }
    live = {name: Setting(setting.value, "live") for name, setting in configured.items()}
    held = Limits(1, live, configured)
    assert [name for name in configured if held.hidden(name)] == ["MAX_CONCURRENT_BOTS", "MAX_BOTS_PER_USER"]
    assert not any(Limits(1, configured, configured).hidden(name) for name in configured)
