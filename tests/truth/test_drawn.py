"""What is drawn of a night of 23 hours: the marks in the scene graph of a browser, and what somebody sees who looks
from a zone of half an hour or in French."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.journeys.console_process import CHROMIUM
from tests.pages.conftest import Open, World
from tests.truth.answers import Said
from tests.truth.charts import DAY, Viewer, course, known_from, parts, read_charts
from tests.truth.diary import HOUR, MINUTE, STATUSES
from tests.truth.drawn import Chart, charts
from tests.truth.play import Play, playing
from tests.truth.scene import Scene, stage
from tests.truth.test_night import LIMITS, NIGHTS, ZONE, launch

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning"),
]
COLOURS = dict(zip(STATUSES, ("#56B4E9", "#009E73", "#E69F00", "#D55E00"), strict=True))
REFUSED = {"server_full": "#D55E00", "daily_trades": "#E69F00", "token_rate": "#56B4E9", "paused": "#7F8C9B"}


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    begin = datetime.fromisoformat(NIGHTS["23 hours"]).replace(tzinfo=ZoneInfo(ZONE))
    with playing(tmp_path, monkeypatch, begin, LIMITS) as play:
        yield play


def night(play: Play) -> None:
    """It gets full before midnight; the limit moves twice; it stands still twice, once over the lost hour."""
    kept = launch(play)
    midnight = play.diary.day(play.now)[2]
    play.to(midnight + 1_500)
    play.trade(kept["u2"])
    play.change(MAX_CONCURRENT_BOTS=8)
    play.after(61)
    play.change(MAX_CONCURRENT_BOTS=12)
    play.after(200)
    play.restart(midnight + HOUR)
    play.pause(True)
    assert play.start("nobody") is None
    play.pause(False)
    play.after(7)
    play.restart(midnight + 4 * HOUR, kill=True)  # 5 o'clock
    play.trade(kept["u5"])
    play.after(11 * MINUTE / 1000)


def test_the_marks_that_a_browser_draws_are_what_happened(play: Play, open_page: Open) -> None:
    night(play)
    said, opens = Said(), partial(open_page, World(play.machine.folder, play.machine.url))
    viewer = Viewer(ZoneInfo(ZONE), "fr")
    drawn: dict[str, list[Chart]] = {}
    for page in ("overview", "history", "usage", "alerts", "sizing"):
        app = opens(page, tz=ZONE, locale="fr-FR")
        read_charts(play, said, "in French", page, app, viewer)
        drawn[page] = charts(app)
    for page in ("history", "usage", "alerts"):
        where = Viewer(ZoneInfo("Asia/Kolkata"))
        read_charts(play, said, "from Kolkata", page, opens(page, timezone="Asia/Kolkata"), where)
    with stage() as browser:
        scale, _ = (browser.draw(chart) for chart in drawn["overview"])
        bots, refusals, _ = (browser.draw(chart) for chart in drawn["history"])
        heat = browser.draw(drawn["usage"][0])
        days = browser.draw(drawn["alerts"][0])
        lost = browser.draw(drawn["sizing"][0])
    of_the_scale(play, said, scale)
    of_the_bots(play, said, bots, viewer)
    of_the_refusals(play, said, refusals)
    of_the_map(play, said, heat, viewer)
    of_the_days(play, said, days)
    bars = [(one["datum"]["what"], round(one["height"])) for one in lost.of("rect", "what") if one["height"]]
    said("lost", bars, [("jamais servies", round(lost.height))])  # one, of "late": as high as the plot
    assert said.compared > 400
    assert not said.wrong, "\n".join(said.wrong[:40]) + f"\n… {len(said.wrong)} of {said.compared}"


def span(play: Play) -> tuple[int, int]:
    """What History draws of a day."""
    return max(play.now - DAY, known_from(play.diary)), play.now


def place(at: int, begin: int, end: int, scene: Scene) -> float:
    """Of an instant, in px from the left."""
    return round(scene.width * (at - begin) / (end - begin), 1)


def of_the_scale(play: Play, said: Said, scene: Scene) -> None:
    held, most = len(play.diary.held(play.now)), play.diary.limit(play.now)
    taken = next(one for one in scene.of("rect", "high") if "band" not in one["datum"])
    said("scale taken", round(taken["width"], 1), round(scene.width * held / (1.04 * most), 1))
    bands = {one["datum"]["band"]: (round(one["x"], 1), one["fill"]) for one in scene.of("rect", "band")}
    starts = [round(scene.width * share / 1.04, 1) for share in (0, 0.5, 0.8, 1)]
    wanted = dict(zip(STATUSES, zip(starts, COLOURS.values(), strict=True), strict=True))
    said("scale bands", bands, wanted)


def of_the_bots(play: Play, said: Said, scene: Scene, viewer: Viewer) -> None:
    """Bands that follow the limit, the line with its gaps, what was changed, and the times beneath."""
    log, (begin, end) = play.diary, span(play)
    rows, ats, width = parts(log, begin, end)
    moves = course(log, begin, min(end, ats[-1] + width))
    top = 1.15 * max(limit for _, limit in moves)
    for band, share in zip(STATUSES, (0, 0.5, 0.8, 1), strict=True):
        area = [one for one in scene.of("area", "band") if one["datum"]["band"] == band]
        drawn = [(round(one["x"], 1), round(one["y"])) for one in area]
        is_so = [(place(at, begin, end, scene), round(scene.height * (1 - share * n / top))) for at, n in moves]
        said(f"band {band}", drawn, is_so)
        said(f"band {band} tint", {one["fill"] for one in area}, {COLOURS[band]})
    line = [one for one in scene.of("line", "mean") if one["defined"]]
    is_so = [
        (place(at, begin, end, scene), round(scene.height * (1 - row["bots"]["mean"] / top)))
        for at, row in zip(ats, rows, strict=True)
    ]
    said("line", [(round(one["x"], 1), round(one["y"])) for one in line], is_so)
    gaps = sum(other - one > max(width, 20_000) for one, other in pairwise(ats))
    said("gaps", gaps, 2)
    said("pieces of the line", max(path.count("M") for path in scene.paths), 1 + gaps)
    marks = [round(one["x"], 1) for one in scene.of("rule", "kind")]
    said("marks", marks, [place(at, begin, end, scene) for at, _ in moves[1:-1]])
    for x, label in scene.labels():
        said(f"label {label}", label, viewer.tick(round(begin + x / scene.width * (end - begin))))


def of_the_refusals(play: Play, said: Said, scene: Scene) -> None:
    """Bars where somebody was refused, as high as often, in the colour of why."""
    begin, end = span(play)
    rows, ats, _ = parts(play.diary, begin, end)
    bars = scene.of("rect", "why")
    one_high = bars[0]["height"] / bars[0]["datum"]["n"]
    found = {
        (round(one["x"] + one["width"] / 2, 1), one["datum"]["why"]): (round(one["height"] / one_high, 3), one["fill"])
        for one in bars
    }
    is_so = {
        (place(at, begin, end, scene), why): (n, REFUSED[why])
        for at, row in zip(ats, rows, strict=True)
        for why, n in row["refusals"].items()
    }
    said("refusals", found, is_so)


def of_the_map(play: Play, said: Said, scene: Scene, viewer: Viewer) -> None:
    """A tinted cell in the row of its day and the column of its hour; none of the hour that there was not."""
    log = play.diary
    known = {
        24 * viewer.local(at).weekday() + viewer.local(at).hour
        for at in viewer.hours(log.ups[0][0], play.now)
        if log.known(at, at + HOUR)
    }
    cells = [one for one in scene.of("rect", "slot") if one["fill"] != "#E9EDF2"]
    wide, high = scene.width / 24, scene.height / 7
    found = {7 * 0 + int(one["y"] // high) * 24 + int((one["x"] + 1) // wide) for one in cells}
    said("map", found, known)
    said("the hour that was left out", 6 * 24 + 2 in found, False)
    said("cells", len(scene.of("rect", "slot")), 168 + len(known))


def of_the_days(play: Play, said: Said, scene: Scene) -> None:
    """30 cells in the order of the calendar, the last two in the colour of what they reached."""
    cells = sorted(scene.of("rect", "status"), key=lambda one: one["x"])
    tints = [one["fill"] for one in cells]
    said("days", tints, ["#E9EDF2"] * 28 + [COLOURS["FULL"], COLOURS["FULL"]])
    said("days named", [one["datum"]["day"] for one in cells[-3:]], ["27 mars", "28 mars", "29 mars"])
