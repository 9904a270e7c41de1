"""What a box carries: against a fill of the box bot by bot, published tables, and what must hold of any figures."""

import math
import random
from dataclasses import replace
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.rules.box import Bot, Carries, Figures, Machine, figures, relative_error, spread, student
from limiter.units import MIB

GIB = 1024 * MIB
MEMORY = st.integers(MIB, 4 * GIB)
BOTS = st.lists(
    st.builds(Bot, st.none() | MEMORY, st.none() | st.floats(0, 400), st.none() | st.floats(0, 100)), max_size=30
)
MACHINES = st.builds(
    Machine,
    st.integers(GIB // 4, 512 * GIB),
    st.integers(0, 512 * GIB),
    st.floats(0.1, 128),
    st.none() | st.floats(0, 100),
)


def machine(ram_gb: float, bots: list[Bot], rest_mb: float = 400, **options: float) -> Machine:
    """A machine of that RAM on which the bots and as much else lie."""
    held = sum(bot.memory_bytes or 0 for bot in bots)
    return Machine(int(ram_gb * GIB), held + int(rest_mb * MIB), options.pop("cores", 2), **options)


def of(*megabytes: float, **costs: float) -> list[Bot]:
    """Bots of that memory."""
    return [Bot(int(one * MIB), **costs) for one in megabytes]


def carried(found: Figures) -> Carries:
    assert found.carries is not None
    return found.carries


def fill(room_mb: float, cost_mb: float) -> int:
    """Bots of that size that go into the room, one after the other."""
    bots = 0
    while (bots + 1) * cost_mb <= room_mb:
        bots += 1
    return bots


# -- memory


@pytest.mark.parametrize("ram_gb", [2, 4, 8, 16])
@pytest.mark.parametrize("bot_mb", [59, 212])
def test_alike_bots_fill_the_box_but_for_the_rest_and_a_tenth(ram_gb: int, bot_mb: int) -> None:
    bots = of(*[bot_mb] * 5)
    found = figures(machine(ram_gb, bots), bots)
    assert carried(found).bots == fill(ram_gb * 1024 * 0.9 - 400, bot_mb)
    assert carried(found).by == "ram"
    assert (found.measured_bots, found.running_bots, found.ram_mb) == (5, 5, ram_gb * 1024)
    assert found.rest_mb == pytest.approx(400, abs=1)


def test_the_next_size_carries_what_a_box_of_that_size_would() -> None:
    bots = of(55, 59, 63)
    for here, there, price in ((1, 2, 10), (2, 4, 40), (4, 8, 80), (5.5, 8, 80), (7.3, 16, 160)):
        found = figures(machine(here, bots), bots)
        assert found.next is not None
        assert (found.next.size.ram_gb, found.next.size.price_usd_month) == (there, price)
        assert found.next.bots == carried(figures(machine(there, bots), bots)).bots
    assert figures(machine(16, bots), bots).next is None
    assert figures(machine(64, bots), bots).next is None


def test_a_bot_that_was_not_measured_counts_as_one_and_not_as_the_rest_of_the_box() -> None:
    measured = of(*[100] * 4)
    whole = machine(4, of(*[100] * 20))  # twenty lie in it
    found = figures(whole, [*measured, *[Bot()] * 16])
    assert (found.measured_bots, found.running_bots) == (4, 20)
    assert found.rest_mb == pytest.approx(400, abs=1)
    assert carried(found).bots == fill(4096 * 0.9 - 400, 100)


def test_bots_that_lie_on_another_host_leave_a_rest_of_nothing() -> None:
    found = figures(Machine(4 * GIB, 300 * MIB, 2), of(*[100] * 30))
    assert found.rest_mb == 0
    assert carried(found).bots == fill(4096 * 0.9, 100)


def test_a_box_that_is_full_already_carries_fewer_than_run() -> None:
    bots = of(*[100] * 40)
    found = figures(Machine(4 * GIB, 4096 * MIB, 2), bots)
    assert carried(found).bots < len(bots)
    assert carried(figures(Machine(GIB, 2 * GIB, 2), of(100))) == Carries(0, 0, 0, "ram")


def test_nothing_is_said_where_nothing_was_measured() -> None:
    for bots in ([], [Bot()] * 3, [Bot(cpu_percent=0.2)], [Bot(memory_bytes=0)]):
        found = figures(machine(4, bots), bots)
        assert found.carries is None and found.rest_mb is None
        assert found.next is not None and found.next.bots is None


# -- CPU


def test_cpu_is_what_runs_out_where_bots_compute() -> None:
    bots = of(*[59] * 5, cpu_percent=20)
    found = figures(machine(16, bots, cores=4), bots)
    assert carried(found) == Carries(14, 13, 14, "cpu")  # 4 cores up to 70 %, 20 % a bot
    assert found.cpu_percent == spread([20.0] * 5)
    busy = figures(machine(16, bots, cores=4, cpu_percent=50), bots)  # 200 % of a core, half of that the bots'
    assert carried(busy).bots == 9


def test_all_bots_have_to_start_within_five_minutes() -> None:
    bots = of(*[10] * 5, start_cpu_seconds=2.4)
    assert carried(figures(machine(16, bots, cores=1), bots)) == Carries(87, 83, 91, "cpu")  # 300 s × 70 % ÷ 2.4 s
    assert carried(figures(machine(16, bots, cores=64), bots)).by == "ram"


def test_a_fifth_of_a_percent_does_not_matter() -> None:
    bots = of(*[59] * 5, cpu_percent=0.2, start_cpu_seconds=0.2)
    assert carried(figures(machine(4, bots), bots)).by == "ram"


# -- the range


def test_students_t_is_the_published_one() -> None:
    published = {1: 3.078, 2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476, 9: 1.383, 29: 1.311, 1000: 1.282}
    for freedom, quantile in published.items():
        assert student(freedom) == pytest.approx(quantile, rel=0.01)


def test_one_bot_says_half_to_double() -> None:
    found = carried(figures(machine(4, of(59)), of(59)))
    assert (found.low, found.high) == pytest.approx((found.bots / 2, found.bots * 2), abs=1)


def test_the_range_narrows_with_every_bot_and_ends_at_what_a_bot_moves_by_itself() -> None:
    costs = [50.0, 60.0, 70.0, 80.0]
    errors = [relative_error(costs * n, 400) for n in (1, 2, 5, 20, 100)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == relative_error([59.0] * 5, 60) == 0.05


@pytest.mark.parametrize("cv", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("measured", [3, 5, 20])
def test_boxes_filled_bot_by_bot_hold_as_many_as_the_range_says_in_four_of_five(cv: float, measured: int) -> None:
    chance, hits, rounds = random.Random(1), 0, 400
    sigma = math.sqrt(math.log(1 + cv**2))
    for _ in range(rounds):
        sizes = [chance.lognormvariate(math.log(59) - sigma**2 / 2, sigma) for _ in range(300)]
        room, held = 8192 * 0.9 - 400, 0
        for size in sizes:
            room -= size
            if room < 0:
                break
            held += 1
        bots = of(*sizes[:measured])
        found = carried(figures(machine(8, bots), bots))
        hits += found.low <= held <= found.high
    assert hits / rounds > 0.68


# -- of any figures


@given(MACHINES, BOTS)
def test_bounds_are_in_order_and_nothing_is_negative(box: Machine, bots: list[Bot]) -> None:
    found = figures(box, bots)
    for one in (found.memory_mb, found.cpu_percent):
        if one is not None:
            assert 0 <= one.median <= one.p90 and one.mean >= 0
    if found.carries is not None:
        assert 0 <= found.carries.low <= found.carries.bots <= found.carries.high
        assert found.rest_mb is not None and found.rest_mb >= 0
    assert found.measured_bots <= found.running_bots


@given(MACHINES, BOTS, st.integers(0, 512 * GIB))
def test_more_ram_never_carries_fewer(box: Machine, bots: list[Bot], more: int) -> None:
    small, large = figures(box, bots), figures(replace(box, ram_bytes=box.ram_bytes + more), bots)
    if small.carries is not None and large.carries is not None:
        assert large.carries.bots >= small.carries.bots
        assert large.carries.high >= small.carries.high or len(bots) > small.carries.bots
        if small.next is not None and box.ram_bytes <= 16 * GIB:
            assert small.next.bots is not None and small.next.bots >= small.carries.bots


@given(MACHINES, BOTS, st.integers(0, 8 * GIB))
def test_a_heavier_rest_never_carries_more(box: Machine, bots: list[Bot], more: int) -> None:
    before, after = figures(box, bots), figures(replace(box, used_bytes=box.used_bytes + more), bots)
    if before.carries is not None and after.carries is not None:
        assert after.carries.bots <= before.carries.bots


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_spread_is_numpys(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    wanted = (np.median(values), fmean(values), np.percentile(values, 90))
    assert (found.median, found.mean, found.p90) == pytest.approx(wanted, rel=1e-9, abs=1e-9)
