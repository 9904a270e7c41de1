"""Some hours of a night over PostgreSQL: what the limiter, its command line and its pages say of them is what an own
log says, as over SQLite (test_night.py)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import new_database
from tests.pages.conftest import World
from tests.truth.answers import Said, read_api
from tests.truth.diary import MINUTE
from tests.truth.play import Play, playing
from tests.truth.screens import read_pages
from tests.truth.test_night import LIMITS, NIGHTS, ZONE, launch

pytestmark = [pytest.mark.postgres, pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")]


@dataclass(frozen=True)
class OnPostgres(World):
    """A world whose rows are on the server; its key is in a file of the folder `data`."""

    database: str

    @property
    def database_url(self) -> str:
        return self.database


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    monkeypatch.chdir(tmp_path)  # where the first key and the end of the audit are kept
    begin = datetime.fromisoformat(NIGHTS["25 hours"]).replace(tzinfo=ZoneInfo(ZONE))
    with playing(tmp_path / "data", monkeypatch, begin, LIMITS, new_database()) as play:
        yield play


def test_over_postgresql_too_all_that_is_said_is_what_happened(play: Play, open_page: Callable[..., AppTest]) -> None:
    said, world = Said(), OnPostgres(play.machine.folder, play.machine.url, play.machine.database_url)
    kept = launch(play)
    midnight = play.diary.day(play.now)[2]
    play.to(midnight + 1_500)
    play.trade(kept["u2"])
    play.change(MAX_CONCURRENT_BOTS=8)
    play.give("u3", MAX_BOTS_PER_USER=3)
    play.after(30)
    play.change(MAX_CONCURRENT_BOTS=12)
    play.start("u3", "b2"), play.start("u3", "b3")
    play.end(kept.pop("u4"))
    play.restart(play.now + 3 * MINUTE)
    play.after(10)
    play.pause(True)
    assert play.start("nobody") is None
    play.pause(False)
    play.after(40)
    play.restart(play.now + 90 * MINUTE, kill=True)
    play.trade(kept["u5"])
    play.after(95)
    read_api(play, said, "at night")
    read_pages(play, said, "at night", partial(open_page, world))
    assert said.compared > 700
    assert not said.wrong, "\n".join(said.wrong[:40]) + f"\n… {len(said.wrong)} of {said.compared}"
