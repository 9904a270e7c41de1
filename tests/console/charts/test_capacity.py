"""Bots on the statuses of their time: bands, gaps, marks, nights of 23 and 25 hours, zones of half an hour."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import altair as alt
import pandas as pd
import pytest

from limiter.console.charts.capacity import Mark, bands, box, capacity, placed, refusals, with_gaps
from limiter.console.data import as_table
from limiter.console.theme import DARK, REASONS, STATUSES
from limiter.console.view import HOUR, MINUTE, Span, View
from tests.console.charts.drawn import labels, layers, of_kind

VIEW = View("en", ZoneInfo("UTC"))
NOON = 1_795_262_400_000
SPAN = Span(NOON, NOON + HOUR)


def rows(ats: Sequence[int], limits: Sequence[int] | None = None, **more: object) -> pd.DataFrame:
    """Buckets with 90 to 110 bots."""
    known = {"low": 90, "mean": 100.0, "high": 110, "cpu": 40.0, "ram": None, "refused": 2} | more
    return as_table({"at": at, "limit": (limits or [200] * len(ats))[n], **known} for n, at in enumerate(ats))


def drawn(found: pd.DataFrame, view: View = VIEW, **more: object) -> alt.LayerChart:
    """The chart of that hour."""
    span = Span(NOON, NOON + HOUR)
    return capacity(found, span, view, width_ms=MINUTE, limits=[(NOON, 200)], **more)  # type: ignore[arg-type]


def test_bands_follow_the_limit_of_each_time_to_the_instant() -> None:
    found = bands([(NOON, 200), (NOON + MINUTE + 7, 100)], NOON + 3 * MINUTE, 230.0)
    full = found[found["band"] == "FULL"]
    assert full[["at", "low", "high"]].to_numpy().tolist() == [
        [NOON, 200.0, 230.0],
        [NOON + MINUTE + 7, 100.0, 230.0],  # more bots than that are as full
        [NOON + 3 * MINUTE, 100.0, 230.0],
    ]
    first = found[found["at"] == NOON]
    assert first["low"].to_list() == [0, 100, 160, 200] and first["band"].to_list() == list(STATUSES)


@pytest.mark.parametrize(("ahead", "end"), [([], NOON + 10 * MINUTE), ([(NOON + 4 * MINUTE, 200)], NOON + 4 * MINUTE)])
def test_the_bands_end_with_what_is_known(ahead: list[tuple[int, int]], end: int) -> None:
    chart = capacity(
        rows([NOON]), Span(NOON, NOON + HOUR), VIEW, width_ms=10 * MINUTE, limits=[(NOON, 200)], ahead=ahead
    )
    assert max(row["at"] for row in layers(chart)[0]["rows"]) == end


def test_a_gap_stays_a_gap() -> None:
    found = with_gaps(rows([NOON, NOON + MINUTE, NOON + 10 * MINUTE]), MINUTE)
    assert found["at"].to_list() == [NOON, NOON + MINUTE, NOON + 2 * MINUTE, NOON + 10 * MINUTE]
    assert found["mean"].isna().to_list() == [False, False, True, False]
    line = next(one for one in of_kind(drawn(rows([NOON, NOON + 10 * MINUTE])), "line") if "color" in one["mark"])
    assert "invalid" not in line["mark"]  # Vega-Lite breaks a line where a value is missing
    hover = layers(drawn(rows([NOON, NOON + 10 * MINUTE])))[-1]
    assert hover["transform"] == [{"filter": "isValid(datum.mean)"}]


def test_narrow_buckets_that_came_late_are_no_gap_and_a_wide_one_without_anything_is() -> None:
    assert len(with_gaps(rows([NOON, NOON + 20_000]), 5_000)) == 2
    assert len(with_gaps(rows([NOON, NOON + 20_001]), 5_000)) == 3
    assert len(with_gaps(rows([NOON, NOON + 2 * MINUTE]), MINUTE)) == 3, "nothing is known of a whole minute"


def test_what_is_known_between_two_gaps_is_seen() -> None:
    for line in of_kind(drawn(rows([NOON, NOON + 10 * MINUTE, NOON + 20 * MINUTE])), "line")[1:]:
        assert line["mark"]["strokeCap"] == "round", "a line of one point has no length, and no ink without its ends"


def test_what_is_drawn_and_in_which_order() -> None:
    chart = drawn(rows([NOON, NOON + MINUTE]), comfort=150, marks=[Mark(NOON + MINUTE, "200 → 100", "limit")])
    kinds = [layer["kind"] for layer in layers(chart)]
    assert kinds == ["area", "line", "rule", "area", "line", "rule", "text", "text", "rule"]
    tints = layers(chart)[0]["encoding"]["color"]["scale"]
    assert tints == {"domain": list(STATUSES), "range": [one.colour for one in STATUSES.values()]}
    assert layers(chart)[0]["encoding"]["y2"]["field"] == "high"
    assert all(layer["encoding"]["y"]["scale"]["domain"][0] == 0 for layer in layers(chart)[:5])


def test_what_is_not_there_is_not_drawn() -> None:
    flat = drawn(rows([NOON, NOON + MINUTE], low=100, high=100), comfort=10_000)
    assert [layer["kind"] for layer in layers(flat)] == ["area", "line", "line", "rule"]
    assert [one["name"] for one in flat.to_dict()["params"]] == ["moment"]


def test_the_limit_to_come_is_drawn_on_from_the_end_of_what_was() -> None:
    course = [(NOON + HOUR, 200), (NOON + 90 * MINUTE, 300)]
    chart = capacity(
        rows([NOON]), Span(NOON, NOON + 2 * HOUR), VIEW, width_ms=MINUTE, limits=[(NOON, 200)], ahead=course
    )
    (line,) = [one for one in of_kind(chart, "line") if one["rows"][0]["at"] == NOON + HOUR]
    assert [(row["at"] - NOON, row["limit"]) for row in line["rows"]] == [
        (HOUR, 200), (90 * MINUTE, 300), (2 * HOUR, 300),
    ]  # fmt: skip
    assert line["mark"]["interpolate"] == "step-after" and line["encoding"]["y"]["scale"]["domain"] == [0, 345]


def test_a_drag_selects_a_span() -> None:
    params = drawn(rows([NOON]), brush=True).to_dict()["params"]
    assert params[0]["name"] == "span" and params[0]["select"] == {"type": "interval", "encodings": ["x"]}


def test_tooltips_speak_the_language_of_the_view() -> None:
    french = layers(drawn(rows([NOON], low=1000, mean=1234.0, high=2000), View("fr", ZoneInfo("Europe/Paris"))))[-1]
    assert [tip["title"] for tip in french["encoding"]["tooltip"]] == ["heure", "bots", "limite", "utilisé", "refus"]
    assert french["rows"][0]["bots"] == "1\u202f000 – 2\u202f000" and french["rows"][0]["used"] == "617,0\u00a0%"


def test_in_the_dark_the_ink_is_light() -> None:
    assert DARK.ink in str(drawn(rows([NOON]), View("en", ZoneInfo("UTC"), dark=True)).to_dict())


def at(text: str, zone: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "night", "hours", "expected"),
    [
        ("Europe/Paris", ("2026-10-25T00:00", "2026-10-25T06:00"), 7,
         ["Sun 25 Oct", "01:00", "02:00", "03:00", "04:00", "05:00", "06:00"]),
        ("Europe/Paris", ("2026-03-29T00:00", "2026-03-29T06:00"), 5,
         ["Sun 29 Mar", "01:00", "03:00", "04:00", "05:00", "06:00"]),
        ("Asia/Kolkata", ("2026-11-24T00:00", "2026-11-24T04:00"), 4,
         ["Tue 24 Nov", "00:30", "01:00", "01:30", "02:00", "02:30", "03:00", "03:30", "04:00"]),
    ],
)  # fmt: skip
def test_the_axis_is_right_in_the_nights_when_the_clocks_change_and_in_zones_of_half_an_hour(
    zone: str, night: tuple[str, str], hours: int, expected: list[str]
) -> None:
    span = Span(at(night[0], zone), at(night[1], zone))
    assert span.length == hours * HOUR
    found = rows(range(span.start, span.end, 10 * MINUTE))
    view = View("en", ZoneInfo(zone))
    line = layers(capacity(found, span, view, width_ms=10 * MINUTE, limits=[(span.start, 200)]))[-2]
    assert labels(line) == expected
    assert line["encoding"]["x"]["scale"]["domain"] == [span.start, span.end]
    assert [row["at"] for row in line["rows"]] == list(range(span.start, span.end, 10 * MINUTE))


def test_marks_whose_texts_would_stand_on_each_other_keep_only_their_lines() -> None:
    span = Span(NOON, NOON + HOUR)
    marks = [Mark(NOON + n * MINUTE, "200 → 150 · a reason", "limit") for n in (1, 2, 30, 59)]
    found = placed(marks, span, VIEW)
    assert found["wide"].to_list() == ["left", "", "left", "right"]
    assert found["phone"].to_list() == ["left", "", "", ""]
    assert found["at"].is_monotonic_increasing


def test_a_text_that_is_not_shown_takes_no_room() -> None:
    # Hidden by its opacity only, a long one beside the left edge had pushed the whole plot aside: off a phone's screen.
    chart = drawn(rows([NOON, NOON + MINUTE]), marks=[Mark(NOON + MINUTE, "200 → 100 · a long reason" * 4, "limit")])
    for text in of_kind(chart, "text"):
        assert text["mark"]["clip"] and "opacity" not in text["encoding"]
        assert text["encoding"]["text"]["value"] == "" and text["encoding"]["text"]["condition"]["field"] == "label"


def test_refusals_are_stacked_by_reason_in_its_colour() -> None:
    found = as_table([{"at": NOON, "reason": "server_full", "n": 3}, {"at": NOON, "reason": "user_limit", "n": 1}])
    bars = layers(refusals(found, Span(NOON, NOON + HOUR), VIEW, width_ms=MINUTE))[0]
    names = [VIEW.reason("server_full"), VIEW.reason("user_limit")]
    assert bars["encoding"]["color"]["scale"] == {
        "domain": names, "range": [REASONS["server_full"], REASONS["user_limit"]],
    }  # fmt: skip
    assert {row["reason"]: row["n"] for row in bars["rows"]} == dict(zip(names, (3, 1), strict=True))
    assert {row["reason"]: row["why"] for row in bars["rows"]} == dict(
        zip(names, ("server_full", "user_limit"), strict=True)
    )


@pytest.mark.parametrize(
    ("chart", "fields"),
    [
        (drawn(rows([NOON])), ["at"]),
        (refusals(as_table([{"at": NOON, "reason": "paused", "n": 3}]), SPAN, VIEW, width_ms=MINUTE), ["at", "why"]),
        (box(rows([NOON]), SPAN, VIEW, width_ms=MINUTE, guards={}), ["at"]),
    ],
)
def test_a_click_names_the_instant_of_what_is_nearest(chart: alt.LayerChart, fields: list[str]) -> None:
    (one,) = (one for one in chart.to_dict()["params"] if one["name"] == "moment")
    assert one["select"]["fields"] == fields and one["select"]["nearest"] is True and one["select"]["on"] == "click"


def test_the_box_has_two_lines_and_their_guards_and_gaps_where_nothing_was_read() -> None:
    found = box(
        rows([NOON, NOON + MINUTE]), Span(NOON, NOON + HOUR), VIEW, width_ms=MINUTE, guards={"CPU": 80, "RAM": 85}
    )
    lines, rules, hover = layers(found)
    assert [(row["at"], row["CPU"], row["RAM"]) for row in hover["rows"]] == [
        (NOON, 40.0, None), (NOON + MINUTE, 40.0, None),
    ]  # fmt: skip
    assert [(row["what"], row["value"]) for row in lines["rows"]] == [
        ("CPU", 40.0), ("CPU", 40.0), ("RAM", None), ("RAM", None),
    ]  # fmt: skip
    assert rules["rows"] == [{"what": "CPU", "value": 80}, {"what": "RAM", "value": 85}]
