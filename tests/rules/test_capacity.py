"""Occupancy to percent, status and free slots: the contract's table, the cut, and exact borders at every size."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.rules.capacity import Box, Capacity


@pytest.mark.parametrize(
    ("current", "maximum", "status", "percent", "free"),
    [
        (10, 200, "LOW", 5.0, 190),
        (100, 200, "HEALTHY", 50.0, 100),
        (160, 200, "WARNING", 80.0, 40),
        (200, 200, "FULL", 100.0, 0),
        (250, 200, "FULL", 125.0, -50),
        (150, 200, "HEALTHY", 75.0, 50),
        (0, 200, "LOW", 0.0, 200),
        (99, 200, "LOW", 49.5, 101),
        (159, 200, "HEALTHY", 79.5, 41),
        (199, 200, "WARNING", 99.5, 1),
        (0, 0, "FULL", 100.0, 0),
        (3, 0, "FULL", 100.0, -3),
        (1, 1, "FULL", 100.0, 0),
    ],
)
def test_the_table(current: int, maximum: int, status: str, percent: float, free: int) -> None:
    assert Capacity(current, maximum).as_dict() == {
        "current_bots": current,
        "max_bots": maximum,
        "percent_used": percent,
        "available_slots": free,
        "status": status,
        "can_accept_new": current < maximum,
    }


@pytest.mark.parametrize(
    ("current", "maximum", "percent"), [(2, 3, 66.6), (1, 3, 33.3), (1999, 2000, 99.9), (799, 1000, 79.9), (1, 7, 14.2)]
)
def test_percent_is_cut_and_not_rounded(current: int, maximum: int, percent: float) -> None:
    assert Capacity(current, maximum).percent_used == percent


@given(st.integers(1, 1_000_000), st.integers(0, 1_200_000))
def test_status_and_percent_agree_at_every_size(maximum: int, current: int) -> None:
    capacity = Capacity(current, maximum)
    borders = ((100, "FULL"), (80, "WARNING"), (50, "HEALTHY"), (0, "LOW"))
    wanted = next(status for percent, status in borders if 100 * current >= percent * maximum)
    assert capacity.status == wanted
    assert capacity.percent_used == math.floor(Fraction(1000 * current, maximum)) / 10
    assert (capacity.percent_used >= 100) == (capacity.status == "FULL")
    assert (capacity.percent_used >= 80) == (capacity.status in ("FULL", "WARNING"))
    assert (capacity.percent_used >= 50) == (capacity.status != "LOW")


def test_a_closed_door_admits_nobody_whatever_is_free() -> None:
    assert not Capacity(0, 200, open=False).can_accept_new


@pytest.mark.parametrize(
    ("detected", "counts_as", "bots", "price"),
    [
        (4.0, 4, 150, 40),
        (3.6, 4, 150, 40),
        (3.59, 2, 50, 10),
        (1.8, 2, 50, 10),
        (1.79, 1.79, 44, None),
        (0.5, 0.5, 12, None),
        (7.2, 8, 300, 80),
        (14.4, 16, 500, 160),
        (64.0, 16, 500, 160),
    ],
)
def test_detected_ram_counts_as_a_size_from_90_percent_of_it(
    detected: float, counts_as: float, bots: int, price: int | None
) -> None:
    box = Box(detected)
    assert (box.counts_as_gb, box.recommended_max_bots, box.price_usd_month) == (counts_as, bots, price)
