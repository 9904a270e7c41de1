"""The week's map keeps its frame, bins and stacks keep their order."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from limiter.console.charts import usage
from limiter.console.data import as_table
from limiter.console.theme import ADMITTED, LIGHT, REASONS
from limiter.console.view import DAYS, HOUR, View, seconds_of
from tests.console.charts.drawn import layers, of_kind

VIEW = View("en", ZoneInfo("UTC"))
MONDAY = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000)


def hour(n: int, mean: float | None = 0.5, high: float | None = 0.8) -> dict[str, object]:
    """The nth hour after a Monday's midnight, in UTC."""
    return {"at": MONDAY + n * HOUR, "mean_share": mean, "high_share": high, "starts": 1}


def test_one_hour_fills_one_cell_of_seven_by_twentyfour() -> None:
    frame, cells, texts = layers(usage.heat_map(as_table([hour(18)]), VIEW, "p95"))
    assert len(cells["rows"]) == 168
    known = [row for row in cells["rows"] if row["share"] is not None]
    assert [(row["day"], row["hour"], row["text"]) for row in known] == [("Mon", 18, "80")]
    assert cells["encoding"]["x"]["scale"]["domain"] == list(range(24))
    assert cells["encoding"]["y"]["sort"] == list(DAYS["en"])
    assert frame["mark"]["color"] == LIGHT.empty and "color" not in frame["encoding"]  # never seen is not nought
    assert texts["rows"] == cells["rows"] == frame["rows"]


@pytest.mark.parametrize(
    ("zone", "slot"),
    [("UTC", 0), ("Europe/Paris", 1), ("America/New_York", 163), ("Asia/Kolkata", 5), ("America/St_Johns", 164)],
)
def test_an_hour_lies_on_the_wall_clock_of_the_view(zone: str, slot: int) -> None:
    found = usage.week(as_table([hour(0)]), View("en", ZoneInfo(zone)), "max")
    assert found.loc[found["n"] > 0, "slot"].to_list() == [slot]


def test_both_passes_of_the_hour_that_comes_twice_are_one_cell() -> None:
    night = int(datetime(2026, 10, 25, 0, tzinfo=UTC).timestamp() * 1000)
    rows = as_table([hour(0) | {"at": night}, hour(0) | {"at": night + HOUR}])  # 02:00 CEST and 02:00 CET
    found = usage.week(rows, View("fr", ZoneInfo("Europe/Paris")), "max")
    assert found.loc[found["n"] == 2, "slot"].to_list() == [6 * 24 + 2]


@pytest.mark.parametrize(("how", "share"), [("mean", 0.75), ("p95", 0.8), ("max", 1.0)])
def test_mean_p95_and_max(how: str, share: float) -> None:
    rows = as_table([hour(0), hour(168, 1.0, 1.0)])
    assert usage.week(rows, VIEW, how)["share"][0] == pytest.approx(share)


def test_hours_without_a_limit_say_nothing() -> None:
    assert usage.week(as_table([hour(0), hour(168, None, None)]), VIEW, "max")["n"].sum() == 1


def test_a_chosen_cell_is_framed_and_a_click_names_its_slot() -> None:
    chart = usage.heat_map(as_table([hour(18)]), VIEW, "p95", chosen=18)
    assert layers(chart)[-1]["transform"] == [{"filter": "datum.slot === 18"}]
    assert chart.to_dict()["params"][0] | {"views": []} == {
        "name": "cell", "select": {"type": "point", "fields": ["slot"]}, "views": [],
    }  # fmt: skip


def test_lengths_fall_into_bins_that_keep_their_order() -> None:
    rows = as_table(
        {"seconds": s, "ended_reason": "stopped", "n": n} for s, n in ((59, 1), (60, 2), (7 * 86_400, 4), (0, 8))
    )
    bars = layers(usage.lengths(rows, VIEW))[0]
    counts = [row["n"] for row in bars["rows"]]
    assert counts[0] == 9 and counts[1] == 2 and counts[-1] == 4 and sum(counts) == 15
    names = [row["bin"] for row in bars["rows"]]
    assert bars["encoding"]["y"]["sort"] == names
    assert names[:3] == ["< 1 min", "1 min – 5 min", "5 min – 15 min"] and names[-2:] == ["3 d – 7 d", "> 7 d"]
    stays = [row["stay"] for row in bars["rows"]]
    assert stays[:2] == ["0-60", "60-300"] and stays == list(VIEW.stays())
    assert [seconds_of(stay) for stay in (stays[0], stays[-1])] == [(0, 60), (7 * 86_400, None)]
    assert usage.lengths(rows, VIEW).to_dict()["params"][0]["select"]["fields"] == ["stay"]


def test_starts_are_stacked_in_the_given_order() -> None:
    rows = as_table({"x": x, "what": what, "n": 1} for x in ("10", "9") for what in ("admitted", "server_full"))
    bars = layers(usage.starts(rows, VIEW, ["9", "10"], where="hour", unit="a day"))[0]
    assert bars["encoding"]["x"]["sort"] == ["9", "10"]
    assert bars["encoding"]["color"]["scale"]["range"] == [ADMITTED, REASONS["server_full"]]


def test_only_starts_of_an_hour_can_be_opened() -> None:
    rows = as_table([{"x": "9 Nov", "what": what, "n": 1} for what in ("admitted", "server_full")])
    plain = usage.starts(rows, VIEW, ["9 Nov"], where="day", unit="starts")
    dated = usage.starts(rows.assign(at=7), VIEW, ["9 Nov"], where="day", unit="starts")
    assert "params" not in plain.to_dict() and dated.to_dict()["params"][0]["name"] == "moment"
    assert [(row["at"], row["why"]) for row in layers(dated)[0]["rows"]] == [(7, ""), (7, "server_full")]


def test_trades_have_a_line_only_where_there_is_a_limit() -> None:
    rows = as_table([{"day": "2026-11-24", "total": 9, "most": 5, "users": 2}])
    drawn = usage.trades(rows, VIEW, 500, "2026-11-24", UTC)
    assert [row["most"] for row in of_kind(drawn, "rule")[0]["rows"]] == [500]
    assert not of_kind(usage.trades(rows, VIEW, None, "2026-11-24", UTC), "rule")
    assert drawn.to_dict()["params"][0]["name"] == "moment" and layers(drawn)[0]["rows"][0]["at"] == MONDAY + 24 * HOUR


def test_a_day_without_a_trade_is_a_day() -> None:
    rows = as_table({"day": day, "total": 9, "most": 5, "users": 2} for day in ("2026-10-24", "2026-10-26"))
    paris = ZoneInfo("Europe/Paris")
    bars = of_kind(usage.trades(rows, View("en", paris), None, "2026-10-27", paris), "bar")[0]["rows"]
    assert [(row["day"], row["total"]) for row in bars] == [("24 Oct", 9), ("25 Oct", 0), ("26 Oct", 9), ("27 Oct", 0)]
    assert [(after["at"] - row["at"]) // HOUR for row, after in pairwise(bars)] == [24, 25, 24]
