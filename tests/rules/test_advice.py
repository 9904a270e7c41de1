"""Which box the use asks for: each case by hand, from the guide's table (2/50, 4/150, 8/300, 16/500) and thresholds."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from limiter.rules.advice import Advice, advise, decide, short_days
from limiter.rules.box_use import BotCost, BusyHour, DayOfUse, Lag, Short, Use
from limiter.rules.capacity import Box
from limiter.units import DAY_MS as DAY
from limiter.units import HOUR_MS as HOUR
from tests.rules.world import NOW


def week(bots: int, cpu: float | None = 12.0, ram: float | None = 20.0, days: int = 7) -> Sequence[DayOfUse]:
    return (DayOfUse(bots, cpu, ram, 1.0),) * days


def said(use: Use, language: str = "en") -> str:
    found = decide(use, advise(use))
    return "" if found is None else found.sentence.told(language)


def test_nothing_is_advised_at_every_threshold_but_the_strong_one() -> None:
    assert advise(Use(Box(4), 200, 179, cpu=70.0, ram=80.0, busy_days=2, lag=Lag(4, 900.0, 4, 9))) == []
    assert advise(Use(Box(4), 200, 0)) == []


def test_each_reason() -> None:
    found = advise(Use(Box(4), 200, 180, cpu=70.1, ram=80.1, busy_days=3, lag=Lag(5, 320.4, 6, 100, 200)))
    assert [(one.name, one.strong, one.value, one.threshold) for one in found] == [
        ("cpu", False, 70.1, 70),
        ("ram", False, 80.1, 80),
        ("occupancy", False, 3, 3),
        ("box", True, 180, 180),
        ("decision_lag", False, 320.4, 250),
        ("feed_lag", False, 6, 5),
    ]
    assert [one.message.en for one in found] == [
        "CPU 70% over 5 minutes, above 70%",
        "RAM 80% over 5 minutes, above 80%",
        "80% of the limit or more in 5% of the time or more on 3 of the last 7 days",
        "180 bots now, 120% or more of the 150 that this box carries comfortably",
        "slow although not full: decisions p99 up to 320 ms in 5 of the last 60 minutes, at 100 of 200 bots",
        "slow although not full: fewer than 5 tokens a minute in 6 of the last 60 minutes, at 100 of 200 bots",
    ]
    assert all(one.message.fr != one.message.en for one in found)
    alone = next(one for one in advise(Use(Box(0.01), 1, 1)) if one.name == "box")
    assert alone.message.fr == "1 bot maintenant, 120 % ou plus de ce que ce serveur porte confortablement (0)"
    assert alone.message.en == "1 bot now, 120% or more of the 0 that this box carries comfortably"


LARGER = {  # RAM of the box, what is so beside it → GB, bots, $ of the size that is said
    "CPU on 4 GB": (Use(Box(4), 200, 100, cpu=83.0, ram=40.0), (8, 300, 80)),
    "RAM on 4 GB": (Use(Box(4), 200, 100, cpu=20.0, ram=91.0), (8, 300, 80)),
    "180 bots on 4 GB": (Use(Box(4), 200, 180, cpu=20.0, ram=40.0), (8, 300, 80)),
    "60 bots on 2 GB": (Use(Box(2), 100, 60), (4, 150, 40)),
    "170 bots on 2 GB, for which 4 are too few": (Use(Box(2), 200, 170), (8, 300, 80)),
    "310 bots on 4 GB": (Use(Box(4), 400, 310), (16, 500, 160)),
    "slow at 100 of 200": (Use(Box(4), 200, 100, cpu=60.0, ram=60.0, lag=Lag(12, 320.0, 0, 100)), (8, 300, 80)),
    "a flat feed": (Use(Box(4), 200, 100, cpu=60.0, ram=60.0, lag=Lag(0, 0.0, 9, 100)), (8, 300, 80)),
    "190 of 200 on 4 GB each day: at 80 % that is 238": (
        Use(Box(4), 200, 90, busy_days=4, days=week(190)), (8, 300, 80)),
    "300 of 300 on 8 GB each day: at 80 % that is 375": (
        Use(Box(8), 300, 90, busy_days=7, days=week(300)), (16, 500, 160)),
    "a heavy hour of the week, now over": (
        Use(Box(2), 50, 40, cpu=71.0, ram=30.0, days=(*week(40, cpu=20.0), DayOfUse(40, 100.0, 30.0, 1.0))),
        (4, 150, 40)),
    "100 bots of 59 MB on 4 GB want 8, which has room for 118": (
        Use(Box(4), 200, 100, cpu=20.0, ram=90.0, cost=BotCost(59.0, 400.0, 12)), (8, 118, 80)),
    "100 bots of 212 MB on 4 GB": (
        Use(Box(4), 200, 60, cpu=20.0, ram=95.0, cost=BotCost(212.0, 400.0, 12)), (16, 67, 160)),
    "small bots, of which RAM alone would let 780 run": (
        Use(Box(4), 200, 180, cpu=20.0, ram=40.0, cost=BotCost(9.0, 400.0, 12)), (8, 300, 80)),
    "four measured bots say too little": (
        Use(Box(4), 200, 60, ram=81.0, cost=BotCost(212.0, 400.0, 4)), (8, 300, 80)),
    "half a GB": (Use(Box(0.5), 200, 20), (2, 50, 10)),
}  # fmt: skip


@pytest.mark.parametrize("case", LARGER)
def test_the_larger_size_that_the_use_asks_for(case: str) -> None:
    use, (ram, bots, price) = LARGER[case]
    found = decide(use, advise(use))
    assert found is not None and found.size is not None and found.kind == "larger"
    assert (found.size.ram_gb, found.bots, found.size.price_usd_month) == (ram, bots, price)
    assert said(use).startswith(f"{ram} GB, {bots} bots, ${price} a month: because ")
    assert said(use, "fr").startswith(f"{ram} Go, {bots} bots, {price} $ par mois, car ")


def test_where_nothing_of_the_guide_is_enough() -> None:
    for use in (Use(Box(16), 900, 700), Use(Box(8), 300, 200, ram=99.9, busy_days=3, days=week(480))):
        assert said(use).startswith("More than 16 GB, or a second server: because ")
    assert said(Use(Box(62.8), 900, 700)).startswith("More than 63 GB, or a second server: because ")


def test_a_low_limit_wants_no_larger_box() -> None:
    short = (Short(40),) * 5
    use = Use(Box(4), 40, 30, cpu=20.0, ram=30.0, busy_days=5, days=week(40), short=short)
    assert said(use) == (
        "This box is enough, raise MAX_CONCURRENT_BOTS to 50: because 80% of the limit or more in 5% of the time or"
        " more on 5 of the last 7 days."
    )
    assert said(Use(Box(4), 50, 30, busy_days=5, days=week(40), short=short[:2])) == "", "it is raised on the others"
    assert said(Use(Box(4), 40, 30, cpu=75.0, busy_days=5, days=week(40), short=short)).startswith("8 GB")


def test_the_limits_of_the_week_to_come_say_whether_a_limit_is_too_low() -> None:
    """Four days of 90 bots at noon, of a limit of 100, and of 120 in a window of the evening, of 200."""
    hours = [
        BusyHour(day, DAY, HOUR if bots == 90 else 0, bots, NOW - day * DAY + at * HOUR)
        for day in range(4)
        for bots, at in ((90, 0), (120, 8))
    ]

    def evening(base: int, window: int) -> Callable[[int], tuple[int, str]]:
        return lambda at: (window, "window") if (at - NOW) % DAY == 8 * HOUR else (base, "base")

    assert short_days(hours, evening(100, 200)) == [], "an hour of a day is less than 5 %"
    hours = [replace(hour, busy_ms=2 * HOUR if hour.bots == 90 else 0) for hour in hours]
    assert short_days(hours, evening(100, 200)) == [Short(90)] * 4
    use = Use(Box(4), 200, 120, busy_days=4, days=week(120), short=[Short(90)] * 4)
    assert said(use).startswith("This box is enough, raise MAX_CONCURRENT_BOTS to 113: because "), (
        "inside of the window"
    )
    assert short_days(hours, evening(113, 200)) == [], "a raise, a step of the plan or a window at noon is enough"
    hours = [replace(hour, busy_ms=2 * HOUR) for hour in hours]
    assert short_days(hours, evening(113, 130)) == [Short(120, in_window=True)] * 4
    use = replace(use, short=[Short(120, in_window=True)] * 4)
    assert said(use).startswith("This box is enough, raise the MAX_CONCURRENT_BOTS of the peak window to 150: because ")
    assert "monte à 150 le MAX_CONCURRENT_BOTS de la plage horaire, car " in said(use, "fr")


def test_slow_with_room_says_where_to_look_first() -> None:
    text = said(Use(Box(4), 200, 100, cpu=12.4, ram=30.0, lag=Lag(12, 320.0, 0, 100, 200)))
    assert text == (
        "8 GB, 300 bots, $80 a month: because slow although not full: decisions p99 up to 320 ms in 12 of the last 60"
        " minutes, at 100 of 200 bots · CPU 12% and RAM 30% have room: look at the disk and the feed first."
    )


SMALLER = {  # the box and its week → GB, or None where this box is right
    "30 bots on 4 GB": (Use(Box(4), 200, 20, cpu=10.0, ram=20.0, days=week(30)), 2),
    "40 are 80 % of 50": (Use(Box(4), 200, 20, cpu=10.0, ram=20.0, days=week(40)), 2),
    "41 are more": (Use(Box(4), 200, 20, cpu=10.0, ram=20.0, days=week(41)), None),
    "one day with 41": (Use(Box(4), 200, 20, cpu=10.0, ram=20.0, days=(*week(30, days=6), *week(41, days=1))), None),
    "41 now": (Use(Box(4), 200, 41, cpu=10.0, ram=20.0, days=week(30)), None),
    "CPU 26 % of 64 GB is more than 50 % of 16": (
        Use(Box(64), 200, 20, cpu=26.0, ram=3.0, days=week(30, cpu=26.0, ram=3.0)), None),
    "CPU 3 % of 64 GB is more than 50 % of 2": (
        Use(Box(64), 200, 20, cpu=3.0, ram=1.0, days=week(30, cpu=3.0, ram=1.0)), 4),
    "30 bots on 16 GB": (Use(Box(16), 200, 20, cpu=6.0, ram=7.0, days=week(30, cpu=6.0, ram=7.0)), 2),
    "200 bots on 16 GB": (Use(Box(16), 200, 20, cpu=10.0, ram=20.0, days=week(200)), 8),
    "350 bots on 64 GB": (Use(Box(62.8), 500, 20, cpu=10.0, ram=9.0, days=week(350, cpu=12.0, ram=14.0)), 16),
    "100 bots on 6 GB": (Use(Box(5.8), 200, 20, cpu=20.0, ram=40.0, days=week(100, cpu=30.0, ram=40.0)), 4),
    "the same on 4 GB, which show as a little more": (
        Use(Box(4.1), 200, 20, cpu=20.0, ram=40.0, days=week(100, cpu=30.0, ram=40.0)), None),
    "RAM 31 % of 4 GB is more than 60 % of 2": (Use(Box(4), 200, 20, cpu=9.0, ram=31.0, days=week(30)), None),
    "an hour with RAM 31 %": (Use(Box(4), 200, 20, cpu=9.0, ram=9.0, days=week(30, ram=31.0)), None),
    "CPU 26 % of 4 GB is more than 50 % of 2": (Use(Box(4), 200, 20, cpu=9.0, ram=9.0, days=week(30, cpu=26.0)), None),
    "6 days": (Use(Box(4), 200, 20, cpu=10.0, ram=20.0, days=week(30, days=6)), None),
    "CPU never read": (Use(Box(4), 200, 20, cpu=None, ram=20.0, days=week(30, cpu=None)), None),
    "RAM not read on a day": (
        Use(Box(4), 200, 20, cpu=9.0, ram=9.0, days=(*week(30), DayOfUse(30, 9.0, None, 0.2))), None),
    "a plan to come": (Use(Box(4), 200, 20, cpu=10.0, ram=20.0, days=week(30), planned=100), None),
    "30 bots of 59 MB, for which 2 GB have no room": (
        Use(Box(4), 200, 20, cpu=10.0, ram=20.0, days=week(30), cost=BotCost(59.0, 400.0, 9)), None),
    "the smallest": (Use(Box(2), 50, 3, cpu=1.0, ram=5.0, days=week(3)), None),
    "nothing known": (Use(Box(4), 200, 0), None),
}  # fmt: skip


@pytest.mark.parametrize("case", SMALLER)
def test_a_smaller_size_is_said_where_it_is_clear_alone(case: str) -> None:
    use, ram = SMALLER[case]
    found = decide(use, advise(use))
    assert (None if found is None or found.size is None else found.size.ram_gb) == ram
    assert found is None or found.kind == "smaller"


def test_a_smaller_size_has_its_figures_too() -> None:
    use = SMALLER["30 bots on 4 GB"][0]
    assert said(use) == ("2 GB, 50 bots, $10 a month: because at most 30 bots, 0.8 GB of RAM and 12% of CPU in 7 days.")
    assert said(use, "fr") == (
        "2 Go, 50 bots, 10 $ par mois, car au plus 30 bots, 0,8 Go de RAM et 12 % de CPU en 7 jours."
    )


def test_reasons_without_a_box_are_none() -> None:
    assert decide(Use(Box(4), 200, 10), ()) is None
    assert isinstance(advise(Use(Box(4), 200, 10, cpu=99.0))[0], Advice)
