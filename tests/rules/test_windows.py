"""Windows of any 60 s at one-second resolution, and trade days that last 23 to 25 hours."""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.rules.windows import HOUR_SECONDS, MINUTE_SECONDS, Window, day_of

PARIS = ZoneInfo("Europe/Paris")


def test_an_amount_counts_in_its_second_and_the_60_after() -> None:
    window = Window(MINUTE_SECONDS)
    window.add(1000, 5)
    assert window.used(1000) == 5
    assert window.used(1060) == 5
    assert window.used(1061) == 0


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 50)), max_size=60))
def test_a_window_holds_the_amounts_of_the_last_seconds(steps: list[tuple[int, int]]) -> None:
    window, seen, second = Window(MINUTE_SECONDS), Counter[int](), 1000
    for wait, n in steps:
        second += wait
        window.add(second, n)
        seen[second] += n
        assert window.used(second) == sum(m for then, m in seen.items() if then >= second - MINUTE_SECONDS)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), min_size=1, max_size=40), st.data())
def test_after_the_wait_there_is_room(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    window, second = Window(MINUTE_SECONDS), 1000
    for wait, n in steps:
        second += wait
        window.add(second, n)
    held = window.used(second)
    excess = data.draw(st.integers(1, held))
    told = window.wait(second, excess)
    assert 1 <= told <= MINUTE_SECONDS
    if told < MINUTE_SECONDS:
        before = Window(MINUTE_SECONDS, ((then, n) for then, n in window.seconds))
        assert held - before.used(second + told - 1) < excess <= held - window.used(second + told)


def test_what_is_taken_back_is_gone() -> None:
    window = Window(MINUTE_SECONDS)
    window.add(1000, 5)
    counted = window.add(1001, 3)
    window.take_back(counted, 3)
    assert window.used(1001) == 5


def test_what_has_left_the_window_is_not_taken_back_twice() -> None:
    window = Window(MINUTE_SECONDS)
    counted = window.add(1000, 5)
    window.add(1100, 2)
    window.take_back(counted, 5)
    assert window.used(1100) == 2


def test_a_window_that_nobody_looks_at_does_not_grow() -> None:
    window = Window(HOUR_SECONDS)
    for second in range(3 * HOUR_SECONDS):
        window.add(second, 1)
    assert len(window.seconds) <= HOUR_SECONDS + 1


def ms(*of: int, zone: ZoneInfo | None = None) -> int:
    """The instant of this date and time."""
    year, month, day, hour, minute = (*of, 0, 0)[:5]
    return int(datetime(year, month, day, hour, minute, tzinfo=zone or UTC).timestamp() * 1000)


def test_a_day_begins_at_midnight_in_the_operators_zone() -> None:
    day = day_of(ms(2026, 7, 1, 22, 30), PARIS)
    assert day.name == "2026-07-02"
    assert (day.begins, day.ends) == (ms(2026, 7, 2, zone=PARIS), ms(2026, 7, 3, zone=PARIS))
    assert day_of(day.begins, PARIS) == day
    assert day_of(day.begins - 1, PARIS).name == "2026-07-01"


@pytest.mark.parametrize(("date", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 6, 1), 24)])
def test_days_on_which_the_clocks_change(date: tuple[int, int, int], hours: int) -> None:
    day = day_of(ms(*date, 12), PARIS)
    assert day.ends - day.begins == hours * HOUR_SECONDS * 1000


@given(
    st.integers(ms(2020, 1, 1), ms(2035, 1, 1)),
    st.sampled_from(("UTC", "Europe/Paris", "America/Sao_Paulo", "Asia/Kathmandu")),
)
def test_every_instant_is_in_its_day_and_days_join(now: int, zone: str) -> None:
    day = day_of(now, ZoneInfo(zone))
    assert day.begins <= now < day.ends
    assert day_of(day.ends, ZoneInfo(zone)).begins == day.ends
