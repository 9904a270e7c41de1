"""Reminders and quiet hours: what is told again, what waits, and for how long."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from limiter.rules.deliveries import GIVE_UP_MS, Tried, Trying
from limiter.rules.hours import Hours
from limiter.rules.incidents import Acknowledge, watch
from limiter.rules.records import Channel, Delivery
from limiter.rules.reminders import PERHAPS, Remind, ReminderPolicy
from limiter.rules.state import State
from tests.rules.world import HOUR, MINUTE, NOW, SECOND, asked, decide, new_state

HOURLY = ReminderPolicy(repeat_minutes=60)


def full(state: State, bots: int = 10, now: int = NOW) -> None:
    """So many of 10 slots are taken, and the crossing is told."""
    for number in range(bots):
        decide(state, asked(f"u{number}"), now)
    watch(state, now)


@pytest.fixture
def state() -> State:
    """Ten slots and one channel."""
    made = new_state(MAX_CONCURRENT_BOTS=10, BOT_LEASE_SECONDS=86_400)
    made.channels = {"mail": Channel()}
    return made


def told(state: State, manners: ReminderPolicy, since: int, now: int) -> list[str]:
    return [delivery.title for delivery in decide(state, Remind(manners, since), now)]


def test_what_nobody_acknowledged_is_told_again_each_hour_and_no_second_more_often(state: State) -> None:
    full(state)
    heard, since = list[tuple[int, str]](), NOW
    for now in range(NOW, NOW + 3 * HOUR + MINUTE, 5 * SECOND):
        heard += [((now - NOW) // MINUTE, title) for title in told(state, HOURLY, since, now)]
        since = now
    assert heard == [(hour * 60, f"🔁 Toujours, depuis {hour * 60} min : ❌ SERVEUR PLEIN !") for hour in (1, 2, 3)]


def test_nothing_is_told_again_without_the_setting_nor_once_somebody_looks_after_it(state: State) -> None:
    full(state)
    assert told(state, ReminderPolicy(), NOW, NOW + 5 * HOUR) == []
    decide(state, Acknowledge(1, "", "alice"), NOW + MINUTE)
    assert told(state, HOURLY, NOW, NOW + 5 * HOUR) == []


def test_a_higher_level_begins_the_hour_anew(state: State) -> None:
    full(state, 8)
    full(state, 10, NOW + 30 * MINUTE)
    assert told(state, HOURLY, NOW + 59 * MINUTE, NOW + 61 * MINUTE) == []
    assert len(told(state, HOURLY, NOW + 89 * MINUTE, NOW + 91 * MINUTE)) == 1


def test_after_a_restart_the_hour_goes_on(state: State) -> None:
    full(state)
    began = NOW + 150 * MINUTE  # the limiter was away at 60 and at 120 minutes
    assert told(state, HOURLY, began, began + SECOND) == []
    assert len(told(state, HOURLY, began, NOW + 180 * MINUTE)) == 1


QUIET = ReminderPolicy(60, Hours.read("22:00-07:00"), ZoneInfo("Europe/Paris"))
DAY = NOW - NOW % (24 * HOUR)  # midnight UTC, in winter 01:00 in Paris


@pytest.mark.parametrize(
    ("hours", "minutes", "held"), [(20, 59, False), (21, 0, True), (23, 30, True), (5, 59, True), (6, 0, False)]
)
def test_quiet_hours_are_those_of_the_zone_and_go_over_midnight(hours: int, minutes: int, held: bool) -> None:
    now = DAY + hours * HOUR + minutes * MINUTE
    assert QUIET.holds("threshold", now) is held
    assert QUIET.holds("backup", now) is held
    assert QUIET.holds("resolved", now) is held


@pytest.mark.parametrize("level", ["urgent", "full", "feed", "disk", "storage", "snapshots", "test"])
def test_what_is_critical_and_a_test_are_never_held(level: str) -> None:
    assert not QUIET.holds(level, DAY)


def test_no_reminder_waits_for_the_morning(state: State) -> None:
    full(state, 8, DAY)
    assert told(state, QUIET, DAY, DAY + HOUR) == [], "80 % is not critical"
    full(state, 10, DAY + 2 * HOUR)
    assert len(told(state, QUIET, DAY + 2 * HOUR, DAY + 3 * HOUR)) == 1, "full is"


def test_what_waited_for_the_morning_is_not_given_up_at_once_and_says_when_it_was(state: State) -> None:
    full(state, 8, DAY)
    (one,) = state.deliveries.values()
    morning = DAY + GIVE_UP_MS + HOUR
    assert QUIET.text(one, state, DAY + MINUTE - 1) == one.body
    late = QUIET.text(one, state, morning)
    assert late.startswith(one.body) and late.endswith(" 01:00 ; ça dure encore.")
    state.incidents.clear()
    assert QUIET.text(one, state, morning).endswith(" 01:00 ; c'est terminé.")
    assert decide(state, Tried(one.number, "refused", QUIET.quiet_ms), morning).state == "pending"
    assert decide(state, Tried(one.number, "refused"), morning).state == "failed"


def test_what_may_have_arrived_says_so(state: State) -> None:
    full(state, 8, DAY)
    (one,) = state.deliveries.values()
    decide(state, Trying(one.number), DAY)
    (begun,) = state.deliveries.values()
    assert QUIET.text(begun, state, DAY) == f"{one.body} {PERHAPS.fr}"
    assert QUIET.text(begun, state, DAY + HOUR).endswith(f"; ça dure encore. {PERHAPS.fr}")


@pytest.mark.parametrize(("text", "minutes"), [("22:00-07:00", 540), ("00:00 - 23:59", 1439), ("12:00-12:00", 0)])
def test_hours_are_read_and_written(text: str, minutes: int) -> None:
    hours = Hours.read(text)
    assert hours.minutes == minutes
    assert str(hours) == text.replace(" ", "")
    assert sum(minute in hours for minute in range(1440)) == minutes


@pytest.mark.parametrize("text", ["22-7", "24:00-07:00", "22:00", "22:60-07:00", "22:00-07:00-08:00", "٢٢:00-07:00"])
def test_other_texts_are_no_hours(text: str) -> None:
    with pytest.raises(ValueError, match="22:00-07:00"):
        Hours.read(text)


def test_reminders_carry_the_severity_of_their_level(state: State) -> None:
    full(state)
    reminders: list[Delivery] = decide(state, Remind(HOURLY, NOW), NOW + HOUR)
    assert [replace(one, number=0).level for one in reminders] == ["full"]
