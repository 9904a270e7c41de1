"""A night in which the clocks change, and the limit too: windows, a launch plan, probation and a drain, over a restart
and two kills. Everything that is said of it is what the log says."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import World
from tests.truth.answers import Said, read_api
from tests.truth.decided_screens import read_deciding_pages, read_drain, read_held, read_waiting
from tests.truth.decisions import read_decisions, read_preview, read_schedule
from tests.truth.diary import MINUTE, SECOND
from tests.truth.play import playing
from tests.truth.scheduled import Operators, Window
from tests.truth.screens import Open, read_pages
from tests.truth.test_night import LIMITS, ZONE

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")
NIGHTS = {"23 hours": "2026-03-28T23:55:07.130", "25 hours": "2026-10-24T23:55:07.130"}
CALM, NEARLY, BUSY = (12.0, 34.0), (79.0, 34.0), (91.0, 34.0)
LAUNCH = Window("sun", "00:05", "00:25", 12)
CHANGE = Window("sun", "01:45", "03:15", 14)  # 30 minutes long in the night of 23 hours, 150 in that of 25


def launch(play: Operators) -> dict[str, Any]:
    """Until midnight: it gets full, and the operators say what is to come."""
    kept: dict[str, Any] = {f"u{n}": play.knock(f"u{n}", "b1") for n in range(9)}
    assert play.feed(30) and play.signal(kept["u0"], 3) and play.trade(kept["u2"])
    kept["u0 more"] = play.knock("u0", "b2")
    assert play.knock("u0", "b3") is None and play.knock("late", "b1") is None and play.knock("late", "b1") is None
    play.after(7)
    play.set_windows("anna", LAUNCH, CHANGE)
    play.after(2)
    play.set_plan("bob", (play.diary.wall("00:15"), 11), (play.diary.wall("00:32"), 15))
    play.after(2)
    return kept


def first_window(play: Operators, kept: dict[str, Any]) -> None:
    """It begins, somebody changes the limit in it, a step of the plan waits for its end."""
    play.to(play.diary.wall("00:05"))
    play.moved("window", "window", 12)
    kept["late"], kept["later"] = play.knock("late", "b1"), play.knock("later", "b1")
    assert play.knock("last", "b1") is None
    play.to(play.diary.wall("00:08") + 123)
    play.raise_to("bob", 13)
    play.diary.by_hand_until = play.diary.wall("00:25")
    kept["last"] = play.knock("last", "b1")
    play.to(play.diary.wall("00:15") + 2 * MINUTE)


def plan(play: Operators, kept: dict[str, Any]) -> None:
    """The window ends, and the step is taken; the next one is held by the CPU."""
    play.to(play.diary.wall("00:25"))
    play.moved("window", "window_over", 10)
    play.step_taken(0)
    play.after(2)
    assert play.knock("nobody", "b1") is None
    for name in ("u4", "u5", "last"):
        play.after(1)
        play.stop(kept.pop(name))
    assert play.knock("back", "b1") is not None
    play.fall_silent(kept.pop("u8"))
    play.to(play.diary.wall("00:30"))
    play.machine.box = BUSY
    play.to(play.diary.wall("00:32"))
    assert play.diary.cpu(play.now, 60) > 80
    play.step_held(1)
    play.after(7)


def let_go(play: Operators) -> None:
    """The CPU is calm again, and the step is taken as soon as the mean of a minute is."""
    play.machine.box = CALM
    for at in play.looks():
        if play.diary.cpu(at, 60) <= 80:
            break
    play.step_taken(1)
    play.diary.own_messages.append("✅ Over after 1 min: ⏸️ Launch plan held: CPU ")
    play.after(70)


def trials(play: Operators) -> None:
    """Three raises on probation: nobody confirms, somebody does, a guard holds."""
    play.raise_to("anna", 18, 60)
    ends = play.now + 60 * SECOND
    play.after(20)
    assert play.knock("tried", "b1") is not None
    play.to(ends)
    play.moved("probation", "unconfirmed", 15)
    play.diary.own_messages.append("↩️ MAX_CONCURRENT_BOTS 18 → 15: change on probation, not confirmed in time")
    play.after(10)
    kept = play.raise_to("anna", 17, 300)
    play.machine.box = NEARLY
    play.after(20)
    play.confirm("bob", kept)
    play.after(3)
    play.raise_to("bob", 20, 600)
    play.machine.box, since = BUSY, None
    for at in play.looks():
        if play.diary.cpu(at, 10) > 80:  # of the newest samples
            since = since or at
            if at - since >= MINUTE:
                break
    play.moved("probation", "tripped", 17)
    play.diary.own_messages.append("↩️ MAX_CONCURRENT_BOTS 20 → 17: change on probation, taken back after a minute: CPU")
    play.machine.box = CALM
    play.after(30)


def drain(play: Operators, said: Said, kept: dict[str, Any], opens: Open | None) -> None:
    """Nobody is let in, over a kill too; who is left is ended; then the door opens again."""
    play.drain("bob", 120)
    assert play.knock("nobody", "b1") is None
    play.after(3)
    play.stop(kept.pop("u6"))
    play.after(20)
    read_schedule(play, said, "draining")
    if opens is not None:
        read_drain(play, said, "draining", opens)
    play.restart(play.now + 9_876, kill=True)
    play.after(4)
    assert play.knock("nobody", "b2") is None
    play.after(6)
    read_api(play, said, "draining, restarted")
    play.to(play.diary.drains[-1].stop_at + 4_321)
    assert not list(play.diary.living())
    read_schedule(play, said, "drained")
    play.drain_over("anna")
    for user in ("u1", "u2", "u3"):
        assert play.knock(user, "b1") is not None
    play.after(40)


def night(play: Operators, said: Said, opens: Open) -> None:
    """From launch until the morning. Pages take most of the time: they are looked at in one of the two nights."""
    looked_at = opens if "-03-" in play.diary.day(play.now)[0] else None
    kept = launch(play)
    first_window(play, kept)
    read_schedule(play, said, "in a window", then=10)
    if looked_at is not None:
        read_waiting(play, said, "in a window", looked_at)
    plan(play, kept)
    read_schedule(play, said, "held")
    if looked_at is not None:
        read_held(play, said, "held", looked_at)
    let_go(play)
    read_api(play, said, "planned")
    read_schedule(play, said, "planned")
    read_preview(play, said, "planned")
    opening, end = play.diary.wall("01:45"), play.diary.wall("03:15")
    play.restart(opening - 90 * SECOND)
    play.to(opening)
    play.moved("window", "window", 14)
    for user in ("u1", "u2", "u4", "u5"):
        play.knock(user, "b2")
    play.to(opening + 2 * MINUTE + 77)
    play.restart(end - 2 * MINUTE + 345, kill=True)
    play.after(15)
    read_schedule(play, said, "window over the change", then=15)
    play.to(end)
    play.moved("window", "window_over", 15)
    play.after(20)
    trials(play)
    read_schedule(play, said, "tried")
    drain(play, said, kept, looked_at)
    read_api(play, said, "morning")
    read_schedule(play, said, "morning")
    read_preview(play, said, "morning")
    read_decisions(play, said, "morning")
    if looked_at is not None:
        read_pages(play, said, "morning", looked_at, ("sessions", "usage", "suspect"))  # as in any night
        read_deciding_pages(play, said, "morning", looked_at)


@pytest.mark.parametrize("begin", NIGHTS.values(), ids=NIGHTS)
def test_a_limit_that_changes_by_itself_is_told_as_it_was(
    begin: str, tmp_path: Path, open_page: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    said, launched = Said(), datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(ZONE))
    with playing(tmp_path, monkeypatch, launched, LIMITS, driver=Operators) as play:
        assert isinstance(play, Operators)
        night(play, said, partial(open_page, World(tmp_path, play.machine.url)))
    assert said.compared > 1500
    assert not said.wrong, "\n".join(said.wrong[:40]) + f"\n… {len(said.wrong)} of {said.compared}"
