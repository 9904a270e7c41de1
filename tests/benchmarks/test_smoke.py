"""The benchmarks run, and judge what they measure. How fast anything is, no test says."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import flat, inside, over_http, protocols, report, scale, servers, shares
from benchmarks.figures import FIGURES
from benchmarks.over_http import Effort, Findings

LEAST = Effort(rounds=1, seconds=1, warm_up=1)


def test_a_verdict_knows_which_way_is_better() -> None:
    starts = next(figure for figure in FIGURES if figure.name == "starts_64")
    assert [starts.verdict(value) for value in (1.10, 1.09, 0.60, 0.59)] == ["goal", "floor", "floor", "below"]
    p99 = next(figure for figure in FIGURES if figure.name == "p99_64")
    assert [p99.verdict(value) for value in (1.0, 1.01, 2.5, 2.6)] == ["goal", "floor", "floor", "below"]
    beats = next(figure for figure in FIGURES if figure.name == "beats_64")
    assert beats.verdict(0.1) == ""


def test_every_figure_has_a_name_of_its_own() -> None:
    assert len({figure.name for figure in FIGURES}) == len(FIGURES)


def test_the_page_says_what_was_found(tmp_path: Path) -> None:
    found = Findings({"starts_64": 1.12, "over": 0}, notes=["peers: not run"])
    found.rounds["starts limiter 64"] = [{"rate": 20000, "p50_ms": 3.0, "p99_ms": 5.0}]
    page = report.write(found, report.machine(LEAST), tmp_path).read_text()
    assert "| durable starts, 64 clients | **1.12** of the no-op | 1.1 | 0.6 | ✔ goal |" in page
    assert "| starts limiter 64 | 20000 | 3.00 | 5.00 |" in page
    assert "- peers: not run" in page
    assert (tmp_path / "benchmarks.json").exists()


def test_inside_figures_come_from_the_real_writer(tmp_path: Path) -> None:
    found = Findings()
    with inside.desk(inside.url(inside.make(tmp_path / "few.db", ended=100, active=20))) as one:
        assert inside.decision_ms(one, 1) > 0
    inside.beats(found, LEAST, print)
    assert found.values["beats_500"] > 0 and found.values["beats_one"] > 0


def test_every_figure_of_scale_is_measured_by_the_real_writer() -> None:
    found = {bots: scale.measure(bots) for bots in (2_000, 4_000)}
    assert all(set(values) == {law.name for law in scale.LAWS} for values in found.values())
    head, _, *lines = scale.sizes_table(found)
    assert head == "| | law | 2 000 bots | 4 000 bots |"
    assert len(lines) == len(scale.LAWS)


def test_a_table_goes_to_its_place_and_nothing_else_moves() -> None:
    page = "before\n<!-- one -->\nold\n<!-- /one -->\nafter\n"
    assert report.place(page, "one", "new") == page.replace("old", "new")
    with pytest.raises(ValueError, match="no place for two"):
        report.place(page, "two", "new")


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_a_cap_never_pass_it(seed: int) -> None:
    world = shares.World(seconds=2 * shares.HOUR, offered=2, seed=seed)
    outcome = shares.simulate(world)
    assert outcome.peak <= world.cap
    assert outcome.used > 0.9 * shares.exact(world)


def test_shares_without_a_margin_for_drift_do_pass_it() -> None:
    wrong_clocks = shares.World(seconds=4 * shares.HOUR, offered=2, drift=0.05, margin=0, cut_seconds=2000, seed=2)
    assert shares.simulate(wrong_clocks).peak > wrong_clocks.cap
    assert shares.simulate(replace(wrong_clocks, margin=0.1)).peak <= wrong_clocks.cap


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_full_server_admits_its_cap_and_no_more() -> None:
    load, over = over_http.run(servers.limiter, 16, LEAST, MAX_CONCURRENT_BOTS="50")
    assert over == 0
    assert load.refused > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_yardstick_answers() -> None:
    load, _ = over_http.run(servers.noop, 4, LEAST)
    assert load.requests > 0
    assert load.refused == load.broken == 0


def test_three_protocols_answer_the_same_requests(tmp_path: Path) -> None:
    found = asyncio.run(protocols.compare(tmp_path, samples=1))
    assert set(found) == {"ours", "uvicorn, httptools", "uvicorn, h11"}
    assert all(0 < us < 1e9 for kinds in found.values() for us in kinds.values())


def test_a_long_history_and_none_are_asked_the_same(tmp_path: Path) -> None:
    """And every read of the console's pages answers over it."""
    found = asyncio.run(flat.requests(tmp_path, ended=2_000, rounds=1, samples=1))
    assert [len(pairs) for pairs in found.values()] == [1, 1]
    assert all(value > 0 for pairs in found.values() for pair in pairs for value in pair)
    assert all(ms < 1e9 for ms in flat.reads_ms(tmp_path / "long.db").values())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_a_long_history_and_none_are_timed_by_the_clock(tmp_path: Path) -> None:
    found = flat.by_the_clock(tmp_path, ended=2_000, rounds=1, seconds=1)
    assert all(0 < ratio < 100 for ratios in found.values() for ratio in ratios)
    assert {name: len(ratios) for name, ratios in found.items()} == {flat.READY: 1, flat.RATE: 1}
