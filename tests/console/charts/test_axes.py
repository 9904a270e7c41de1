"""What all charts share: the names above a chart are whole on every width, days are named in the reader's words."""

import re
from zoneinfo import ZoneInfo

import altair as alt
import pytest

from limiter.console.charts.axes import finished, legend
from limiter.console.theme import REASONS
from limiter.console.view import View

FRENCH = View("fr", ZoneInfo("America/New_York"))


def columns(names: list[str], width: int) -> int:
    """In how many columns the names stand above a chart so wide: the expression, read as the browser does."""
    expression = legend(names).to_dict()["columns"]["expr"]
    for least, n in re.findall(r"containerSize\(\)\[0\] >= (\d+) \? (\d+) :", expression):
        if width >= int(least):
            return int(n)
    assert expression.endswith("1")
    return 1


def test_names_stand_in_as_many_columns_as_the_plot_has_room_for_and_are_never_cut() -> None:
    reasons = [FRENCH.reason(name) for name in list(REASONS)[:6]]
    assert legend(reasons).to_dict()["labelLimit"] == 0
    assert columns(reasons, 330) == 1 and 1 < columns(reasons, 540) < 6 and columns(reasons, 1260) == 6
    assert columns(["CPU", "RAM"], 330) == 2


def test_how_many_columns_there_are_does_not_depend_on_the_room_that_the_legend_leaves() -> None:
    """But is asked whenever that changes: the plot's width is settled once, and a row more would be out of sight."""
    expression = legend(["CPU", "RAM", "disk"]).to_dict()["columns"]["expr"]
    assert expression.startswith("width && containerSize()") and expression.count("width") == 1


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Pacific/Auckland"])
def test_a_date_is_the_same_day_in_every_zone(zone: str) -> None:
    assert View("en", ZoneInfo(zone)).date("2026-11-28") == "28 Nov"


def test_every_label_stands_beside_what_it_names() -> None:
    """Streamlit's theme would move the first and the last of an axis inwards."""
    look = finished([alt.Chart().mark_bar()], FRENCH, 100).to_dict()["config"]
    assert look["axisY"] == look["axisBand"] == {"labelFlush": False}
