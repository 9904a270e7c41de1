"""A night in which the clocks change, from a limiter's first minute on: everything that it says, anywhere, is what an
own log of everything done says."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import World
from tests.truth.answers import Said, read_api
from tests.truth.diary import HOUR, MINUTE, Diary
from tests.truth.play import Play
from tests.truth.screens import Open, header, read_pages
from tests.truth.virtual import Clocks, Machine
from tests.webhook import Webhook

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
ZONE = "Europe/Paris"
NIGHTS = {"23 hours": "2026-03-28T23:41:07.130", "25 hours": "2026-10-24T23:41:07.130"}
LIMITS: dict[str, Any] = {
    "MAX_CONCURRENT_BOTS": 10,
    "MAX_BOTS_PER_USER": 2,
    "MAX_TRADES_PER_DAY": 3,
    "ALERT_THRESHOLD": 80,
    "MAX_TOKENS_PER_MINUTE": 100,
    "MAX_SIGNALS_PER_MINUTE": 20,
    "BOT_LEASE_SECONDS": 60,
}


def launch(play: Play) -> dict[str, Any]:
    """The first quarter of an hour: people come, it gets full, some go."""
    kept: dict[str, Any] = {}
    for n in range(7):
        kept[f"u{n}"] = play.start(f"u{n}", "b1")
        play.after(1.3)
    play.feed(40)
    play.signal(kept["u0"], 5)
    play.after(30)
    for n in range(7, 10):
        kept[f"u{n}"] = play.start(f"u{n}")
        play.after(0.7)
    for _ in range(3):
        assert play.start("late") is None
        play.after(2)
    assert play.feed(61) is False
    play.after(47)
    play.stop(kept.pop("u9"))
    play.after(3)
    kept["u0 again"] = play.start("u0", "b1")  # in its own place
    play.fall_silent(kept["u1"])
    for n in range(4):
        play.trade(kept["u2"], closes=n == 3)
    assert play.trade(kept["u2"]) is False
    play.after(100)
    brief = play.start("brief")
    play.start("brief")
    assert brief is not None
    play.stop(brief)
    play.after(40)
    return kept


def night(play: Play, said: Said, opens: Open) -> None:
    """Launch day, midnight, a restart, the change of the clocks, a kill, and the end of the day."""
    begin = play.now
    local = datetime.fromtimestamp(begin / 1000, ZoneInfo(ZONE))
    kept = launch(play)
    read_api(play, said, "launch")
    if local.month == 3:  # the launch day is the same in either night, and pages take most of the time
        read_pages(play, said, "launch", opens)
    midnight = play.diary.day(begin)[2]
    play.to(midnight - 5_500)
    assert play.trade(kept["u2"]) is False
    play.to(midnight + 1_500)
    assert play.trade(kept["u2"])
    play.change(MAX_CONCURRENT_BOTS=8)
    play.after(61)
    play.give("u3", MAX_BOTS_PER_USER=3)
    play.change(MAX_CONCURRENT_BOTS=12)
    play.start("u3", "b2"), play.start("u3", "b3")
    play.after(30)
    play.end(kept.pop("u4"))
    play.after(400)
    read_api(play, said, "midnight")
    changes_at = midnight + (2 if "-03-" in play.diary.day(midnight)[0] else 3) * HOUR
    play.restart(changes_at - 20 * MINUTE)
    play.after(10)
    read_api(play, said, "restarted")
    play.to(changes_at - 2_000)
    play.pause(True)
    assert play.start("nobody") is None
    play.after(3)
    play.pause(False)
    play.start("early", "b1")
    play.trade(kept["u5"])
    play.to(changes_at + 25 * MINUTE + 1_234)
    read_api(play, said, "changed")
    play.to(changes_at + 26 * MINUTE)
    play.restart(play.diary.day(changes_at)[2] - 10 * MINUTE + 17, kill=True)
    read_api(play, said, "killed")
    for _ in range(4):
        play.trade(kept["u5"])
    play.after(11 * MINUTE / 1000 + 3)
    play.trade(kept["u5"])
    play.after(1.5)
    read_api(play, said, "the day after")
    read_pages(play, said, "the day after", opens)
    header(play, said, "in French", opens("sessions", locale="fr-FR"), "fr")
    assert local.utcoffset() != datetime.fromtimestamp(play.now / 1000, ZoneInfo(ZONE)).utcoffset()


@pytest.fixture(params=NIGHTS)
def play(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    with Webhook() as webhook:
        clocks = Clocks(
            int(datetime.fromisoformat(NIGHTS[request.param]).replace(tzinfo=ZoneInfo(ZONE)).timestamp() * 1000)
        )
        clocks.patch(monkeypatch)
        settings = {name: str(value) for name, value in LIMITS.items()}
        settings |= {"LIMITER_TIMEZONE": ZONE, "LIMITER_ALERT_URLS": webhook.address("/told"), "LIMITER_LANG": "en"}
        machine = Machine(tmp_path, clocks, settings)
        playing = Play(machine, Diary(ZONE, LIMITS), lambda: webhook.posts("/told"))
        yield playing
        playing.close()


def test_all_that_is_said_of_a_night_is_what_happened(
    play: Play, open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in play.machine.environment.items():
        monkeypatch.setenv(name, value)
    said, world = Said(), World(play.machine.folder, play.machine.url)
    night(play, said, partial(open_page, world))
    assert said.compared > 2000
    assert not said.wrong, "\n".join(said.wrong[:40]) + f"\n… {len(said.wrong)} of {said.compared}"
